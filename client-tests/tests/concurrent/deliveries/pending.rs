//! What is pending in a group, which several commands have to tell alike.

use std::{collections::BTreeMap, fmt};

use client_tests::reply::Reply;

use super::{GROUPS, STREAMS, stream::counts};
use crate::{
    client::{Client, Words, command, text},
    entries::{Id, field},
};

const ALL: &str = "1000000";

/// A row of XPENDING.
pub(super) struct Pending {
    pub(super) stream: &'static str,
    pub(super) group: &'static str,
    pub(super) id: Id,
    pub(super) consumer: String,
    pub(super) deliveries: usize,
}

impl fmt::Display for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, group, id, consumer, deliveries } = self;
        write!(
            formatter,
            "{id} of {stream} is pending for {consumer} of {group}, delivered {deliveries} times"
        )
    }
}

/// All that is pending while nobody reads, claims or acknowledges.
pub(super) async fn read(control: &mut Client) -> Result<Vec<Pending>, String> {
    let mut all = Vec::new();
    for stream in STREAMS {
        for group in GROUPS {
            let rows = rows(control, stream, group, &["-", "+", ALL]).await?;
            check_summary(control, stream, group, &rows).await?;
            check_consumers(control, stream, group, &rows).await?;
            all.extend(rows);
        }
    }
    Ok(all)
}

async fn rows(
    control: &mut Client,
    stream: &'static str,
    group: &'static str,
    range: &[&str],
) -> Result<Vec<Pending>, String> {
    let words = command(&[&["XPENDING", stream, group], range].concat());
    let reply = control.call(&words).await?;
    let row = |row: &Reply| {
        let [id, consumer, _, deliveries] = row.elements()?[..] else { return None };
        let (id, consumer) = (Id::of(id)?, text(consumer));
        Some(Pending { stream, group, id, consumer, deliveries: number(deliveries)? })
    };
    let rows: Option<Vec<Pending>> =
        reply.elements().and_then(|rows| rows.into_iter().map(row).collect());
    let in_order = |rows: &Vec<Pending>| rows.is_sorted_by(|one, next| one.id < next.id);
    rows.filter(in_order).ok_or_else(|| control.complaint(&words, reply))
}

fn number(reply: &Reply) -> Option<usize> {
    text(reply).parse().ok()
}

/// How much is pending for each consumer that something is pending for.
fn counts_by_consumer(rows: &[Pending]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.consumer.clone()).or_default() += 1;
    }
    counts
}

async fn check_summary(
    control: &mut Client,
    stream: &str,
    group: &str,
    rows: &[Pending],
) -> Result<(), String> {
    let words = command(&["XPENDING", stream, group]);
    let reply = control.call(&words).await?;
    let (first, last) = (rows.first().map(|row| row.id), rows.last().map(|row| row.id));
    let is_right = match reply.elements().as_deref() {
        Some([size, lowest, highest, consumers]) => {
            number(size) == Some(rows.len())
                && Id::of(lowest) == first
                && Id::of(highest) == last
                && summed_up(consumers) == Some(counts_by_consumer(rows))
        }
        _ => false,
    };
    agree(control, &words, &reply, is_right, rows)
}

/// The consumers in XPENDING's summary, which has none rather than an empty list.
fn summed_up(reply: &Reply) -> Option<BTreeMap<String, usize>> {
    if reply.is_null() {
        return Some(BTreeMap::new());
    }
    let pair = |pair: &Reply| match pair.elements()?[..] {
        [consumer, count] => Some((text(consumer), number(count)?)),
        _ => None,
    };
    reply.elements()?.into_iter().map(pair).collect()
}

async fn check_consumers(
    control: &mut Client,
    stream: &'static str,
    group: &'static str,
    rows_of_all: &[Pending],
) -> Result<(), String> {
    let words = command(&["XINFO", "CONSUMERS", stream, group]);
    let reply = control.call(&words).await?;
    let consumer = |consumer: &Reply| {
        Some((text(field(consumer, "name")?), number(field(consumer, "pending")?)?))
    };
    let consumers: Option<BTreeMap<String, usize>> =
        reply.elements().and_then(|all| all.into_iter().map(consumer).collect());
    let consumers = consumers.ok_or_else(|| control.complaint(&words, &reply))?;
    let told = counts(control, stream, group).await?;
    if told != Some((consumers.len(), rows_of_all.len())) {
        return Err(format!(
            "  XINFO GROUPS {stream} has {told:?} as numbers of consumers and of what is pending in {group}, which are {} and {}",
            consumers.len(),
            rows_of_all.len()
        ));
    }
    let busy = consumers.iter().filter(|(_, pending)| **pending > 0);
    let busy = busy.map(|(name, pending)| (name.clone(), *pending)).collect();
    agree(control, &words, &reply, counts_by_consumer(rows_of_all) == busy, rows_of_all)?;
    for (name, pending) in &busy {
        let rows = rows(control, stream, group, &["-", "+", ALL, name]).await?;
        if rows.len() != *pending || rows.iter().any(|row| row.consumer != *name) {
            return Err(format!(
                "  XPENDING {stream} {group} tells of {} entries of {name}, which has {pending}",
                rows.len()
            ));
        }
    }
    Ok(())
}

fn agree(
    control: &Client,
    words: &Words,
    reply: &Reply,
    is_right: bool,
    rows: &[Pending],
) -> Result<(), String> {
    if is_right {
        return Ok(());
    }
    let what = control.complaint(words, reply);
    let counts = counts_by_consumer(rows);
    Err(format!(
        "{what}\n    and XPENDING with a range tells of {} entries: {counts:?}",
        rows.len()
    ))
}

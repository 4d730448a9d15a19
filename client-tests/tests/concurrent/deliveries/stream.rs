//! What the streams themselves and their groups tell.

use client_tests::reply::Reply;

use super::{GROUPS, PILLS, STREAMS};
use crate::{
    client::{Client, command, text},
    entries::{Entry, Id, entries, field},
    producer::Added,
};

pub(super) async fn make_groups(control: &mut Client) -> Result<(), String> {
    for stream in STREAMS.into_iter().chain([PILLS]) {
        for group in GROUPS {
            let words = command(&["XGROUP", "CREATE", stream, group, "0", "MKSTREAM"]);
            let reply = control.call(&words).await?;
            if text(&reply) != "OK" {
                return Err(control.complaint(&words, reply));
            }
        }
    }
    Ok(())
}

/// Something that a group has not got yet, if there is anything.
pub(super) async fn undelivered(control: &mut Client) -> Result<Option<String>, String> {
    for stream in STREAMS {
        for row in groups(control, stream).await? {
            let from = format!("({}", row.last_delivered);
            let words = command(&["XRANGE", stream, &from, "+", "COUNT", "1"]);
            let reply = control.call(&words).await?;
            let next = entries(&reply).ok_or_else(|| control.complaint(&words, &reply))?;
            if let Some(Entry { id, .. }) = next.first() {
                return Ok(Some(format!("{} has not got {id} of {stream}", row.name)));
            }
        }
    }
    Ok(None)
}

/// Checks that a stream has what was added and not deleted, and that its groups have read it all.
pub(super) async fn check(control: &mut Client, added: &[Added]) -> Result<(), String> {
    for stream in STREAMS {
        let mut all: Vec<&Added> = added.iter().filter(|entry| entry.stream == stream).collect();
        all.sort_by_key(|entry| entry.id);
        check_entries(control, stream, &all).await?;
        for row in groups(control, stream).await? {
            row.check(&all).map_err(|what| format!("  XINFO GROUPS {stream}: {what}"))?;
        }
    }
    Ok(())
}

async fn check_entries(control: &mut Client, stream: &str, all: &[&Added]) -> Result<(), String> {
    let left = all.iter().filter(|entry| !entry.deleted);
    let expected: Vec<Entry> =
        left.map(|entry| Entry { id: entry.id, payload: Some(entry.payload.clone()) }).collect();
    let words = command(&["XRANGE", stream, "-", "+"]);
    let reply = control.call(&words).await?;
    let found = entries(&reply).ok_or_else(|| control.complaint(&words, &reply))?;
    let length = control.ask(&["XLEN", stream]).await?;
    if length != Reply::Integer(expected.len() as i64) || found.len() != expected.len() {
        return Err(format!(
            "  {stream} has {} entries, its length is {length}, and {} were added and not deleted",
            found.len(),
            expected.len()
        ));
    }
    match found.iter().zip(&expected).find(|(found, expected)| found != expected) {
        None => Ok(()),
        Some((found, expected)) => {
            Err(format!("  {stream} has {found:?} where {expected:?} was added"))
        }
    }
}

/// How many consumers a group has, and how much is pending for them.
pub(super) async fn counts(
    control: &mut Client,
    stream: &str,
    group: &str,
) -> Result<Option<(usize, usize)>, String> {
    let rows = groups(control, stream).await?;
    let row = rows.into_iter().find(|row| row.name == group);
    Ok(row.map(|row| (row.consumers, row.pending)))
}

/// A row of XINFO GROUPS.
struct Group {
    name: String,
    consumers: usize,
    pending: usize,
    last_delivered: Id,
    entries_read: Option<usize>,
    lag: Option<usize>,
}

async fn groups(control: &mut Client, stream: &str) -> Result<Vec<Group>, String> {
    let words = command(&["XINFO", "GROUPS", stream]);
    let reply = control.call(&words).await?;
    let rows: Option<Vec<Group>> =
        reply.elements().and_then(|rows| rows.into_iter().map(Group::of).collect());
    let are_all = |rows: &Vec<Group>| rows.iter().map(|row| row.name.as_str()).eq(GROUPS);
    rows.filter(are_all).ok_or_else(|| control.complaint(&words, reply))
}

impl Group {
    fn of(reply: &Reply) -> Option<Self> {
        let number = |name| text(field(reply, name)?).parse().ok();
        Some(Self {
            name: text(field(reply, "name")?),
            consumers: number("consumers")?,
            pending: number("pending")?,
            last_delivered: Id::of(field(reply, "last-delivered-id")?)?,
            entries_read: number("entries-read"),
            lag: number("lag"),
        })
    }

    /// Where entries were deleted that nobody had got yet, it is not known how many were read.
    fn check(&self, all: &[&Added]) -> Result<(), String> {
        let Self { name, last_delivered, entries_read, lag, .. } = self;
        let last = all.last().map_or(Id::ZERO, |entry| entry.id);
        let are_all_there = all.iter().all(|entry| !entry.deleted);
        if are_all_there && *last_delivered != last {
            return Err(format!("{name} got {last_delivered} last, and {last} was added last"));
        }
        if are_all_there && (*entries_read != Some(all.len()) || *lag != Some(0)) {
            let added = all.len();
            return Err(format!(
                "{name} has read {entries_read:?} of {added} entries, with a lag of {lag:?}"
            ));
        }
        Ok(())
    }
}

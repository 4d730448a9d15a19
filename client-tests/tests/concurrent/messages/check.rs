//! Whether what all subscribers saw fits together.
//!
//! The measure is the log of a witness, who is subscribed to every channel the whole time. Its order is everybody's order:
//! between the begin and the end of any subscription lies an unbroken part of it, for each channel.

use std::collections::{BTreeMap, HashMap};

use super::{
    script::{Kind, Publication},
    subscriber::{Event, Log},
};
use crate::client::line;

/// Says how many messages were delivered.
pub(super) fn check(
    witness: &Log,
    logs: &[Log],
    published: &[(Publication, usize)],
) -> Result<usize, String> {
    let order = Order::of(witness)?;
    check_publishers(&order)?;
    for log in logs {
        check_windows(log, &order)?;
    }
    check_counts(logs.iter().chain([witness]), published)
}

/// The messages of each channel in the witness's order.
struct Order<'logs> {
    sequences: BTreeMap<&'logs str, Vec<&'logs str>>,
    places: HashMap<&'logs str, usize>,
}

impl<'logs> Order<'logs> {
    fn of(witness: &'logs Log) -> Result<Self, String> {
        let mut order = Self { sequences: BTreeMap::new(), places: HashMap::new() };
        for event in &witness.events {
            let Event::Message { publication, .. } = event else { continue };
            let sequence = order.sequences.entry(&publication.channel).or_default();
            if order.places.insert(&publication.payload, sequence.len()).is_some() {
                return Err(format!("  {} got twice {}", witness.who, event.describe()));
            }
            sequence.push(&publication.payload);
        }
        Ok(order)
    }
}

/// The messages of a publisher on a channel have the numbers from 0 on, in order.
fn check_publishers(order: &Order) -> Result<(), String> {
    let mut next: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for payload in order.sequences.values().flatten() {
        let mut parts = payload.split('/');
        let (Some(publisher), Some(channel), Some(number)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("  the witness got {payload:?}, which nobody published"));
        };
        let expected = next.entry((publisher, channel)).or_default();
        if number != expected.to_string() {
            return Err(format!(
                "  the witness got {publisher}/{channel}/{number} where number {expected} comes next"
            ));
        }
        *expected += 1;
    }
    Ok(())
}

/// For each channel that a subscription covers: the place after the message that came last.
type Window<'logs> = BTreeMap<&'logs str, usize>;

fn check_windows(log: &Log, order: &Order) -> Result<(), String> {
    let mut open: BTreeMap<(Kind, &str), Window> = BTreeMap::new();
    for (at, event) in log.events.iter().enumerate() {
        match event {
            Event::Began { kind, name } => {
                open.entry((*kind, name)).or_default();
            }
            Event::Ended { kind, name } => {
                open.remove(&(*kind, name.as_str()));
            }
            Event::Message { kind, name, publication } => {
                let Some(window) = open.get_mut(&(*kind, name.as_str())) else {
                    return Err(unasked(log, at, *kind, name));
                };
                let place = place(order, publication, log, event)?;
                let expected = window.insert(&publication.channel, place + 1).unwrap_or(place);
                if expected != place {
                    return Err(out_of_turn(log, event, publication, order, expected));
                }
            }
        }
    }
    Ok(())
}

/// A message without a subscription, and what the subscriber was last told about that subscription.
fn unasked(log: &Log, at: usize, kind: Kind, name: &str) -> String {
    let changes = |event: &Event| match event {
        Event::Began { kind: of, name: other } | Event::Ended { kind: of, name: other } => {
            *of == kind && other == name
        }
        Event::Message { .. } => false,
    };
    let change = log.events[..at].iter().rposition(changes);
    let told = change.map_or("it was never subscribed".to_owned(), |before| {
        format!("it was told `{}` {} events before", log.events[before].describe(), at - before)
    });
    format!("  {} got {}\n    while {told}", log.who, log.events[at].describe())
}

fn place(
    order: &Order,
    publication: &Publication,
    log: &Log,
    event: &Event,
) -> Result<usize, String> {
    let place = order.places.get(publication.payload.as_str()).copied();
    place.ok_or_else(|| format!("  {} got {}, and the witness did not", log.who, event.describe()))
}

fn out_of_turn(
    log: &Log,
    event: &Event,
    publication: &Publication,
    order: &Order,
    expected: usize,
) -> String {
    let sequence = &order.sequences[publication.channel.as_str()];
    let expected = sequence.get(expected).map_or("nothing more", |payload| *payload);
    format!(
        "  {} got {}\n    where the witness got next on this channel {}",
        log.who,
        event.describe(),
        line(&vec![expected.to_owned()])
    )
}

/// PUBLISH says how many deliveries there are of a message.
fn check_counts<'logs>(
    logs: impl Iterator<Item = &'logs Log>,
    published: &[(Publication, usize)],
) -> Result<usize, String> {
    let mut deliveries: HashMap<&str, Vec<String>> = HashMap::new();
    for log in logs {
        for event in &log.events {
            if let Event::Message { name, publication, .. } = event {
                let receiver = format!("{} for {name}", log.who);
                deliveries.entry(&publication.payload).or_default().push(receiver);
            }
        }
    }
    for (publication, count) in published {
        let receivers = deliveries.get(publication.payload.as_str()).map_or(&[][..], Vec::as_slice);
        if receivers.len() != *count {
            return Err(format!(
                "  `{}` was answered with {count}, and reached {}: {}",
                line(&publication.words()),
                receivers.len(),
                receivers.join(", ")
            ));
        }
    }
    Ok(deliveries.values().map(Vec::len).sum())
}

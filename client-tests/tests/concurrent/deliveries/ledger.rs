//! What became of every entry, as the replies told it, and whether that can be.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Instant,
};

use super::{GROUPS, pending::Pending};
use crate::{
    entries::{Id, Wait},
    producer::Added,
};

/// Further failures of a round would be of the same cause.
const MOST_TOLD: usize = 5;

/// Something that a reply said about an entry.
pub(super) struct Event {
    pub(super) stream: &'static str,
    pub(super) id: Id,
    pub(super) what: What,
    pub(super) group: &'static str,
    pub(super) consumer: String,
    pub(super) command: String,
    pub(super) start: Instant,
    pub(super) end: Instant,
}

/// What one consumer saw, in its order.
pub(super) struct Log {
    pub(super) group: &'static str,
    pub(super) events: Vec<Event>,
    /// When it got nothing.
    pub(super) waits: Vec<Wait>,
}

/// What reached a consumer has a payload, unless the entry was deleted.
pub(super) enum What {
    First(Option<String>),
    Again(Option<String>),
    Claimed(Option<String>),
    ClaimedId,
    Acknowledged,
    /// It was no longer in the stream, so it is no longer pending either.
    Dropped,
}

impl What {
    fn payload(&self) -> Option<&Option<String>> {
        match self {
            Self::First(payload) | Self::Again(payload) | Self::Claimed(payload) => Some(payload),
            Self::ClaimedId | Self::Acknowledged | Self::Dropped => None,
        }
    }

    /// Whether the entry is pending for the consumer at this moment.
    fn is_holding(&self) -> bool {
        !matches!(self, Self::Acknowledged | Self::Dropped)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.what {
            What::First(_) => "delivered to",
            What::Again(_) => "read again by",
            What::Claimed(_) | What::ClaimedId => "claimed by",
            What::Acknowledged => "acknowledged by",
            What::Dropped => "found deleted by",
        };
        write!(formatter, "{verb} {} of {}, {}", self.consumer, self.group, self.command)
    }
}

/// Checks what consumers saw against what was added and what is pending; says how many deliveries there were.
pub(super) fn check(added: &[Added], logs: &[Log], pending: &[Pending]) -> Result<usize, String> {
    let events = || logs.iter().flat_map(|log| &log.events);
    let mut failures: Vec<String> = logs.iter().filter_map(|log| disorder(&log.events)).collect();
    let mut histories = histories(added);
    for event in events() {
        match histories.get_mut(&(event.group, event.stream, event.id)) {
            Some(history) => history.events.push(event),
            None => failures.push(format!(
                "  entry {} of {} was never added, and was {event}",
                event.id, event.stream
            )),
        }
    }
    for row in pending {
        match histories.get_mut(&(row.group, row.stream, row.id)) {
            Some(history) => history.pending = Some(row),
            None => failures.push(format!("  what was never added is pending: {row}")),
        }
    }
    failures.extend(histories.values().filter_map(History::failure));
    failures.extend(logs.iter().filter_map(|log| neglect(log, &histories)));
    conclude(failures)?;
    Ok(events().filter(|event| event.what.payload().is_some()).count())
}

type Place<'facts> = (&'facts str, &'facts str, Id);

fn histories(added: &[Added]) -> BTreeMap<Place<'_>, History<'_>> {
    let of_group = |group: &'static str| {
        added.iter().map(move |entry| {
            let history = History { group, added: entry, events: Vec::new(), pending: None };
            ((group, entry.stream.as_str(), entry.id), history)
        })
    };
    GROUPS.into_iter().flat_map(of_group).collect()
}

/// What a consumer gets of a stream for the first time comes in the order in which it was added.
fn disorder(events: &[Event]) -> Option<String> {
    let mut latest: BTreeMap<&str, &Event> = BTreeMap::new();
    for event in events.iter().filter(|event| matches!(event.what, What::First(_))) {
        if let Some(before) = latest.insert(event.stream, event)
            && before.id >= event.id
        {
            return Some(format!(
                "  {} of {} was {event}\n    after {} was {before}",
                event.id, event.stream, before.id
            ));
        }
    }
    None
}

/// Whether a consumer got nothing while there was something, which somebody asked for only later and got.
fn neglect(log: &Log, histories: &BTreeMap<Place<'_>, History<'_>>) -> Option<String> {
    let of_group = || histories.values().filter(|history| history.group == log.group);
    log.waits.iter().find_map(|wait| {
        let missed = of_group().find(|history| {
            let first = history.events.iter().find(|event| matches!(event.what, What::First(_)));
            wait.missed(history.added.confirmed)
                && first.is_some_and(|event| event.start > wait.end)
        })?;
        let Added { stream, id, .. } = missed.added;
        Some(format!("  {} got nothing, and nobody had got {id} of {stream} yet", wait.who))
    })
}

/// All that happened to an entry in a group.
struct History<'facts> {
    group: &'static str,
    added: &'facts Added,
    events: Vec<&'facts Event>,
    pending: Option<&'facts Pending>,
}

impl History<'_> {
    fn failure(&self) -> Option<String> {
        let what = self.fault()?;
        let Added { stream, id, payload, deleted, .. } = self.added;
        let deleted = if *deleted { ", deleted later" } else { "" };
        let mut text = format!("  entry {id} of {stream} ({payload}{deleted}) {what}");
        for event in &self.events {
            write!(text, "\n    {event}").expect("writing to a String cannot fail");
        }
        if let Some(pending) = self.pending {
            write!(text, "\n    {pending}").expect("writing to a String cannot fail");
        }
        Some(text)
    }

    fn fault(&self) -> Option<String> {
        let (first, acknowledged) = (
            self.count(|what| matches!(what, What::First(_))),
            self.count(|what| matches!(what, What::Acknowledged)),
        );
        let is_there = !self.added.deleted;
        let group = self.group;
        match self.pending {
            _ if first > 1 => Some("was delivered as new more than once".to_owned()),
            _ if acknowledged > 1 => Some("was acknowledged more than once".to_owned()),
            _ if !self.is_same() => Some("reached somebody as something else".to_owned()),
            Some(_) if acknowledged > 0 => Some("is pending, and was acknowledged".to_owned()),
            None if is_there && acknowledged == 0 => {
                Some(format!("is neither acknowledged in {group} nor pending"))
            }
            Some(row) if is_there && row.deliveries != self.deliveries(first) => {
                Some(format!("was delivered {} times", self.deliveries(first)))
            }
            Some(row) if !self.may_belong_to(&row.consumer) => {
                Some("is pending for who did not get it last".to_owned())
            }
            _ => None,
        }
    }

    fn count(&self, fits: impl Fn(&What) -> bool) -> usize {
        self.events.iter().filter(|event| fits(&event.what)).count()
    }

    /// Whether everybody got what was added; only what was deleted may be missing.
    fn is_same(&self) -> bool {
        self.events.iter().all(|event| match event.what.payload() {
            Some(Some(payload)) => *payload == self.added.payload,
            Some(None) => self.added.deleted,
            None => self.added.deleted || !matches!(event.what, What::Dropped),
        })
    }

    /// Where nobody saw the first delivery, there was one nevertheless, to somebody who had hung up.
    fn deliveries(&self, first: usize) -> usize {
        self.count(|what| what.payload().is_some()) + usize::from(first == 0)
    }

    /// Whether nobody else is sure to have got it after this consumer did.
    fn may_belong_to(&self, consumer: &str) -> bool {
        let holding = || self.events.iter().filter(|event| event.what.is_holding());
        let others = holding().filter(|event| event.consumer != consumer);
        match others.map(|event| event.start).max() {
            None => true,
            Some(start) => holding().any(|event| event.consumer == consumer && event.end >= start),
        }
    }
}

fn conclude(mut failures: Vec<String>) -> Result<(), String> {
    if failures.is_empty() {
        return Ok(());
    }
    let more = failures.len().saturating_sub(MOST_TOLD);
    failures.truncate(MOST_TOLD);
    if more > 0 {
        failures.push(format!("  and {more} more"));
    }
    Err(failures.join("\n"))
}

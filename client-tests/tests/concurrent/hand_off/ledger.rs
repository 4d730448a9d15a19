//! What became of every element, as the replies told it, and whether that can be.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt::{self, Write as _},
};

use super::script::keeps_order;

/// Further failures of a round would be of the same cause.
const MOST_TOLD: usize = 5;

/// Something that a reply said about an element.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) element: String,
    pub(super) fate: Fate,
    pub(super) who: String,
    pub(super) command: String,
}

#[derive(Clone)]
pub(super) enum Fate {
    PushedTo(String),
    PoppedFrom(String),
    Moved { from: String, to: String },
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fate {
            Fate::PushedTo(list) => write!(formatter, "pushed to {list}")?,
            Fate::PoppedFrom(list) => write!(formatter, "popped from {list}")?,
            Fate::Moved { from, to } => write!(formatter, "moved from {from} to {to}")?,
        }
        write!(formatter, " by {}, {}", self.who, self.command)
    }
}

impl Event {
    /// The list that the element was taken from.
    fn taken_from(&self) -> Option<&str> {
        match &self.fate {
            Fate::PushedTo(_) => None,
            Fate::PoppedFrom(list) | Fate::Moved { from: list, .. } => Some(list),
        }
    }
}

/// Checks the events of each connection, in its own order, after every list was emptied; says how many were popped.
pub(super) fn check(connections: &[Vec<Event>]) -> Result<usize, String> {
    let mut failures = Vec::new();
    let popped = check_balance(connections, &mut failures);
    for events in connections {
        check_order(events, &mut failures);
    }
    if failures.is_empty() {
        return Ok(popped);
    }
    let more = failures.len().saturating_sub(MOST_TOLD);
    failures.truncate(MOST_TOLD);
    let told: Vec<_> = failures.iter().map(|failure| tell(failure, connections)).collect();
    Err(format!(
        "{}{}",
        told.join("\n"),
        if more == 0 { String::new() } else { format!("\n  and {more} more") }
    ))
}

/// An element and what is wrong with it.
struct Failure {
    element: String,
    what: String,
}

/// Every element that was pushed is popped, and once.
fn check_balance(connections: &[Vec<Event>], failures: &mut Vec<Failure>) -> usize {
    let events = || connections.iter().flatten();
    let pushed: HashMap<&str, &Event> = events()
        .filter(|event| matches!(event.fate, Fate::PushedTo(_)))
        .map(|event| (event.element.as_str(), event))
        .collect();
    let mut popped: HashMap<&str, &Event> = HashMap::new();
    for event in events().filter(|event| matches!(event.fate, Fate::PoppedFrom(_))) {
        let mut fail = |what: &str| {
            failures.push(Failure { element: event.element.clone(), what: what.to_owned() });
        };
        match popped.entry(&event.element) {
            Entry::Occupied(_) => fail("was popped twice"),
            Entry::Vacant(_) if !pushed.contains_key(event.element.as_str()) => {
                fail("was popped, and no reply says that it was pushed");
            }
            Entry::Vacant(place) => {
                place.insert(event);
            }
        }
    }
    let mut lost: Vec<_> = pushed.keys().filter(|element| !popped.contains_key(*element)).collect();
    lost.sort_unstable();
    failures.extend(lost.into_iter().map(|element| Failure {
        element: (*element).to_owned(),
        what: "was pushed, and is neither popped nor in any list".to_owned(),
    }));
    popped.len()
}

/// What one connection took out of a queue comes, for each pusher, in the order in which it was pushed.
fn check_order(events: &[Event], failures: &mut Vec<Failure>) {
    let mut latest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for event in events {
        let Some(list) = event.taken_from().filter(|list| keeps_order(list)) else { continue };
        let Some((origin, number)) = event.element.rsplit_once('/') else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        if let Some(before) =
            latest.insert((origin, list), number).filter(|before| *before > number)
        {
            failures.push(Failure {
                element: event.element.clone(),
                what: format!("came to {} out of {list} after {origin}/{before}", event.who),
            });
        }
    }
}

fn tell(failure: &Failure, connections: &[Vec<Event>]) -> String {
    let mut text = format!("  element {} {}", failure.element, failure.what);
    for event in connections.iter().flatten().filter(|event| event.element == failure.element) {
        write!(text, "\n    {event}").expect("writing to a String cannot fail");
    }
    text
}

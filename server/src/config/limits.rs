//! The limits of a client's unread replies, by class of client.

use super::value::{Reason, Value, bytes};

/// The classes of clients that have limits of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientClass {
    Normal,
    Replica,
    Pubsub,
}

/// Unread replies that cost a client its connection. Zero stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    pub(crate) hard: i64,
    pub(crate) soft: i64,
    /// How long a client may stay above the soft limit.
    pub(crate) soft_seconds: i64,
}

/// The limits of each class, in the order of `ClientClass`.
pub(crate) type OutputLimits = [OutputLimit; CLASSES.len()];

/// The names that Redis prints.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// Reads `class hard soft seconds`, any number of times; classes not named keep their limits.
pub(super) fn parse(words: &[&str], present: &Value) -> Result<OutputLimits, Reason> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = match present {
        Value::Limits(limits) => *limits,
        _ => OutputLimits::default(),
    };
    for limit in words.chunks_exact(4) {
        let class = class(limit[0])
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        limits[class as usize] = parse_limit(limit)
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

fn class(word: &str) -> Option<ClientClass> {
    match word.to_ascii_lowercase().as_str() {
        "normal" => Some(ClientClass::Normal),
        "slave" | "replica" => Some(ClientClass::Replica),
        "pubsub" => Some(ClientClass::Pubsub),
        _ => None,
    }
}

fn parse_limit(words: &[&str]) -> Option<OutputLimit> {
    let soft_seconds = words[3].parse().ok().filter(|&seconds: &i64| seconds >= 0)?;
    Some(OutputLimit { hard: bytes(words[1])?, soft: bytes(words[2])?, soft_seconds })
}

pub(super) fn print(limits: &OutputLimits) -> String {
    let classes = CLASSES.iter().zip(limits);
    let printed: Vec<String> = classes.map(|(class, limit)| print_limit(class, limit)).collect();
    printed.join(" ")
}

fn print_limit(class: &str, limit: &OutputLimit) -> String {
    format!("{class} {} {} {}", limit.hard, limit.soft, limit.soft_seconds)
}

/// A line for redis.conf for each class whose limits differ.
pub(super) fn changed_lines(limits: &OutputLimits, defaults: &OutputLimits) -> Vec<String> {
    let all = CLASSES.iter().zip(limits.iter().zip(defaults));
    let changed = all.filter(|(_, (limit, default))| limit != default);
    changed.map(|(class, (limit, _))| print_limit(class, limit)).collect()
}

//! Writes to strings, and to deadlines.

use client_tests::{command, program::caller::Command, random::Random};

use super::{Keys, about};
use crate::solo::keyspace::Keyspace;

/// Far away, and another for each operation.
const FAR_MS: i64 = 4_102_444_800_000;
/// Gone before anybody looks.
const BRIEF_MS: &str = "20";
const LONGEST_LOG: usize = 600;
const LARGEST: usize = 200_000;

#[derive(Clone, Debug)]
pub(super) enum Texts {
    Set,
    SetAndGet,
    Append,
    Count,
    /// A value of this length, of which a part may be written before an end.
    Large(usize),
    Brief,
    Expire,
    ExpireAndGet,
    Persist,
    Delete,
    Rename,
    Copy,
}

impl Texts {
    pub(super) fn draw(random: &mut Random, keyspace: &Keyspace) -> Self {
        let has_text = keyspace.has("text");
        match random.below(16) {
            0..=1 if has_text => Self::SetAndGet,
            2..=4 => Self::Append,
            5..=6 => Self::Count,
            7 if random.once_in(4) => Self::Large(random.below(LARGEST)),
            8 => Self::Brief,
            9 if has_text => Self::Expire,
            10 if has_text => Self::ExpireAndGet,
            11 if has_text => Self::Persist,
            12 if has_text => Self::Delete,
            13 if has_text => Self::Rename,
            14 if has_text => Self::Copy,
            _ => Self::Set,
        }
    }

    pub(super) fn command(&self, keys: &Keys<'_>, number: u64, before: &Keyspace) -> Command {
        let text = keys.key("text");
        let deadline_ms = (FAR_MS + number as i64).to_string();
        let digits = number.to_string();
        match self {
            Self::Set => command!["SET", text, digits],
            Self::SetAndGet => command!["SET", text, digits, "GET"],
            Self::Append if is_full(before) => command!["SET", keys.key("log"), ""],
            Self::Append => command!["APPEND", keys.key("log"), item(number)],
            Self::Count => {
                let more = number as i64 - counted(before);
                command!["INCRBY", keys.key("counter"), more.to_string()]
            }
            Self::Large(length) => command!["SET", keys.key("large"), large(number, *length)],
            Self::Brief => command!["SET", keys.key("brief"), digits, "PX", BRIEF_MS],
            Self::Expire => about("PEXPIREAT", &text, &[&deadline_ms]),
            Self::ExpireAndGet => about("GETEX", &text, &["PXAT", &deadline_ms]),
            Self::Persist => about("PERSIST", &text, &[]),
            Self::Delete => about("GETDEL", &text, &[]),
            Self::Rename => about("RENAME", &text, &[&keys.key("other")]),
            Self::Copy => about("COPY", &text, &[&keys.key("other"), "REPLACE"]),
        }
    }

    pub(super) fn apply(&self, keyspace: &mut Keyspace, number: u64) {
        match self {
            Self::Set | Self::SetAndGet => keyspace.put_text("text", number.to_string()),
            Self::Append if is_full(keyspace) => keyspace.put_text("log", ""),
            Self::Append => keyspace.change_text("log", |log| log.push_str(&item(number))),
            Self::Count => keyspace.put_text("counter", number.to_string()),
            Self::Large(length) => keyspace.put_text("large", in_short(number, *length)),
            Self::Brief => {}
            Self::Expire | Self::ExpireAndGet => {
                keyspace.set_deadline("text", Some(FAR_MS + number as i64));
            }
            Self::Persist => keyspace.set_deadline("text", None),
            Self::Delete => drop(keyspace.take("text")),
            Self::Rename => {
                if let Some(item) = keyspace.take("text") {
                    keyspace.put_item("other", item);
                }
            }
            Self::Copy => {
                if let Some(item) = keyspace.get("text").cloned() {
                    keyspace.put_item("other", item);
                }
            }
        }
    }
}

fn is_full(keyspace: &Keyspace) -> bool {
    keyspace.text("log").is_some_and(|log| log.len() > LONGEST_LOG)
}

/// What is appended.
fn item(number: u64) -> String {
    format!("{number},")
}

fn counted(keyspace: &Keyspace) -> i64 {
    keyspace.text("counter").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A value that no other operation writes, even if it is cut.
fn large(number: u64, length: usize) -> String {
    let start = format!("{number}:");
    let length = length.max(start.len());
    let mut value = start.repeat(length / start.len() + 1);
    value.truncate(length);
    value
}

/// What stands for a large value where it would be copied again and again.
fn in_short(number: u64, length: usize) -> String {
    format!("{} bytes of {number}:", large(number, length).len())
}

/// The same for a value that was found, or the value itself if no operation can have written it.
pub(crate) fn found_in_short(value: String) -> String {
    let number = value.split(':').next().and_then(|digits| digits.parse().ok());
    match number {
        Some(number) if large(number, value.len()) == value => in_short(number, value.len()),
        _ => value,
    }
}

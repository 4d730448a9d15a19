//! What is left on a server: its keys, their types, encodings, values and times.

use std::collections::BTreeMap;

use client_tests::{
    reply::{Protocol, Reply},
    target::identity::Identity,
    text::quote,
};

use crate::{declared, generate::Command, pair::Side};

/// The databases that the grammar's commands reach.
const DATABASES: [&str; 5] = ["0", "1", "2", "3", "15"];
/// How far two times to live may lie apart: the servers get a command one after the other.
const TOLERANCE_MS: i64 = 3000;

/// By database and key.
pub(crate) type State = BTreeMap<(String, Vec<u8>), Entry>;

#[derive(Debug)]
pub(crate) struct Entry {
    kind: Vec<u8>,
    encoding: Vec<u8>,
    time_to_live_ms: i64,
    value: Reply,
}

pub(crate) async fn read(side: &mut Side, protocol: Protocol) -> Result<State, String> {
    let mut state = State::new();
    for database in DATABASES {
        let answers =
            ask(side, protocol, vec![words(&["SELECT", database]), words(&["KEYS", "*"])]).await?;
        let keys: Vec<Vec<u8>> =
            answers[1].elements().into_iter().flatten().filter_map(Reply::text).collect();
        let questions = keys.iter().flat_map(|key| {
            [["TYPE", ""], ["OBJECT", "ENCODING"], ["PTTL", ""]]
                .map(|[name, sub]| about(name, sub, key))
        });
        let described = ask(side, protocol, questions.collect()).await?;
        let kinds: Vec<Vec<u8>> =
            described.chunks(3).map(|three| three[0].text().unwrap_or_default()).collect();
        let questions = keys.iter().zip(&kinds).map(|(key, kind)| value_of(kind, key));
        let values = ask(side, protocol, questions.collect()).await?;
        for ((key, three), value) in keys.into_iter().zip(described.chunks(3)).zip(values) {
            state.insert((database.to_owned(), key), Entry::new(three, value));
        }
    }
    Ok(state)
}

/// The first entry in which two states differ, and how.
pub(crate) fn compare(
    left: &State,
    right: &State,
    identities: [&Identity; 2],
) -> Option<(String, String, String)> {
    let keys = left.keys().chain(right.keys());
    for (database, key) in keys {
        let place = (database.clone(), key.clone());
        let same = match (left.get(&place), right.get(&place)) {
            (Some(left), Some(right)) => left.agrees(right, identities),
            _ => false,
        };
        if !same {
            let what = format!("different ends: key {} in database {database}", quote(key));
            return Some((what, describe(left.get(&place)), describe(right.get(&place))));
        }
    }
    None
}

fn describe(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "is not there".to_owned(), Entry::describe)
}

impl Entry {
    fn new(described: &[Reply], mut value: Reply) -> Self {
        // Sets and hashes have no order of their own.
        if let Reply::Set(items) | Reply::Array(items) = &mut value
            && described[0].text().is_some_and(|kind| kind == b"set")
        {
            items.sort_by_key(Reply::text);
        }
        Self {
            kind: described[0].text().unwrap_or_default(),
            encoding: described[1].text().unwrap_or_default(),
            time_to_live_ms: if let Reply::Integer(milliseconds) = described[2] {
                milliseconds
            } else {
                -3
            },
            value,
        }
    }

    fn agrees(&self, other: &Self, identities: [&Identity; 2]) -> bool {
        let (left, right) = (self.time_to_live_ms, other.time_to_live_ms);
        let times = left == right
            || (left >= 0 && right >= 0 && left.abs_diff(right) <= TOLERANCE_MS as u64);
        let encodings = declared::encodings_agree(identities, &self.encoding, &other.encoding);
        let values = match self.kind.as_slice() {
            b"stream" => declared::streams_agree(identities, &self.value, &other.value),
            _ => self.value == other.value,
        };
        times && encodings && self.kind == other.kind && values
    }

    fn describe(&self) -> String {
        format!(
            "{} as {}, {} ms to live: {}",
            String::from_utf8_lossy(&self.kind),
            String::from_utf8_lossy(&self.encoding),
            self.time_to_live_ms,
            self.value
        )
    }
}

async fn ask(
    side: &mut Side,
    protocol: Protocol,
    commands: Vec<Command>,
) -> Result<Vec<Reply>, String> {
    let answers = side.play(&commands, protocol).await?;
    let replies: Result<Vec<Reply>, String> = answers.into_iter().collect();
    replies.map_err(|why| format!("reading what is left: {why}"))
}

fn words(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn about(name: &str, subcommand: &str, key: &[u8]) -> Command {
    let mut command = words(&[name]);
    if !subcommand.is_empty() {
        command.push(subcommand.as_bytes().to_vec());
    }
    command.push(key.to_vec());
    command
}

fn value_of(kind: &[u8], key: &[u8]) -> Command {
    let (name, subcommand, after): (&str, &str, &[&str]) = match kind {
        b"list" => ("LRANGE", "", &["0", "-1"]),
        b"set" => ("SMEMBERS", "", &[]),
        b"hash" => ("HGETALL", "", &[]),
        b"zset" => ("ZRANGE", "", &["0", "-1", "WITHSCORES"]),
        // With all entries, groups, consumers and what is pending.
        b"stream" => ("XINFO", "STREAM", &["FULL", "COUNT", "0"]),
        _ => ("GET", "", &[]),
    };
    let mut command = about(name, subcommand, key);
    command.extend(words(after));
    command
}

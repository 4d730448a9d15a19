//! Everything that a server says about its data.

use std::collections::BTreeMap;

use client_tests::{
    command,
    program::caller::{Caller, Command},
    reply::Reply,
    text::{quote, shorten},
};

use crate::dataset::{DATABASES, Existing};

/// So much of a key's name is told with a difference.
const MOST_OF_A_NAME: usize = 60;

pub(crate) struct State {
    pub(crate) keys: BTreeMap<Place, Entry>,
    /// Libraries of functions, by their names.
    pub(crate) libraries: BTreeMap<Vec<u8>, Reply>,
}

/// A database and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) database: usize,
    pub(crate) name: Vec<u8>,
}

pub(crate) struct Entry {
    pub(crate) kind: Vec<u8>,
    pub(crate) encoding: String,
    pub(crate) deadline_ms: Reply,
    pub(crate) value: Reply,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = shorten(&quote(&self.name), MOST_OF_A_NAME);
        write!(formatter, "key {name} in database {}", self.database)
    }
}

impl State {
    pub(crate) async fn read(caller: &mut Caller) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for database in DATABASES {
            caller.demand(&command!["SELECT", database.to_string()]).await?;
            for (name, entry) in read_database(caller).await? {
                keys.insert(Place { database, name }, entry);
            }
        }
        Ok(Self { keys, libraries: read_libraries(caller).await? })
    }

    /// The keys in an order that does not depend on the server.
    pub(crate) fn existing(&self) -> Vec<Existing> {
        let existing = |(place, entry): (&Place, &Entry)| Existing {
            database: place.database,
            name: place.name.clone(),
            kind: entry.kind.clone(),
        };
        self.keys.iter().map(existing).collect()
    }
}

async fn read_database(caller: &mut Caller) -> Result<Vec<(Vec<u8>, Entry)>, String> {
    let all = caller.demand(&command!["KEYS", "*"]).await?;
    let names: Vec<Vec<u8>> =
        all.elements().unwrap_or_default().into_iter().filter_map(Reply::text).collect();
    let kinds = ask_about(caller, &names, |name| command!["TYPE", name]).await?;
    let encodings = ask_about(caller, &names, |name| command!["OBJECT", "ENCODING", name]).await?;
    let deadlines = ask_about(caller, &names, |name| command!["PEXPIRETIME", name]).await?;
    let mut entries = Vec::with_capacity(names.len());
    for (((name, kind), encoding), deadline_ms) in
        names.into_iter().zip(kinds).zip(encodings).zip(deadlines)
    {
        let kind = kind.text().unwrap_or_default();
        let value = value(caller, &kind, &name).await?;
        let encoding = String::from_utf8_lossy(&encoding.text().unwrap_or_default()).into_owned();
        entries.push((name, Entry { kind, encoding, deadline_ms, value }));
    }
    Ok(entries)
}

async fn ask_about(
    caller: &mut Caller,
    names: &[Vec<u8>],
    question: impl Fn(&Vec<u8>) -> Command,
) -> Result<Vec<Reply>, String> {
    let questions: Vec<Command> = names.iter().map(question).collect();
    caller.ask_all(&questions).await
}

async fn value(caller: &mut Caller, kind: &[u8], name: &[u8]) -> Result<Reply, String> {
    match kind {
        b"list" => caller.ask(&command!["LRANGE", name, "0", "-1"]).await,
        b"set" => caller.ask(&command!["SMEMBERS", name]).await.map(in_order),
        b"stream" => caller.ask(&command!["XINFO", "STREAM", name, "FULL", "COUNT", "0"]).await,
        _ => caller.ask(&command!["GET", name]).await,
    }
}

/// Sets have no order of their own.
fn in_order(reply: Reply) -> Reply {
    match reply {
        Reply::Set(mut items) => {
            items.sort_by_key(Reply::text);
            Reply::Set(items)
        }
        other => other,
    }
}

async fn read_libraries(caller: &mut Caller) -> Result<BTreeMap<Vec<u8>, Reply>, String> {
    let reply = caller.demand_words(&["FUNCTION", "LIST", "WITHCODE"]).await?;
    let name = |library: &Reply| match library {
        Reply::Map(fields) => fields
            .iter()
            .find_map(|(field, value)| (field.text()? == b"library_name").then(|| value.text())?),
        _ => None,
    };
    let Reply::Array(libraries) = reply else {
        return Err(format!("FUNCTION LIST was answered with {reply}"));
    };
    Ok(libraries
        .into_iter()
        .map(|library| (name(&library).unwrap_or_default(), functions_in_order(library)))
        .collect())
}

/// Libraries keep their functions, and functions their flags, in no order of their own.
fn functions_in_order(reply: Reply) -> Reply {
    match reply {
        Reply::Map(pairs) => {
            let pairs = pairs.into_iter().map(|(name, value)| (name, functions_in_order(value)));
            Reply::Map(pairs.collect())
        }
        Reply::Array(items) => in_any_order(items, Reply::Array),
        Reply::Set(items) => in_any_order(items, Reply::Set),
        other => other,
    }
}

fn in_any_order(items: Vec<Reply>, kind: fn(Vec<Reply>) -> Reply) -> Reply {
    let mut items: Vec<Reply> = items.into_iter().map(functions_in_order).collect();
    items.sort_by_key(ToString::to_string);
    kind(items)
}

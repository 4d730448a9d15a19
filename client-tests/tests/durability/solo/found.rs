//! What the server has under one connection's names.

use client_tests::{
    command,
    program::caller::{Caller, Command},
    reply::Reply,
};

use super::{
    Solo,
    keyspace::{Item, Keyspace, Stream, Value},
    operation::{Keys, texts::found_in_short},
};
use crate::entries::{entries, last_delivered, pending, text};

const TEXTS: [&str; 9] = ["text", "other", "log", "counter", LARGE, "from", "to", "ledger", "left"];
const LISTS: [&str; 3] = ["list", "moved", "right"];
const LARGE: &str = "large";
const SET: &str = "set";
const STREAM: &str = "stream";

impl Solo {
    /// Reads all that the connection may have written, and refuses what it has not.
    pub(super) async fn find(&self, caller: &mut Caller) -> Result<Keyspace, String> {
        caller.demand(&command!["SELECT", self.database.to_string()]).await?;
        let keys = Keys(&self.name);
        self.refuse_strangers(caller).await?;
        let mut found = Keyspace::default();
        for name in TEXTS {
            let value = demand(caller, "GET", &keys.key(name)).await?;
            let value = (!value.is_null()).then(|| Value::Text(in_short(name, text(&value))));
            put(caller, &mut found, &keys, name, value).await?;
        }
        for name in LISTS {
            let list = caller.demand(&command!["LRANGE", keys.key(name), "0", "-1"]).await?;
            let value = Value::List(texts(&list).collect());
            put(caller, &mut found, &keys, name, filled(&list).then_some(value)).await?;
        }
        let set = demand(caller, "SMEMBERS", &keys.key(SET)).await?;
        let value = Value::Set(texts(&set).collect());
        put(caller, &mut found, &keys, SET, filled(&set).then_some(value)).await?;
        let value = find_stream(caller, &keys.key(STREAM)).await?.map(Value::Stream);
        put(caller, &mut found, &keys, STREAM, value).await?;
        Ok(found)
    }

    async fn refuse_strangers(&self, caller: &mut Caller) -> Result<(), String> {
        let names = caller.demand(&command!["KEYS", format!("{}:*", self.name)]).await?;
        let known = TEXTS.iter().chain(&LISTS).chain([&SET, &STREAM]);
        let known: Vec<String> = known.map(|name| Keys(&self.name).key(name)).collect();
        match texts(&names).find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                Err(format!("{}: there is a key {name}, which must not be there", self.name))
            }
        }
    }
}

async fn demand(caller: &mut Caller, name: &str, key: &str) -> Result<Reply, String> {
    caller.demand(&command![name, key]).await
}

/// Puts a value that is there into the keyspace, together with its deadline.
async fn put(
    caller: &mut Caller,
    found: &mut Keyspace,
    keys: &Keys<'_>,
    name: &'static str,
    value: Option<Value>,
) -> Result<(), String> {
    let Some(value) = value else { return Ok(()) };
    let deadline_ms = match demand(caller, "PEXPIRETIME", &keys.key(name)).await? {
        Reply::Integer(deadline_ms) if deadline_ms >= 0 => Some(deadline_ms),
        _ => None,
    };
    found.put_item(name, Item { value, deadline_ms });
    Ok(())
}

async fn find_stream(caller: &mut Caller, key: &str) -> Result<Option<Stream>, String> {
    if demand(caller, "EXISTS", key).await? == Reply::Integer(0) {
        return Ok(None);
    }
    let questions: [Command; 3] = [
        command!["XRANGE", key, "-", "+"],
        command!["XINFO", "GROUPS", key],
        command!["XPENDING", key, "group", "-", "+", "1000"],
    ];
    let replies = caller.ask_all(&questions).await?;
    let complaint = |at: usize| caller.complaint(&questions[at], &replies[at]);
    let entries = entries(&replies[0]).ok_or_else(|| complaint(0))?;
    let delivered = last_delivered(&replies[1]).ok_or_else(|| complaint(1))?;
    let pending = pending(&replies[2]).ok_or_else(|| complaint(2))?;
    let pending =
        pending.into_iter().map(|(id, consumer, deliveries)| (id, (consumer, deliveries)));
    Ok(Some(Stream { entries, delivered: Some(delivered), pending: pending.collect() }))
}

fn in_short(name: &str, text: String) -> String {
    if name == LARGE { found_in_short(text) } else { text }
}

fn filled(reply: &Reply) -> bool {
    reply.elements().is_some_and(|elements| !elements.is_empty())
}

fn texts(reply: &Reply) -> impl Iterator<Item = String> {
    reply.elements().unwrap_or_default().into_iter().map(text)
}

//! A connection that adds entries to streams in several ways, and may delete some of its own.

use std::time::{Duration, Instant};

use client_tests::{random::Random, reply::Reply};
use tokio::time::sleep;

use crate::{
    client::{Client, Pace, Words, command},
    entries::Id,
};

/// So long that those who read mostly have to wait.
const REST: usize = 20_000;
const MOST_AT_ONCE: usize = 5;

const ADD_ALL: &str = "
    local ids = {}
    for index, key in ipairs(KEYS) do
        ids[index] = redis.call('XADD', key, '*', 'payload', ARGV[index])
    end
    return ids";

/// An entry that the server has confirmed.
pub(crate) struct Added {
    pub(crate) stream: String,
    pub(crate) id: Id,
    pub(crate) payload: String,
    /// It was there at this moment.
    pub(crate) confirmed: Instant,
    pub(crate) deleted: bool,
}

/// Entries that are added with one write, and perhaps one that is deleted afterwards.
pub(crate) struct Batch {
    rest: Duration,
    way: Way,
    adds: Vec<Add>,
    /// So many entries ago the one to be deleted was added.
    delete: Option<usize>,
}

#[derive(Clone, Copy)]
enum Way {
    Commands,
    Transaction(Pace),
    Script,
}

struct Add {
    stream: String,
    payload: String,
}

pub(crate) fn script(
    name: &str,
    streams: &[&str],
    random: &mut Random,
    steps: usize,
) -> Vec<Batch> {
    let mut numbered = 0;
    let batch = |_| {
        let first = numbered;
        numbered += 1 + random.below(MOST_AT_ONCE);
        let adds = (first..numbered).map(|number| Add {
            stream: (*random.pick(streams)).to_owned(),
            payload: format!("{name}/{number}"),
        });
        Batch {
            adds: adds.collect(),
            rest: Duration::from_micros(random.below(REST) as u64),
            way: any_way(random),
            delete: None,
        }
    };
    (0..steps).map(batch).collect()
}

/// The same, with one of three batches followed by the end of an entry.
pub(crate) fn deleting_script(
    name: &str,
    streams: &[&str],
    random: &mut Random,
    steps: usize,
) -> Vec<Batch> {
    let mut script = script(name, streams, random, steps);
    for batch in &mut script {
        batch.delete = random.once_in(3).then(|| random.below(2 * MOST_AT_ONCE));
    }
    script
}

fn any_way(random: &mut Random) -> Way {
    match random.below(6) {
        0 => Way::Script,
        1 => Way::Transaction(Pace::AtOnce),
        2 => Way::Transaction(Pace::OneByOne),
        _ => Way::Commands,
    }
}

pub(crate) async fn play(mut client: Client, script: Vec<Batch>) -> Result<Vec<Added>, String> {
    let mut added: Vec<Added> = Vec::new();
    for batch in script {
        sleep(batch.rest).await;
        let ids = add(&mut client, &batch).await?;
        let confirmed = Instant::now();
        for (add, id) in batch.adds.into_iter().zip(ids) {
            check_order(&client, &added, &add, id)?;
            let Add { stream, payload } = add;
            added.push(Added { stream, id, payload, confirmed, deleted: false });
        }
        let doomed = batch.delete.and_then(|ago| added.len().checked_sub(ago + 1));
        if let Some(entry) = doomed.map(|at| &mut added[at]).filter(|entry| !entry.deleted) {
            delete(&mut client, entry).await?;
        }
    }
    Ok(added)
}

async fn add(client: &mut Client, batch: &Batch) -> Result<Vec<Id>, String> {
    let commands: Vec<Words> = batch
        .adds
        .iter()
        .map(|add| command(&["XADD", &add.stream, "*", "payload", &add.payload]))
        .collect();
    let (replies, words) = match batch.way {
        Way::Commands => (client.pipeline(&commands).await?, &commands[0]),
        Way::Transaction(pace) => (client.execute(&commands, pace).await?, &commands[0]),
        Way::Script => return add_by_script(client, &batch.adds).await,
    };
    let ids: Option<Vec<Id>> = replies.iter().map(Id::of).collect();
    ids.ok_or_else(|| client.complaint(words, Reply::Array(replies)))
}

async fn add_by_script(client: &mut Client, adds: &[Add]) -> Result<Vec<Id>, String> {
    let mut words = command(&["EVAL", ADD_ALL, &adds.len().to_string()]);
    words.extend(adds.iter().map(|add| add.stream.clone()));
    words.extend(adds.iter().map(|add| add.payload.clone()));
    let reply = client.call(&words).await?;
    let ids: Option<Vec<Id>> =
        reply.elements().unwrap_or_default().into_iter().map(Id::of).collect();
    ids.filter(|ids| ids.len() == adds.len()).ok_or_else(|| client.complaint(&words, reply))
}

/// What one connection adds to a stream comes after what it has added before.
fn check_order(client: &Client, added: &[Added], add: &Add, id: Id) -> Result<(), String> {
    let before = added.iter().rev().find(|entry| entry.stream == add.stream);
    match before.filter(|entry| entry.id >= id) {
        None => Ok(()),
        Some(entry) => Err(format!(
            "  {}: {} got the id {id} in {}, after {} got {}",
            client.name, add.payload, add.stream, entry.payload, entry.id
        )),
    }
}

async fn delete(client: &mut Client, entry: &mut Added) -> Result<(), String> {
    let words = command(&["XDEL", &entry.stream, &entry.id.to_string()]);
    let reply = client.call(&words).await?;
    if reply != Reply::Integer(1) {
        return Err(client.complaint(&words, reply));
    }
    entry.deleted = true;
    Ok(())
}

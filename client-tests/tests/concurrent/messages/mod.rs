//! Messages published by several while others subscribe and unsubscribe: each subscription gets an unbroken part of one
//! order, and the replies to PUBLISH count exactly what is delivered.

mod check;
mod script;
mod subscriber;

use client_tests::{
    random::Random,
    reply::{Protocol, Reply},
    target::Running,
};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::client::{Client, join_all, random_protocol};
use script::{Batch, CHANNELS, Kind, Publication, SHARD_CHANNELS};
use subscriber::{Log, Subscriber};

const PUBLISHERS: usize = 3;
const SUBSCRIBERS: usize = 8;

/// A message, and how many the server says it went to.
type Published = Vec<(Publication, usize)>;

pub(crate) async fn play(
    server: &Running,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let (all_published, over) = watch::channel(false);
    let (all_left, nobody_publishes) = watch::channel(false);
    let witness = witness(server, random).await?;
    let witness = tokio::spawn(witness.play(Vec::new(), nobody_publishes, false));
    let subscribers = subscribers(server, random, steps, &over).await?;
    let publishers = publishers(server, random, steps).await?;
    let mut published: Published = join_all(publishers).await?.into_iter().flatten().collect();
    // Whoever still plays goes on to do so; a receiver always sees the last value.
    all_published.send_replace(true);
    let mut logs: Vec<Log> = join_all(subscribers).await?;
    all_left.send_replace(true);
    let witness = witness.await.map_err(|error| format!("  the witness ended: {error}"))??;
    published.extend(logs.iter_mut().flat_map(|log| std::mem::take(&mut log.published)));
    check::check(&witness, &logs, &published)
}

/// One who is subscribed to everything before anything is published.
async fn witness(server: &Running, random: &mut Random) -> Result<Subscriber, String> {
    let client = Client::connect(server, "witness", random_protocol(random)).await?;
    let mut witness = Subscriber::new(client);
    witness.subscribe(Kind::Channel, &CHANNELS).await?;
    witness.subscribe(Kind::Shard, &SHARD_CHANNELS).await?;
    Ok(witness)
}

async fn subscribers(
    server: &Running,
    random: &mut Random,
    steps: usize,
    over: &watch::Receiver<bool>,
) -> Result<JoinSet<Result<Log, String>>, String> {
    let mut tasks = JoinSet::new();
    for number in 0..SUBSCRIBERS {
        let name = format!("subscriber-{number}");
        let protocol = random_protocol(random);
        let script = script::subscriber(&name, random, steps, protocol == Protocol::Resp3);
        let client = Client::connect(server, &name, protocol).await?;
        tasks.spawn(Subscriber::new(client).play(script, over.clone(), random.once_in(3)));
    }
    Ok(tasks)
}

async fn publishers(
    server: &Running,
    random: &mut Random,
    steps: usize,
) -> Result<JoinSet<Result<Published, String>>, String> {
    let mut tasks = JoinSet::new();
    for number in 0..PUBLISHERS {
        let name = format!("publisher-{number}");
        let script = script::publisher(&name, random, steps);
        let client = Client::connect(server, &name, random_protocol(random)).await?;
        tasks.spawn(publish(client, script));
    }
    Ok(tasks)
}

async fn publish(mut client: Client, script: Vec<Batch>) -> Result<Published, String> {
    let mut published = Vec::new();
    for batch in script {
        sleep(batch.rest).await;
        let commands: Vec<_> = batch.publications.iter().map(Publication::words).collect();
        client.send(&commands).await?;
        for (publication, words) in batch.publications.into_iter().zip(&commands) {
            match client.reply(words).await? {
                Reply::Integer(count) => published.push((publication, count as usize)),
                reply => return Err(client.complaint(words, reply)),
            }
        }
    }
    Ok(published)
}

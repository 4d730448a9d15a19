//! Entries of streams that consumers of groups share: each is delivered as new once, and is pending until it is acknowledged.
//!
//! Consumers crash with what they got, hang up while they wait, and take over from each other. What is pending, for whom and
//! after how many deliveries follows from the replies, save that the first delivery may have been to somebody who had
//! hung up.

mod consumer;
mod ledger;
mod pending;
mod script;
mod stream;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client_tests::{random::Random, reply::Protocol, target::Running};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    client::{Client, PATIENCE, blocked_clients, join_all, random_protocol},
    producer::{self, Added},
};
use consumer::Consumer;
use ledger::Log;
use script::Step;

const STREAMS: [&str; 2] = ["stream:0", "stream:1"];
/// Who finds an entry of this stream has nothing else to wait for.
const PILLS: &str = "pills";
const GROUPS: [&str; 2] = ["group:0", "group:1"];
const PRODUCERS: usize = 3;
/// Of each group.
const WORKERS: usize = 3;
const RECLAIMERS: usize = 1;
/// They come when the others have gone.
const HEIRS: usize = 2;

type Consumers = JoinSet<Result<Log, String>>;

pub(crate) async fn play(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let mut control = Client::connect(server, "control", Protocol::Resp2).await?;
    stream::make_groups(&mut control).await?;
    let producers = producers(server, random, steps).await?;
    let consumers = consumers(server, random, steps).await?;
    let heirs = heirs(server, random, steps / 4).await?;
    let added: Vec<Added> = join_all(producers).await?.into_iter().flatten().collect();
    until_delivered(&mut control).await?;
    for _ in 0..WORKERS {
        control.ask(&["XADD", PILLS, "*", "payload", "pill"]).await?;
    }
    let mut logs = join_all(consumers).await?;
    let mut playing = JoinSet::new();
    for (heir, script) in heirs {
        playing.spawn(heir.play(script));
    }
    logs.extend(join_all(playing).await?);
    check(server, &mut control, &added, logs).await
}

async fn producers(
    server: &Running,
    random: &mut Random,
    steps: usize,
) -> Result<JoinSet<Result<Vec<Added>, String>>, String> {
    let deletes = random.once_in(2);
    let mut producers = JoinSet::new();
    for number in 0..PRODUCERS {
        let name = format!("producer-{number}");
        let script = if deletes {
            producer::deleting_script(&name, &STREAMS, random, steps)
        } else {
            producer::script(&name, &STREAMS, random, steps)
        };
        let client = Client::connect(server, &name, random_protocol(random)).await?;
        producers.spawn(producer::play(client, script));
    }
    Ok(producers)
}

async fn consumers(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<Consumers, String> {
    let mut consumers = JoinSet::new();
    for group in GROUPS {
        for number in 0..WORKERS {
            let script = script::worker(random, steps, STREAMS.len());
            let name = format!("worker-{number}");
            let worker = Consumer::connect(server, &name, group, random_protocol(random)).await?;
            consumers.spawn(worker.play_and_drain(script));
        }
        for number in 0..RECLAIMERS {
            let script = script::reclaimer(random, steps, STREAMS.len());
            let name = format!("reclaimer-{number}");
            let reclaimer =
                Consumer::connect(server, &name, group, random_protocol(random)).await?;
            consumers.spawn(reclaimer.play(script));
        }
    }
    Ok(consumers)
}

async fn heirs(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<Vec<(Consumer, Vec<Step>)>, String> {
    let mut heirs = Vec::new();
    for group in GROUPS {
        for number in 0..HEIRS {
            let script = script::heir(random, steps, STREAMS.len());
            let name = format!("heir-{number}");
            let heir = Consumer::connect(server, &name, group, random_protocol(random)).await?;
            heirs.push((heir, script));
        }
    }
    Ok(heirs)
}

/// Checks what is left, takes it over, and checks that nothing is.
async fn check(
    server: &Arc<Running>,
    control: &mut Client,
    added: &[Added],
    mut logs: Vec<Log>,
) -> Result<usize, String> {
    stream::check(control, added).await?;
    let pending = pending::read(control).await?;
    ledger::check(added, &logs, &pending)?;
    for group in GROUPS {
        let finisher = Consumer::connect(server, "finisher", group, Protocol::Resp3).await?;
        logs.push(finisher.finish().await?);
    }
    let left = pending::read(control).await?;
    if let Some(row) = left.first() {
        return Err(format!("  all was acknowledged, and {row}"));
    }
    let deliveries = ledger::check(added, &logs, &left)?;
    match blocked_clients(control).await? {
        0 => Ok(deliveries),
        some => Err(format!("  nobody waits, and INFO says that {some} clients are blocked")),
    }
}

/// Waits until those who wait have got everything.
async fn until_delivered(control: &mut Client) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(waiting) = stream::undelivered(control).await? {
        if Instant::now() > deadline {
            return Err(format!("  workers wait, and {waiting}"));
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

//! Elements handed from those who push to those who pop: whatever happens meanwhile, each is popped once.

mod ledger;
mod meddler;
mod player;
mod script;

use std::sync::Arc;

use client_tests::{random::Random, reply::Protocol, target::Running};
use tokio::task::JoinSet;

use crate::client::{Client, blocked_clients, command, join_all, random_protocol};
use ledger::Event;
use player::Player;

const PUSHERS: usize = 4;
const WORKERS: usize = 6;
const MEDDLERS: usize = 3;
/// Who finds one of these in it, after all other lists are empty, may go.
const PILLS: &str = "pills";

/// What a connection saw happen to elements, in its order.
type Events = Result<Vec<Event>, String>;

pub(crate) async fn play(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let mut changers = JoinSet::new();
    let mut workers = JoinSet::new();
    for number in 0..PUSHERS {
        let name = format!("pusher-{number}");
        let script = script::pusher(&name, random, steps);
        let client = Client::connect(server, &name, random_protocol(random)).await?;
        changers.spawn(Player::new(client, random.fork()).play(script));
    }
    for number in 0..MEDDLERS {
        let name = format!("meddler-{number}");
        let script = script::meddler(&name, random, steps / 2);
        changers.spawn(meddler::play(Arc::clone(server), name, random_protocol(random), script));
    }
    for number in 0..WORKERS {
        let script = script::worker(random, steps);
        let client =
            Client::connect(server, format!("worker-{number}"), random_protocol(random)).await?;
        let player = Player::new(client, random.fork());
        workers.spawn(player.play_and_drain(script, PILLS));
    }
    conclude(server, changers, workers).await
}

async fn conclude(
    server: &Running,
    changers: JoinSet<Events>,
    workers: JoinSet<Events>,
) -> Result<usize, String> {
    let mut connections = join_all(changers).await?;
    let mut control = Client::connect(server, "control", Protocol::Resp2).await?;
    let pills = ["pill"; WORKERS];
    control.call(&command(&[&["RPUSH", PILLS], &pills[..]].concat())).await?;
    connections.extend(join_all(workers).await?);
    let popped = ledger::check(&connections)?;
    let keys = control.ask(&["KEYS", "*"]).await?;
    if keys.elements().is_none_or(|keys| !keys.is_empty()) {
        return Err(format!("  all was popped, and there are keys: {keys}"));
    }
    match blocked_clients(&mut control).await? {
        0 => Ok(popped),
        some => Err(format!("  nobody waits, and INFO says that {some} clients are blocked")),
    }
}

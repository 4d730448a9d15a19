//! One life of a server under load: everybody who writes and reads, who orders that all be written anew, and the end.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use client_tests::{
    program::{Process, caller::Caller},
    random::Random,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    bank::Bank,
    bounds::{End, Log},
    exchange::{self, Exchange, Giver, Taker},
    plan::{Keeping, Moment, Plan, Way},
    reader::{self, Sight, Subject},
    solo::{History, Solo},
    watch::Watch,
};

const GIVERS: usize = 2;
const TAKERS: usize = 2;
const READERS: usize = 2;
/// Whoever talks to a server that is gone notices at once.
const PATIENCE: Duration = Duration::from_secs(40);
/// So much may lie between what happens and the moment that is noted for it, even if nothing stalls.
const MARGIN: Duration = Duration::from_millis(50);

/// What everybody did in one life.
pub(crate) struct Deeds {
    pub(crate) solos: Vec<History>,
    pub(crate) tellers: Vec<Log>,
    /// Where there was a load, there was an exchange.
    pub(crate) exchange: Option<exchange::Deeds>,
}

/// A task of one connection, which ends when the server is gone.
type Task<Output> = JoinHandle<Result<Output, String>>;

/// Everybody at work.
struct Workers {
    solos: Vec<Task<History>>,
    tellers: Vec<Task<Log>>,
    givers: Vec<Task<Log>>,
    takers: Vec<Task<exchange::Takings>>,
    readers: Vec<Task<Vec<Sight>>>,
}

/// Lets a server live as planned, and ends it.
pub(crate) async fn live(
    process: Process,
    plan: &Plan,
    solos: &[Solo],
    bank: &Bank,
    exchange: Exchange,
    random: &mut Random,
) -> Result<(Deeds, End), String> {
    if plan.moment == Moment::OnceReady {
        let end = end(process, plan, None).await?;
        return Ok((Deeds::none(solos, bank), end));
    }
    exchange.open(&mut process.connect().await?).await?;
    let watch = Watch::start();
    let workers = Workers::start(&process, solos, bank, &exchange, random).await?;
    let saved = conduct(&mut process.connect().await?, plan, random.fork()).await;
    let mut end = end(process, plan, saved).await?;
    let deeds = workers.finish(exchange).await?;
    end.stall += watch.stop().await;
    Ok((deeds, end))
}

/// Orders all to be written anew, now and then, until the end is near; gives when the last snapshot that came to be was ordered.
async fn conduct(caller: &mut Caller, plan: &Plan, mut random: Random) -> Option<Instant> {
    let started = Instant::now();
    let mut saved = None;
    while !plan.rest_between_rewrites.is_zero() && started.elapsed() < plan.load {
        sleep(plan.rest_between_rewrites.min(plan.load)).await;
        let ordered = Instant::now();
        let command = match (plan.keeping, random.once_in(2)) {
            (Keeping::Snapshots, true) => "SAVE",
            (Keeping::Snapshots, false) => "BGSAVE",
            _ => "BGREWRITEAOF",
        };
        // While one is being written, another one is refused.
        let done = caller.demand_words(&[command]).await.is_ok();
        if done && command == "SAVE" {
            saved = Some(ordered);
        }
    }
    sleep(plan.load.saturating_sub(started.elapsed())).await;
    if let Moment::InBackground(delay) = plan.moment {
        let command = if plan.keeping == Keeping::Snapshots { "BGSAVE" } else { "BGREWRITEAOF" };
        let _ = caller.demand_words(&[command]).await;
        sleep(delay).await;
    }
    saved
}

/// Ends the server, which must have lived until now.
async fn end(mut process: Process, plan: &Plan, saved: Option<Instant>) -> Result<End, String> {
    if process.has_ended() {
        return Err(process.complaint("ended, and nobody had told it to"));
    }
    let at = Instant::now();
    match plan.way {
        Way::Kill => process.kill()?,
        Way::Stop => process.stop().await?,
    }
    Ok(End { keeping: plan.keeping, way: plan.way, at, stall: MARGIN, saved })
}

impl Deeds {
    fn none(solos: &[Solo], bank: &Bank) -> Self {
        Self { solos: solos.iter().map(Solo::idle).collect(), tellers: bank.idle(), exchange: None }
    }

    /// How many operations were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        let exchange = self.exchange.iter().flat_map(|deeds| {
            deeds.givers.iter().chain(deeds.takers.iter().map(|takings| &takings.log))
        });
        let solos = self.solos.iter().map(|history| &history.log);
        solos.chain(&self.tellers).chain(exchange).map(Log::acknowledged).sum()
    }

    /// What was seen of somebody is as certain as what that one was told.
    fn note(&mut self, sights: Vec<Sight>) {
        for Sight { subject, moment, number } in sights {
            let solos = self.solos.iter_mut().map(|history| &mut history.log);
            if let Some(log) = solos.chain(&mut self.tellers).nth(subject) {
                log.see(moment, number);
            }
        }
    }
}

impl Workers {
    async fn start(
        process: &Process,
        solos: &[Solo],
        bank: &Bank,
        exchange: &Exchange,
        random: &mut Random,
    ) -> Result<Self, String> {
        let mut workers = Self {
            solos: Vec::new(),
            tellers: Vec::new(),
            givers: Vec::new(),
            takers: Vec::new(),
            readers: Vec::new(),
        };
        for solo in solos {
            let (solo, caller) = (solo.clone(), process.connect().await?);
            let random = random.fork();
            workers.solos.push(tokio::spawn(async move { solo.play(caller, random).await }));
        }
        for (number, teller) in bank.tellers.iter().cloned().enumerate() {
            let play = teller.play(process.connect().await?, bank.last(number));
            workers.tellers.push(tokio::spawn(play));
        }
        for number in 0..GIVERS {
            let giver = Giver { number, exchange: exchange.clone() };
            workers.givers.push(tokio::spawn(giver.play(process.connect().await?)));
        }
        for number in 0..TAKERS {
            let taker = Taker { number, exchange: exchange.clone() };
            let play = taker.play(process.connect().await?, random.fork());
            workers.takers.push(tokio::spawn(play));
        }
        for _ in 0..READERS {
            let play = reader::play(process.connect().await?, subjects(solos, bank), random.fork());
            workers.readers.push(tokio::spawn(play));
        }
        Ok(workers)
    }

    /// What everybody did, after the server is gone.
    async fn finish(self, exchange: Exchange) -> Result<Deeds, String> {
        let mut deeds = Deeds {
            solos: all(self.solos).await?,
            tellers: all(self.tellers).await?,
            exchange: Some(exchange::Deeds {
                exchange,
                givers: all(self.givers).await?,
                takers: all(self.takers).await?,
            }),
        };
        for sights in all(self.readers).await? {
            deeds.note(sights);
        }
        Ok(deeds)
    }
}

/// All who leave numbers where others can read them, the solos first.
fn subjects(solos: &[Solo], bank: &Bank) -> Vec<Subject> {
    let solos = solos.iter().map(|solo| Subject {
        name: solo.name.clone(),
        database: solo.database,
        is_solo: true,
    });
    let tellers = bank.tellers.iter().map(|teller| Subject {
        name: teller.name.clone(),
        database: 0,
        is_solo: false,
    });
    solos.chain(tellers).collect()
}

async fn all<Output>(tasks: Vec<Task<Output>>) -> Result<Vec<Output>, String> {
    let mut outputs = Vec::new();
    for task in tasks {
        let ended = within_patience(task).await?;
        outputs.push(ended.map_err(|error| format!("a task ended: {error}"))??);
    }
    Ok(outputs)
}

async fn within_patience<Output>(task: impl Future<Output = Output>) -> Result<Output, String> {
    timeout(PATIENCE, task)
        .await
        .map_err(|_| "a connection does not notice that the server is gone".to_owned())
}

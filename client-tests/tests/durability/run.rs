//! One directory and the servers that live on it, one after the other: what each left behind is looked at by the next.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use client_tests::{
    program::{Home, Process, Program},
    random::Random,
};
use tokio::time::sleep;

use crate::{
    bank::Bank,
    bounds::{End, Loss},
    exchange::Exchange,
    ground::Ground,
    load::{self, Deeds},
    plan::{Plan, Way, Ways},
    solo::Solo,
    written,
};

const SOLOS: usize = 4;
const TELLERS: usize = 2;
/// The connections' databases, in turn.
const DATABASES: [usize; 2] = [0, 2];
/// What was written to be gone soon is gone by then.
const BRIEF: Duration = Duration::from_millis(25);

/// What a campaign has seen.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    pub(crate) acknowledged: usize,
    /// What was lost where it may be, for each way to keep data.
    pub(crate) losses: BTreeMap<&'static str, Loss>,
}

pub(crate) struct Run<'campaign> {
    program: &'campaign Program,
    ways: Ways,
    random: Random,
    home: Home,
    journal: bool,
    solos: Vec<Solo>,
    bank: Bank,
    ground: Ground,
    /// How long the last start took.
    start: Duration,
    tally: &'campaign mut Tally,
}

impl<'campaign> Run<'campaign> {
    pub(crate) fn new(
        program: &'campaign Program,
        ways: Ways,
        mut random: Random,
        tally: &'campaign mut Tally,
    ) -> Result<Self, String> {
        let solo =
            |number| Solo::new(format!("solo-{number}"), DATABASES[number % DATABASES.len()]);
        Ok(Self {
            program,
            ways,
            home: Home::create("durability")?,
            journal: !random.once_in(6),
            solos: (0..SOLOS).map(solo).collect(),
            bank: Bank::new(TELLERS, &mut random),
            ground: Ground::new(*random.pick(&[0, 100, 3000, 20_000])),
            start: Duration::from_millis(20),
            random,
            tally,
        })
    }

    /// Lives so many lives; a failure says where everything was left.
    pub(crate) async fn play(&mut self, lives: usize) -> Result<(), String> {
        let played = self.live_all(lives).await;
        played.map_err(|why| format!("{why}\n  {}", self.home.kept()))
    }

    async fn live_all(&mut self, lives: usize) -> Result<(), String> {
        let mut before: Option<(Deeds, End)> = None;
        for life in 0..=lives {
            let plan = Plan::draw(&mut self.random, self.journal, self.ways);
            let last = before.as_ref().map_or("nothing", |(_, end)| end.name());
            let ended = self.live(life, &plan, before.take(), life == lives).await;
            before =
                ended.map_err(|why| format!("life {life}, after {last}, {plan:?}:\n  {why}"))?;
        }
        Ok(())
    }

    /// Starts a server, looks at what the one before it has left, and lets it live; the last one has nothing to do but to look.
    async fn live(
        &mut self,
        life: usize,
        plan: &Plan,
        before: Option<(Deeds, End)>,
        is_last: bool,
    ) -> Result<Option<(Deeds, End)>, String> {
        let process = self.start(plan).await?;
        if let Some((deeds, end)) = before {
            self.check(&process, deeds, &end).await?;
        }
        if is_last {
            process.stop().await?;
            return Ok(None);
        }
        self.ground.lay(&mut process.connect().await?).await?;
        let (exchange, random) = (Exchange::new(life), &mut self.random);
        let (mut deeds, end) =
            load::live(process, plan, &self.solos, &self.bank, exchange, random).await?;
        self.count(&deeds, &end);
        if let Some(exchange) = &mut deeds.exchange {
            written::note(&self.home, exchange)?;
        }
        Ok(Some((deeds, end)))
    }

    /// Starts the server; sometimes it is killed a few times before it comes to anything.
    async fn start(&mut self, plan: &Plan) -> Result<Process, String> {
        for part in &plan.killed_starts {
            let process = self.program.launch(&self.home, &plan.parameters())?;
            sleep(self.start.mul_f64(*part)).await;
            process.kill()?;
            self.tally.kills += 1;
        }
        let started = Instant::now();
        let process = self.program.start(&self.home, &plan.parameters()).await?;
        self.start = started.elapsed();
        Ok(process)
    }

    async fn check(&mut self, process: &Process, deeds: Deeds, end: &End) -> Result<(), String> {
        sleep(BRIEF).await;
        let mut caller = process.connect().await?;
        let mut loss = Loss::default();
        for (solo, history) in self.solos.iter_mut().zip(deeds.solos) {
            loss.add(solo.check(&mut caller, history, end).await?);
        }
        self.ground.check(&mut caller, end).await?;
        if let Some(exchange) = deeds.exchange {
            loss.add(exchange.check(&mut caller, end).await?);
        }
        loss.add(self.bank.check(&mut caller, &deeds.tellers, end).await?);
        self.tally.losses.entry(end.name()).or_default().add(loss);
        Ok(())
    }

    fn count(&mut self, deeds: &Deeds, end: &End) {
        self.tally.acknowledged += deeds.acknowledged();
        match end.way {
            Way::Kill => self.tally.kills += 1,
            Way::Stop => self.tally.stops += 1,
        }
    }
}

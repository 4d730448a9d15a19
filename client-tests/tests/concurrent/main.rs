//! Drives one server with many connections at once, and checks what holds on a right server however they interleave.
//!
//! What each connection sends is drawn from a seed before anything runs, so that the seed repeats every script; how the
//! scripts meet is left to the machine. No scenario compares servers with each other: the real ones only show that a
//! property is one.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

mod client;
mod crowd;
mod deliveries;
mod entries;
mod fan_out;
mod hand_off;
mod messages;
mod producer;
mod reconnecting;
mod registers;
mod settings;
mod transfers;
mod waiter_order;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use client_tests::{
    random::Random,
    reply::Protocol,
    target::{Running, Target, Targets},
};
use tokio::time::timeout;

use crate::{client::Client, settings::Settings};

/// No round takes nearly as long unless somebody waits for what never comes.
const MOST_PER_ROUND: Duration = Duration::from_secs(60);

/// How many steps of a scenario that never rests or waits go for one of the others.
const QUICK_STEPS: usize = 5;

/// What is done to a server, and what is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scenario {
    HandOff,
    WaiterOrder,
    Messages,
    Crowd,
    Transfers,
    Registers,
    Deliveries,
    FanOut,
}

const SCENARIOS: [Scenario; 8] = [
    Scenario::HandOff,
    Scenario::WaiterOrder,
    Scenario::Messages,
    Scenario::Crowd,
    Scenario::Transfers,
    Scenario::Registers,
    Scenario::Deliveries,
    Scenario::FanOut,
];

impl Scenario {
    fn name(self) -> &'static str {
        match self {
            Self::HandOff => "hand-off",
            Self::WaiterOrder => "waiter-order",
            Self::Messages => "messages",
            Self::Crowd => "crowd",
            Self::Transfers => "transfers",
            Self::Registers => "registers",
            Self::Deliveries => "deliveries",
            Self::FanOut => "fan-out",
        }
    }

    /// What is counted in the report.
    fn unit(self) -> &'static str {
        match self {
            Self::HandOff
            | Self::WaiterOrder
            | Self::Messages
            | Self::Crowd
            | Self::Deliveries
            | Self::FanOut => "deliveries",
            Self::Transfers => "moves and looks",
            Self::Registers => "operations",
        }
    }

    /// A server that does not have these commands cannot be asked.
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::HandOff | Self::WaiterOrder => &["BLMPOP", "BLMOVE", "CLIENT|UNBLOCK"],
            Self::Messages | Self::Crowd => &["SPUBLISH"],
            Self::Transfers | Self::Registers => &["EVAL", "EVAL_RO", "WATCH"],
            Self::Deliveries => &["EVAL", "XADD", "XREADGROUP", "XAUTOCLAIM", "XINFO"],
            Self::FanOut => &["EVAL", "XADD", "XREAD"],
        }
    }

    /// Numbers of subscribers do not depend on chance, so once is enough for them.
    fn rounds(self, settings: &Settings) -> std::ops::Range<u64> {
        match settings.round {
            Some(only) => only..only + 1,
            None if self == Self::Crowd => 0..1,
            None => 0..settings.rounds,
        }
    }

    /// Plays a round and tells how much it did, for the report.
    async fn play(
        self,
        server: &Arc<Running>,
        mut random: Random,
        steps: usize,
    ) -> Result<usize, String> {
        server.reset().await?;
        match self {
            Self::HandOff => hand_off::play(server, &mut random, steps).await,
            Self::WaiterOrder => waiter_order::play(server, &mut random, steps).await,
            Self::Messages => messages::play(server, &mut random, steps).await,
            Self::Crowd => crowd::play(server, &mut random).await,
            Self::Transfers => transfers::play(server, &mut random, steps * QUICK_STEPS).await,
            Self::Registers => registers::play(server, &mut random, steps * QUICK_STEPS).await,
            Self::Deliveries => deliveries::play(server, &mut random, steps).await,
            Self::FanOut => fan_out::play(server, &mut random, steps).await,
        }
    }
}

fn main() -> ExitCode {
    client_tests::conclude(run())
}

fn run() -> Result<bool, String> {
    let settings = Settings::read()?;
    let runtime = client_tests::runtime()?;
    runtime.block_on(async {
        let mut targets = Targets::find(settings.targets.as_deref());
        targets.check().await;
        println!("concurrent scenarios, seed {}", settings.seed);
        let mut tally = Tally::default();
        for target in &targets.found {
            play_on(target, &settings, &mut tally).await?;
        }
        for (name, why) in &targets.missing {
            println!("!! SKIPPED {name}: {why}");
        }
        println!("{} passed, {} failed", tally.passed, tally.failed);
        let complete = targets.missing.is_empty() || !settings.all_required;
        Ok(tally.failed == 0 && complete)
    })
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

async fn play_on(target: &Target, settings: &Settings, tally: &mut Tally) -> Result<(), String> {
    for scenario in SCENARIOS {
        if !settings.wants(scenario.name()) {
            continue;
        }
        // One of its own for each scenario: after a failure nobody knows what state a server is in.
        let server = Arc::new(target.start(&[]).await?);
        if let Some(lacking) = first_lacking(&server, scenario.needs()).await? {
            println!("!! SKIPPED {} on {}: it has no {lacking}", scenario.name(), target.name);
            continue;
        }
        let started = Instant::now();
        let mut done = 0;
        let mut failure = None;
        for round in scenario.rounds(settings) {
            match play_round(scenario, &server, settings, round).await {
                Ok(more) => done += more,
                Err(why) => {
                    failure = Some((round, why));
                    break;
                }
            }
        }
        let (name, target) = (scenario.name(), &target.name);
        if let Some((round, why)) = failure {
            tally.failed += 1;
            println!(
                "FAILED {name} on {target}, round {round}:\n{why}\n  again, with the same scripts:"
            );
            println!("  {}\n", settings.again(target, name, round));
        } else {
            tally.passed += 1;
            let (seconds, unit) = (started.elapsed().as_secs_f64(), scenario.unit());
            println!("passed {name:12} on {target:13} {done:6} {unit} in {seconds:.1} s");
        }
    }
    Ok(())
}

async fn play_round(
    scenario: Scenario,
    server: &Arc<Running>,
    settings: &Settings,
    round: u64,
) -> Result<usize, String> {
    // Neighbouring rounds must not share their numbers, so the round is spread over all bits.
    let random = Random::new(settings.seed ^ round.wrapping_mul(0xd134_2543_de82_ef95));
    timeout(MOST_PER_ROUND, scenario.play(server, random, settings.steps))
        .await
        .unwrap_or_else(|_| Err("  the round does not come to an end".to_owned()))
}

async fn first_lacking(
    server: &Running,
    needs: &'static [&'static str],
) -> Result<Option<&'static str>, String> {
    let mut client = Client::connect(server, "the one who asks", Protocol::Resp2).await?;
    for name in needs {
        let reply = client.ask(&["COMMAND", "INFO", name]).await?;
        let known = reply.elements().is_some_and(|rows| rows.iter().all(|row| !row.is_null()));
        if !known {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

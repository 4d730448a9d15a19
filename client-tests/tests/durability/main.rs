//! Kills servers while many write to them, starts them again on what they left, and compares it with what they had acknowledged.
//!
//! What each connection does, and how and when a server ends, follows from a seed; how the connections meet, and how far they
//! get, does not. Real servers pass the same test: what is asked of redlet is what they promise.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

mod bank;
mod bounds;
mod entries;
mod exchange;
mod ground;
mod load;
mod plan;
mod reader;
mod run;
mod settings;
mod solo;
mod watch;
mod written;

use std::{process::ExitCode, time::Instant};

use client_tests::{program::Program, random::Random};

use crate::{
    run::{Run, Tally},
    settings::Settings,
};

fn main() -> ExitCode {
    client_tests::conclude(run())
}

fn run() -> Result<bool, String> {
    let settings = Settings::read()?;
    let runtime = client_tests::runtime()?;
    println!("durability, seed {}", settings.seed);
    let (mut passed, mut failed, mut lacking) = (0, 0, false);
    for name in &settings.targets {
        match Program::find(name) {
            Ok(program) if runtime.block_on(play_on(&program, &settings)) => passed += 1,
            Ok(_) => failed += 1,
            Err(why) => {
                lacking |= Program::is_required(name);
                println!("!! SKIPPED {name}: {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && !lacking)
}

/// Whether a server lost nothing that it may not lose.
async fn play_on(program: &Program, settings: &Settings) -> bool {
    let started = Instant::now();
    let mut tally = Tally::default();
    let enough = |tally: &Tally| {
        tally.kills + tally.stops >= settings.ends || started.elapsed() > settings.time
    };
    let first = settings.run.unwrap_or(0);
    let mut run = first;
    loop {
        // Neighbouring runs must not share their numbers, so the run is spread over all bits.
        let random = Random::new(settings.seed ^ run.wrapping_mul(0xd134_2543_de82_ef95));
        if let Err(why) = play_once(program, settings, random, &mut tally).await {
            println!("FAILED {}, run {run}:\n  {why}", program.name);
            println!("  again: {}\n", settings.again(&program.name, run));
            return false;
        }
        run += 1;
        if settings.run.is_some() || enough(&tally) {
            break;
        }
    }
    report(program, run - first, &tally, started);
    true
}

async fn play_once(
    program: &Program,
    settings: &Settings,
    random: Random,
    tally: &mut Tally,
) -> Result<(), String> {
    Run::new(program, settings.ways, random, tally)?.play(settings.lives).await
}

fn report(program: &Program, runs: u64, tally: &Tally, started: Instant) {
    println!(
        "passed {:10} {} kills and {} stops in {runs} runs, {} operations acknowledged, in {:.1} s",
        program.name,
        tally.kills,
        tally.stops,
        tally.acknowledged,
        started.elapsed().as_secs_f64()
    );
    for (how, loss) in &tally.losses {
        let age_ms = loss.age.as_millis();
        println!("  {how:16} lost {:6} operations, the oldest {age_ms} ms old", loss.operations);
    }
}

//! Sends random commands to two servers in step, and compares every reply and what is left at the end.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

mod compare;
mod declared;
mod generate;
mod grammar;
mod pair;
mod pools;
mod queue;
mod script;
mod shrink;
mod state;
mod streams;
mod unfit;
mod wording;

use std::{
    collections::{BTreeMap, HashSet},
    env,
    process::ExitCode,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use client_tests::{
    random::Random,
    reply::Protocol,
    target::Target,
    text::{command_line, shorten},
};

use crate::{
    generate::{Command, Generator},
    pair::{Difference, Pair},
};

/// Failures of a kind that was told already are only counted, up to here.
const MOST_REPEATED: usize = 200;
/// Short rounds shrink fast, and long enough ones let commands meet.
const ROUND: usize = 200;

fn main() -> ExitCode {
    client_tests::conclude(run())
}

fn run() -> Result<bool, String> {
    let settings = Settings::read()?;
    let (left, right) = match (Target::find(&settings.left), Target::find(&settings.right)) {
        (Ok(left), Ok(right)) => (left, right),
        (Err(why), _) | (_, Err(why)) => return Ok(skipped(&why)),
    };
    let runtime = client_tests::runtime()?;
    runtime.block_on(async {
        let mut pair = Pair::start(&left, &right).await?;
        let common = pair.common().await?;
        if !common.scripts {
            println!("!! SKIPPED scripts: {} or {} has no EVAL", left.name, right.name);
        }
        let generators = if pair.both_have("XADD").await? {
            vec![Generator::of_all(common), Generator::of_streams(common)]
        } else {
            println!("!! SKIPPED streams: {} or {} has no XADD", left.name, right.name);
            vec![Generator::without_streams(common)]
        };
        Campaign::new(settings, pair, generators).run().await
    })
}

fn skipped(why: &str) -> bool {
    println!("!! SKIPPED the differential test: {why}\n0 passed, 0 failed");
    !env::var("CONFORMANCE_REQUIRE").is_ok_and(|value| value == "all")
}

struct Settings {
    left: String,
    right: String,
    commands: usize,
    seed: u64,
    /// Plays this round alone.
    round: Option<u64>,
    most_failures: usize,
}

impl Settings {
    fn read() -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        Ok(Self {
            left: env::var("DIFFERENTIAL_LEFT").unwrap_or_else(|_| "redlet-tcp".to_owned()),
            right: env::var("DIFFERENTIAL_RIGHT").unwrap_or_else(|_| "redis-8.0".to_owned()),
            commands: number("DIFFERENTIAL_COMMANDS")?.unwrap_or(150_000) as usize,
            seed: number("DIFFERENTIAL_SEED")?.unwrap_or(now.as_millis() as u64),
            round: number("DIFFERENTIAL_ROUND")?,
            most_failures: number("DIFFERENTIAL_FAILURES")?.unwrap_or(10) as usize,
        })
    }
}

fn number(name: &str) -> Result<Option<u64>, String> {
    match env::var(name).ok().filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| format!("{name}={value} is no number")),
    }
}

struct Campaign {
    settings: Settings,
    pair: Pair,
    /// The first is for most rounds, the last for some.
    generators: Vec<Generator>,
    played: usize,
    failed: usize,
    /// Rounds that differed once and not again: their commands raced with the clock.
    unrepeated: usize,
    declared: BTreeMap<&'static str, usize>,
    /// The kinds of failure that were printed.
    told: HashSet<String>,
}

impl Campaign {
    fn new(settings: Settings, pair: Pair, generators: Vec<Generator>) -> Self {
        Self {
            settings,
            pair,
            generators,
            played: 0,
            failed: 0,
            unrepeated: 0,
            declared: BTreeMap::new(),
            told: HashSet::new(),
        }
    }

    async fn run(mut self) -> Result<bool, String> {
        let started = Instant::now();
        println!(
            "{} against {}, seed {}",
            self.pair.left_name(),
            self.pair.right_name(),
            self.settings.seed
        );
        let rounds = self.settings.commands.div_ceil(ROUND) as u64;
        let rounds = self.settings.round.map_or(0..rounds, |only| only..only + 1);
        for round in rounds {
            self.play(round).await?;
            if self.told.len() >= self.settings.most_failures || self.failed >= MOST_REPEATED {
                println!("stopped after {} failures of {} kinds", self.failed, self.told.len());
                break;
            }
        }
        self.conclude(started);
        Ok(self.failed == 0)
    }

    async fn play(&mut self, round: u64) -> Result<(), String> {
        let protocol = if round.is_multiple_of(2) { Protocol::Resp2 } else { Protocol::Resp3 };
        // Neighbouring rounds must not share their numbers, so the round is spread over all bits.
        let mut random =
            Random::new(self.settings.seed ^ round.wrapping_mul(0xd134_2543_de82_ef95));
        let at = if random.once_in(4) { self.generators.len() - 1 } else { 0 };
        let generator = &self.generators[at];
        let commands = generator.commands(&mut random, ROUND);
        self.played += commands.len();
        let Some(difference) = self.pair.play(&commands, protocol, &mut self.declared).await?
        else {
            return Ok(());
        };
        let mut suspects = commands;
        suspects.truncate(difference.after.saturating_add(1));
        match shrink::shrink(&mut self.pair, suspects, protocol).await? {
            None => {
                self.unrepeated += 1;
                println!(
                    "round {round} differed once: {} ({} | {})",
                    difference.what, difference.left, difference.right
                );
            }
            Some((shortest, difference)) => {
                self.failed += 1;
                if self.told.insert(signature(&shortest, &difference)) {
                    self.report(round, protocol, &shortest, &difference);
                }
            }
        }
        Ok(())
    }

    fn report(
        &self,
        round: u64,
        protocol: Protocol,
        commands: &[Command],
        difference: &Difference,
    ) {
        println!("FAILED round {round} in {protocol}, shortened to {} commands:", commands.len());
        for command in commands {
            println!("    {}", shorten(&command_line(command), 1000));
        }
        println!("  {}", difference.what);
        println!("  {:14} {}", self.pair.left_name(), shorten(&difference.left, 600));
        println!("  {:14} {}", self.pair.right_name(), shorten(&difference.right, 600));
        let settings = &self.settings;
        println!(
            "  again: DIFFERENTIAL_LEFT={} DIFFERENTIAL_RIGHT={} DIFFERENTIAL_SEED={} DIFFERENTIAL_ROUND={round} cargo test -p client-tests --test differential\n",
            settings.left, settings.right, settings.seed
        );
    }

    fn conclude(&self, started: Instant) {
        for (reason, times) in &self.declared {
            println!("declared difference, {times} times: {reason}");
        }
        if self.unrepeated > 0 {
            println!("{} rounds differed once and not when repeated", self.unrepeated);
        }
        println!("{} commands in {:.1} s", self.played, started.elapsed().as_secs_f64());
        println!("{} passed, {} failed", self.played - self.failed, self.failed);
    }
}

/// What failures of one cause have in common: both replies but for their digits, and the last command's name or, where
/// the ends differ, no more than how.
fn signature(commands: &[Command], difference: &Difference) -> String {
    let name =
        commands.last().and_then(|command| command.first()).map(|name| name.to_ascii_lowercase());
    let name = String::from_utf8_lossy(&name.unwrap_or_default()).into_owned();
    let text = if difference.at_end {
        let how = |entry: &str| entry.split(':').next().unwrap_or_default().to_owned();
        format!("{} {}", how(&difference.left), how(&difference.right))
    } else {
        format!("{name} {} {}", difference.left, difference.right)
    };
    text.chars().filter(|letter| !letter.is_ascii_digit()).take(200).collect()
}

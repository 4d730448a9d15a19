//! Carries random data from one server to another in the files that they write, and compares what arrives key by key.
//!
//! Real servers carry for each other, too: that shows that what is compared is what files can say.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

mod chain;
mod compare;
mod dataset;
mod form;
mod rules;
mod settings;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::Instant,
};

use client_tests::{program::Program, random::Random};

use crate::{
    chain::{Chain, Outcome, Server},
    form::Form,
    settings::Settings,
};

fn main() -> ExitCode {
    client_tests::conclude(run())
}

fn run() -> Result<bool, String> {
    let settings = Settings::read()?;
    let runtime = client_tests::runtime()?;
    runtime.block_on(async { Campaign::new(settings).await.run().await })
}

struct Campaign {
    settings: Settings,
    servers: BTreeMap<String, Result<Server, String>>,
    passed: usize,
    failed: usize,
    declared: BTreeMap<String, usize>,
}

impl Campaign {
    async fn new(settings: Settings) -> Self {
        let names: BTreeSet<&String> =
            settings.chains.iter().flat_map(|(first, second)| [first, second]).collect();
        let mut servers = BTreeMap::new();
        for name in names {
            servers.insert(name.clone(), Server::find(name).await);
        }
        Self { settings, servers, passed: 0, failed: 0, declared: BTreeMap::new() }
    }

    async fn run(mut self) -> Result<bool, String> {
        println!("interchange, seed {}", self.settings.seed);
        for (first, second) in self.settings.chains.clone() {
            let (Ok(one), Ok(other)) = (&self.servers[&first], &self.servers[&second]) else {
                continue;
            };
            let (one, other) = (one.clone(), other.clone());
            for form in self.settings.forms.clone() {
                self.play(&one, &other, form).await;
            }
        }
        Ok(self.conclude())
    }

    async fn play(&mut self, first: &Server, second: &Server, form: Form) {
        let started = Instant::now();
        let mut arrived = 0;
        for round in self.settings.rounds() {
            // Neighbouring rounds must not share their numbers, so the round is spread over all bits.
            let seed = self.settings.seed ^ round.wrapping_mul(0xd134_2543_de82_ef95);
            let mut random = Random::new(seed);
            let packing = form::packing(&mut random);
            let chain = Chain { first, second, form, keys: self.settings.keys, packing };
            match chain.play(random).await {
                Ok(Outcome::Passed(keys)) => arrived += keys,
                Ok(Outcome::Declared(keys, why)) => {
                    arrived += keys;
                    *self.declared.entry(why).or_default() += 1;
                }
                Ok(Outcome::Failed(differences)) => {
                    return self.fail(&chain, round, &differences);
                }
                Err(why) => return self.fail(&chain, round, &[why]),
            }
        }
        // A chain that ends before its first passage is among the exceptions.
        if arrived == 0 {
            return;
        }
        self.passed += 1;
        let (seconds, form) = (started.elapsed().as_secs_f64(), form.name());
        println!(
            "passed {:10} -> {:10} and back, {form:9} {arrived:6} keys in {seconds:.1} s",
            first.program.name, second.program.name
        );
    }

    fn fail(&mut self, chain: &Chain<'_>, round: u64, differences: &[String]) {
        self.failed += 1;
        let names = (chain.first.program.name.clone(), chain.second.program.name.clone());
        let form = chain.form;
        println!("FAILED {} -> {} and back, {}, round {round}:", names.0, names.1, form.name());
        for difference in differences {
            println!("  {difference}");
        }
        println!("  again: {}\n", self.settings.again(&names, form, round));
    }

    fn conclude(&self) -> bool {
        for (reason, times) in &self.declared {
            println!("declared exception, {times} times: {reason}");
        }
        let mut lacking = false;
        for (name, found) in &self.servers {
            if let Err(why) = found {
                println!("!! SKIPPED {name}: {why}");
                lacking |= Program::is_required(name);
            }
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && !lacking
    }
}

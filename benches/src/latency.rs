//! How long does a client wait for its reply, at loads below the limit?

use std::time::Duration;

use crate::Result;
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::filling::{KEYS, fill};
use crate::open_loop::{Generator, LEAST_IDLE, MOST_LATENESS_US, Mix, Observation, Pace};
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};

/// Parts, in hundredths, of what the best peer reaches in a closed loop.
const LOADS: [u32; 3] = [20, 50, 80];

/// How long a new server and its connections are used before anything counts.
const WARM_UP: Duration = Duration::from_millis(200);

/// The tables: percentiles of latency, and the generator's own lateness.
struct Tables {
    percentiles: [(f64, Comparison); 4],
    lateness: Comparison,
    idle: Comparison,
}

impl Tables {
    fn new() -> Self {
        let percentiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("longest", 1.0)];
        Tables {
            percentiles: percentiles.map(|(name, quantile)| {
                (quantile, Comparison::lower_is_better(format!("Latency, µs, {name}")))
            }),
            lateness: Comparison::lower_is_better("Lateness of the generator, µs, p99"),
            idle: Comparison::higher_is_better("Idle time of the generator, %"),
        }
    }

    fn add(&mut self, load: &str, contender: &Contender, observation: &Observation) {
        let overtaxed = observation.is_overtaxed();
        for (quantile, table) in &mut self.percentiles {
            table.add_unless(overtaxed, load, contender, observation.latency_us(*quantile));
        }
        self.lateness.add(load, contender, observation.lateness_us());
        self.idle.add(load, contender, observation.idle * 100.0);
    }
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let limit = limit(contest)?;
    let mut tables = Tables::new();
    contest.rounds("latency", contest.effort.rounds, |contender| {
        let (_server, mut generator) = ready(contender)?;
        for load in LOADS {
            let rate = limit * f64::from(load) / 100.0;
            let observation = generator.run(Pace::Even(rate), contest.effort.pace)?;
            let label = format!("{load} %: {}/s", grouped(rate as u64));
            tables.add(&label, contender, &observation);
        }
        Ok(())
    })?;
    Ok(chapter(contest, &tables, limit))
}

/// What the best peer reaches in a closed loop of the same generator.
fn limit(contest: &Contest) -> Result<f64> {
    let mut limit: f64 = 0.0;
    for peer in contest.peers() {
        eprintln!("latency: what {} reaches in a closed loop", peer.name);
        let (_server, mut generator) = ready(peer)?;
        let observation = generator.run(Pace::AtOnce, contest.effort.pace)?;
        limit = limit.max(observation.requests_per_second);
    }
    Ok(limit)
}

fn ready(contender: &Contender) -> Result<(Server, Generator)> {
    let server = Server::start(contender)?;
    fill(&mut server.connect()?, 0..KEYS, &[VALUE])?;
    let mut generator = Generator::connect(server.port, Mix::MOSTLY_READS)?;
    generator.run(Pace::AtOnce, WARM_UP)?;
    Ok((server, generator))
}

fn chapter(contest: &Contest, tables: &Tables, limit: f64) -> Chapter {
    let contenders = &contest.contenders;
    let percentiles = || tables.percentiles.iter().map(|(_, table)| table);
    let mut all: Vec<_> = percentiles().map(|table| table.table(contenders)).collect();
    all.push(tables.lateness.plain_table(contenders));
    all.push(tables.idle.plain_table(contenders));
    let panels = percentiles()
        .take(3)
        .map(|table| table.panel(Shape::LogarithmicLines, "load, requests per second", contenders));
    Chapter {
        title: "Latency",
        method: method(contest, limit),
        tables: all,
        charts: vec![Chart { file: "latency.svg", panels: panels.collect() }],
    }
}

fn method(contest: &Contest, limit: f64) -> String {
    format!(
        "An open loop: requests are due at even times, whatever the server does, and latency counts from the time a \
         request was due to its reply. They go over 50 connections, each with one request at a time. 80 % are GETs and \
         20 % SETs of 32 bytes, over {keys} keys. A load is a part of {limit} requests per second, which is what the \
         best peer reached in a closed loop of the same generator in this run. Each load lasts {pace} s in every \
         round; figures are medians over the rounds, the longest one too. ° marks figures that show the generator's \
         delays as well: it was idle for less than {idle:.0} % of the time, or its own lateness was above {late:.0} µs \
         at p99. Lateness is counted where a connection was free.",
        keys = grouped(KEYS),
        limit = grouped(limit as u64),
        pace = contest.effort.pace.as_secs(),
        idle = LEAST_IDLE * 100.0,
        late = MOST_LATENESS_US,
    )
}

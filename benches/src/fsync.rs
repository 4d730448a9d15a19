//! What does it cost to have every change in a file, and how long does a client wait for that?
//!
//! The goals: `appendfsync everysec` costs at most 1.15 times the CPU time of no file, with at most 1.10 times its p99;
//! `always` answers at least 1.5 times as many requests of fifty clients as the best peer.

use std::time::Duration;

use crate::Result;
use crate::benchmark::{CLIENTS, Cost, Load};
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::costs::BUSY;
use crate::disk::{self, Directory};
use crate::figures::grouped;
use crate::filling::{KEYS, fill};
use crate::keeping::{Keeping, common_flags};
use crate::open_loop::{Generator, LEAST_IDLE, MOST_LATENESS_US, Mix, Observation, Pace};
use crate::report::Chapter;
use crate::rows::{KEY, VALUE};
use crate::servers::{Contender, Server};

const EVERY_SECOND: Keeping = Keeping::Appended("everysec");
const ALWAYS: Keeping = Keeping::Appended("always");
const KEEPINGS: [Keeping; 4] = [Keeping::InMemory, Keeping::Appended("no"), EVERY_SECOND, ALWAYS];

/// The part, in hundredths, of what the slowest server reaches in a closed loop, at which all of them show their
/// latency. It leaves room for a disk that becomes slower.
const LOAD: u32 = 20;

/// Whoever answers a smaller part of what is due in time has a backlog, which says nothing but that.
const LEAST_ANSWERED: f64 = 0.95;

const P99: f64 = 0.99;

/// How long a new server and its connections are used before anything counts.
const WARM_UP: Duration = Duration::from_millis(200);

/// The pipelines that tell how many requests a load needs to last as long as it shall.
const TRIAL: u64 = 5_000;

/// What the load generator sends.
struct Workload {
    name: &'static str,
    request: &'static [&'static str],
    depth: u64,
}

const SET: &[&str] = &["set", KEY, VALUE];
const TRANSACTION: &[&str] =
    &["multi", ";", "set", KEY, VALUE, ";", "set", KEY, VALUE, ";", "set", KEY, VALUE, ";", "exec"];

const WORKLOADS: [Workload; 3] = [
    Workload { name: "SET, depth 1", request: SET, depth: 1 },
    Workload { name: "SET, depth 16", request: SET, depth: 16 },
    Workload { name: "MULTI of three SETs", request: TRANSACTION, depth: 1 },
];

/// What a server showed that keeps its data in one way.
struct Figures {
    /// One of each workload.
    costs: Vec<Cost>,
    p99_us: f64,
    /// Whether that is not the server's time alone.
    is_p99_doubtful: bool,
}

struct Tables {
    by_keeping: Vec<KeepingTables>,
    latency: Comparison,
    increase: Comparison,
    disk: Comparison,
}

struct KeepingTables {
    keeping: Keeping,
    /// The requests per second at which latency is measured.
    pace: f64,
    cpu: Comparison,
    rate: Comparison,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let paces = (common_pace(contest, EVERY_SECOND)?, common_pace(contest, ALWAYS)?);
    let mut tables = Tables::new(paces);
    contest.rounds("fsync", contest.effort.some_rounds(), |contender| {
        let of_keeping = tables.by_keeping.iter();
        let figures =
            of_keeping.map(|table| figures(contest, contender, table.keeping, table.pace));
        let figures = figures.collect::<Result<Vec<_>>>()?;
        tables.add(contender, &figures);
        tables.add_disk(contender)
    })?;
    Ok(chapter(contest, &tables))
}

/// The requests per second that every server has time for if it can keep its data in this way.
fn common_pace(contest: &Contest, keeping: Keeping) -> Result<f64> {
    let mut slowest = f64::INFINITY;
    for contender in &contest.contenders {
        if !keeping.is_known_to(contender, &[])? {
            continue;
        }
        let label = keeping.label();
        eprintln!("fsync: what {} reaches in a closed loop, {label}", contender.name);
        let directory = Directory::new()?;
        let (_server, mut generator) = ready(&directory, contender, keeping)?;
        let observation = generator.run(Pace::AtOnce, contest.effort.synced_load)?;
        slowest = slowest.min(observation.requests_per_second);
    }
    if slowest.is_infinite() {
        return Err("no server keeps an append-only file".into());
    }
    Ok(slowest * f64::from(LOAD) / 100.0)
}

fn ready(
    directory: &Directory,
    contender: &Contender,
    keeping: Keeping,
) -> Result<(Server, Generator)> {
    let server = keeping.start(directory, contender)?;
    fill(&mut server.connect()?, 0..KEYS, &[VALUE])?;
    let mut generator = Generator::connect(server.port, Mix::writes(KEYS))?;
    generator.run(Pace::AtOnce, WARM_UP)?;
    Ok((server, generator))
}

/// Nothing of a server that does not keep its data in this way. Latency comes first: heavy loads leave the disk with
/// work.
fn figures(
    contest: &Contest,
    contender: &Contender,
    keeping: Keeping,
    pace: f64,
) -> Result<Option<Figures>> {
    if !keeping.is_known_to(contender, &[])? {
        return Ok(None);
    }
    let directory = Directory::new()?;
    let (server, mut generator) = ready(&directory, contender, keeping)?;
    let paced = generator.run(Pace::Even(pace), contest.effort.synced_load)?;
    drop(generator);
    let costs = WORKLOADS.iter().map(|workload| cost(contest, &server, workload));
    Ok(Some(Figures {
        costs: costs.collect::<Result<_>>()?,
        p99_us: paced.latency_us(P99),
        is_p99_doubtful: paced.is_overtaxed() || is_behind(&paced, pace),
    }))
}

fn is_behind(paced: &Observation, pace: f64) -> bool {
    paced.requests_per_second < pace * LEAST_ANSWERED
}

/// The requests of a load are as many as the server answers in the time that it shall take: a rate that the disk decides
/// cannot be known before.
fn cost(contest: &Contest, server: &Server, workload: &Workload) -> Result<Cost> {
    let Workload { request, depth, .. } = *workload;
    let load = |requests: u64| Load { request, keys: KEYS, depth, requests };
    let trial = contest.benchmark.cost(server, &load(TRIAL * depth))?;
    let enough = trial.requests_per_second * contest.effort.synced_load.as_secs_f64();
    contest.benchmark.cost(server, &load((enough as u64).next_multiple_of(depth)))
}

impl Tables {
    /// The paces are those of all ways to keep data but ALWAYS, and of that one.
    fn new((usual, of_always): (f64, f64)) -> Self {
        let pace = |keeping| if keeping == ALWAYS { of_always } else { usual };
        let by_keeping = KEEPINGS.map(|keeping| KeepingTables::new(keeping, pace(keeping)));
        Tables {
            by_keeping: by_keeping.into(),
            latency: Comparison::lower_is_better("Latency, µs, p99"),
            increase: Comparison::lower_is_better("`appendfsync everysec`, times no file"),
            disk: Comparison::lower_is_better("Sync after 4 KiB, µs"),
        }
    }

    /// Adds what a server showed with each of `KEEPINGS`.
    fn add(&mut self, contender: &Contender, figures: &[Option<Figures>]) {
        for (tables, figures) in self.by_keeping.iter_mut().zip(figures) {
            tables.add(contender, figures.as_ref());
            let label = format!("{}: {}/s", tables.keeping.label(), grouped(tables.pace as u64));
            match figures {
                Some(Figures { p99_us, is_p99_doubtful, .. }) => {
                    self.latency.add_unless(*is_p99_doubtful, &label, contender, *p99_us);
                }
                None => self.latency.leave_out(&label, contender),
            }
        }
        self.add_increase(contender, figures);
    }

    fn add_increase(&mut self, contender: &Contender, figures: &[Option<Figures>]) {
        let with = |keeping| {
            let place = KEEPINGS.iter().position(|known| *known == keeping)?;
            figures[place].as_ref()
        };
        let both = with(EVERY_SECOND).zip(with(Keeping::InMemory));
        for (place, workload) in WORKLOADS.iter().enumerate() {
            let label = format!("CPU time, {}", workload.name);
            let times =
                both.map(|(with, without)| with.costs[place].cpu_us / without.costs[place].cpu_us);
            self.increase.add_if_any(&label, contender, times);
        }
        match both {
            Some((with, without)) => {
                let is_doubtful = with.is_p99_doubtful || without.is_p99_doubtful;
                let times = with.p99_us / without.p99_us;
                self.increase.add_unless(is_doubtful, "p99", contender, times);
            }
            None => self.increase.leave_out("p99", contender),
        }
    }

    /// Adds how fast the disk is when a server has had its turn.
    fn add_disk(&mut self, contender: &Contender) -> Result<()> {
        let syncs = disk::sync_times()?;
        for (label, quantile) in [("p50", 0.5), ("p99", P99)] {
            let sync_us = syncs.value_at_quantile(quantile) as f64 / 1e3;
            self.disk.add(label, contender, sync_us);
        }
        Ok(())
    }
}

impl KeepingTables {
    fn new(keeping: Keeping, pace: f64) -> Self {
        let label = keeping.label();
        KeepingTables {
            keeping,
            pace,
            cpu: Comparison::lower_is_better(format!("CPU time per request, µs, {label}")),
            rate: Comparison::higher_is_better(format!("Requests per second, {label}")),
        }
    }

    fn add(&mut self, contender: &Contender, figures: Option<&Figures>) {
        for (place, workload) in WORKLOADS.iter().enumerate() {
            let Some(cost) = figures.map(|figures| &figures.costs[place]) else {
                self.cpu.leave_out(workload.name, contender);
                self.rate.leave_out(workload.name, contender);
                continue;
            };
            // With `always` it is the disk that a server waits for.
            let waits = self.keeping != ALWAYS && cost.busy < BUSY;
            self.cpu.add(workload.name, contender, cost.cpu_us);
            self.rate.add_unless(waits, workload.name, contender, cost.requests_per_second);
        }
    }
}

fn chapter(contest: &Contest, tables: &Tables) -> Chapter {
    let contenders = &contest.contenders;
    let by_keeping = tables.by_keeping.iter();
    let all = [&tables.increase, &tables.latency]
        .into_iter()
        .chain(by_keeping.clone().flat_map(|tables| [&tables.cpu, &tables.rate]));
    let panels = by_keeping.map(|tables| tables.cpu.panel(Shape::Bars, "requests", contenders));
    let rate = tables.by_keeping.iter().find(|tables| tables.keeping == ALWAYS);
    let rate = rate.map(|tables| tables.rate.panel(Shape::Bars, "requests", contenders));
    let disk = tables.disk.plain_table(contenders);
    Chapter {
        title: "Cost of an append-only file",
        method: method(contest),
        tables: all.map(|table| table.table(contenders)).chain([disk]).collect(),
        charts: vec![Chart { file: "fsync.svg", panels: panels.chain(rate).collect() }],
    }
}

fn method(contest: &Contest) -> String {
    format!(
        "{CLIENTS} clients of the load generator set values of 32 bytes in {keys} keys, all of which are there: one at \
         a time, in pipelines of 16, or three in a transaction, which counts as one request. Each figure spans about \
         {span} s. Servers begin in an empty directory. All of them are told `{flags}`, besides what the tables name. \
         CPU time is that of the whole process, as a sync takes place in a thread of its own. A rate is marked ° where \
         the server was at work for less than {busy:.0} % of the time and waited for the generator. With `appendfsync \
         always` every server waits for the disk, and no rate is marked. Latency is that of an open loop of SETs, \
         counted as in the section on latency, at {LOAD} % of what the slowest server reached in a closed loop: with \
         `appendfsync always` for its own line, and with `appendfsync everysec` for the others. There ° means that \
         the generator was idle for less than {idle:.0} % of the time, or later than {late:.0} µs at p99, or that the \
         server was behind the load when it ended. What `appendfsync everysec` costs is taken from measurements of one \
         turn. The last table tells how fast the disk was for others at the end of each server's turn: a file is \
         synced after every 4 KiB that are appended to it.",
        keys = grouped(KEYS),
        span = contest.effort.synced_load.as_secs_f64(),
        flags = common_flags(),
        busy = BUSY * 100.0,
        idle = LEAST_IDLE * 100.0,
        late = MOST_LATENESS_US,
    )
}

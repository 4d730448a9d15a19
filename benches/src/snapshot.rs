//! Does anybody have to wait while a server saves its keys, and what does the save take?
//!
//! The goals: no request waits more than 1 ms because of a save, memory grows by at most a tenth, and a save takes no
//! longer than that of the best peer.

use std::time::{Duration, Instant};

use crate::Result;
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::disk::Directory;
use crate::figures::grouped;
use crate::filling::fill;
use crate::keeping::{Keeping, common_flags};
use crate::machine::SERVER_CORE;
use crate::open_loop::{Generator, Mix, Observation, Pace};
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::saving::{BGREWRITEAOF, BGSAVE, LIMIT, STEP, Save, Watch};
use crate::servers::{Contender, Server};

/// The saves, and how the servers that make them keep their data.
const SAVES: [(&Save, Keeping); 2] =
    [(&BGSAVE, Keeping::InMemory), (&BGREWRITEAOF, Keeping::Appended("everysec"))];

const WRITES_PER_SECOND: f64 = 10_000.0;
const PACE: Pace = Pace::Even(WRITES_PER_SECOND);

/// How long a new server and its connections are used before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long nothing is read between two looks at the memory, each of which takes a while.
const MEMORY_STEP: Duration = Duration::from_millis(20);

/// A span of time under the load of writes.
struct Span {
    length: Duration,
    cpu: Duration,
    writes: Observation,
}

/// What a save showed.
struct Reading {
    /// The most memory, in times of that before.
    memory: f64,
    quiet: Span,
    saving: Span,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut tables = Tables::new();
    contest.rounds("snapshot", contest.effort.few_rounds(), |contender| {
        for (save, keeping) in SAVES {
            if keeping.is_known_to(contender, &[save.command])? {
                tables.add(save, contender, &read(contest, contender, save, keeping)?);
            } else {
                tables.leave_out(save, contender);
            }
        }
        Ok(())
    })?;
    Ok(tables.chapter(contest))
}

/// The server saves twice: looking at its memory takes time from its requests.
fn read(
    contest: &Contest,
    contender: &Contender,
    save: &'static Save,
    keeping: Keeping,
) -> Result<Reading> {
    let keys = contest.effort.saved_keys;
    let directory = Directory::new()?;
    let server = keeping.start(&directory, contender)?;
    fill(&mut server.connect()?, 0..keys, &[VALUE])?;
    let mut generator = Generator::connect(server.port, Mix::writes(keys))?;
    generator.run(PACE, WARM_UP)?;
    let (memory, length) = peak_memory(&server, &mut generator, save)?;
    let quiet = Span::observe(&server, || {
        let mut watch = Watch::of_nothing(&server, save)?;
        generator.run_until(PACE, length, |now| watch.is_over(now).map(|_| false))
    })?;
    let saving = Span::observe(&server, || {
        let mut watch = Watch::begin(&server, save)?;
        generator.run_until(PACE, LIMIT, |now| watch.is_over(now))
    })?;
    Ok(Reading { memory, quiet, saving })
}

/// The most memory during a save, in times of that before, and how long the save took.
fn peak_memory(
    server: &Server,
    generator: &mut Generator,
    save: &'static Save,
) -> Result<(f64, Duration)> {
    let before = server.family_bytes()?;
    let (mut most, mut next_look) = (before, Instant::now());
    let saving = Span::observe(server, || {
        let mut watch = Watch::begin(server, save)?;
        generator.run_until(PACE, LIMIT, |now| {
            if now >= next_look {
                most = most.max(server.family_bytes()?);
                next_look = Instant::now() + MEMORY_STEP;
            }
            watch.is_over(now)
        })
    })?;
    Ok((most as f64 / before as f64, saving.length))
}

impl Span {
    fn observe(server: &Server, mut load: impl FnMut() -> Result<Observation>) -> Result<Self> {
        let (cpu, began) = (server.cpu_time()?, Instant::now());
        let writes = load()?;
        let length = began.elapsed();
        if length >= LIMIT {
            return Err("a save does not end".into());
        }
        Ok(Span { length, cpu: server.cpu_time()?.since(&cpu), writes })
    }
}

impl Reading {
    /// What the save took beyond the writes that went on beside it.
    fn cpu_of_save(&self) -> f64 {
        let quiet = self.quiet.cpu.as_secs_f64() / self.quiet.length.as_secs_f64();
        self.saving.cpu.as_secs_f64() - quiet * self.saving.length.as_secs_f64()
    }
}

struct Tables {
    longest: Comparison,
    tail: Comparison,
    memory: Comparison,
    duration: Comparison,
    cpu: Comparison,
}

impl Tables {
    fn new() -> Self {
        Tables {
            longest: Comparison::lower_is_better("Longest request, ms").of_lowest(),
            tail: Comparison::lower_is_better("p99.9 of requests, µs"),
            memory: Comparison::lower_is_better("Most memory, times that before"),
            duration: Comparison::lower_is_better("Until all is saved, ms"),
            cpu: Comparison::lower_is_better("CPU time of a save, ms"),
        }
    }

    fn add(&mut self, save: &Save, contender: &Contender, reading: &Reading) {
        for (label, span) in labels(save).iter().zip([&reading.quiet, &reading.saving]) {
            let (writes, overtaxed) = (&span.writes, span.writes.is_overtaxed());
            let longest_ms = writes.latency.max() as f64 / 1e6;
            self.longest.add_unless(overtaxed, label, contender, longest_ms);
            self.tail.add_unless(overtaxed, label, contender, writes.latency_us(0.999));
        }
        let duration_ms = reading.saving.length.as_secs_f64() * 1e3;
        self.memory.add(save.command, contender, reading.memory);
        self.duration.add(save.command, contender, duration_ms);
        self.cpu.add(save.command, contender, reading.cpu_of_save() * 1e3);
    }

    fn leave_out(&mut self, save: &Save, contender: &Contender) {
        for label in labels(save) {
            self.longest.leave_out(&label, contender);
            self.tail.leave_out(&label, contender);
        }
        for table in [&mut self.memory, &mut self.duration, &mut self.cpu] {
            table.leave_out(save.command, contender);
        }
    }

    fn chapter(&self, contest: &Contest) -> Chapter {
        let contenders = &contest.contenders;
        let panels = [&self.longest, &self.memory, &self.duration];
        let panels = panels.map(|table| table.panel(Shape::Bars, "save", contenders));
        let tables = [&self.longest, &self.tail, &self.memory, &self.duration, &self.cpu];
        Chapter {
            title: "Saving in the background",
            method: method(contest),
            tables: tables.map(|table| table.table(contenders)).into(),
            charts: vec![Chart { file: "snapshot.svg", panels: panels.into() }],
        }
    }
}

/// The lines of the time without a save, and of that with it.
fn labels(save: &Save) -> [String; 2] {
    [format!("quiet before {}", save.command), save.command.to_owned()]
}

fn method(contest: &Contest) -> String {
    format!(
        "{keys} keys with values of 32 bytes, in an empty directory that a server keeps to itself. An open loop sets \
         {writes} of them a second, chosen at random, over 50 connections; latency counts from the time a SET was due. \
         Meanwhile the server is told to save: by BGSAVE where nothing is appended to a file, and by BGREWRITEAOF with \
         `--appendonly yes --appendfsync everysec`. All servers are told `{flags}`. A save has ended when INFO says so, \
         which is asked for every {step} ms; a server that looks for the end of another process from time to time says \
         so later. *Quiet* is a time about as long, before the save, with the same writes and questions. The server and \
         every thread and process that it starts share the core {SERVER_CORE}. ° marks times that show the generator's delays \
         as well, by the same limits as in the section on latency. Memory is that of the server and of its \
         child processes together, where pages that they share count once; it is looked at during a save before those \
         whose requests are timed, as that takes time. CPU time is that of all processes and threads, less what the \
         quiet time takes in as long. The longest request is the shortest of {rounds} round(s), because the machine adds \
         pauses of its own; all other figures are medians.",
        keys = grouped(contest.effort.saved_keys),
        writes = grouped(WRITES_PER_SECOND as u64),
        flags = common_flags(),
        step = STEP.as_millis(),
        rounds = contest.effort.few_rounds(),
    )
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;

    fn span(length_ms: u64, cpu_ms: u64) -> Span {
        let none = || Histogram::new(3).unwrap();
        Span {
            length: Duration::from_millis(length_ms),
            cpu: Duration::from_millis(cpu_ms),
            writes: Observation {
                latency: none(),
                lateness: none(),
                idle: 1.0,
                requests_per_second: 0.0,
            },
        }
    }

    #[test]
    fn what_the_writes_take_is_not_the_saves() {
        let reading = Reading { memory: 1.0, quiet: span(1_000, 200), saving: span(2_000, 900) };
        assert!((reading.cpu_of_save() - 0.5).abs() < 1e-9);
    }
}

//! A server without sockets on a disk that fails, whose steps are done one after the other.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use tokio::runtime::Runtime;

use super::super::job::run_job;
use super::super::{Kind, Pace, load, tick};
use super::history::{End, Everything, History};
use crate::clock::Clock;
use crate::config::Config;
use crate::direct::{Direct, Value};
use crate::engine::{Bar, Engine};
use crate::journal::faulty::FaultyDisk;
use crate::random::Random;

/// Where the files are.
pub(super) const DIRECTORY: &str = "/";

/// Nothing is waited for, so that each call of the disk follows from a step.
const PACE: Pace = Pace {
    linger: Duration::ZERO,
    sync_every: Duration::ZERO,
    retry_after: Duration::from_micros(500),
    patience: Duration::from_millis(5),
};

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("the system has room for a runtime");
}

/// What is kept on disk, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    Snapshots,
    /// With this value of `appendfsync`.
    Log(&'static str),
    /// The same, once it has been turned on while the server runs.
    LogLater(&'static str),
}

impl Keeping {
    /// What holds for the next server.
    fn afterwards(self) -> Self {
        if let Keeping::LogLater(policy) = self { Keeping::Log(policy) } else { self }
    }
}

pub(super) struct World {
    pub(super) disk: FaultyDisk,
    pub(super) engine: Arc<Engine>,
    direct: Direct,
    keeping: Keeping,
    /// After which step the snapshot began that is to be written.
    job_index: Option<usize>,
    pub(super) history: History,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Refused(String),
    Failed,
}

pub(super) fn config(keeping: Keeping) -> Config {
    let config = Config::new();
    let set = |name: &str, value: &str| {
        config.set_at_start(name, &[value]).expect("the parameter is valid");
    };
    set("dir", DIRECTORY);
    set("shards", "1");
    set("databases", "3");
    match keeping {
        Keeping::Snapshots => set("save", "60 3"),
        Keeping::Log(policy) | Keeping::LogLater(policy) => {
            set("save", "");
            set("appendonly", if matches!(keeping, Keeping::Log(_)) { "yes" } else { "no" });
            set("appendfsync", policy);
            set("auto-aof-rewrite-min-size", "8kb");
        }
    }
    config
}

/// What a server is made of, on this disk. Nothing is loaded.
pub(super) fn engine_on(disk: &FaultyDisk, config: Config, clock: Clock) -> Engine {
    let mut engine = Engine::new(config, clock, Random::seeded(1));
    engine.durability.disk = Arc::new(disk.clone());
    engine.durability.pace = PACE;
    engine
}

pub(super) fn clock() -> Clock {
    Clock::manual_at(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}

impl World {
    /// Starts on a disk; the error is why that is not possible.
    pub(super) fn start(disk: FaultyDisk, keeping: Keeping) -> Result<Self, String> {
        let engine = start(&disk, keeping, clock())?;
        let history = History::begin(Everything::of(&engine));
        Ok(World {
            direct: Direct::new(Arc::clone(&engine)),
            disk,
            engine,
            keeping,
            job_index: None,
            history,
        })
    }

    /// Does what a line says: commands that belong together, or something about the server.
    pub(super) fn step(&mut self, line: &str) -> Outcome {
        let calls = self.disk.count_calls();
        let outcome = match line.split_once(' ') {
            Some(("@advance", ms)) => {
                let ms = ms.parse().expect("a number");
                self.engine.clock.advance(Duration::from_millis(ms));
                self.engine.sweep(&|| false);
                Outcome::Done
            }
            _ if line == "@job" => Outcome::Done,
            _ if line == "@log" => self.begin_log(),
            _ => self.call_all(line),
        };
        self.history.add(Everything::of(&self.engine), calls);
        self.settle();
        if outcome == Outcome::Done && line == "SAVE" && self.keeping == Keeping::Snapshots {
            self.history.promise(self.history.last(), self.disk.count_calls(), true);
        }
        if self.engine.durability.is_busy() {
            self.job_index.get_or_insert(self.history.last());
        }
        if line == "@job" {
            tick(&self.engine);
            self.run_job();
        }
        if self.engine.has_failed() { Outcome::Failed } else { outcome }
    }

    /// Turns the log on, unless it is.
    fn begin_log(&mut self) -> Outcome {
        self.engine.config.set_at_start("appendonly", &["yes"]).expect("it is a parameter");
        self.engine.switch_log();
        Outcome::Done
    }

    fn call_all(&mut self, line: &str) -> Outcome {
        let results: Vec<_> = line
            .split("; ")
            .map(|command| self.direct.call(&command.split(' ').collect::<Vec<_>>()))
            .collect();
        let refusal = results.into_iter().find_map(|result| match result {
            Err(error) => Some(error.to_string()),
            Ok(Value::BlobError { data, .. }) => Some(String::from_utf8_lossy(&data).into_owned()),
            Ok(_) => None,
        });
        refusal.map_or(Outcome::Done, Outcome::Refused)
    }

    /// Lets the log be written as far as that is possible, and notes what is promised.
    fn settle(&mut self) {
        let log = &self.engine.keyspace.log;
        while log.is_on() && !log.is_idle() && !self.engine.has_failed() {
            sleep(Duration::from_micros(20));
        }
        let (Keeping::Log(policy) | Keeping::LogLater(policy)) = self.keeping else { return };
        let has_log = log.is_on() && !self.engine.durability.appending.is_unlisted();
        if has_log && !self.engine.has_failed() && !self.engine.bars.has(Bar::Unlogged) {
            let is_lasting = policy != "no";
            let is_synced = log.durable() >= log.appended();
            assert!(!is_lasting || is_synced, "nothing is wrong, and not all is on the disk");
            self.history.promise(self.history.last(), self.disk.count_calls(), is_lasting);
        }
    }

    /// Writes the snapshot or base that has begun.
    fn run_job(&mut self) {
        let begun = self.engine.durability.state().job.clone();
        let Some(job) = begun else { return };
        let index = self.job_index.take().unwrap_or(self.history.last());
        RUNTIME.with(|runtime| runtime.block_on(run_job(&self.engine)));
        let is_saved = job.kind == Kind::Save && self.engine.durability.state().last_save.is_ok;
        if is_saved && self.keeping == Keeping::Snapshots {
            self.history.promise(index, self.disk.count_calls(), true);
        }
        self.settle();
    }

    /// Whether reads are answered.
    pub(super) fn reads(&mut self) -> bool {
        self.direct.call(&["EXISTS", "text"]).is_ok()
    }

    /// Lets a healed disk be found out.
    pub(super) fn recover(&mut self) {
        const TRIES: usize = 400;
        for _ in 0..TRIES {
            self.settle();
            if !self.engine.bars.any() && !self.engine.durability.appending.is_unlisted() {
                return;
            }
            self.engine.clock.advance(Duration::from_secs(6));
            tick(&self.engine);
            self.run_job();
            sleep(Duration::from_micros(500));
        }
        panic!("the disk is well again, and the server does not see it");
    }

    /// The server is killed, and another one starts on what it has left.
    pub(super) fn restart(&mut self) {
        let mut disk = self.disk.survive();
        self.bury();
        self.keeping = self.keeping.afterwards();
        let clock = self.engine.clock.clone();
        let started = start(&disk, self.keeping, clock.clone()).or_else(|reason| {
            assert!(names_a_file(&reason), "which file is it? {reason}");
            disk.heal();
            disk = disk.survive();
            start(&disk, self.keeping, clock)
        });
        let engine = started.unwrap_or_else(|reason| panic!("the disk is well: {reason}"));
        let found = Everything::of(&engine);
        let calls = disk.count_calls();
        self.history.check(&found, End::Kill, calls).unwrap_or_else(|problem| panic!("{problem}"));
        self.direct = Direct::new(Arc::clone(&engine));
        self.job_index = None;
        (self.disk, self.engine) = (disk, engine);
        self.history.add(found, calls);
        self.settle();
    }

    /// Ends a server as its owner does.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.engine.settle_before_end()
    }

    /// Nothing of a killed server runs on.
    fn bury(&self) {
        self.engine.durability.appending.finish(&self.engine);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.disk.survive());
        self.bury();
    }
}

fn start(disk: &FaultyDisk, keeping: Keeping, clock: Clock) -> Result<Arc<Engine>, String> {
    let engine = Arc::new(engine_on(disk, config(keeping), clock));
    load(&engine).map(|()| engine)
}

/// Whether somebody who reads why a server does not start knows where to look.
pub(super) fn names_a_file(reason: &str) -> bool {
    reason.contains(" /")
}

/// What a server finds that starts on a disk. It goes on from there: the next one finds what it has done.
pub(super) fn found_on(disk: &FaultyDisk, keeping: Keeping) -> Result<Everything, String> {
    let mut world = World::start(disk.clone(), keeping.afterwards())?;
    let found = Everything::of(&world.engine);
    assert_eq!(world.step("MULTI; SET left later; SET right later; EXEC"), Outcome::Done);
    if keeping == Keeping::Snapshots {
        assert_eq!(world.step("SAVE"), Outcome::Done);
    }
    world.restart();
    Ok(found)
}

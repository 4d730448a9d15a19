//! How soon is a server ready that finds data in its files?
//!
//! The goal: as soon as the best peer, or sooner.

use std::time::{Duration, Instant};

use crate::Result;
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::dataset;
use crate::disk::Directory;
use crate::figures::grouped;
use crate::keeping::{Keeping, common_flags};
use crate::report::Chapter;
use crate::saving::BGREWRITEAOF;
use crate::servers::{Contender, Server};

/// How long a server may take to load.
const LIMIT: Duration = Duration::from_secs(120);

/// How often a loading server is asked whether it is ready. Each question takes time from the loading.
const STEP: Duration = Duration::from_millis(5);

/// Files with data in them.
struct Source {
    label: &'static str,
    keeping: Keeping,
    /// What a server has to have to write them.
    commands: &'static [&'static str],
    /// What is done once a server has all data.
    complete: fn(&Server) -> Result<()>,
}

const SNAPSHOT: Source = Source {
    label: "RDB",
    keeping: Keeping::InMemory,
    commands: &["save"],
    complete: |server| server.connect()?.call(&["SAVE"]).map(drop),
};

const LOG: Keeping = Keeping::Appended("everysec");

const SOURCES: [Source; 3] = [
    SNAPSHOT,
    Source { label: "AOF of commands", keeping: LOG, commands: &[], complete: |_| Ok(()) },
    Source {
        label: "AOF with an RDB preamble",
        keeping: LOG,
        commands: &["bgrewriteaof"],
        complete: |server| BGREWRITEAOF.complete(server),
    },
];

/// The server whose RDB all of them load.
const FOREIGN_WRITER: &str = "redis-7.0";

/// The files that a server has written itself, in the order of `SOURCES`; nothing where it cannot.
type Written = [Option<Directory>; SOURCES.len()];

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let strings = contest.effort.saved_keys;
    let written = contest.contenders.iter().map(|contender| write_all(contender, strings));
    let written = written.collect::<Result<Vec<Written>>>()?;
    let foreign = foreign_snapshot(contest, &written);
    let mut table = Comparison::lower_is_better("To the first PONG, ms");
    contest.rounds("loading", contest.effort.rounds, |contender| {
        let own = &written[contender.column];
        for (source, files) in SOURCES.iter().zip(own) {
            let time = load_if_any(contender, source.keeping, files.as_ref(), strings)?;
            table.add_if_any(source.label, contender, time);
        }
        // Whoever writes no snapshot cannot be expected to load one.
        let foreign = own[0].as_ref().and(foreign);
        let time = load_if_any(contender, SNAPSHOT.keeping, foreign, strings)?;
        table.add_if_any(&format!("RDB of {FOREIGN_WRITER}"), contender, time);
        Ok(())
    })?;
    Ok(chapter(contest, &table))
}

fn write_all(contender: &Contender, strings: u64) -> Result<Written> {
    eprintln!("loading: {} writes its files", contender.name);
    let mut written = Written::default();
    for (source, files) in SOURCES.iter().zip(&mut written) {
        if source.keeping.is_known_to(contender, source.commands)? {
            *files = Some(write(contender, source, strings)?);
        }
    }
    Ok(written)
}

fn write(contender: &Contender, source: &Source, strings: u64) -> Result<Directory> {
    let files = Directory::new()?;
    let server = source.keeping.start(&files, contender)?;
    dataset::fill(&mut server.connect()?, strings)?;
    (source.complete)(&server)?;
    server.shut_down()?;
    Ok(files)
}

fn foreign_snapshot<'a>(contest: &Contest, written: &'a [Written]) -> Option<&'a Directory> {
    let writer = contest.contenders.iter().find(|contender| contender.name == FOREIGN_WRITER)?;
    written[writer.column][0].as_ref()
}

fn load_if_any(
    contender: &Contender,
    keeping: Keeping,
    files: Option<&Directory>,
    strings: u64,
) -> Result<Option<f64>> {
    files.map(|files| load_ms(contender, keeping, files, strings)).transpose()
}

/// Starts a server, and makes sure that it has loaded everything.
fn load_ms(
    contender: &Contender,
    keeping: Keeping,
    files: &Directory,
    strings: u64,
) -> Result<f64> {
    let launched = Instant::now();
    let mut server = Server::launch_in(files.path(), contender, &keeping.flags())?;
    server.wait_for_pong_within(LIMIT, STEP)?;
    let time_ms = launched.elapsed().as_secs_f64() * 1e3;
    let (loaded, expected) = (server.connect()?.call(&["DBSIZE"])?, dataset::size(strings));
    if loaded != expected.to_string() {
        return Err(format!("{loaded} of {expected} keys are loaded").into());
    }
    Ok(time_ms)
}

fn chapter(contest: &Contest, table: &Comparison) -> Chapter {
    let contenders = &contest.contenders;
    Chapter {
        title: "Loading",
        method: method(contest.effort.saved_keys),
        tables: vec![table.table(contenders)],
        charts: vec![Chart {
            file: "loading.svg",
            panels: vec![table.panel(Shape::Bars, "files", contenders)],
        }],
    }
}

fn method(strings: u64) -> String {
    format!(
        "From the start of the process until it answers PONG, which is asked for every {step} ms; DBSIZE tells then that \
         all keys are there. The files have {strings} strings of 32 bytes, and {others} lists, sets of strings, sets of \
         integers and streams each, of {elements} elements or entries. Every server loads what it has written itself, \
         with `--appendonly yes --appendfsync everysec` where there is an append-only file: its commands as they came, \
         or the preamble that BGREWRITEAOF has made of them. In the last line all load the same file, which \
         {FOREIGN_WRITER} has written. All servers are told `{flags}`. The files have just been written, so that the \
         system has them in memory.",
        step = STEP.as_millis(),
        strings = grouped(strings),
        others = grouped(dataset::others(strings)),
        elements = dataset::ELEMENTS,
        flags = common_flags(),
    )
}

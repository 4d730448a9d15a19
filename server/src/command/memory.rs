//! `MEMORY`: what the keys and the server around them take.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::introspection::help;
use super::metadata::{Group, KeySpec, flags};
use super::{Command, Locks, process};
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::{DatabaseFigures, SHARE_OF_TABLE};
use crate::limit::{OWN_BYTES, client_bytes};
use crate::resp::Reply;

pub(super) const COMMANDS: &[&Command] = &[&MEMORY];

const MEMORY: Command = Command {
    name: "memory",
    arity: -2,
    group: Group::Server,
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "Commands about the memory that data take.",
    subcommands: &[
        &MEMORY_PURGE,
        &MEMORY_STATS,
        &MEMORY_DOCTOR,
        &MEMORY_HELP,
        &MEMORY_MALLOC_STATS,
        &MEMORY_USAGE,
    ],
    ..Command::BASE
};

const MEMORY_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    group: Group::Server,
    since: "4.0.0",
    summary: "Lists the subcommands.",
    run: help,
    ..Command::BASE
};

const MEMORY_USAGE: Command = Command {
    name: "usage",
    arity: -3,
    flags: flags("readonly"),
    keys: &[KeySpec::at(2, "RO")],
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(N)",
    usage: "key [SAMPLES count]",
    summary: "Estimates the bytes that a key and its value take.",
    run: memory_usage,
    ..Command::BASE
};

/// The number of samples changes nothing: what a value takes is known without looking at parts.
fn memory_usage(call: &mut Call<'_>) -> Result<(), Error> {
    let mut options = call.args.options(3);
    while let Some(word) = options.word() {
        if *word != *b"SAMPLES" || options.integer()? < 0 {
            return Err(Error::Syntax);
        }
    }
    let key = call.args.at(2);
    match call.txn.peek(key) {
        Some(entry) => call.reply.count(entry.memory()),
        None => call.reply.null(),
    }
    Ok(())
}

const MEMORY_STATS: Command = Command {
    name: "stats",
    arity: 2,
    locks: Locks::All,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    group: Group::Server,
    since: "4.0.0",
    summary: "Returns what the memory in use is used for.",
    run: memory_stats,
    ..Command::BASE
};

fn memory_stats(call: &mut Call<'_>) -> Result<(), Error> {
    let figures = Figures::of(call);
    let head = figures.head();
    let tail = figures.tail();
    let databases = figures.databases.iter().enumerate().filter(|(_, figures)| figures.keys > 0);
    let reply = &mut call.reply;
    reply.map(head.len() + databases.clone().count() + tail.len());
    for (name, figure) in &head {
        figure.write(reply, name);
    }
    for (number, database) in databases {
        reply.bulk(format!("db.{number}").as_bytes());
        reply.map(2);
        Figure::Bytes(table_bytes(database)).write(reply, "overhead.hashtable.main");
        Figure::Bytes(0).write(reply, "overhead.hashtable.expires");
    }
    for (name, figure) in &tail {
        figure.write(reply, name);
    }
    Ok(())
}

/// The memory of a server, as far as it is accounted for.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Keys and values with all that keeps them, and clients.
    pub(super) used: u64,
    pub(super) peak: u64,
    /// Of the process, of which the server may be only a part.
    pub(super) resident: u64,
    pub(super) clients: u64,
    /// What is used for other things than the bytes of keys and values.
    pub(super) overhead: u64,
    /// The bytes of keys and values.
    pub(super) dataset: u64,
    keys: u64,
    databases: Vec<DatabaseFigures>,
    scripts: [(&'static str, usize); 3],
}

impl Figures {
    pub(super) fn of(call: &Call<'_>) -> Self {
        let (engine, databases) = (call.engine, call.txn.all_figures());
        let clients = engine.clients.all().iter().map(|client| client_bytes(client) as u64).sum();
        let tables: u64 = databases.iter().map(table_bytes).sum();
        let scripts: usize = engine.scripts.figures.by_name().iter().map(|(_, bytes)| bytes).sum();
        let keys: u64 = databases.iter().map(|database| database.bytes as u64).sum();
        let others = OWN_BYTES as u64 + clients + scripts as u64;
        let used = others + keys;
        let peak = engine.peak_bytes.fetch_max(used as usize, Ordering::Relaxed) as u64;
        let overhead = others + tables;
        Figures {
            scripts: engine.scripts.figures.by_name(),
            used,
            peak: peak.max(used),
            resident: process::resident_bytes(),
            clients,
            overhead,
            dataset: used - overhead,
            keys: databases.iter().map(|database| database.keys as u64).sum(),
            databases,
        }
    }

    /// What stands before the databases in `MEMORY STATS`.
    fn head(&self) -> Vec<(&'static str, Figure)> {
        let mut head = vec![
            ("peak.allocated", Figure::Bytes(self.peak)),
            ("total.allocated", Figure::Bytes(self.used)),
            ("startup.allocated", Figure::Bytes(OWN_BYTES as u64)),
            ("replication.backlog", Figure::Bytes(0)),
            ("clients.slaves", Figure::Bytes(0)),
            ("clients.normal", Figure::Bytes(self.clients)),
        ];
        head.extend(["cluster.links", "aof.buffer"].map(|name| (name, Figure::Bytes(0))));
        head.extend(self.scripts.map(|(name, bytes)| (name, Figure::Bytes(bytes as u64))));
        head
    }

    /// What stands after them.
    fn tail(&self) -> Vec<(&'static str, Figure)> {
        use Figure::{Bytes, Difference, Ratio};
        let (used, resident) = (self.used, self.resident);
        let beyond = resident as i64 - used as i64;
        vec![
            ("overhead.total", Bytes(self.overhead)),
            ("keys.count", Bytes(self.keys)),
            ("keys.bytes-per-key", Bytes(used.checked_div(self.keys).unwrap_or(0))),
            ("dataset.bytes", Bytes(self.dataset)),
            ("dataset.percentage", Ratio(ratio(self.dataset, used) * 100.0)),
            ("peak.percentage", Ratio(ratio(used, self.peak) * 100.0)),
            ("allocator.allocated", Bytes(used)),
            ("allocator.active", Bytes(used)),
            ("allocator.resident", Bytes(resident)),
            ("allocator-fragmentation.ratio", Ratio(1.0)),
            ("allocator-fragmentation.bytes", Bytes(0)),
            ("allocator-rss.ratio", Ratio(self.fragmentation())),
            ("allocator-rss.bytes", Difference(beyond)),
            ("rss-overhead.ratio", Ratio(1.0)),
            ("rss-overhead.bytes", Bytes(0)),
            ("fragmentation", Ratio(self.fragmentation())),
            ("fragmentation.bytes", Difference(beyond)),
        ]
    }

    /// How much more the process has than is accounted for.
    pub(super) fn fragmentation(&self) -> f64 {
        ratio(self.resident, self.used)
    }
}

/// A figure of `MEMORY STATS`.
enum Figure {
    Bytes(u64),
    Difference(i64),
    Ratio(f64),
}

impl Figure {
    fn write(&self, reply: &mut Reply<'_>, name: &str) {
        reply.bulk(name.as_bytes());
        match *self {
            Figure::Bytes(bytes) => reply.integer(bytes as i64),
            Figure::Difference(bytes) => reply.integer(bytes),
            Figure::Ratio(ratio) => reply.double(ratio),
        }
    }
}

/// A share of a whole that may be nothing.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What the tables of a database take beside the bytes of keys and values.
fn table_bytes(database: &DatabaseFigures) -> u64 {
    (database.keys * SHARE_OF_TABLE) as u64
}

const MEMORY_DOCTOR: Command = Command {
    name: "doctor",
    arity: 2,
    locks: Locks::All,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    group: Group::Server,
    since: "4.0.0",
    summary: "Reports on the use of memory in words.",
    run: memory_doctor,
    ..Command::BASE
};

fn memory_doctor(call: &mut Call<'_>) -> Result<(), Error> {
    let report = diagnose(&Figures::of(call), call.engine.clients.len() as u64);
    call.reply.verbatim(report.as_bytes());
    Ok(())
}

fn diagnose(figures: &Figures, clients: u64) -> String {
    const WORTH_A_LOOK: u64 = 5 * 1024 * 1024;
    const HIGH_RATIO: f64 = 1.5;
    const MUCH_PER_CLIENT: u64 = 200 * 1024;
    let Figures { used, peak, resident, .. } = *figures;
    if used < WORTH_A_LOOK {
        return "There is too little data in memory to say anything about it.\n".to_owned();
    }
    let mut report = String::new();
    if ratio(peak, used) > HIGH_RATIO {
        let _ = writeln!(
            report,
            "Once {peak} bytes were in use, now {used}: the process may keep what it had."
        );
    }
    if ratio(resident, used) > HIGH_RATIO && resident - used > 2 * WORTH_A_LOOK {
        let _ = writeln!(
            report,
            "The process has {resident} bytes in RAM where {used} are accounted for: memory is \
             fragmented, or the server shares its process with something large."
        );
    }
    if figures.clients / clients.max(1) > MUCH_PER_CLIENT {
        let bytes = figures.clients;
        let _ = writeln!(
            report,
            "Clients' buffers hold {bytes} bytes: some client reads slower than it asks."
        );
    }
    if report.is_empty() {
        report.push_str("Nothing about the use of memory is out of the ordinary.\n");
    }
    report
}

const MEMORY_MALLOC_STATS: Command = Command {
    name: "malloc-stats",
    arity: 2,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(1)",
    summary: "Returns what the allocator says about itself.",
    run: memory_malloc_stats,
    ..Command::BASE
};

fn memory_malloc_stats(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.verbatim(b"The allocator in use keeps no statistics.\n");
    Ok(())
}

const MEMORY_PURGE: Command = Command {
    name: "purge",
    arity: 2,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(1)",
    summary: "Asks the allocator to give memory back.",
    run: memory_purge,
    ..Command::BASE
};

/// The allocator gives memory back on its own.
fn memory_purge(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_stands_out_and_nothing_else() {
        const MEGABYTE: u64 = 1024 * 1024;
        let sizes = |used: u64, peak: u64, resident: u64, clients: u64| {
            let [used, peak, resident, clients] =
                [used, peak, resident, clients].map(|size| size * MEGABYTE);
            diagnose(&Figures { used, peak, resident, clients, ..Figures::default() }, 2)
        };
        assert!(sizes(1, 100, 100, 0).starts_with("There is too little"));
        assert!(sizes(100, 100, 110, 0).starts_with("Nothing"));
        assert!(sizes(100, 200, 110, 0).starts_with("Once 209715200 bytes"));
        assert!(sizes(100, 100, 200, 0).starts_with("The process has"));
        assert!(sizes(100, 100, 100, 1).starts_with("Clients' buffers"));
        assert_eq!(sizes(100, 200, 200, 1).lines().count(), 3);
    }
}

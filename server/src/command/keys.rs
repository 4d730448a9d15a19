//! Keys whatever they hold: finding, naming, copying, removing, inspecting.

use std::sync::atomic::Ordering;

use super::introspection::help;
use super::metadata::{KeySpec, categories, flags};
use super::scanning::{parse_cursor, scan_from, write_scanned};
use super::{Args, Command, Locks, restoring};
use crate::config::EventClass;
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::{Call, noted_uses};
use crate::journal::payload::{self, PayloadError, Restored};
use crate::keyspace::{Entry, Txn, Usage};
use crate::value::number::{format_integer, parse_integer};
use crate::value::string::LONGEST_INTEGER;
use crate::value::{Text, ValueRef, glob};

pub(super) const COMMANDS: &[&Command] = &[
    &DEL,
    &UNLINK,
    &EXISTS,
    &TYPE,
    &KEYS,
    &SCAN,
    &RANDOMKEY,
    &RENAME,
    &RENAMENX,
    &COPY,
    &MOVE,
    &TOUCH,
    &OBJECT,
    &DUMP,
    &RESTORE,
    &RESTORE_ASKING,
];

const DEL: Command = Command {
    name: "del",
    arity: -2,
    flags: flags("write"),
    categories: categories("keyspace"),
    keys: &[KeySpec::range(1, -1, 1, "RM delete")],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N)",
    usage: "key [key ...]",
    summary: "Deletes keys.",
    run: del,
    ..Command::BASE
};

fn del(call: &mut Call<'_>) -> Result<(), Error> {
    let removed = call.args.from(1).filter(|key| remove(&mut call.txn, key)).count();
    call.reply.count(removed);
    Ok(())
}

/// Removes a key as DEL does; whether it was there.
pub(super) fn remove(txn: &mut Txn<'_>, key: &[u8]) -> bool {
    let was_there = txn.remove(key);
    if was_there {
        txn.event(EventClass::GENERIC, "del", key);
    }
    was_there
}

/// Removes a key whose value has nothing in it any more.
pub(super) fn remove_emptied(txn: &mut Txn<'_>, key: &[u8]) {
    txn.remove(key);
    txn.side_event(EventClass::GENERIC, "del", key);
}

const UNLINK: Command = Command {
    name: "unlink",
    arity: -2,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::range(1, -1, 1, "RM delete")],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    since: "4.0.0",
    complexity: "O(N)",
    usage: "key [key ...]",
    summary: "Deletes keys; their memory may be freed later.",
    run: del,
    ..Command::BASE
};

const EXISTS: Command = Command {
    name: "exists",
    arity: -2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::range(1, -1, 1, "RO")],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N)",
    usage: "key [key ...]",
    summary: "Counts how many of the given keys are there, one given twice twice.",
    run: exists,
    ..Command::BASE
};

fn exists(call: &mut Call<'_>) -> Result<(), Error> {
    call.txn.ignore_usage();
    let found = call.args.from(1).filter(|key| call.txn.read(key).is_some()).count();
    call.reply.count(found);
    Ok(())
}

const TOUCH: Command = Command {
    name: "touch",
    arity: -2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::range(1, -1, 1, "RO")],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    since: "3.2.1",
    complexity: "O(N)",
    usage: "key [key ...]",
    summary: "Counts how many of the given keys are there, and marks them as used.",
    run: touch,
    ..Command::BASE
};

fn touch(call: &mut Call<'_>) -> Result<(), Error> {
    call.txn.note_usage(noted_uses(call.engine));
    let found = call.args.from(1).filter(|key| call.txn.read(key).is_some()).count();
    call.reply.count(found);
    Ok(())
}

const TYPE: Command = Command {
    name: "type",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO")],
    usage: "key",
    summary: "Tells the type of the value of a key.",
    run: type_of,
    ..Command::BASE
};

fn type_of(call: &mut Call<'_>) -> Result<(), Error> {
    call.txn.ignore_usage();
    let kind = call.txn.read(call.args.at(1)).map_or("none", |entry| entry.value().kind());
    call.reply.simple(kind);
    Ok(())
}

const KEYS: Command = Command {
    name: "keys",
    arity: 2,
    flags: flags("readonly"),
    categories: categories("keyspace dangerous"),
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    complexity: "O(N)",
    usage: "pattern",
    summary: "Lists the keys that match a pattern.",
    run: keys,
    locks: Locks::All,
    ..Command::BASE
};

fn keys(call: &mut Call<'_>) -> Result<(), Error> {
    let pattern = call.args.at(1);
    let mut found: Vec<Box<[u8]>> = Vec::new();
    call.txn.for_each(|entry| {
        if glob::fits(pattern, entry.key()) {
            found.push(entry.key().into());
        }
    });
    call.reply.array(found.len());
    for key in found {
        call.reply.bulk(&key);
    }
    Ok(())
}

const SCAN: Command = Command {
    name: "scan",
    arity: -2,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    since: "2.8.0",
    complexity: "O(1) for every call, O(N) for a complete iteration",
    usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    summary: "Goes through the keys of the database step by step.",
    run: scan,
    locks: Locks::All,
    ..Command::BASE
};

/// A key that is there from the first call to the last is returned at least once.
fn scan(call: &mut Call<'_>) -> Result<(), Error> {
    let cursor = parse_cursor(call.args.at(1))?;
    let options = ScanOptions::parse(call.args)?;
    let mut found = Vec::new();
    let next = scan_from(cursor, options.count, |cursor| {
        let mut seen = 0;
        let next = call.txn.scan(cursor, |entry| {
            seen += 1;
            if options.accept(entry) {
                found.push(entry.key().into());
            }
        });
        (next, seen)
    });
    write_scanned(&mut call.reply, next, &found);
    Ok(())
}

struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut parsed = ScanOptions { count: 10, pattern: None, kind: None };
        let mut options = args.options(2);
        while let Some(word) = options.word() {
            match &*word {
                b"COUNT" => {
                    let count = options.integer()?;
                    parsed.count = usize::try_from(count).map_err(|_| Error::Syntax)?;
                    if parsed.count == 0 {
                        return Err(Error::Syntax);
                    }
                }
                b"MATCH" => parsed.pattern = Some(options.value()?),
                b"TYPE" => parsed.kind = Some(options.value()?),
                _ => return Err(Error::Syntax),
            }
        }
        Ok(parsed)
    }

    fn accept(&self, entry: Entry<'_>) -> bool {
        let is_kind = |kind: &[u8]| entry.value().kind().as_bytes().eq_ignore_ascii_case(kind);
        self.kind.is_none_or(is_kind)
            && self.pattern.is_none_or(|pattern| glob::fits(pattern, entry.key()))
    }
}

const RANDOMKEY: Command = Command {
    name: "randomkey",
    arity: 1,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
    summary: "Picks a key at random.",
    run: randomkey,
    locks: Locks::All,
    ..Command::BASE
};

fn randomkey(call: &mut Call<'_>) -> Result<(), Error> {
    let picked = call.txn.random_key(&call.engine.random);
    call.reply.bulk_or_null(picked.as_deref());
    Ok(())
}

const RENAME: Command = Command {
    name: "rename",
    arity: 3,
    flags: flags("write"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "OW update")],
    usage: "key newkey",
    summary: "Renames a key, over whatever has the new name.",
    run: rename,
    ..Command::BASE
};

fn rename(call: &mut Call<'_>) -> Result<(), Error> {
    rename_key(call)?;
    call.reply.ok();
    Ok(())
}

const RENAMENX: Command = Command {
    name: "renamenx",
    arity: 3,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "OW insert")],
    usage: "key newkey",
    summary: "Renames a key if nothing has the new name.",
    run: renamenx,
    ..Command::BASE
};

fn renamenx(call: &mut Call<'_>) -> Result<(), Error> {
    if !call.txn.holds(call.args.at(1)) {
        return Err(Error::NoSuchKey);
    }
    let free = !call.txn.holds(call.args.at(2));
    if free {
        rename_key(call)?;
    }
    call.reply.flag(free);
    Ok(())
}

fn rename_key(call: &mut Call<'_>) -> Result<(), Error> {
    let (from, to) = (call.args.at(1), call.args.at(2));
    if from == to {
        return if call.txn.holds(from) { Ok(()) } else { Err(Error::NoSuchKey) };
    }
    let entry = call.txn.take(from).ok_or(Error::NoSuchKey)?;
    call.txn.put_kept(to, entry);
    call.txn.side_event(EventClass::GENERIC, "rename_from", from);
    call.txn.event(EventClass::GENERIC, "rename_to", to);
    Ok(())
}

const COPY: Command = Command {
    name: "copy",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO access"), KeySpec::at(2, "OW update")],
    since: "6.2.0",
    complexity: "O(N)",
    usage: "source destination [DB destination-db] [REPLACE]",
    summary: "Copies a key's value and expiration to another key.",
    run: copy,
    ..Command::BASE
};

fn copy(call: &mut Call<'_>) -> Result<(), Error> {
    let (from, to) = (call.args.at(1), call.args.at(2));
    let home = call.txn.database();
    let (mut target, mut replace) = (home, false);
    let mut options = call.args.options(3);
    while let Some(word) = options.word() {
        match &*word {
            b"REPLACE" => replace = true,
            b"DB" if options.remaining() > 0 => {
                target = database_index(call, options.small_integer()?)?;
            }
            _ => return Err(Error::Syntax),
        }
    }
    if from == to && target == home {
        return Err(Error::SameObject);
    }
    let Some(mut entry) = call.txn.read(from).map(Entry::to_kept) else {
        call.reply.flag(false);
        return Ok(());
    };
    call.txn.select(target);
    let free = replace || !call.txn.holds(to);
    if free {
        entry.set_usage(Usage::fresh(call.now_ms()));
        call.txn.put_kept(to, entry);
        call.txn.event(EventClass::GENERIC, "copy_to", to);
    }
    call.txn.select(home);
    call.reply.flag(free);
    Ok(())
}

const MOVE: Command = Command {
    name: "move",
    arity: 3,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW access update")],
    usage: "key db",
    summary: "Moves a key to another database.",
    run: move_key,
    ..Command::BASE
};

fn move_key(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, home) = (call.args.at(1), call.txn.database());
    let target = database_index(call, call.args.small_integer(2)?)?;
    if target == home {
        return Err(Error::SameObject);
    }
    let mut moved = call.txn.holds(key);
    call.txn.select(target);
    moved &= !call.txn.holds(key);
    call.txn.select(home);
    if let Some(entry) = moved.then(|| call.txn.take(key)).flatten() {
        call.txn.select(target);
        call.txn.put_kept(key, entry);
        call.txn.select(home);
        call.txn.side_event(EventClass::GENERIC, "move_from", key);
        call.txn.select(target);
        call.txn.event(EventClass::GENERIC, "move_to", key);
        call.txn.select(home);
    }
    call.reply.flag(moved);
    Ok(())
}

pub(super) fn database_index(call: &Call<'_>, index: i64) -> Result<usize, Error> {
    let index = usize::try_from(index).map_err(|_| Error::DbIndexOutOfRange)?;
    let inside = index < call.engine.keyspace.databases();
    if inside { Ok(index) } else { Err(Error::DbIndexOutOfRange) }
}

const OBJECT: Command = Command {
    name: "object",
    arity: -2,
    since: "2.2.3",
    complexity: "Depends on subcommand.",
    summary: "Looks inside the value of a key.",
    subcommands: &[
        &OBJECT_ENCODING,
        &OBJECT_FREQ,
        &OBJECT_HELP,
        &OBJECT_IDLETIME,
        &OBJECT_REFCOUNT,
    ],
    ..Command::BASE
};

const OBJECT_ENCODING: Command = Command {
    name: "encoding",
    arity: 3,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(2, "RO")],
    tips: &["nondeterministic_output"],
    since: "2.2.3",
    usage: "key",
    summary: "Tells how the value of a key is encoded.",
    run: object_encoding,
    ..Command::BASE
};

fn object_encoding(call: &mut Call<'_>) -> Result<(), Error> {
    match call.txn.peek(call.args.at(2)) {
        Some(entry) => call.reply.bulk(entry.value().encoding().as_bytes()),
        None => call.reply.null(),
    }
    Ok(())
}

const OBJECT_REFCOUNT: Command = Command {
    name: "refcount",
    arity: 3,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(2, "RO")],
    tips: &["nondeterministic_output"],
    since: "2.2.3",
    usage: "key",
    summary: "Tells how often the value of a key is referred to: once.",
    run: object_refcount,
    ..Command::BASE
};

fn object_refcount(call: &mut Call<'_>) -> Result<(), Error> {
    match call.txn.peek(call.args.at(2)) {
        Some(entry) => call.reply.integer(reference_count(entry.value())),
        None => call.reply.null(),
    }
    Ok(())
}

/// Redis shares the objects of the integers below 10,000, and shows a count that says so.
const fn reference_count(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::String(Text::Integer(0..10_000)) => i32::MAX as i64,
        _ => 1,
    }
}

const OBJECT_IDLETIME: Command = Command {
    name: "idletime",
    arity: 3,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(2, "RO")],
    tips: &["nondeterministic_output"],
    since: "2.2.3",
    usage: "key",
    summary: "Tells for how many seconds a key has not been used.",
    run: object_idletime,
    ..Command::BASE
};

fn object_idletime(call: &mut Call<'_>) -> Result<(), Error> {
    let now_ms = call.now_ms();
    let counts_uses = counts_uses(call);
    match call.txn.peek(call.args.at(2)) {
        None => call.reply.null(),
        Some(_) if counts_uses => {
            return Err(Error::err(
                "An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to \
                 adjust.",
            ));
        }
        Some(entry) => call.reply.integer(entry.usage().idle_s(now_ms)),
    }
    Ok(())
}

const OBJECT_FREQ: Command = Command {
    name: "freq",
    arity: 3,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(2, "RO")],
    tips: &["nondeterministic_output"],
    since: "4.0.0",
    usage: "key",
    summary: "Tells how often a key is used, on a logarithmic scale.",
    run: object_freq,
    ..Command::BASE
};

fn object_freq(call: &mut Call<'_>) -> Result<(), Error> {
    let (now_ms, counting) = (call.now_ms(), call.engine.counting());
    let counts_uses = counts_uses(call);
    match call.txn.peek(call.args.at(2)) {
        None => call.reply.null(),
        Some(_) if !counts_uses => {
            return Err(Error::err(
                "An LFU maxmemory policy is not selected, access frequency not tracked. Please \
                 note that when switching between policies at runtime LRU and LFU data will take \
                 some time to adjust.",
            ));
        }
        Some(entry) => {
            let frequency = counting.decayed(entry.usage(), now_ms);
            call.reply.integer(i64::from(frequency));
        }
    }
    Ok(())
}

fn counts_uses(call: &Call<'_>) -> bool {
    call.engine.config.counts_uses()
}

const OBJECT_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    categories: categories("keyspace"),
    since: "6.2.0",
    summary: "Shows this help.",
    run: help,
    ..Command::BASE
};

const DUMP: Command = Command {
    name: "dump",
    arity: 2,
    flags: flags("readonly"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output"],
    since: "2.6.0",
    complexity: "O(N)",
    usage: "key",
    summary: "Serializes the value of a key, for RESTORE.",
    run: dump,
    ..Command::BASE
};

fn dump(call: &mut Call<'_>) -> Result<(), Error> {
    match call.txn.read(call.args.at(1)) {
        Some(entry) => call.reply.bulk(&payload::dump(entry.value())),
        None => call.reply.null(),
    }
    Ok(())
}

fn deserialize<'p>(engine: &Engine, payload: &'p [u8]) -> Result<Restored<'p>, Error> {
    let parsed = if engine.ignores_checksums.load(Ordering::Relaxed) {
        Restored::parse_unchecked(payload)
    } else {
        Restored::parse(payload)
    };
    parsed.map_err(|error| match error {
        PayloadError::Footer => Error::err("DUMP payload version or checksum are wrong"),
        _ => Error::err("Bad data format"),
    })
}

const RESTORE: Command = Command {
    name: "restore",
    arity: -4,
    flags: flags("write denyoom"),
    categories: categories("keyspace dangerous"),
    keys: &[KeySpec::at(1, "OW update")],
    since: "2.6.0",
    complexity: "O(N)",
    usage: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    summary: "Creates a key from what DUMP gave.",
    run: restore,
    ..Command::BASE
};

const RESTORE_ASKING: Command = Command {
    name: "restore-asking",
    flags: flags("write denyoom asking"),
    since: "3.0.0",
    summary: "Does what RESTORE does; for clusters that move keys.",
    ..RESTORE
};

fn restore(call: &mut Call<'_>) -> Result<(), Error> {
    let options = RestoreOptions::parse(call.args)?;
    let key = call.args.at(1);
    if !options.replace && call.txn.holds(key) {
        return Err(Error::BusyKey);
    }
    let ttl = call.args.integer(2)?;
    if ttl < 0 {
        return Err(Error::err("Invalid TTL value, must be >= 0"));
    }
    let mut value = deserialize(call.engine, call.args.at(3))?;
    let now_ms = call.now_ms();
    let deadline_ms = match (ttl, options.absolute) {
        (0, _) => None,
        (ttl, true) => Some(ttl),
        (ttl, false) => Some(ttl.saturating_add(now_ms)),
    };
    if deadline_ms.is_some_and(|deadline_ms| call.txn.is_over(deadline_ms)) {
        if remove(&mut call.txn, key) {
            call.tell([&b"DEL"[..], key].into_iter());
        }
    } else {
        let content = restoring::content(call.engine, &mut value);
        call.txn.put(key, content.ok_or(Error::err("Bad data format"))?, deadline_ms);
        let counts_uses = counts_uses(call);
        call.txn.set_usage(key, options.usage(now_ms, counts_uses));
        call.txn.event(EventClass::GENERIC, "restore", key);
        if let Some(deadline_ms) = deadline_ms.filter(|_| !options.absolute) {
            tell_restored(call, deadline_ms);
        }
    }
    call.reply.ok();
    Ok(())
}

/// Tells of a value that was restored when it expires, rather than after which time.
fn tell_restored(call: &mut Call<'_>, deadline_ms: i64) {
    let mut room = [0; LONGEST_INTEGER];
    let deadline_ms = format_integer(deadline_ms, &mut room);
    let mut words: Vec<&[u8]> = call.args.iter().collect();
    words[2] = deadline_ms;
    words.push(b"ABSTTL");
    call.tell(words.into_iter());
}

#[derive(Default)]
struct RestoreOptions {
    replace: bool,
    absolute: bool,
    idle_s: Option<i64>,
    frequency: Option<u8>,
}

impl RestoreOptions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut parsed = RestoreOptions::default();
        let mut options = args.options(4);
        while let Some(word) = options.word() {
            match &*word {
                b"REPLACE" => parsed.replace = true,
                b"ABSTTL" => parsed.absolute = true,
                b"IDLETIME" if options.remaining() > 0 && parsed.frequency.is_none() => {
                    let idle_s = parse_integer(options.value()?).ok_or(Error::NotInteger)?;
                    if idle_s < 0 {
                        return Err(Error::err("Invalid IDLETIME value, must be >= 0"));
                    }
                    parsed.idle_s = Some(idle_s);
                }
                b"FREQ" if options.remaining() > 0 && parsed.idle_s.is_none() => {
                    let frequency = u8::try_from(options.integer()?);
                    let text = "Invalid FREQ value, must be >= 0 and <= 255";
                    parsed.frequency = Some(frequency.map_err(|_| Error::err(text))?);
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(parsed)
    }

    /// How the key was used: what is asked for, if that is what the policy keeps account of.
    fn usage(&self, now_ms: i64, counts_uses: bool) -> Usage {
        let (present_s, fresh) = (now_ms / 1000, Usage::fresh(now_ms));
        match (self.idle_s, self.frequency) {
            (Some(idle_s), _) if !counts_uses => {
                Usage::new(present_s.saturating_sub(idle_s), fresh.frequency())
            }
            (_, Some(frequency)) if counts_uses => Usage::new(present_s, frequency),
            _ => fresh,
        }
    }
}

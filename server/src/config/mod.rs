//! The server's parameters: one table, and the live values of one server.
//!
//! Reading a number is one relaxed load. Texts that were never changed are not stored. Writers go one after the other
//! and change either everything they were asked for or nothing. What a value causes is not known here: the code that
//! reads it decides, or watches it with [`Config::on_change`].

mod events;
mod file;
mod limits;
pub(crate) mod quoting;
mod rewrite;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::error::Error;
use crate::value::glob;
pub(crate) use events::EventClass;
use limits::OutputLimits;
pub(crate) use limits::{ClientClass, OutputLimit};
use row::{Change, Default as RowDefault, Kind, Support};
pub(crate) use table::Param;
use value::Value;

/// The parameters of one server. A clone is another handle to the same values.
#[derive(Clone)]
pub struct Config {
    live: Arc<Live>,
}

struct Live {
    numbers: [AtomicI64; Param::ALL.len()],
    /// Texts that differ from the table's.
    texts: RwLock<BTreeMap<Param, Arc<str>>>,
    limits: [[AtomicI64; 3]; 3],
    /// Held by whoever changes values.
    changing: Mutex<Changing>,
    watchers: RwLock<Vec<Watcher>>,
    judges: RwLock<Vec<Judge>>,
}

type Watcher = Arc<dyn Fn(&str) + Send + Sync>;
type Judge = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

#[derive(Default)]
struct Changing {
    /// Defaults that the owner of this server put in place of the table's.
    defaults: BTreeMap<Param, Value>,
    /// The file that `CONFIG REWRITE` writes.
    file: Option<PathBuf>,
}

/// What is wrong with a parameter or a file, as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    sentence: String,
}

/// A parameter as help and documentation describe it.
pub struct Parameter {
    pub name: &'static str,
    pub group: &'static str,
    pub help: &'static str,
    /// Its present value; empty for a directory that nobody has chosen.
    pub value: String,
    /// What redlet does not do about it, or does regardless of it.
    pub remark: Option<String>,
}

impl Config {
    /// The defaults of a server inside another program: no port chosen, loopback only, nothing on disk.
    pub fn new() -> Self {
        let config = Config {
            live: Arc::new(Live {
                numbers: std::array::from_fn(|_| AtomicI64::new(0)),
                texts: RwLock::default(),
                limits: Default::default(),
                changing: Mutex::default(),
                watchers: RwLock::default(),
                judges: RwLock::default(),
            }),
        };
        for &param in Param::ALL {
            config.store(param, table_default(param));
        }
        config
    }

    /// Every parameter there is, in the order of the table.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        Param::ALL.iter().map(|&param| {
            let row = param.row();
            let value = match row.kind {
                Kind::Directory => self.text(param).to_string(),
                _ => self.printed(param),
            };
            let (name, group, help) = (row.name, row.group.heading(), row.help);
            Parameter { name, group, help, value, remark: remark(row) }
        })
    }

    /// A value in the form that `CONFIG GET` prints.
    pub fn value(&self, name: &str) -> Option<String> {
        Some(self.printed(Param::named(name)?))
    }

    /// A whole number, a size in bytes, or a choice as its place among the words of the table.
    pub(crate) fn number(&self, param: Param) -> i64 {
        self.live.numbers[param as usize].load(Relaxed)
    }

    pub(crate) fn enabled(&self, param: Param) -> bool {
        self.number(param) != 0
    }

    /// A text, or any other value in the form that `CONFIG GET` prints.
    pub(crate) fn text(&self, param: Param) -> Arc<str> {
        match self.load_value(param) {
            Value::Text(text) => text,
            value => value::print(param.row().kind, &value).into(),
        }
    }

    pub(crate) fn output_limit(&self, class: ClientClass) -> OutputLimit {
        let [hard, soft, soft_seconds] = &self.live.limits[class as usize];
        OutputLimit {
            hard: hard.load(Relaxed),
            soft: soft.load(Relaxed),
            soft_seconds: soft_seconds.load(Relaxed),
        }
    }

    /// Whether a gate such as `enable-debug-command` is open to a client; `local` says that it is on this machine.
    pub(crate) fn admits(&self, gate: Param, local: bool) -> bool {
        match self.number(gate) {
            0 => false,
            1 => true,
            _ => local,
        }
    }

    /// How long a string may be: what was chosen, but no longer than can be dealt with.
    pub(crate) fn longest_string(&self) -> i64 {
        self.number(Param::ProtoMaxBulkLen).min(i64::from(u32::MAX))
    }

    /// Whether `maxmemory` sets a limit.
    pub(crate) fn is_memory_limited(&self) -> bool {
        self.number(Param::MaxMemory) != 0
    }

    /// How many bytes may be taken; 0 for no limit.
    pub(crate) fn most_memory(&self) -> u64 {
        self.number(Param::MaxMemory).cast_unsigned()
    }

    /// Whether how often a key is used counts, rather than when it was used last.
    pub(crate) fn counts_uses(&self) -> bool {
        table::POLICIES[self.number(Param::MaxMemoryPolicy) as usize].ends_with("lfu")
    }

    /// The classes of keyspace events that are published.
    pub(crate) fn events(&self) -> EventClass {
        EventClass::from_bits_retain(self.number(Param::NotifyKeyspaceEvents) as u16)
    }

    /// The file that the values came from, if there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.changing().file.clone()
    }

    /// Calls `watcher` with the name of each parameter that `CONFIG SET` changes from now on.
    pub fn on_change(&self, watcher: impl Fn(&str) + Send + Sync + 'static) {
        let mut watchers = self.live.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.push(Arc::new(watcher));
    }

    /// Asks `judge` about each parameter that `CONFIG SET` has just changed; an error takes all of its changes back and
    /// is what the client is told.
    pub(crate) fn on_proposal(
        &self,
        judge: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut judges = self.live.judges.write().unwrap_or_else(PoisonError::into_inner);
        judges.push(Arc::new(judge));
    }

    /// Whether nobody has said anything else than what holds without.
    pub(crate) fn is_default(&self, param: Param) -> bool {
        let default = self.changing().defaults.get(&param).cloned();
        self.load_value(param) == default.unwrap_or_else(|| table_default(param))
    }

    /// Sets a parameter before the server starts, as a command line or a builder does; `include` reads a file.
    pub fn set_at_start(&self, name: &str, values: &[&str]) -> Result<(), ConfigError> {
        self.obey(name, values, 0).map_err(|advice| {
            let mut line = name.to_owned();
            for value in values {
                line.push(' ');
                line.push_str(&quoting::quote_if_needed(value));
            }
            ConfigError::new(format!("'{line}': {advice}"))
        })
    }

    /// Sets what a parameter is unless somebody says otherwise; `CONFIG REWRITE` leaves it out of the file.
    pub fn set_default(&self, name: &str, values: &[&str]) -> Result<(), ConfigError> {
        self.set_at_start(name, values)?;
        if let Some(param) = Param::named(name) {
            let value = self.load_value(param);
            self.changing().defaults.insert(param, value);
        }
        Ok(())
    }

    /// `CONFIG GET`: parameters that match any of the patterns, by name. A name in full is shown as it was written.
    pub(crate) fn get<'a>(
        &self,
        patterns: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<(String, String)> {
        let mut found = BTreeMap::new();
        for pattern in patterns {
            for (name, shown, param) in matching(pattern) {
                found.entry(name).or_insert_with(|| (shown.into_owned(), self.printed(param)));
            }
        }
        found.into_values().collect()
    }

    /// `CONFIG SET`: all of the pairs or none. `local` says that the client is on this machine.
    pub(crate) fn set(&self, pairs: &[(&[u8], &[u8])], local: bool) -> Result<(), Error> {
        let changing = self.changing();
        let params = self.choose(pairs, local)?;
        let mut changes: BTreeMap<Param, Value> = BTreeMap::new();
        for (&param, &(name, value)) in params.iter().zip(pairs) {
            let present = changes.get(&param).cloned().unwrap_or_else(|| self.load_value(param));
            let new = read_while_running(param, value, &present)
                .map_err(|reason| failed(name, &reason))?;
            changes.insert(param, new);
        }
        changes.retain(|&param, new| *new != self.load_value(param));
        let before: Vec<(Param, Value)> =
            changes.keys().map(|&param| (param, self.load_value(param))).collect();
        for (&param, new) in &changes {
            self.store(param, new.clone());
        }
        drop(changing);
        if let Err((param, reason)) = self.judge(changes.keys()) {
            let _changing = self.changing();
            for (param, value) in before {
                self.store(param, value);
            }
            return Err(failed(param.row().name.as_bytes(), &reason));
        }
        self.announce(changes.keys());
        Ok(())
    }

    /// Whether everybody concerned agrees to changes that have been made.
    fn judge<'a>(&self, changed: impl Iterator<Item = &'a Param>) -> Result<(), (Param, String)> {
        let judges = self.live.judges.read().unwrap_or_else(PoisonError::into_inner).clone();
        for &param in changed {
            for judge in &judges {
                judge(param.row().name).map_err(|reason| (param, reason))?;
            }
        }
        Ok(())
    }

    /// The parameters that the pairs name, if all of them may be set now.
    fn choose(&self, pairs: &[(&[u8], &[u8])], local: bool) -> Result<Vec<Param>, Error> {
        let mut params = Vec::with_capacity(pairs.len());
        for (index, &(name, _)) in pairs.iter().enumerate() {
            let shown = String::from_utf8_lossy(name);
            let Some(param) = Param::named(&shown) else {
                return Err(Error::format(format_args!(
                    "Unknown option or number of arguments for CONFIG SET - '{shown}'"
                )));
            };
            match param.row().change {
                Change::Never => return Err(failed(name, "can't set immutable config")),
                Change::Protected if !self.admits(Param::EnableProtectedConfigs, local) => {
                    return Err(failed(name, "can't set protected config"));
                }
                _ => {}
            }
            // An alias beside its name is no duplicate to Redis either.
            if pairs[..index].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(failed(name, "duplicate parameter"));
            }
            params.push(param);
        }
        Ok(params)
    }

    fn announce<'a>(&self, changed: impl Iterator<Item = &'a Param>) {
        let watchers = self.live.watchers.read().unwrap_or_else(PoisonError::into_inner).clone();
        for param in changed {
            for watcher in &watchers {
                watcher(param.row().name);
            }
        }
    }

    /// Sets a parameter before the server starts; what is wrong comes back as advice for people.
    fn assign(&self, name: &str, words: &[&str]) -> Result<(), String> {
        let param = Param::named(name).ok_or_else(|| advice_on_unknown(name))?;
        let row = param.row();
        let changing = self.changing();
        let present = self.load_value(param);
        let new = value::parse(row, words, &present)
            .map_err(|_| format!("{} takes {}", row.name, value::expectation(row.kind)))?;
        let default = changing.defaults.get(&param).cloned();
        let default = default.unwrap_or_else(|| table_default(param));
        let new = match row.kind {
            Kind::SavePoints if present != default => join(&present, new),
            _ => new,
        };
        check_support(param, &new)?;
        self.store(param, new);
        Ok(())
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.live.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn printed(&self, param: Param) -> String {
        value::print(param.row().kind, &self.load_value(param))
    }

    fn load_value(&self, param: Param) -> Value {
        match (param.row().kind, &param.row().default) {
            (Kind::OutputLimits, _) => Value::Limits(self.load_limits()),
            (_, RowDefault::Number(_)) => Value::Number(self.number(param)),
            (_, RowDefault::Text(default)) => {
                let texts = self.live.texts.read().unwrap_or_else(PoisonError::into_inner);
                Value::Text(texts.get(&param).map_or_else(|| Arc::from(*default), Arc::clone))
            }
        }
    }

    fn load_limits(&self) -> OutputLimits {
        [ClientClass::Normal, ClientClass::Replica, ClientClass::Pubsub]
            .map(|class| self.output_limit(class))
    }

    fn store(&self, param: Param, value: Value) {
        match value {
            Value::Number(number) => self.live.numbers[param as usize].store(number, Relaxed),
            Value::Limits(limits) => {
                for (cells, limit) in self.live.limits.iter().zip(limits) {
                    cells[0].store(limit.hard, Relaxed);
                    cells[1].store(limit.soft, Relaxed);
                    cells[2].store(limit.soft_seconds, Relaxed);
                }
            }
            Value::Text(text) => {
                let mut texts = self.live.texts.write().unwrap_or_else(PoisonError::into_inner);
                if matches!(param.row().default, RowDefault::Text(default) if default == &*text) {
                    texts.remove(&param);
                } else {
                    texts.insert(param, text);
                }
            }
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password has no place in a program's debug output.
        let shown = Param::ALL.iter().filter(|&&param| param != Param::RequirePass);
        f.debug_map().entries(shown.map(|&param| (param.row().name, self.printed(param)))).finish()
    }
}

impl ConfigError {
    pub(crate) fn new(sentence: String) -> Self {
        ConfigError { sentence }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for ConfigError {}

fn table_default(param: Param) -> Value {
    let row = param.row();
    match (row.kind, &row.default) {
        (Kind::OutputLimits, RowDefault::Text(text)) => {
            let nothing = Value::Limits(OutputLimits::default());
            value::parse(row, &[text], &nothing).expect("the table's own limits are valid")
        }
        (_, RowDefault::Text(text)) => Value::Text(Arc::from(*text)),
        (_, RowDefault::Number(number)) => Value::Number(*number),
    }
}

/// The parameters that a pattern of `CONFIG GET` names: key to sort by, name to show, parameter.
fn matching(pattern: &[u8]) -> Vec<(&'static str, Cow<'static, str>, Param)> {
    let literal = !pattern.iter().any(|byte| b"[*?".contains(byte));
    let mut found = Vec::new();
    for &param in Param::ALL {
        let row = param.row();
        for name in std::iter::once(row.name).chain(row.alias) {
            if literal && name.as_bytes().eq_ignore_ascii_case(pattern) {
                let shown = String::from_utf8_lossy(pattern).into_owned();
                found.push((name, Cow::Owned(shown), param));
            } else if !literal && glob::matches_ignore_case(pattern, name.as_bytes()) {
                found.push((name, Cow::Borrowed(name), param));
            }
        }
    }
    found
}

fn failed(name: &[u8], reason: &str) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::format(format_args!(
        "CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    ))
}

/// Reads a value that a client sent; the error is the reason that follows Redis's preamble.
fn read_while_running(param: Param, bytes: &[u8], present: &Value) -> Result<Value, String> {
    let row = param.row();
    let is_text = matches!(row.kind, Kind::Text | Kind::Directory);
    let word = match std::str::from_utf8(bytes) {
        Ok(word) => Cow::Borrowed(word),
        Err(_) if is_text => return Err("argument must be UTF-8 text".into()),
        Err(_) => String::from_utf8_lossy(bytes),
    };
    if matches!(param, Param::DbFilename) && word.contains('/') {
        return Err("dbfilename can't be a path, just a filename".into());
    }
    let new = value::parse(row, &[&word], present).map_err(Cow::into_owned)?;
    if row.change == Change::NotYet && new != *present {
        let name = row.name;
        return Err(format!(
            "redlet reads {name} only when it starts; start it with --{name} {word}"
        ));
    }
    check_support(param, &new)?;
    Ok(new)
}

/// Refuses what redlet cannot do yet, with a sentence that names what it can.
fn check_support(param: Param, value: &Value) -> Result<(), String> {
    let row = param.row();
    let Support::Only { values, because } = row.support else { return Ok(()) };
    let printed = value::print(row.kind, value);
    if values.contains(&printed.as_str()) {
        return Ok(());
    }
    let (name, asked) = (row.name, quoting::quote_if_needed(&printed));
    let supported = quoting::quote_if_needed(values[0]);
    Err(format!("{name} {asked} is not supported yet: {because}; use '{name} {supported}'"))
}

fn remark(row: &row::Row) -> Option<String> {
    match row.support {
        Support::Implemented => None,
        Support::NoDifference(because) => Some(format!("no effect: {because}")),
        Support::Only { values, because } => {
            Some(format!("only {}: {because}", quoting::quote_if_needed(values[0])))
        }
    }
}

/// A further `save` line adds to those before it, and an empty one takes them back.
fn join(present: &Value, new: Value) -> Value {
    match (present, &new) {
        (Value::Text(before), Value::Text(after)) if !before.is_empty() && !after.is_empty() => {
            Value::Text(format!("{before} {after}").into())
        }
        _ => new,
    }
}

/// What redlet leaves out on purpose, by how its parameters begin.
const LEFT_OUT: &[(&str, &str)] = &[
    ("hash-", "hashes"),
    ("zset-", "sorted sets"),
    ("hll-", "HyperLogLogs"),
    ("cluster-", "clusters"),
    ("repl", "replication"),
    ("slave", "replication"),
    ("min-replicas-", "replication"),
    ("min-slaves-", "replication"),
    ("master", "replication"),
    ("tls-", "TLS"),
    ("sentinel", "Sentinel mode"),
    ("loadmodule", "modules"),
    ("rename-command", "renamed commands"),
    ("user", "users besides the default one"),
];

fn advice_on_unknown(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if let Some((_, feature)) = LEFT_OUT.iter().find(|(start, _)| lower.starts_with(start)) {
        return format!("redlet has no {feature}, so leave this out");
    }
    if let Some((before, after)) = name.split_once('=') {
        return format!("a parameter's value is an argument of its own; write '{before} {after}'");
    }
    let nearest = Param::ALL.iter().map(|param| param.row().name);
    let nearest = nearest.min_by_key(|known| distance(known, &lower)).unwrap_or_default();
    if distance(nearest, &lower) <= 2 {
        return format!("there is no such parameter; did you mean '{nearest}'?");
    }
    "there is no such parameter; 'redlet --help' lists them all".into()
}

/// How many letters have to be added, taken away or replaced to get from one name to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (place, right) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

//! Asks redlet and redis 8.0 what they say about every command that redlet has, and where the keys of its calls are.
//!
//! Commands that redlet lacks are not missed here, nor is the free text of a key specification's `notes` compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::ExitCode,
};

use client_tests::{
    reply::{Protocol, Reply},
    target::{Running, Target},
    text::{escape, split_words},
    wire::{Wire, encode},
};

/// Typical calls, several where the options decide on the keys. Other commands are called with as many words as they need.
const CALLS: &str = "
    bitfield k GET u8 0
    bitfield k SET u8 0 1
    blmpop 0 2 k1 k2 LEFT
    bzmpop 0 2 k1 k2 MIN
    eval script 0 argument
    eval script 2 k1 k2 argument
    eval_ro script 2 k1 k2 argument
    evalsha digest 2 k1 k2 argument
    evalsha_ro digest 2 k1 k2 argument
    fcall function 2 k1 k2 argument
    fcall_ro function 2 k1 k2 argument
    georadius k 1 2 3 km
    georadius k 1 2 3 km STORE to
    georadiusbymember k member 3 km STOREDIST to
    lmpop 2 k1 k2 LEFT
    migrate host 6379 k 0 1000
    migrate host 6379 \"\" 0 1000 COPY KEYS k1 k2
    set k v
    set k v EX 10 GET
    sintercard 2 k1 k2 LIMIT 1
    sort k
    sort k BY weight_* GET # STORE to
    sort_ro k BY weight_* GET value_*
    xread COUNT 1 STREAMS k1 k2 0 0
    xreadgroup GROUP group consumer COUNT 1 STREAMS k1 k2 > >
    zdiff 2 k1 k2
    zdiffstore to 2 k1 k2
    zinter 2 k1 k2 WITHSCORES
    zintercard 2 k1 k2 LIMIT 1
    zinterstore to 2 k1 k2 WEIGHTS 1 2
    zmpop 2 k1 k2 MIN
    zunion 2 k1 k2 WITHSCORES
    zunionstore to 2 k1 k2 WEIGHTS 1 2
";

const NAME: usize = 0;
const ARITY: usize = 1;
const FLAGS: usize = 2;
const LAST_KEY: usize = 4;
const KEY_STEP: usize = 5;
const KEY_SPECIFICATIONS: usize = 8;
const SUBCOMMANDS: usize = 9;

/// What COMMAND INFO says about one command, in its order.
const FIELDS: [(&str, Content); 10] = [
    ("name", Content::Single),
    ("arity", Content::Single),
    ("flags", Content::Unordered),
    ("first key", Content::Single),
    ("last key", Content::Single),
    ("key step", Content::Single),
    ("ACL categories", Content::Unordered),
    ("tips", Content::Unordered),
    ("key specifications", Content::KeySpecifications),
    ("subcommands", Content::Subcommands),
];

/// What redlet has and Redis has not: SCRIPT SHOW is Valkey's.
const BEYOND_REDIS: &[&str] = &["script|show"];

#[derive(Clone, Copy)]
enum Content {
    Single,
    Unordered,
    KeySpecifications,
    Subcommands,
}

/// What COMMAND INFO answered about one command.
type Entry = Vec<Reply>;
/// Commands by name, and subcommands by their full names such as `client|id`.
type Entries = BTreeMap<String, Entry>;

fn main() -> ExitCode {
    client_tests::conclude(run())
}

fn run() -> Result<bool, String> {
    let (redlet, redis) = match (Target::find("redlet-tcp"), Target::find("redis-8.0")) {
        (Ok(redlet), Ok(redis)) => (redlet, redis),
        (Err(why), _) | (_, Err(why)) => return Ok(skipped(&why)),
    };
    let runtime = client_tests::runtime()?;
    runtime.block_on(async {
        let redlet = redlet.start(&[]).await?;
        let redis = redis.start(&[]).await?;
        println!("{} against {}", redlet.identify().await?, redis.identify().await?);
        let mut report = Report::default();
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            Comparison::start(&redlet, &redis, protocol).await?.run(&mut report).await?;
        }
        Ok(report.conclude())
    })
}

fn skipped(why: &str) -> bool {
    println!("!! SKIPPED the comparison of the command table: {why}\n0 passed, 0 failed");
    !env::var("CONFORMANCE_REQUIRE").is_ok_and(|value| value == "all")
}

/// What was compared, and every difference under its command and what it is about.
#[derive(Default)]
struct Report {
    passed: usize,
    failed: usize,
    differences: BTreeMap<(String, String), Difference>,
}

struct Difference {
    ours: String,
    theirs: String,
    protocols: BTreeSet<String>,
}

impl Report {
    fn compare(
        &mut self,
        protocol: Protocol,
        name: &str,
        about: &str,
        ours: String,
        theirs: String,
    ) {
        if ours == theirs {
            self.passed += 1;
            return;
        }
        self.failed += 1;
        let key = (name.to_owned(), about.to_owned());
        let difference = self.differences.entry(key).or_insert_with(|| Difference {
            ours,
            theirs,
            protocols: BTreeSet::new(),
        });
        difference.protocols.insert(protocol.to_string());
    }

    fn conclude(&self) -> bool {
        for ((name, about), difference) in &self.differences {
            let protocols: Vec<&str> = difference.protocols.iter().map(String::as_str).collect();
            println!("FAILED {name}: {about} ({})", protocols.join(" and "));
            println!("  redlet     {}", difference.ours);
            println!("  redis 8.0  {}", difference.theirs);
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

/// Both servers in one protocol.
struct Comparison {
    ours: Wire,
    theirs: Wire,
    protocol: Protocol,
}

impl Comparison {
    async fn start(redlet: &Running, redis: &Running, protocol: Protocol) -> Result<Self, String> {
        let (ours, theirs) = (redlet.wire(protocol).await?, redis.wire(protocol).await?);
        Ok(Self { ours, theirs, protocol })
    }

    async fn run(mut self, report: &mut Report) -> Result<(), String> {
        let names = command_names(&mut self.ours).await?;
        if names.is_empty() {
            return Err("redlet lists no commands".to_owned());
        }
        let entries = self.compare_entries(&names, report).await?;
        let subcommands: Vec<String> =
            entries.keys().filter(|name| name.contains('|')).cloned().collect();
        if !subcommands.is_empty() {
            // They came inside their containers already; here they are asked for by their full names.
            self.compare_entries(&subcommands, report).await?;
        }
        for (name, entry) in &entries {
            self.compare_keys(name, entry, report).await?;
        }
        Ok(())
    }

    /// Compares what both say about these commands and the subcommands inside, and returns what redlet says.
    async fn compare_entries(
        &mut self,
        names: &[String],
        report: &mut Report,
    ) -> Result<Entries, String> {
        let ours = entries_of(&mut self.ours, names).await?;
        let theirs = entries_of(&mut self.theirs, names).await?;
        for name in names.iter().filter(|name| !ours.contains_key(*name)) {
            let (listed, wanted) = ("listed, but not by COMMAND INFO", "not asked");
            report.compare(self.protocol, name, "existence", listed.into(), wanted.into());
        }
        let is_common = |name: &str| !BEYOND_REDIS.contains(&name);
        let ours: Entries = ours.into_iter().filter(|(name, _)| is_common(name)).collect();
        for (name, our_entry) in &ours {
            let Some(their_entry) = theirs.get(name) else {
                let (here, there) = ("exists", "does not exist");
                report.compare(self.protocol, name, "existence", here.into(), there.into());
                continue;
            };
            let lengths = [our_entry, their_entry].map(|entry| entry.len().to_string());
            let [our_length, their_length] = lengths;
            report.compare(self.protocol, name, "number of fields", our_length, their_length);
            for (index, (about, content)) in FIELDS.iter().enumerate() {
                let here = field(our_entry, index, *content, &ours);
                let there = field(their_entry, index, *content, &ours);
                report.compare(self.protocol, name, about, here, there);
            }
        }
        Ok(ours)
    }

    async fn compare_keys(
        &mut self,
        name: &str,
        entry: &Entry,
        report: &mut Report,
    ) -> Result<(), String> {
        if items(entry.get(KEY_SPECIFICATIONS)).is_empty() {
            return Ok(());
        }
        let calls = typical_calls(name, entry);
        if calls.is_empty() {
            let (none, wanted) = ("none in CALLS", "its keys move, so one has to be written there");
            report.compare(self.protocol, name, "typical call", none.into(), wanted.into());
        }
        for call in calls {
            for subcommand in ["GETKEYS", "GETKEYSANDFLAGS"] {
                let line = format!("COMMAND {subcommand} {call}");
                let ours = keys_and_flags(&ask(&mut self.ours, &line).await?);
                let theirs = keys_and_flags(&ask(&mut self.theirs, &line).await?);
                report.compare(self.protocol, name, &line, ours.to_string(), theirs.to_string());
            }
        }
        Ok(())
    }
}

async fn ask(wire: &mut Wire, line: &str) -> Result<Reply, String> {
    let bytes = encode(&split_words(line)?);
    wire.send(&bytes).await.map_err(|error| format!("{line}: {error}"))?;
    wire.reply().await.map_err(|none| format!("{line}: {none}"))
}

async fn command_names(wire: &mut Wire) -> Result<Vec<String>, String> {
    let list = ask(wire, "COMMAND LIST").await?;
    let names = list.elements().ok_or_else(|| format!("COMMAND LIST was answered with {list}"))?;
    Ok(names.into_iter().map(text).collect())
}

/// What the server says about these commands and about the subcommands inside them.
async fn entries_of(wire: &mut Wire, names: &[String]) -> Result<Entries, String> {
    let reply = ask(wire, &format!("COMMAND INFO {}", names.join(" "))).await?;
    let Some(answers) = reply.elements() else {
        return Err(format!("COMMAND INFO was answered with {reply}"));
    };
    let mut entries = Entries::new();
    for answer in answers {
        add_entry(answer, &mut entries);
    }
    Ok(entries)
}

fn add_entry(answer: &Reply, entries: &mut Entries) {
    let entry = items(Some(answer));
    let Some(name) = entry.get(NAME) else {
        return;
    };
    for subcommand in items(entry.get(SUBCOMMANDS)) {
        add_entry(&subcommand, entries);
    }
    entries.insert(text(name), entry);
}

/// One field in a form in which two servers that mean the same write the same; it shows the reply's types, too.
fn field(entry: &Entry, index: usize, content: Content, ours: &Entries) -> String {
    let Some(reply) = entry.get(index) else {
        return "nothing".to_owned();
    };
    match content {
        Content::Single => reply.clone(),
        Content::Unordered => sorted(reply),
        Content::KeySpecifications => each(reply, key_specification),
        Content::Subcommands => {
            let names = items(Some(reply)).into_iter().filter_map(|subcommand| {
                let name = items(Some(&subcommand)).into_iter().next()?;
                ours.contains_key(&text(&name)).then_some(name)
            });
            sorted(&with_items(reply, names.collect()))
        }
    }
    .to_string()
}

/// A key specification without its notes, which are words for people.
fn key_specification(specification: Reply) -> Reply {
    let kept = |(key, value): (Reply, Reply)| match text(&key).as_str() {
        "notes" => None,
        "flags" => Some((key, sorted(&value))),
        _ => Some((key, value)),
    };
    match specification {
        Reply::Map(pairs) => Reply::Map(pairs.into_iter().filter_map(kept).collect()),
        Reply::Array(flat) => {
            let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
            let kept = pairs.filter_map(kept);
            Reply::Array(kept.flat_map(|(key, value)| [key, value]).collect())
        }
        other => other,
    }
}

/// The calls whose keys are compared; none where they cannot be guessed.
fn typical_calls(name: &str, entry: &Entry) -> Vec<String> {
    let start = format!("{} ", name.replace('|', " "));
    let known = CALLS.lines().map(str::trim).filter(|line| line.starts_with(&start));
    let known: Vec<String> = known.map(str::to_owned).collect();
    let movable = items(entry.get(FLAGS)).iter().any(|flag| text(flag) == "movablekeys");
    if known.is_empty() && !movable {
        return vec![padded_call(start.trim(), entry)];
    }
    known
}

/// As few words as the command takes, and two keys more where it takes any number of them.
fn padded_call(spoken: &str, entry: &Entry) -> String {
    let number = |index: usize| match entry.get(index) {
        Some(Reply::Integer(number)) => *number,
        _ => 0,
    };
    let mut words = number(ARITY).unsigned_abs();
    if number(LAST_KEY) < 0 {
        words += 2 * number(KEY_STEP).unsigned_abs();
    }
    let mut call: Vec<String> = spoken.split(' ').map(str::to_owned).collect();
    for place in call.len() as u64..words {
        call.push(format!("word{place}"));
    }
    call.join(" ")
}

/// Keys as they came; the flags beside a key sorted.
fn keys_and_flags(reply: &Reply) -> Reply {
    each(reply, |item| match item {
        Reply::Array(mut pair) => {
            if let Some(flags) = pair.pop() {
                pair.push(sorted(&flags));
            }
            Reply::Array(pair)
        }
        key => key,
    })
}

fn sorted(reply: &Reply) -> Reply {
    let mut found = items(Some(reply));
    found.sort_by_key(Reply::to_string);
    with_items(reply, found)
}

fn each(reply: &Reply, change: impl FnMut(Reply) -> Reply) -> Reply {
    let changed = items(Some(reply)).into_iter().map(change).collect();
    with_items(reply, changed)
}

/// The items of an array or set; none of anything else.
fn items(reply: Option<&Reply>) -> Vec<Reply> {
    match reply {
        Some(Reply::Array(items) | Reply::Set(items)) => items.clone(),
        _ => Vec::new(),
    }
}

/// A collection of the same type with other items; what is no collection stays as it is.
fn with_items(reply: &Reply, items: Vec<Reply>) -> Reply {
    match reply {
        Reply::Array(_) => Reply::Array(items),
        Reply::Set(_) => Reply::Set(items),
        other => other.clone(),
    }
}

fn text(reply: &Reply) -> String {
    reply.text().map_or_else(|| reply.to_string(), |bytes| escape(&bytes))
}

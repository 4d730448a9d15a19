//! Requests made from the table of commands: of each row's own notation, with values that make
//! sense or nearly do.

use std::sync::OnceLock;

use redlet::fuzzing::{self, Request};

use super::Choices;
use super::payload::seal;

/// What the table does not say: `DEBUG` keeps its subcommands to itself, and a payload's and a
/// parameter's arguments have to fit one another.
const MORE: &[(&str, &str)] = &[
    ("debug", "OBJECT key [FAST]"),
    ("debug", "DIGEST-VALUE key [key ...]"),
    ("debug", "<DIGEST | HELP | RELOAD>"),
    ("debug", "SET-ACTIVE-EXPIRE flag"),
    ("debug", "POPULATE size [POPULATED [size]]"),
    ("debug", "PROTOCOL type"),
    ("debug", "<ERROR | LOG> text"),
    ("debug", "SLEEP increment"),
    ("config|set", "setting setting-value [setting setting-value ...]"),
    ("hello", "version"),
    ("hello", "version"),
    ("client|reply", "<ON | ON | OFF | SKIP>"),
];

const KEYS: &[&str] = &[
    "integer", "short", "12", "long", "expiring", "grown", "", "float", "list", "set", "stream",
    "a", "b", "c", "{tag}a", "\r\n\0",
];
/// Of entries of streams.
const IDS: &[&str] = &[
    "0",
    "5-1",
    "5-2",
    "5",
    "(5-1",
    "-",
    "+",
    "$",
    ">",
    "*",
    "5-*",
    "1700000000000-*",
    "18446744073709551615-18446744073709551615",
    "(18446744073709551615-18446744073709551615",
    "18446744073709551616-0",
];
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "-2",
    "3",
    "10",
    "100",
    "1000",
    "70000",
    "-0",
    "+1",
    "01",
    " 1",
    "",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9223372036854775",
    "9223372036854776",
    "1700000000",
    "1700000001",
    "1700000000001",
    "9223372036854774807",
    "9223372036854775807",
    "-9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "1.5",
    "abc",
];
const FLOATS: &[&str] = &[
    "0.1",
    "-0.1",
    "3.0e3",
    "1e17",
    "1e308",
    "1e4932",
    "-1e4932",
    "1e-4951",
    "inf",
    "-inf",
    "nan",
    "0x1p-3",
    "0x.8",
    "1e",
    ".5",
    "5.",
    "1234567890.12345678901234567890",
];
const TEXTS: &[&str] = &[
    "",
    "value",
    "a much longer text that does not fit in place of a short one",
    "\r\n",
    "\0",
    "é",
    "'quoted'",
    "text\nof two lines",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "-ERR no error",
    "*3",
];
const PATTERNS: &[&str] =
    &["*", "?", "a*", "[a-z]*", "[^e]*", "*[", "\\", "*\\", "**a**", "*expir*", "max*", "l?ng"];
const WORDS: &[&str] = &[
    "string",
    "integer",
    "double",
    "null",
    "array",
    "set",
    "map",
    "attrib",
    "push",
    "verbatim",
    "true",
    "false",
    "bignum",
    "list",
    "normal",
    "pubsub",
    "replica",
    "default",
    "keyspace",
    "all",
    "everything",
    "commandstats",
    "errorstats",
    "command",
    "get",
    "set",
    "client|kill",
    "config",
    "fast-command",
    "@all",
    "read",
    "memory:1",
    "memory:2",
];
const SETTINGS: &[&str] = &[
    "maxmemory",
    "maxmemory-policy",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "requirepass",
    "latency-monitor-threshold",
    "latency-tracking",
    "timeout",
    "hz",
    "maxclients",
    "save",
    "dir",
    "client-output-buffer-limit",
    "client-query-buffer-limit",
    "appendonly",
    "port",
    "loglevel",
    "notify-keyspace-events",
    "latency-tracking-info-percentiles",
    "lfu-decay-time",
    "bind",
];
const SETTING_VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "10",
    "yes",
    "no",
    "",
    "1mb",
    "1gb",
    "allkeys-lru",
    "allkeys-lfu",
    "secret",
    "normal 0 1 1",
    "replica 0 1 9223372036854775807",
    "60 1000",
    "KEA",
    "50 99.9",
    "debug",
    "9223372036854775807",
    "-9223372036854775808",
    "100%",
    "nonsense",
];

/// A command of the table, as a whole request.
pub fn request(choices: &mut impl Choices) -> Request {
    let (name, usage) = choices.pick(lines());
    let mut words: Request = name.split('|').map(|word| word.as_bytes().to_vec()).collect();
    write(choices, choices_of(usage).as_slice(), &mut words);
    // A count of keys to create must stay what it is.
    if *name != "debug" {
        disturb(choices, &mut words);
    }
    words
}

fn lines() -> &'static [(&'static str, &'static str)] {
    static LINES: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    LINES.get_or_init(|| {
        let commands = fuzzing::commands().filter(|(name, _)| *name != "debug");
        commands.chain(MORE.iter().copied()).collect()
    })
}

/// Makes the request slightly wrong now and then.
fn disturb(choices: &mut impl Choices, words: &mut Request) {
    if !choices.once_in(8) {
        return;
    }
    let at = choices.below(words.len());
    match choices.below(4) {
        0 if words.len() > 1 => drop(words.remove(at)),
        1 => words.insert(at, words[at].clone()),
        2 => words[at] = value(choices, "anything"),
        _ => words.push(value(choices, "anything")),
    }
}

enum Node {
    Word(&'static str),
    Group(Presence, Vec<Vec<Node>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

fn choices_of(usage: &'static str) -> Vec<Node> {
    let brackets = ['[', ']', '<', '>'];
    let mut tokens = usage.split_inclusive(brackets).flat_map(|piece| {
        let (text, bracket) = piece.split_at(piece.trim_end_matches(brackets).len());
        text.split_whitespace().chain((!bracket.is_empty()).then_some(bracket))
    });
    vec![Node::Group(Presence::Required, alternatives(&mut tokens))]
}

fn alternatives(tokens: &mut impl Iterator<Item = &'static str>) -> Vec<Vec<Node>> {
    let mut alternatives = vec![Vec::new()];
    while let Some(token) = tokens.next() {
        let node = match token {
            "]" | ">" => break,
            "|" => {
                alternatives.push(Vec::new());
                continue;
            }
            "[" => Node::Group(Presence::Optional, self::alternatives(tokens)),
            "<" => Node::Group(Presence::Required, self::alternatives(tokens)),
            word => Node::Word(word),
        };
        alternatives.last_mut().expect("there is always one").push(node);
    }
    alternatives
}

fn write(choices: &mut impl Choices, nodes: &[Node], words: &mut Request) {
    for node in nodes {
        match node {
            Node::Word("...") => {}
            Node::Word(word) if word.contains(|letter: char| letter.is_ascii_lowercase()) => {
                words.push(value(choices, word));
            }
            Node::Word(word) => words.push(word.as_bytes().to_vec()),
            Node::Group(presence, alternatives) => {
                let repeats =
                    alternatives.iter().flatten().any(|node| matches!(node, Node::Word("...")));
                let times = match presence {
                    Presence::Required => 1,
                    Presence::Optional => choices.below(if repeats { 4 } else { 2 }),
                };
                for _ in 0..times {
                    let alternative: &Vec<Node> = choices.pick(alternatives);
                    write(choices, alternative, words);
                }
            }
        }
    }
}

/// Something that a value of this name could be.
fn value(choices: &mut impl Choices, name: &str) -> Vec<u8> {
    let pools = [KEYS, INTEGERS, FLOATS, TEXTS, PATTERNS, WORDS, SETTINGS];
    let pool = match name {
        "key" | "key1" | "key2" | "newkey" | "source" | "destination" => KEYS,
        "size" => &["0", "1", "10"],
        "setting" => SETTINGS,
        "setting-value" => SETTING_VALUES,
        "flag" => &["0", "1"],
        "version" | "protover" => &["2", "3", "3", "4"],
        "index" | "index1" | "index2" | "db" | "destination-db" => &["0", "0", "1", "3", "4", "-1"],
        "serialized-value" => return payload(choices),
        _ if choices.once_in(8) => choices.pick(&pools),
        "pattern" => PATTERNS,
        "group" => &["group", "group", "12"],
        "consumer" => &["consumer", "consumer", "another"],
        "id" | "last-id" | "max-deleted-id" => IDS,
        "start" | "end" | "threshold" => choices.pick(&[INTEGERS, IDS]),
        "parameter" => choices.pick(&[SETTINGS, PATTERNS]),
        "increment" => choices.pick(&[INTEGERS, FLOATS]),
        "value" | "text" | "message" => choices.pick(&[TEXTS, INTEGERS, FLOATS]),
        "type" | "section" | "event" | "command" | "command-name" | "category" | "username"
        | "ip:port" => WORDS,
        "anything" => choices.pick(&pools),
        _ => INTEGERS,
    };
    choices.pick(pool).as_bytes().to_vec()
}

fn payload(choices: &mut impl Choices) -> Vec<u8> {
    let mut payload = fuzzing::dump_string(choices.pick(TEXTS).as_bytes());
    if choices.once_in(2) {
        payload.truncate(payload.len() - 10);
        let at = choices.below(payload.len());
        payload[at] = choices.below(256) as u8;
        payload = seal(&payload);
    }
    payload
}

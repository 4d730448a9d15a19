//! Makes commands from the grammar's lines, and spoils some of them.

use std::collections::HashMap;

use client_tests::{random::Random, text::split_words};

use crate::{grammar::LINES, pools::POOLS};

pub(crate) type Command = Vec<Vec<u8>>;

/// The grammar, ready to make commands.
pub(crate) struct Generator {
    /// A line as often as its weight says.
    lines: Vec<Vec<Part>>,
    pools: HashMap<&'static str, Vec<Vec<u8>>>,
}

/// A spoiled FLUSHALL SYNC may become SYNC, after which a connection is no client's any more.
fn starts_replication(command: &Command) -> bool {
    command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"sync"))
}

/// What SPOP leaves behind is only the same everywhere if it takes all or nothing.
fn leaves_to_chance(command: &Command) -> bool {
    let count = command.get(2).map(|count| std::str::from_utf8(count).unwrap_or_default().parse());
    command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"spop"))
        && matches!(count, None | Some(Ok(1..1000)))
}

/// Servers do not agree on what SORT takes for numbers, so what it stores must not depend on them.
fn stores_by_numbers(command: &Command) -> bool {
    let has = |word: &[u8]| command.iter().any(|other| other.eq_ignore_ascii_case(word));
    has(b"sort") && has(b"store") && !has(b"alpha") && !has(b"nosort")
}

/// Around the lengths at which encodings change, and around those of headers.
const LENGTHS: [usize; 11] = [1, 12, 19, 20, 21, 44, 45, 63, 64, 255, 1000];

/// A piece of a grammar's line.
enum Part {
    Literal(&'static str),
    Random(&'static str),
    /// One of several ways, or none.
    Option(Vec<Vec<Part>>),
    Repeat(Vec<Part>),
}

impl Generator {
    pub(crate) fn new() -> Self {
        let lines = LINES.iter().flat_map(|(weight, line)| (0..*weight).map(|_| parse(line)));
        let pools = POOLS
            .iter()
            .map(|(name, texts)| (*name, split_words(texts).expect("pools are quoted well")));
        Self { lines: lines.collect(), pools: pools.collect() }
    }

    pub(crate) fn commands(&self, random: &mut Random, count: usize) -> Vec<Command> {
        (0..count).map(|_| self.command(random)).collect()
    }

    fn command(&self, random: &mut Random) -> Command {
        let mut command = Command::new();
        let line = random.pick(&self.lines);
        self.expand(line, random, &mut command);
        if random.once_in(10) {
            self.spoil(&mut command, random);
        }
        avoid_overflow(&mut command);
        let is_unfit = starts_replication(&command)
            || leaves_to_chance(&command)
            || stores_by_numbers(&command);
        if is_unfit { self.command(random) } else { command }
    }

    fn expand(&self, parts: &[Part], random: &mut Random, command: &mut Command) {
        let mut options: Vec<&Vec<Part>> = Vec::new();
        for part in parts {
            match part {
                Part::Literal(word) => command.push(literal(word, random)),
                Part::Random(name) => command.push(self.random_word(name, random)),
                Part::Option(ways) if random.once_in(2) => options.push(random.pick(ways)),
                Part::Option(_) => {}
                Part::Repeat(parts) => {
                    for _ in 0..=random.below(3) {
                        self.expand(parts, random, command);
                    }
                }
            }
        }
        random.shuffle(&mut options);
        for option in options {
            self.expand(option, random, command);
        }
    }

    fn random_word(&self, name: &str, random: &mut Random) -> Vec<u8> {
        match name {
            "value" => self.random_value(random),
            "integer" if random.once_in(2) => digits(random.below(300) as i64 - 100),
            // Hardly ever the same twice: which of two equal times is later would be up to the clock.
            "seconds" if random.once_in(2) => digits(random.below(1_000_000) as i64 + 100),
            "milliseconds" if random.once_in(2) => {
                digits(random.below(1_000_000_000) as i64 + 100_000)
            }
            name => self.pick(name, random),
        }
    }

    fn pick(&self, pool: &str, random: &mut Random) -> Vec<u8> {
        let pool = self.pools.get(pool);
        random.pick(pool.expect("the grammar names pools that exist")).clone()
    }

    fn random_value(&self, random: &mut Random) -> Vec<u8> {
        match random.below(6) {
            0 | 1 => self.random_word("integer", random),
            2 => self.pick("float", random),
            3 => self.pick("text", random),
            4 => vec![b'a' + random.below(26) as u8; *random.pick(&LENGTHS)],
            _ => (0..random.below(12)).map(|_| b"abcde"[random.below(5)]).collect(),
        }
    }

    /// Makes a command wrong, or at least odd.
    fn spoil(&self, command: &mut Command, random: &mut Random) {
        let at = random.below(command.len());
        match random.below(6) {
            0 if command.len() > 1 => {
                command.remove(at);
            }
            1 => command.push(self.random_value(random)),
            2 => command.insert(at.max(1), self.random_value(random)),
            3 => command.insert(at.max(1), command[at].clone()),
            4 => {
                let last = command.len() - 1;
                let other = random.below(command.len());
                command.swap(at.max(1).min(last), other.max(1).min(last));
            }
            _ if at > 0 => command[at] = self.pick("integer", random),
            _ => {}
        }
    }
}

fn parse(line: &'static str) -> Vec<Part> {
    let mut words =
        line.split_inclusive([' ', '[', ']', '(', ')', '|']).flat_map(split_mark).peekable();
    parse_parts(&mut words)
}

/// A word and the mark that ends it.
fn split_mark(piece: &'static str) -> impl Iterator<Item = &'static str> {
    let end = piece.trim_end_matches([' ', '[', ']', '(', ')', '|']).len();
    [&piece[..end], piece[end..].trim()].into_iter().filter(|word| !word.is_empty())
}

fn parse_parts(words: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(word) = words.next_if(|word| !matches!(*word, "]" | ")" | "|")) {
        parts.push(match word {
            "[" => Part::Option(parse_ways(words)),
            "(" => Part::Repeat(parse_ways(words).remove(0)),
            "..." => continue,
            word if !word.bytes().any(|byte| byte.is_ascii_lowercase()) => Part::Literal(word),
            word => match word.strip_suffix("...") {
                Some(word) => Part::Repeat(vec![Part::Random(word)]),
                None => Part::Random(word),
            },
        });
    }
    parts
}

fn parse_ways(
    words: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>,
) -> Vec<Vec<Part>> {
    let mut ways = vec![parse_parts(words)];
    while words.next() == Some("|") {
        ways.push(parse_parts(words));
    }
    ways
}

/// Names and options are read in any case.
fn literal(word: &str, random: &mut Random) -> Vec<u8> {
    if random.once_in(8) { word.to_lowercase().into_bytes() } else { word.as_bytes().to_vec() }
}

fn digits(number: i64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// RESTORE adds its time to the clock's without a check, and LSET may cut its index to 32 bits: what such an overflow
/// leaves behind differs from server to server.
fn avoid_overflow(command: &mut Command) {
    let [name, _, number, ..] = &mut command[..] else { return };
    let value = std::str::from_utf8(number).ok().and_then(|digits| digits.parse::<i64>().ok());
    let is_late = |time: i64| time > i64::MAX / 2;
    let is_far = |index: i64| i32::try_from(index).is_err();
    let overflows = name.eq_ignore_ascii_case(b"restore") && value.is_some_and(is_late)
        || name.eq_ignore_ascii_case(b"lset") && value.is_some_and(is_far);
    if overflows {
        *number = b"0".to_vec();
    }
}

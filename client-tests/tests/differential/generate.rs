//! Makes commands from the grammar's lines, and spoils some of them.

use std::collections::HashMap;

use client_tests::{random::Random, text::split_words};

use crate::{grammar::LINES, pools::POOLS, script::Scripts};

pub(crate) type Command = Vec<Vec<u8>>;

/// The grammar, ready to make commands.
pub(crate) struct Generator {
    /// A line as often as its weight says.
    lines: Vec<Vec<Part>>,
    watch: Vec<Part>,
    pools: HashMap<&'static str, Vec<Vec<u8>>>,
    pub(crate) common: Common,
}

/// What two servers have in common; where they have not, what follows would differ for no new reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    /// Both go on with a transaction in which MULTI or WATCH was refused, and take LTRIM for a change, to those who watch,
    /// where it removes nothing.
    pub(crate) transactions: bool,
    /// Both have EVAL.
    pub(crate) scripts: bool,
    /// Neither is older than redis 7.2, which has fewer commands for scripts, and other errors.
    pub(crate) newer_scripts: bool,
}

fn is_named(command: &Command, name: &str) -> bool {
    command.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

/// A spoiled FLUSHALL SYNC may become SYNC, after which a connection is no client's any more.
fn starts_replication(command: &Command) -> bool {
    is_named(command, "sync")
}

/// What SPOP leaves behind is only the same everywhere if it takes all or nothing.
fn leaves_to_chance(command: &Command) -> bool {
    let count = command.get(2).map(|count| std::str::from_utf8(count).unwrap_or_default().parse());
    is_named(command, "spop") && matches!(count, None | Some(Ok(1..1000)))
}

/// Servers do not agree on what SORT takes for numbers, so what it stores must not depend on them.
fn stores_by_numbers(command: &Command) -> bool {
    let has = |word: &[u8]| command.iter().any(|other| other.eq_ignore_ascii_case(word));
    has(b"sort") && has(b"store") && !has(b"alpha") && !has(b"nosort")
}

/// What is over within the next seconds is over sooner on one server than on the other. The pools have no such times, but
/// words may have changed their places.
fn expires_soon(command: &Command) -> bool {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<i64>().ok();
    let is_soon = |word: &[u8], unit_ms: i64| {
        number(word).is_some_and(|time| (1..100_000 / unit_ms).contains(&time))
    };
    let option_is_soon = |words: &[Vec<u8>]| {
        is(&words[0], "ex") && is_soon(&words[1], 1000)
            || is(&words[0], "px") && is_soon(&words[1], 1)
    };
    let argument_is_soon = match command.as_slice() {
        [name, _, time, ..] if is(name, "setex") || is(name, "expire") => is_soon(time, 1000),
        [name, _, time, ..] if is(name, "psetex") || is(name, "pexpire") || is(name, "restore") => {
            is_soon(time, 1)
        }
        _ => false,
    };
    argument_is_soon || command.windows(2).any(option_is_soon)
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
    pub(crate) fn new(common: Common) -> Self {
        let lines = LINES.iter().flat_map(|(weight, line)| (0..*weight).map(|_| parse(line)));
        let pools = POOLS
            .iter()
            .map(|(name, texts)| (*name, split_words(texts).expect("pools are quoted well")));
        Self {
            lines: lines.collect(),
            watch: parse("WATCH key..."),
            pools: pools.collect(),
            common,
        }
    }

    pub(crate) fn commands(&self, random: &mut Random, count: usize) -> Vec<Command> {
        let mut scripts = Scripts::default();
        let mut commands = Vec::new();
        while commands.len() < count {
            if random.once_in(25) {
                commands.extend(self.transaction(&mut scripts, random));
            } else {
                commands.push(self.command_or_script(&mut scripts, random));
            }
        }
        commands
    }

    /// Watches now and then, queues some commands, and mostly executes them.
    fn transaction(&self, scripts: &mut Scripts, random: &mut Random) -> Vec<Command> {
        let mut commands = Vec::new();
        if random.once_in(2) {
            let mut watch = Command::new();
            self.expand(&self.watch, random, &mut watch);
            commands.push(watch);
            for _ in 0..random.below(3) {
                commands.push(self.command_or_script(scripts, random));
            }
        }
        commands.push(vec![literal("MULTI", random)]);
        for _ in 0..random.below(8) {
            commands.push(self.queued(scripts, random));
        }
        match random.below(12) {
            0 if self.common.transactions => {}
            1..=2 => commands.push(vec![literal("DISCARD", random)]),
            _ => commands.push(vec![literal("EXEC", random)]),
        }
        commands
    }

    fn queued(&self, scripts: &mut Scripts, random: &mut Random) -> Command {
        let command = self.command_or_script(scripts, random);
        if is_named(&command, "watch") && !self.common.transactions {
            self.queued(scripts, random)
        } else {
            command
        }
    }

    fn command_or_script(&self, scripts: &mut Scripts, random: &mut Random) -> Command {
        if !self.common.scripts || !random.once_in(12) {
            return self.command(random);
        }
        let mut command = scripts.command(self, random);
        if random.once_in(20) {
            self.spoil(&mut command, random);
        }
        command
    }

    pub(crate) fn command(&self, random: &mut Random) -> Command {
        let mut command = Command::new();
        let line = random.pick(&self.lines);
        self.expand(line, random, &mut command);
        if random.once_in(10) {
            self.spoil(&mut command, random);
        }
        avoid_overflow(&mut command);
        let is_unfit = starts_replication(&command)
            || leaves_to_chance(&command)
            || expires_soon(&command)
            || stores_by_numbers(&command)
            || !self.common.transactions && is_named(&command, "ltrim");
        if is_unfit { self.command(random) } else { command }
    }

    fn expand(&self, parts: &[Part], random: &mut Random, command: &mut Command) {
        let mut options: Vec<&Vec<Part>> = Vec::new();
        for part in parts {
            match part {
                Part::Literal(word) => command.push(literal(word, random)),
                Part::Random(name) => command.push(self.word(name, random)),
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

    /// A word of the pool of this name, or of a mixture of pools.
    pub(crate) fn word(&self, name: &str, random: &mut Random) -> Vec<u8> {
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
            0 | 1 => self.word("integer", random),
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

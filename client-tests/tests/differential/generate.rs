//! Makes commands from the grammar's lines, and spoils some of them.

use std::{cell::Cell, collections::HashMap};

use client_tests::{random::Random, text::split_words};

use crate::{
    grammar::{FIRST_STREAM_LINE, LINES, Line, STREAM_LINES},
    pools::POOLS,
    script::Scripts,
    unfit::{is_named, is_unfit},
};

pub(crate) type Command = Vec<Vec<u8>>;

/// The grammar, ready to make commands.
pub(crate) struct Generator {
    /// What all rounds begin with.
    first: Vec<Vec<Part>>,
    /// A line as often as its weight says.
    lines: Vec<Vec<Part>>,
    /// WATCH of keys of any kind, and of streams.
    watches: [Vec<Part>; 2],
    /// How far the ids of streams have come, as if a clock went on from one to the next.
    latest_id: Cell<usize>,
    pools: HashMap<&'static str, Vec<Vec<u8>>>,
    pub(crate) common: Common,
}

/// What two servers have in common; where they have not, what follows would differ for no new reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    /// Both are valkey or neither is. Otherwise they would not go on alike with a transaction in which MULTI or WATCH was
    /// refused, nor take LTRIM for a change, to those who watch, where it removes nothing, nor find the last entry of a
    /// stream whose last id is another one.
    pub(crate) one_line: bool,
    /// Both have EVAL.
    pub(crate) scripts: bool,
    /// Neither is older than redis 7.2: before it scripts had fewer commands and other errors, and consumers of streams
    /// no time at which they got something.
    pub(crate) newer: bool,
}

/// Around the lengths at which encodings change, and around those of headers.
const LENGTHS: [usize; 11] = [1, 12, 19, 20, 21, 44, 45, 63, 64, 255, 1000];

/// How many groups a round of commands on streams begins with.
const FIRST_LINES: usize = 6;

/// A piece of a grammar's line.
enum Part {
    Literal(&'static str),
    Random(&'static str),
    /// One of several ways, or none.
    Option(Vec<Vec<Part>>),
    Repeat(Vec<Part>),
}

impl Generator {
    /// A mixture of all families of commands.
    pub(crate) fn of_all(common: Common) -> Self {
        Self::new(common, &[(4, LINES), (1, STREAM_LINES)])
    }

    /// Seven of eight commands are about streams.
    pub(crate) fn of_streams(common: Common) -> Self {
        let first = (0..FIRST_LINES).map(|_| parse(FIRST_STREAM_LINE)).collect();
        Self { first, ..Self::new(common, &[(1, LINES), (8, STREAM_LINES)]) }
    }

    /// Nothing but what servers without streams have.
    pub(crate) fn without_streams(common: Common) -> Self {
        Self::new(common, &[(1, LINES)])
    }

    fn new(common: Common, families: &[(usize, &'static [Line])]) -> Self {
        let weighted = families.iter().flat_map(|(times, lines)| {
            lines.iter().map(move |(weight, line)| (times * weight, *line))
        });
        let lines = weighted.flat_map(|(weight, line)| (0..weight).map(move |_| parse(line)));
        let pools = POOLS
            .iter()
            .map(|(name, texts)| (*name, split_words(texts).expect("pools are quoted well")));
        Self {
            first: Vec::new(),
            lines: lines.collect(),
            watches: ["WATCH key...", "WATCH stream..."].map(parse),
            latest_id: Cell::new(0),
            pools: pools.collect(),
            common,
        }
    }

    pub(crate) fn commands(&self, random: &mut Random, count: usize) -> Vec<Command> {
        self.latest_id.set(0);
        let mut scripts = Scripts::default();
        let mut commands: Vec<Command> =
            self.first.iter().map(|line| self.expanded(line, random)).collect();
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
            let watch = random.pick(&self.watches);
            commands.push(self.expanded(watch, random));
            for _ in 0..random.below(3) {
                commands.push(self.command_or_script(scripts, random));
            }
        }
        commands.push(vec![literal("MULTI", random)]);
        for _ in 0..random.below(8) {
            commands.push(self.queued(scripts, random));
        }
        match random.below(12) {
            0 if self.common.one_line => {}
            1..=2 => commands.push(vec![literal("DISCARD", random)]),
            _ => commands.push(vec![literal("EXEC", random)]),
        }
        commands
    }

    fn queued(&self, scripts: &mut Scripts, random: &mut Random) -> Command {
        let command = self.command_or_script(scripts, random);
        if is_named(&command, "watch") && !self.common.one_line {
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
        let line = random.pick(&self.lines);
        let mut command = self.expanded(line, random);
        if random.once_in(10) {
            self.spoil(&mut command, random);
        }
        avoid_overflow(&mut command);
        if is_unfit(&command, self.common) { self.command(random) } else { command }
    }

    fn expanded(&self, line: &[Part], random: &mut Random) -> Command {
        let mut command = Command::new();
        self.expand(line, random, &mut command);
        command
    }

    fn expand(&self, parts: &[Part], random: &mut Random, command: &mut Command) {
        let mut options: Vec<&Vec<Part>> = Vec::new();
        for part in parts {
            if !matches!(part, Part::Option(_)) {
                self.expand_options(&mut options, random, command);
            }
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
        self.expand_options(&mut options, random, command);
    }

    fn expand_options(
        &self,
        options: &mut Vec<&Vec<Part>>,
        random: &mut Random,
        command: &mut Command,
    ) {
        random.shuffle(options);
        for option in options.drain(..) {
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
            "id" if !random.once_in(8) => self.likely_id(random),
            "new_id" if !random.once_in(40) => self.new_id(random),
            "new_id" => self.pick("id", random),
            "bound" if random.once_in(2) => {
                let mut bound = if random.once_in(2) { b"(".to_vec() } else { Vec::new() };
                bound.extend(self.likely_id(random));
                bound
            }
            "after" | "group_start" if random.once_in(2) => self.likely_id(random),
            name => self.pick(name, random),
        }
    }

    /// An id that an entry may have.
    fn likely_id(&self, random: &mut Random) -> Vec<u8> {
        let latest = self.latest_id.get();
        let within = if random.once_in(2) { latest.min(3) } else { latest };
        let time = latest - random.below(within + 1);
        let sequence = random.pick(&["-0", "-0", "", "-1", "-1", "-2", "-3"]);
        format!("{time}{sequence}").into_bytes()
    }

    /// An id that most streams take, as it is later than those before it.
    fn new_id(&self, random: &mut Random) -> Vec<u8> {
        let time = self.latest_id.get() + usize::from(random.once_in(4));
        self.latest_id.set(time);
        let sequence = random.pick(&["-*", "-*", "-*", "-*", "-1", "-3", ""]);
        format!("{time}{sequence}").into_bytes()
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

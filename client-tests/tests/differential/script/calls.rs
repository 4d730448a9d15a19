//! Calls of random commands, and what has to be done to their replies so that they are the same everywhere.

use super::{expressions::quote, program::Writer};
use crate::{generate::Command, unfit::sorts_by_nothing};

/// Their replies, or what they do, may differ between real servers, and what a script does with them would then, too.
const AVOIDED: [&str; 15] = [
    "client", "command", "config", "getex", "memory", "multi", "exec", "discard", "watch",
    "unwatch", "object", "scan", "script", "xgroup", "xinfo",
];
/// They have no order.
const UNORDERED: [&str; 6] = ["keys", "smembers", "sinter", "sunion", "sdiff", "spop"];
/// They depend on the clock, on chance, on the way in which values lie in memory.
const BY_CHANCE: [&str; 11] = [
    "ttl",
    "pttl",
    "expiretime",
    "pexpiretime",
    "time",
    "randomkey",
    "dbsize",
    "dump",
    "srandmember",
    "sscan",
    "xpending",
];
/// All that follows the key may be anything at all.
const TAKING_ANYTHING: [&str; 12] = [
    "append",
    "lpush",
    "rpush",
    "lpushx",
    "rpushx",
    "sadd",
    "srem",
    "sismember",
    "smismember",
    "getset",
    "setnx",
    "incrby",
];
/// Times, places and counts among their words were chosen with care, and must be the same when a script is run again.
const CHOSEN_WITH_CARE: [&str; 18] = [
    "set",
    "setex",
    "psetex",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "restore",
    "spop",
    "lset",
    "setrange",
    "sort",
    "xadd",
    "xclaim",
    "xautoclaim",
    "xpending",
    "xread",
    "xreadgroup",
];
/// Before redis 7.2 scripts could not call what waits, and some numbers and cursors were taken for others.
const NEWER: [&str; 10] = [
    "blpop",
    "brpop",
    "blmove",
    "brpoplpush",
    "blmpop",
    "sscan",
    "lrem",
    "lpos",
    "xread",
    "xreadgroup",
];

impl Writer<'_> {
    /// A command's reply, in a form that is the same everywhere.
    pub(super) fn call(&mut self) -> String {
        let command = self.command();
        let function = if self.random.once_in(6) { "call" } else { "pcall" };
        let call = format!("redis.{function}({})", self.words(&command));
        match lowercase_name(&command).as_str() {
            name if BY_CHANCE.contains(&name) || is_map(&command) => format!("kind({call})"),
            name if UNORDERED.contains(&name) => format!("sorted({call})"),
            _ => call,
        }
    }

    /// The words of a command whose reply needs nothing done to it.
    pub(super) fn call_in_parts(&mut self) -> String {
        loop {
            let command = self.command();
            let name = lowercase_name(&command);
            if !UNORDERED.contains(&&*name) && !BY_CHANCE.contains(&&*name) && !is_map(&command) {
                return self.words(&command);
            }
        }
    }

    fn command(&mut self) -> Command {
        loop {
            let command = self.generator.command(self.random);
            let name = lowercase_name(&command);
            let is_newer = NEWER.contains(&&*name) && !self.generator.common.newer;
            if !AVOIDED.contains(&&*name) && !sorts_by_chance(&command) && !is_newer {
                return command;
            }
        }
    }

    fn words(&mut self, command: &Command) -> String {
        let name = lowercase_name(command);
        let takes_anything = TAKING_ANYTHING.contains(&&*name);
        let is_fixed = CHOSEN_WITH_CARE.contains(&&*name);
        let mut words = Vec::new();
        for (at, word) in command.iter().enumerate() {
            words.push(match at {
                0 => quote(word),
                _ if is_fixed && at > 1 => quote(word),
                1 => self.first_argument(word),
                _ if takes_anything && self.random.once_in(3) => self.anything(),
                _ => self.word(word),
            });
        }
        words.join(", ")
    }

    /// Mostly a key.
    fn first_argument(&mut self, word: &[u8]) -> String {
        match self.random.below(4) {
            0 => {
                self.keys.push(word.to_vec());
                format!("KEYS[{}]", self.keys.len())
            }
            1 if !self.keys.is_empty() => self.key(),
            _ => self.word(word),
        }
    }

    /// A word as it is, in one of the places where it may stand.
    fn word(&mut self, word: &[u8]) -> String {
        let number = std::str::from_utf8(word).ok().and_then(|digits| digits.parse::<i32>().ok());
        match (number, self.random.below(3)) {
            (Some(number), 0) if number.to_string().as_bytes() == word => number.to_string(),
            (_, 1) => {
                self.arguments.push(word.to_vec());
                format!("ARGV[{}]", self.arguments.len())
            }
            _ => quote(word),
        }
    }

    /// Before redis 7.2 a large integer out of a reply went into a command with other digits.
    fn anything(&mut self) -> String {
        let has_replies = !self.scope.replies.is_empty() && self.generator.common.newer;
        if !has_replies || self.random.once_in(2) {
            return self.scalar(2);
        }
        self.random.pick(&self.scope.replies).clone()
    }
}

fn lowercase_name(command: &Command) -> String {
    let name = command.first().map(|name| name.to_ascii_lowercase());
    String::from_utf8_lossy(&name.unwrap_or_default()).into_owned()
}

/// In RESP3 these have maps of several keys for replies, of which Lua makes tables without an order.
fn is_map(command: &Command) -> bool {
    let streams = command.iter().skip_while(|word| !word.eq_ignore_ascii_case(b"streams"));
    has(command, "idx") || streams.skip(1).count() > 2
}

fn has(command: &Command, word: &str) -> bool {
    command.iter().any(|other| other.eq_ignore_ascii_case(word.as_bytes()))
}

/// What is sorted by numbers is not the same everywhere, and what has no order shows where nothing is sorted. But for a
/// script a set is put in order instead.
fn sorts_by_chance(command: &Command) -> bool {
    let sorts = matches!(&*lowercase_name(command), "sort" | "sort_ro");
    let in_order = sorts_by_nothing(command) || has(command, "alpha") && !has(command, "by");
    sorts && !in_order
}

//! Several writes at once: all of them happen, or none.

use client_tests::{command, program::caller::Command, random::Random};

use super::Keys;
use crate::solo::keyspace::Keyspace;

/// A library with a function that writes as the script does.
pub(crate) const LIBRARY: &str = "#!lua name=durability
redis.register_function('write_both', function(keys, arguments)
    redis.call('SET', keys[1], arguments[1])
    redis.call('RPUSH', keys[2], arguments[1])
    return redis.call('LTRIM', keys[2], -5, -1)
end)";
const SCRIPT: &str = "
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('RPUSH', KEYS[2], ARGV[1])
    return redis.call('LTRIM', KEYS[2], -5, -1)";
/// What it has written before it fails stays.
const FAILING: &str = "
    redis.call('SET', KEYS[1], ARGV[1])
    return redis.call('LTRIM', KEYS[1], 0, 1)";
const KEPT: usize = 5;

#[derive(Clone, Debug)]
pub(super) enum Atomic {
    /// From one key to another, with the number beside them.
    Transfer(i64),
    Script,
    FailingScript,
    Function,
}

impl Atomic {
    pub(super) fn draw(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Script,
            1 => Self::FailingScript,
            2 => Self::Function,
            _ => Self::Transfer(1 + random.below(100) as i64),
        }
    }

    pub(super) fn commands(&self, keys: &Keys<'_>, number: &str) -> Vec<Command> {
        let (left, right) = (keys.key("left"), keys.key("right"));
        match self {
            Self::Transfer(amount) => vec![
                command!["MULTI"],
                command!["DECRBY", keys.key("from"), amount.to_string()],
                command!["INCRBY", keys.key("to"), amount.to_string()],
                command!["SET", keys.key("ledger"), number],
                command!["EXEC"],
            ],
            Self::Script => vec![command!["EVAL", SCRIPT, "2", left, right, number]],
            Self::FailingScript => vec![command!["EVAL", FAILING, "1", left, number]],
            Self::Function => vec![command!["FCALL", "write_both", "2", left, right, number]],
        }
    }

    pub(super) fn apply(&self, keyspace: &mut Keyspace, number: u64) {
        let number = number.to_string();
        match self {
            Self::Transfer(amount) => {
                add(keyspace, "from", -amount);
                add(keyspace, "to", *amount);
                keyspace.put_text("ledger", number);
            }
            Self::Script | Self::Function => {
                keyspace.put_text("left", number.clone());
                keyspace.change_list("right", |list| {
                    list.push_back(number);
                    list.drain(..list.len().saturating_sub(KEPT)).count()
                });
            }
            Self::FailingScript => keyspace.put_text("left", number),
        }
    }
}

fn add(keyspace: &mut Keyspace, name: &'static str, amount: i64) {
    let before: i64 = keyspace.text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    keyspace.put_text(name, (before + amount).to_string());
}

//! What clients do to data that is there: writes whose effects a journal must tell exactly, whatever was drawn or made up.

use client_tests::{command, program::caller::Command, random::Random};

use super::{Builder, DATABASES, DEADLINES_MS, Limits, bytes, names::Names};

/// A key that is there.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    pub(crate) database: usize,
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Vec<u8>,
}

/// Several writes at once, some of which depend on chance and on the clock.
const SCRIPT: &str = "
    redis.call('SET', KEYS[1], ARGV[1] .. redis.call('TIME')[2] .. math.random(1000))
    for number = 1, 20 do redis.call('SADD', KEYS[2], number * 7, ARGV[1] .. number) end
    redis.call('SPOP', KEYS[2], 5)
    redis.call('SET', KEYS[3], 'gone')
    redis.call('DEL', KEYS[3])
    return redis.call('XADD', KEYS[4], '*', 'field', redis.call('SRANDMEMBER', KEYS[2]))";
/// What was written before the error stays.
const FAILING: &str = "
    redis.call('RPUSH', KEYS[1], ARGV[1])
    redis.pcall('INCR', KEYS[1])
    return redis.call('INCR', KEYS[1])";

/// Commands for data that is there, of which some fail because others were faster. The name of a time that this was
/// done is part of the names of new keys.
pub(crate) fn traffic(
    mut random: Random,
    existing: &[Existing],
    limits: Limits,
    time: &str,
) -> Vec<Command> {
    let names = Names::further(format!("more {time}"));
    let mut builder = Builder { random: random.fork(), names, limits, commands: Vec::new() };
    for database in DATABASES {
        builder.select(database);
        let here: Vec<&Existing> = existing.iter().filter(|key| key.database == database).collect();
        for _ in 0..limits.keys.div_ceil(DATABASES.len()) {
            builder.write_something(&here);
        }
    }
    if builder.random.once_in(3) {
        builder.push(command!["SWAPDB", "1", "9"]);
    }
    builder.commands
}

impl Builder {
    fn write_something(&mut self, here: &[&Existing]) {
        match self.random.below(8) {
            0 => self.in_transaction(),
            1 => self.by_script(),
            2 => self.by_function(),
            3 => self.expire_something(),
            4 | 5 if !here.is_empty() => {
                let key = (*self.random.pick(here)).clone();
                let other = self.random.pick(here).name.clone();
                self.change(&key, &other);
            }
            6 => {
                let key = self.fresh_name();
                self.read_as_group(&key);
            }
            _ => self.add_key(),
        }
    }

    fn in_transaction(&mut self) {
        self.push(command!["MULTI"]);
        for _ in 0..=self.random.below(3) {
            self.add_key();
        }
        let random_members = self.fresh_name();
        self.push(command!["SADD", random_members, "a", "b", "c", "1", "2"]);
        self.push(command!["SPOP", random_members, "2"]);
        self.push(command!["EXEC"]);
    }

    fn by_script(&mut self) {
        let value = bytes::any(&mut self.random);
        let [first, second, third, fourth, fifth] = [(); 5].map(|()| self.fresh_name());
        self.push(command!["EVAL", SCRIPT, "4", first, second, third, fourth, value]);
        self.push(command!["EVAL", FAILING, "1", fifth, value]);
    }

    fn by_function(&mut self) {
        let (first, second) = (self.fresh_name(), self.fresh_name());
        let value = bytes::any(&mut self.random);
        self.push(command!["FCALL", "write_0", "2", first, second, value]);
    }

    /// Times that are over when anybody looks, and times that are not.
    fn expire_something(&mut self) {
        let [brief, long, kept] = [(); 3].map(|()| self.fresh_name());
        let deadline_ms = self.random.pick(&DEADLINES_MS).to_string();
        self.push(command!["SET", brief, "brief", "PX", "5"]);
        self.push(command!["SET", long, "long", "EX", "100000"]);
        self.push(command!["GETEX", long, "PXAT", deadline_ms]);
        self.push(command!["RPUSH", kept, "kept"]);
        self.push(command!["EXPIRE", kept, "1000"]);
        let command = *self.random.pick(&["PERSIST", "TOUCH", "DEL"]);
        self.push(command![command, kept]);
    }

    fn change(&mut self, key: &Existing, other: &[u8]) {
        let name = &key.name;
        match self.random.below(7) {
            0 => self.push(command!["RENAME", name, other]),
            1 => self.push(command!["COPY", name, other, "REPLACE"]),
            2 => {
                let database = self.random.pick(&DATABASES).to_string();
                self.push(command!["MOVE", name, database]);
            }
            3 => self.push(command!["UNLINK", name]),
            _ => self.change_value(key, other),
        }
    }

    fn change_value(&mut self, key: &Existing, other: &[u8]) {
        let name = &key.name;
        let value = bytes::any(&mut self.random);
        match key.kind.as_slice() {
            b"list" => {
                self.push(command!["LMOVE", name, name, "LEFT", "RIGHT"]);
                self.push(command!["LMPOP", "2", "none", name, "RIGHT", "COUNT", "2"]);
                self.push(command!["BLPOP", name, "0.01"]);
                self.push(command!["RPUSHX", name, value]);
            }
            b"set" => {
                self.push(command!["SPOP", name]);
                self.push(command!["SMOVE", name, other, "1"]);
                self.push(command!["SUNIONSTORE", name, name, "none"]);
                self.push(command!["SADD", name, value]);
            }
            b"stream" => self.read_as_group(name),
            _ => {
                self.push(command!["APPEND", name, value]);
                self.push(command!["SET", name, value, "KEEPTTL", "GET"]);
                self.push(command!["GETDEL", other]);
            }
        }
    }

    /// Entries with ids of the server's, and their way through a group.
    fn read_as_group(&mut self, key: &[u8]) {
        for _ in 0..3 {
            let value = bytes::any(&mut self.random);
            self.push(command!["XADD", key, "*", "field", value]);
        }
        let group = "group 0";
        self.push(command!["XGROUP", "CREATE", key, group, "0"]);
        let read = |consumer: &str, count: &str| {
            command!["XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", key, ">"]
        };
        self.push(read("alice", "2"));
        self.push(read("new", "1"));
        // Journals do not tell of a consumer that came to be by XAUTOCLAIM and got nothing.
        self.push(command!["XGROUP", "CREATECONSUMER", key, group, "bob"]);
        self.push(command!["XAUTOCLAIM", key, group, "bob", "0", "-", "COUNT", "1"]);
        if self.limits.tombstones {
            self.push(command!["XADD", key, "MAXLEN", "~", "200", "*", "field", "value"]);
            self.push(command!["XTRIM", key, "MAXLEN", "2"]);
            self.push(command!["XGROUP", "DELCONSUMER", key, group, "alice"]);
        }
    }
}

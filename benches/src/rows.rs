//! The table of commands whose cost is measured: a new command is a new row.

/// A command as the load generator is given it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The words of the command. `__rand_int__` stands for a number that is drawn anew each time.
    words: &'static [&'static str],
    /// What follows the words, and how often.
    repeated: (&'static [&'static str], usize),
}

/// The value of 32 bytes that is written and read.
pub(crate) const VALUE: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

const KEY: &str = "key:__rand_int__";

/// All keys are there from the beginning, so that SET with NX is a refusal, and EXPIRE finds its key.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "PING", words: &["ping"], repeated: NOTHING },
    Row { name: "GET", words: &["get", KEY], repeated: NOTHING },
    Row { name: "SET", words: &["set", KEY, VALUE], repeated: NOTHING },
    Row { name: "SET EX NX", words: &["set", KEY, "v", "EX", "60", "NX"], repeated: NOTHING },
    Row { name: "INCR", words: &["incr", "counter:__rand_int__"], repeated: NOTHING },
    Row { name: "EXPIRE", words: &["expire", KEY, "1000"], repeated: NOTHING },
    Row { name: "MGET 10", words: &["mget"], repeated: (&[KEY], 10) },
    Row { name: "MSET 10", words: &["mset"], repeated: (&[KEY, "value"], 10) },
    Row {
        name: "LPUSH",
        words: &["lpush", "list:__rand_int__", "0123456789abcdef"],
        repeated: NOTHING,
    },
    Row { name: "RPOP", words: &["rpop", "list:__rand_int__"], repeated: NOTHING },
    Row { name: "LRANGE 100", words: &["lrange", LIST, "0", "99"], repeated: NOTHING },
    Row { name: "SADD", words: &["sadd", "set", "member:__rand_int__"], repeated: NOTHING },
    Row {
        name: "SISMEMBER",
        words: &["sismember", "set", "member:__rand_int__"],
        repeated: NOTHING,
    },
    Row { name: "SMEMBERS 100", words: &["smembers", "hundred:set"], repeated: NOTHING },
    Row { name: "SINTER 1000", words: &["sinter", SETS[0], SETS[1]], repeated: NOTHING },
    Row { name: "PUBLISH", words: &["publish", "channel", VALUE], repeated: NOTHING },
];

const LIST: &str = "hundred:list";
const SETS: [&str; 2] = ["thousand:a", "thousand:b"];

/// What there is beside the keys: a list and a set of 100 elements, and two sets of 1,000 that have half of them in common.
pub(crate) fn preparations() -> Vec<Vec<String>> {
    let add = |command: &str, key: &str, numbers: std::ops::Range<u32>| {
        let elements = numbers.map(|number| format!("element:{number:08}"));
        [command.to_owned(), key.to_owned()].into_iter().chain(elements).collect()
    };
    vec![
        add("rpush", LIST, 0..100),
        add("sadd", "hundred:set", 0..100),
        add("sadd", SETS[0], 0..1000),
        add("sadd", SETS[1], 500..1500),
    ]
}

const NOTHING: (&[&str], usize) = (&[], 0);

impl Row {
    /// The whole command.
    pub(crate) fn command(&self) -> Vec<&'static str> {
        let (tail, times) = self.repeated;
        self.words.iter().copied().chain(tail.repeat(times)).collect()
    }

    /// The command as the page shows it.
    pub(crate) fn shown(&self) -> String {
        let (tail, times) = self.repeated;
        let words = self.words.join(" ").replace(VALUE, "<32 bytes>").replace("__rand_int__", "N");
        match times {
            0 => words,
            _ => format!("{words} [{}] x {times}", tail.join(" ").replace("__rand_int__", "N")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_words_follow_the_command() {
        let mset = ROWS.iter().find(|row| row.name == "MSET 10").unwrap();
        assert_eq!(mset.command().len(), 21);
        assert_eq!(mset.shown(), "mset [key:N value] x 10");
    }
}

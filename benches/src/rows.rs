//! The table of commands whose cost is measured: a new command is a new row.

use crate::Result;
use crate::benchmark::SEPARATOR;
use crate::filling::KEYS;
use crate::scripts::SCRIPTS;
use crate::servers::Server;

/// A request as the load generator is given it: a command, or several that are sent together.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The words of the command. `__rand_int__` stands for a number that is drawn anew each time, and `__rand_1st__` for
    /// one that is drawn once for a request.
    words: &'static [&'static str],
    /// What follows the words, and how often.
    repeated: (&'static [&'static str], usize),
    /// The commands that are sent with it.
    others: &'static [&'static [&'static str]],
    /// From how many numbers those are drawn.
    pub(crate) numbers: u64,
}

/// A command of these words alone, whose numbers are those of the keys.
pub(crate) const fn row(name: &'static str, words: &'static [&'static str]) -> Row {
    Row { name, words, repeated: (&[], 0), others: &[], numbers: KEYS }
}

/// The value of 32 bytes that is written and read.
pub(crate) const VALUE: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A key that is there.
pub(crate) const KEY: &str = "key:__rand_int__";

/// All keys are there from the beginning, so that SET with NX is a refusal, and EXPIRE finds its key.
pub(crate) const ROWS: &[Row] = &[
    row("PING", &["ping"]),
    row("GET", &["get", KEY]),
    row("SET", &["set", KEY, VALUE]),
    row("SET EX NX", &["set", KEY, "v", "EX", "60", "NX"]),
    row("INCR", &["incr", "counter:__rand_int__"]),
    row("EXPIRE", &["expire", KEY, "1000"]),
    Row { repeated: (&[KEY], 10), ..row("MGET 10", &["mget"]) },
    Row { repeated: (&[KEY, "value"], 10), ..row("MSET 10", &["mset"]) },
    row("LPUSH", &["lpush", "list:__rand_int__", "0123456789abcdef"]),
    row("RPOP", &["rpop", "list:__rand_int__"]),
    row("LRANGE 100", &["lrange", LIST, "0", "99"]),
    row("SADD", &["sadd", "set", "member:__rand_int__"]),
    row("SISMEMBER", &["sismember", "set", "member:__rand_int__"]),
    row("SMEMBERS 100", &["smembers", "hundred:set"]),
    row("SINTER 1000", &["sinter", SETS[0], SETS[1]]),
    row("PUBLISH", &["publish", "channel", VALUE]),
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

impl Row {
    /// The same with other commands behind it.
    pub(crate) const fn with(self, others: &'static [&'static [&'static str]]) -> Self {
        Row { others, ..self }
    }

    /// The same with more words.
    pub(crate) const fn followed_by(self, words: &'static [&'static str]) -> Self {
        Row { repeated: (words, 1), ..self }
    }

    /// The same with numbers that are drawn from so many.
    pub(crate) const fn drawn_from(self, numbers: u64) -> Self {
        Row { numbers, ..self }
    }

    /// The whole request, in the generator's words.
    pub(crate) fn request(&self) -> Vec<&'static str> {
        let (tail, times) = self.repeated;
        let first = self.words.iter().copied().chain(tail.repeat(times));
        let others = self.others.iter().flat_map(|other| [&[SEPARATOR], *other].concat());
        first.chain(others).collect()
    }

    /// Whether a server has the commands of the request.
    pub(crate) fn is_known_to(&self, server: &Server) -> Result<bool> {
        let mut commands = vec![self.words[0]];
        commands.extend(self.others.iter().map(|words| words[0]));
        server.knows(&commands)
    }

    /// The request as the page shows it.
    pub(crate) fn shown(&self) -> String {
        let (tail, times) = self.repeated;
        let first = match times {
            0 => shown(self.words),
            1 => format!("{} {}", shown(self.words), shown(tail)),
            _ => format!("{} [{}] x {times}", shown(self.words), shown(tail)),
        };
        let others = self.others.iter().map(|other| format!("; {}", shown(other)));
        first + &others.collect::<String>()
    }
}

/// All rows by their names, as the page shows them.
pub(crate) fn listed(rows: &[&Row]) -> String {
    let rows = rows.iter().map(|row| format!("{}: `{}`", row.name, row.shown()));
    rows.collect::<Vec<_>>().join("; ")
}

/// Long words have names, and every number that is drawn is N.
fn shown(words: &[&str]) -> String {
    let words = words.join(" ").replace(VALUE, "<32 bytes>");
    let words = words.replace("__rand_int__", "N").replace("__rand_1st__", "N");
    SCRIPTS.iter().fold(words, |words, script| script.named_in(&words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripts::INCREMENT;

    #[test]
    fn repeated_words_follow_the_command() {
        let mset = ROWS.iter().find(|row| row.name == "MSET 10").unwrap();
        assert_eq!(mset.request().len(), 21);
        assert_eq!(mset.shown(), "mset [key:N value] x 10");

        let once = row("", &["xadd", "stream", "*"]).followed_by(&["field", "1__rand_int__"]);
        assert_eq!(once.request(), ["xadd", "stream", "*", "field", "1__rand_int__"]);
        assert_eq!(once.shown(), "xadd stream * field 1N");
    }

    #[test]
    fn commands_that_are_sent_together_are_shown_so() {
        const EXEC: &[&str] = &["exec"];
        let row =
            row("", &["multi"]).with(&[&["evalsha", INCREMENT.sha1, "1", "k:__rand_1st__"], EXEC]);
        assert_eq!(row.shown(), "multi; evalsha <SHA-1 of INCREMENT> 1 k:N; exec");
        assert_eq!(row.request()[..3], ["multi", ";", "evalsha"]);
        assert_eq!(row.request()[6..], [";", "exec"]);
    }
}

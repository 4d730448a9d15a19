//! What does a transaction or the call of a script cost the server?
//!
//! The goals, in times of the best peer: 0.60 for a transaction of three commands; 0.85, 0.60 and 0.55 at depths 1, 16
//! and 64 for a lock that a script gives back; 0.70 in pipelines for a script of one INCR; 1.0 for a script that is new
//! to the server.

use crate::Result;
use crate::contest::Contest;
use crate::costs::{Costs, Subject};
use crate::figures::grouped;
use crate::report::Chapter;
use crate::rows::{KEY, Row, VALUE, listed, row};
use crate::scripts::{self, INCREMENT, UNLOCK};
use crate::servers::Server;

pub(crate) const ROWS: &[Row] = &[
    row("MULTI EXEC 3", &["multi"]).with(&[
        &["set", SAME_KEY, VALUE],
        &["incr", "counter:__rand_1st__"],
        &["get", SAME_KEY],
        &["exec"],
    ]),
    row("EVAL, kept", &["eval", UNLOCK.text, "1", KEY, TOKEN]),
    row("EVALSHA, kept", &["evalsha", UNLOCK.sha1, "1", KEY, TOKEN]),
    row("SET, EVAL", LOCK).with(&[&["eval", UNLOCK.text, "1", LOCK_KEY, TOKEN]]),
    row("SET, EVALSHA", LOCK).with(&[&["evalsha", UNLOCK.sha1, "1", LOCK_KEY, TOKEN]]),
    row("EVALSHA INCR", &["evalsha", INCREMENT.sha1, "1", "counter:__rand_int__"]),
    // The last one, as it leaves many scripts behind where none is forgotten.
    row("new script", &["eval", NEW_UNLOCK, "1", "absent", TOKEN]).drawn_from(NEW_SCRIPTS),
];

const SAME_KEY: &str = "key:__rand_1st__";
const LOCK: &[&str] = &["set", LOCK_KEY, TOKEN, "NX", "PX", "30000"];
const LOCK_KEY: &str = "lock:__rand_1st__";
const TOKEN: &str = "0123456789abcdef";

/// A script whose text is another one with every number.
const NEW_UNLOCK: &str = "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return __rand_int__ end";

/// So many that hardly one is drawn twice.
const NEW_SCRIPTS: u64 = 1_000_000_000;

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let subject = Subject { section: "scripts", rows: contest.chosen(ROWS), prepare };
    let costs = Costs::measure(contest, &subject)?;
    Ok(Chapter {
        title: "Cost of a transaction and of a script",
        method: method(&subject),
        tables: costs.tables(&contest.contenders),
        charts: vec![costs.chart("cpu-per-script.svg", &contest.contenders)],
    })
}

/// A server without scripts is measured as far as it goes.
fn prepare(server: &Server) -> Result<()> {
    if scripts::are_known_to(server)? {
        scripts::load(&mut server.connect()?)?;
    }
    Ok(())
}

fn method(subject: &Subject) -> String {
    format!(
        "Measured like the cost of a request above. Commands with a semicolon between them are sent together, at depth 1 \
         too, and count as one request. *EVAL, kept* and *EVALSHA, kept* find a key that holds something else, so that \
         nothing is deleted. *SET, EVAL* and *SET, EVALSHA* are the whole life of a lock that nobody else asks for: it is \
         taken, and deleted by the script. In *new script*, N is drawn from {texts} numbers, so that the text of nearly \
         every request is new to the server, and has to be compiled. Of such texts Redis 8.0 and Valkey keep the 500 that were \
         used last, and Redis 7.0 keeps all. Scripts that EVALSHA calls were loaded with SCRIPT LOAD.\n\n{rows}.\n\n\
         {unlock}; {increment}.",
        texts = grouped(NEW_SCRIPTS),
        rows = listed(&subject.rows),
        unlock = UNLOCK.definition(),
        increment = INCREMENT.definition(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_script_differs_from_the_known_one_by_its_number() {
        assert_eq!(NEW_UNLOCK.replace("__rand_int__", "0"), UNLOCK.text);
    }
}

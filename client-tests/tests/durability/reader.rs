//! Connections that read what others write: whatever somebody has seen may not be gone later, any more than what was
//! acknowledged.

use std::time::Instant;

use client_tests::{
    command,
    program::caller::{Caller, Command},
    random::Random,
    reply::Reply,
    wire::NoReply,
};

use crate::entries::{entries, text};

/// Whom a reader looks at.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) database: usize,
    /// Whether there is more than a ledger to look at.
    pub(crate) is_solo: bool,
}

/// What was seen of a subject, by its place among all of them.
pub(crate) struct Sight {
    pub(crate) subject: usize,
    pub(crate) moment: Instant,
    pub(crate) number: u64,
}

/// Looks around until the server is gone.
pub(crate) async fn play(
    mut caller: Caller,
    subjects: Vec<Subject>,
    mut random: Random,
) -> Result<Vec<Sight>, String> {
    let mut sights = Vec::new();
    loop {
        let subject = random.below(subjects.len());
        let Subject { name, database, is_solo } = &subjects[subject];
        let question = if *is_solo { question(&mut random, name) } else { command!["GET", name] };
        let select = command!["SELECT", database.to_string()];
        let (Ok(_), answer) =
            (answer(&mut caller, &select).await, answer(&mut caller, &question).await)
        else {
            return Ok(sights);
        };
        match answer {
            Ok(reply) if reply.is_error() => return Err(caller.complaint(&question, reply)),
            Ok(reply) => sights.extend(number_in(&reply).map(|number| Sight {
                subject,
                moment: Instant::now(),
                number,
            })),
            Err(NoReply::Closed) => return Ok(sights),
            Err(other) => return Err(caller.complaint(&question, other)),
        }
    }
}

async fn answer(caller: &mut Caller, command: &Command) -> Result<Reply, NoReply> {
    caller.send(std::slice::from_ref(command)).await?;
    caller.reply().await
}

/// A look at a value that has the number of the operation that wrote it.
fn question(random: &mut Random, name: &str) -> Command {
    let key = |part: &str| format!("{name}:{part}");
    match random.below(10) {
        0 => command!["GET", key("counter")],
        1 => command!["GETRANGE", key("large"), "0", "20"],
        2 => command!["LINDEX", key("list"), "0"],
        3 => command!["LINDEX", key("list"), "-1"],
        4 => command!["LINDEX", key("right"), "-1"],
        5 => command!["SRANDMEMBER", key("set")],
        6 => command!["XREVRANGE", key("stream"), "+", "-", "COUNT", "1"],
        7 => command!["EVAL", "return redis.call('GET', KEYS[1])", "1", key("left")],
        8 => command!["GET", key("ledger")],
        _ => command!["GET", key("text")],
    }
}

/// The number at the start of a text, or in the first of some entries.
fn number_in(reply: &Reply) -> Option<u64> {
    if reply.is_null() {
        return None;
    }
    let found = match entries(reply) {
        Some(entries) => entries.first()?.number.clone(),
        None => text(reply),
    };
    found.split(':').next()?.parse().ok()
}

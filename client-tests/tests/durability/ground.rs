//! What is laid once and has to stay: a library of functions, and many keys, which make loading and writing anew take a while.

use client_tests::{
    command,
    program::caller::{Caller, Command},
    reply::Reply,
};

use crate::{
    bounds::{End, Log},
    entries::text,
    solo,
};

const DATABASE: &str = "1";
/// Few enough to be sent with one write.
const BATCH: u64 = 100;
/// So many of the keys are looked at.
const SAMPLES: u64 = 50;

/// A sequence of writes by one connection: the library first, then the keys.
pub(crate) struct Ground {
    keys: u64,
    log: Log,
    /// So many writes were there when the server started, and are there for good.
    settled: u64,
}

impl Ground {
    pub(crate) fn new(keys: u64) -> Self {
        Self { keys, log: Log::default(), settled: 0 }
    }

    /// Lays what is not there yet.
    pub(crate) async fn lay(&mut self, caller: &mut Caller) -> Result<(), String> {
        caller.demand(&command!["SELECT", DATABASE]).await?;
        if self.log.sent == 0 {
            self.log.sent = 1;
            caller.demand(&command!["FUNCTION", "LOAD", "REPLACE", solo::LIBRARY]).await?;
            self.log.know(1);
        }
        while self.log.sent <= self.keys {
            let numbers = self.log.sent + 1..=(self.keys + 1).min(self.log.sent + BATCH);
            let commands: Vec<Command> =
                numbers.map(|number| command!["SET", key(number), value(number)]).collect();
            self.log.sent += commands.len() as u64;
            let replies = caller.ask_all(&commands).await?;
            if let Some(error) = replies.iter().find(|reply| reply.is_error()) {
                return Err(caller.complaint(&commands[0], error));
            }
            self.log.know(self.log.sent);
        }
        Ok(())
    }

    pub(crate) async fn check(&mut self, caller: &mut Caller, end: &End) -> Result<(), String> {
        caller.demand(&command!["SELECT", DATABASE]).await?;
        let library = caller.demand_words(&["FUNCTION", "LIST"]).await?;
        let has_library = library.elements().is_some_and(|libraries| libraries.len() == 1);
        let keys = text(&caller.demand_words(&["DBSIZE"]).await?).parse().unwrap_or(0);
        let last: u64 = if keys > 0 { keys + 1 } else { u64::from(has_library) };
        let certain = self.log.certain(end).unwrap_or(self.settled);
        if (keys > 0 && !has_library) || last < certain || last > self.log.sent {
            return Err(format!(
                "ground: there are {keys} keys, with a library: {has_library}; certain are {certain} writes, sent were {}",
                self.log.sent
            ));
        }
        self.check_some(caller, last).await?;
        self.log.settle(last);
        self.settled = last;
        Ok(())
    }

    async fn check_some(&self, caller: &mut Caller, last: u64) -> Result<(), String> {
        let step = (last / SAMPLES).max(1) as usize;
        for number in (2..=last).step_by(step) {
            let command = command!["GET", key(number)];
            let reply = caller.demand(&command).await?;
            if reply != Reply::Bulk(value(number).into_bytes()) {
                return Err(caller.complaint(&command, reply));
            }
        }
        Ok(())
    }
}

fn key(number: u64) -> String {
    format!("ground-{number}")
}

fn value(number: u64) -> String {
    format!("{number}:").repeat(10)
}

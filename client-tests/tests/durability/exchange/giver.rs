//! One who gives: numbered elements to the list, numbered entries to the stream, in turn.

use client_tests::{
    command,
    program::caller::{Caller, Command},
    wire::NoReply,
};

use super::Exchange;
use crate::bounds::Log;

/// So many are given before the first is acknowledged.
const DEPTH: u64 = 3;

#[derive(Clone)]
pub(crate) struct Giver {
    pub(crate) number: usize,
    pub(crate) exchange: Exchange,
}

impl Giver {
    fn command(&self, number: u64) -> Command {
        let gift = format!("{}:{number}", self.number);
        if number.is_multiple_of(2) {
            command!["XADD", self.exchange.stream, "*", "gift", gift]
        } else {
            command!["LPUSH", self.exchange.queue, gift]
        }
    }

    /// Gives until the server is gone.
    pub(crate) async fn play(self, mut caller: Caller) -> Result<Log, String> {
        let mut log = Log::default();
        loop {
            let first = log.sent + 1;
            log.sent += DEPTH;
            let commands: Vec<Command> =
                (first..=log.sent).map(|number| self.command(number)).collect();
            if caller.send(&commands).await.is_err() {
                return Ok(log);
            }
            for (number, command) in (first..).zip(&commands) {
                match caller.reply().await {
                    Ok(reply) if reply.is_error() => return Err(caller.complaint(command, reply)),
                    Ok(_) => log.know(number),
                    Err(NoReply::Closed) => return Ok(log),
                    Err(other) => return Err(caller.complaint(command, other)),
                }
            }
        }
    }
}

//! One who takes: elements from the list into a list of its own, entries from the stream for its group.

use client_tests::{
    command,
    program::caller::{Caller, Command},
    random::Random,
    reply::Reply,
    wire::NoReply,
};

use super::{Exchange, GROUP, consumer};
use crate::{
    bounds::Log,
    entries::{Id, entries, text},
};

#[derive(Clone)]
pub(crate) struct Taker {
    pub(crate) number: usize,
    pub(crate) exchange: Exchange,
}

/// What a taker has done, in its order.
#[derive(Default)]
pub(crate) struct Takings {
    pub(super) steps: Vec<Step>,
    pub(crate) log: Log,
}

/// A step and what came of it, if the server lived to say so and there was something.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Take { waits: bool, element: Option<String> },
    Read { entry: Option<Id> },
    Acknowledge(Id),
}

/// What a taker has after some steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    pub(super) taken: Vec<String>,
    /// Entries that are not acknowledged yet, in the order of their ids.
    pub(super) held: Vec<Id>,
}

impl Holdings {
    pub(super) fn apply(&mut self, step: &Step) {
        match step {
            Step::Take { element, .. } => self.taken.extend(element.clone()),
            Step::Read { entry } => self.held.extend(entry),
            Step::Acknowledge(id) => self.held.retain(|held| held != id),
        }
        self.held.sort_unstable();
    }
}

impl Taker {
    fn command(&self, step: &Step) -> Command {
        let Exchange { queue, stream, .. } = &self.exchange;
        let taken = self.exchange.taken(self.number);
        let consumer = consumer(self.number);
        match step {
            Step::Take { waits: true, .. } => {
                command!["BLMOVE", queue, taken, "RIGHT", "RIGHT", "0.02"]
            }
            Step::Take { waits: false, .. } => command!["LMOVE", queue, taken, "RIGHT", "RIGHT"],
            Step::Read { .. } => command![
                "XREADGROUP",
                "GROUP",
                GROUP,
                consumer,
                "COUNT",
                "1",
                "STREAMS",
                stream,
                ">"
            ],
            Step::Acknowledge(id) => command!["XACK", stream, GROUP, id.to_string()],
        }
    }

    /// Takes until the server is gone.
    pub(crate) async fn play(
        self,
        mut caller: Caller,
        mut random: Random,
    ) -> Result<Takings, String> {
        let mut takings = Takings::default();
        let mut holdings = Holdings::default();
        loop {
            let mut step = Step::draw(&mut random, &holdings);
            let command = self.command(&step);
            takings.log.sent += 1;
            takings.steps.push(step.clone());
            if caller.send(std::slice::from_ref(&command)).await.is_err() {
                return Ok(takings);
            }
            match caller.reply().await {
                Ok(reply) if reply.is_error() => return Err(caller.complaint(&command, reply)),
                Ok(reply) => step.conclude(&reply),
                Err(NoReply::Closed) => return Ok(takings),
                Err(other) => return Err(caller.complaint(&command, other)),
            }
            holdings.apply(&step);
            takings.log.know(takings.log.sent);
            takings.steps.pop();
            takings.steps.push(step);
        }
    }
}

impl Step {
    fn draw(random: &mut Random, holdings: &Holdings) -> Self {
        match random.below(4) {
            0 if !holdings.held.is_empty() => Self::Acknowledge(*random.pick(&holdings.held)),
            1 => Self::Read { entry: None },
            2 => Self::Take { waits: true, element: None },
            _ => Self::Take { waits: false, element: None },
        }
    }

    /// Notes what came of it.
    fn conclude(&mut self, reply: &Reply) {
        match self {
            _ if reply.is_null() => {}
            Self::Take { element, .. } => *element = Some(text(reply)),
            Self::Read { entry } => *entry = first_entry(reply),
            Self::Acknowledge(_) => {}
        }
    }
}

/// The first entry of the first stream in a reply to XREADGROUP, which is a map.
fn first_entry(reply: &Reply) -> Option<Id> {
    let streams = reply.elements()?;
    Some(entries(streams.get(1)?)?.first()?.id)
}

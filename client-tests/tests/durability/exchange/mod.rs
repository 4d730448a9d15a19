//! Elements and entries that go from some connections to others: each is in exactly one place, whatever part of what happened is
//! there, and nobody has what was never given.
//!
//! Every life has a list and a stream of its own, so that nothing has to be cleared away.

mod check;
mod giver;
mod taker;

use client_tests::{command, program::caller::Caller};

use crate::bounds::Log;

pub(crate) use giver::Giver;
pub(crate) use taker::{Taker, Takings};

pub(crate) const GROUP: &str = "group";

/// The keys of one life.
#[derive(Clone)]
pub(crate) struct Exchange {
    queue: String,
    stream: String,
    taken: String,
}

/// What everybody did in one life.
pub(crate) struct Deeds {
    pub(crate) exchange: Exchange,
    pub(crate) givers: Vec<Log>,
    pub(crate) takers: Vec<Takings>,
}

impl Exchange {
    pub(crate) fn new(life: usize) -> Self {
        Self {
            queue: format!("queue-{life}"),
            stream: format!("parcels-{life}"),
            taken: format!("taken-{life}"),
        }
    }

    pub(crate) async fn open(&self, caller: &mut Caller) -> Result<(), String> {
        caller.demand_words(&["SELECT", "0"]).await?;
        let create = command!["XGROUP", "CREATE", self.stream, GROUP, "0", "MKSTREAM"];
        caller.demand(&create).await.map(|_| ())
    }

    /// Whose gift this is, and its number, if somebody gave it in this life.
    pub(crate) fn giver_of(&self, key: &str, gift: &str) -> Option<(usize, u64)> {
        let (giver, number) = gift.split_once(':')?;
        let is_here = key == self.queue || key == self.stream;
        is_here.then_some((giver.parse().ok()?, number.parse().ok()?))
    }

    /// The list of what a taker has.
    fn taken(&self, taker: usize) -> String {
        format!("{}-{taker}", self.taken)
    }
}

fn consumer(taker: usize) -> String {
    format!("taker-{taker}")
}

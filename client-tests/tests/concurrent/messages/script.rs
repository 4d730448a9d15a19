//! What publishers and subscribers do, drawn before anything runs.

use std::time::Duration;

use client_tests::random::Random;

use crate::client::{Words, command};

pub(super) const CHANNELS: [&str; 4] = ["news:0", "news:1", "news:2", "old:0"];
pub(super) const SHARD_CHANNELS: [&str; 2] = ["shard:0", "shard:1"];
const PATTERNS: [&str; 5] = ["news:*", "news:[01]", "?ld:0", "*", "shard:*"];
/// A payload that servers may send by reference.
const LARGE: usize = 20_000;

/// What a subscription is to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(super) enum Kind {
    Channel,
    Pattern,
    Shard,
}

impl Kind {
    /// What stands before SUBSCRIBE.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Channel => "",
            Self::Pattern => "P",
            Self::Shard => "S",
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Channel => &CHANNELS,
            Self::Pattern => &PATTERNS,
            Self::Shard => &SHARD_CHANNELS,
        }
    }
}

pub(super) enum Step {
    Subscribe {
        kind: Kind,
        names: Vec<String>,
    },
    /// From all of the kind if no names are given.
    Unsubscribe {
        kind: Kind,
        names: Vec<String>,
    },
    Listen(Duration),
    Publish(Publication),
}

/// A message and its channel.
#[derive(Clone)]
pub(super) struct Publication {
    pub(super) channel: String,
    pub(super) payload: String,
}

impl Publication {
    pub(super) fn words(&self) -> Words {
        let verb = if self.channel.starts_with("shard:") { "SPUBLISH" } else { "PUBLISH" };
        command(&[verb, &self.channel, &self.payload])
    }
}

/// Publications that are sent with one write.
pub(super) struct Batch {
    pub(super) rest: Duration,
    pub(super) publications: Vec<Publication>,
}

/// Numbers a publisher's messages on each channel.
pub(super) struct Press {
    name: String,
    numbers: Vec<usize>,
}

impl Press {
    pub(super) fn new(name: &str) -> Self {
        let numbers = vec![0; CHANNELS.len() + SHARD_CHANNELS.len()];
        Self { name: name.to_owned(), numbers }
    }

    fn publication(&mut self, random: &mut Random) -> Publication {
        let place = random.below(self.numbers.len());
        let channel = CHANNELS.iter().chain(&SHARD_CHANNELS).nth(place).expect("it is counted");
        let mut payload = format!("{}/{channel}/{}", self.name, self.numbers[place]);
        self.numbers[place] += 1;
        if random.once_in(50) {
            payload.extend(std::iter::once('/').chain(std::iter::repeat_n('x', LARGE)));
        }
        Publication { channel: (*channel).to_owned(), payload }
    }
}

pub(super) fn publisher(name: &str, random: &mut Random, steps: usize) -> Vec<Batch> {
    let mut press = Press::new(name);
    (0..steps)
        .map(|_| Batch {
            rest: Duration::from_micros(random.below(8000) as u64),
            publications: (0..=random.below(8)).map(|_| press.publication(random)).collect(),
        })
        .collect()
}

/// Only RESP3 allows it to publish, too, while it is subscribed.
pub(super) fn subscriber(
    name: &str,
    random: &mut Random,
    steps: usize,
    may_publish: bool,
) -> Vec<Step> {
    let mut press = Press::new(name);
    (0..steps)
        .map(|_| match random.below(10) {
            0..=3 => {
                let kind = any_kind(random);
                Step::Subscribe { kind, names: some_names(kind, random) }
            }
            4..=5 => {
                let kind = any_kind(random);
                let all = random.once_in(4);
                let names = if all { Vec::new() } else { some_names(kind, random) };
                Step::Unsubscribe { kind, names }
            }
            6 if may_publish => Step::Publish(press.publication(random)),
            _ => Step::Listen(Duration::from_micros(random.below(10_000) as u64)),
        })
        .collect()
}

fn any_kind(random: &mut Random) -> Kind {
    *random.pick(&[Kind::Channel, Kind::Pattern, Kind::Shard])
}

/// A name may come twice.
fn some_names(kind: Kind, random: &mut Random) -> Vec<String> {
    (0..=random.below(3)).map(|_| (*random.pick(kind.names())).to_owned()).collect()
}

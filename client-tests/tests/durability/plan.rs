//! What a life of a server is to be like: how it keeps data, and how it ends. All of it is drawn from the seed.

use std::time::Duration;

use client_tests::{random::Random, target::Parameter};

/// What a server does to keep what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    Always,
    EverySecond,
    No,
    /// There is no journal; what was saved is kept.
    Snapshots,
}

/// The moment at which a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing has been written yet.
    OnceReady,
    UnderLoad,
    /// Some time after BGREWRITEAOF or BGSAVE was answered.
    InBackground(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Kill,
    /// By SIGTERM, after which nothing may be missing.
    Stop,
}

/// Which ways a campaign uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    Kills,
    Stops,
    Both,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) keeping: Keeping,
    preamble: bool,
    rewrite_percentage: &'static str,
    rewrite_size: &'static str,
    pub(crate) load: Duration,
    /// So long after each order to write all anew follows the next; never, if it is zero.
    pub(crate) rest_between_rewrites: Duration,
    pub(crate) moment: Moment,
    pub(crate) way: Way,
    /// Kills during starts that come first, each after this part of the time that a start takes.
    pub(crate) killed_starts: Vec<f64>,
}

impl Plan {
    /// A directory that has a journal keeps it, whatever else changes from life to life.
    pub(crate) fn draw(random: &mut Random, journal: bool, ways: Ways) -> Self {
        let keeping = if journal {
            *random.pick(&[Keeping::Always, Keeping::Always, Keeping::EverySecond, Keeping::No])
        } else {
            Keeping::Snapshots
        };
        let killed_starts =
            if ways != Ways::Stops && random.once_in(4) { 1 + random.below(3) } else { 0 };
        Self {
            keeping,
            preamble: random.once_in(2),
            rewrite_percentage: *random.pick(&["0", "10", "100"]),
            rewrite_size: *random.pick(&["1kb", "16kb", "1mb"]),
            load: load(random, keeping),
            rest_between_rewrites: Duration::from_millis(*random.pick(&[0, 0, 20, 100])),
            moment: moment(random),
            way: way(random, ways),
            killed_starts: (0..killed_starts).map(|_| random.below(110) as f64 / 100.0).collect(),
        }
    }

    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let yes_or_no = |truth: bool| if truth { "yes" } else { "no" };
        let policy = match self.keeping {
            Keeping::Always => "always",
            Keeping::EverySecond => "everysec",
            Keeping::No | Keeping::Snapshots => "no",
        };
        let journal = self.keeping != Keeping::Snapshots;
        // With save points there is a snapshot at the end, and these are met by no life.
        let save = if journal { "" } else { "86400 1000000000" };
        [
            ("save", save),
            ("appendonly", yes_or_no(journal)),
            ("appendfsync", policy),
            ("aof-use-rdb-preamble", yes_or_no(self.preamble)),
            ("auto-aof-rewrite-percentage", self.rewrite_percentage),
            ("auto-aof-rewrite-min-size", self.rewrite_size),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// Mostly short, so that there are many ends; sometimes so long that `everysec` has something to lose.
fn load(random: &mut Random, keeping: Keeping) -> Duration {
    let longest_ms = match random.below(8) {
        0 if keeping == Keeping::EverySecond => 2500,
        0..=2 => 20,
        _ => 250,
    };
    Duration::from_millis(1 + random.below(longest_ms) as u64)
}

fn moment(random: &mut Random) -> Moment {
    match random.below(8) {
        0 => Moment::OnceReady,
        1..=3 => Moment::InBackground(Duration::from_micros(random.below(30_000) as u64)),
        _ => Moment::UnderLoad,
    }
}

fn way(random: &mut Random, ways: Ways) -> Way {
    match ways {
        Ways::Kills => Way::Kill,
        Ways::Stops => Way::Stop,
        Ways::Both => *random.pick(&[Way::Kill, Way::Kill, Way::Kill, Way::Stop]),
    }
}

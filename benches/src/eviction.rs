//! Does a full server keep the keys that are asked for?

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cache::{Cache, Limit, Settings, takes_limits};
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::effort::Effort;
use crate::figures::{grouped, shown};
use crate::recency::ExactLru;
use crate::report::Chapter;
use crate::servers::Contender;
use crate::zipf::{EXPONENT, Zipf};

/// A server holds one of so many keys.
const HELD_OF: u64 = 10;

/// How many keys are read at once.
const DEPTH: usize = 32;

/// How many keys are read in a second. Servers count idle time in seconds: at the full speed of a pipeline, the keys of
/// one second would be all there are.
const PACE: u64 = 8_000;

/// What a key may take where memory is equal, name and value and all that a server adds.
const EQUAL_BYTES: u64 = 100;

const SEED: u64 = 72;

/// How often limits are corrected while the caches fill.
const CORRECTIONS: u64 = 30;

/// What is equal for all servers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Equal {
    Keys,
    Memory,
}

/// A way to make room, and what is equal while it is tried.
struct Trial {
    label: &'static str,
    policy: &'static str,
    samples: u32,
    equal: Equal,
}

const TRIALS: [Trial; 7] = [
    trial("allkeys-lru, 5 samples", "allkeys-lru", 5, Equal::Keys),
    trial("allkeys-lru, 10 samples", "allkeys-lru", 10, Equal::Keys),
    trial("allkeys-lfu, 5 samples", "allkeys-lfu", 5, Equal::Keys),
    trial("allkeys-lfu, 10 samples", "allkeys-lfu", 10, Equal::Keys),
    trial("allkeys-random", "allkeys-random", 5, Equal::Keys),
    trial("allkeys-lru, 5 samples", "allkeys-lru", 5, Equal::Memory),
    trial("allkeys-lfu, 5 samples", "allkeys-lfu", 5, Equal::Memory),
];

const fn trial(label: &'static str, policy: &'static str, samples: u32, equal: Equal) -> Trial {
    Trial { label, policy, samples, equal }
}

struct Tables {
    equal_keys: Comparison,
    equal_memory: Comparison,
    held: Comparison,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut tables = Tables {
        equal_keys: Comparison::higher_is_better("Hits of 100 reads, as many keys"),
        equal_memory: Comparison::higher_is_better("Hits of 100 reads, as much memory"),
        held: Comparison::higher_is_better("Keys at the end"),
    };
    // What is asked for is the same in every round: one is enough.
    contest.rounds("eviction", 1, |contender| {
        if takes_limits(contender)? {
            tables.add(contender, play(contender, contest.effort)?)
        } else {
            tables.leave_out(contender);
            Ok(())
        }
    })?;
    Ok(tables.chapter(contest))
}

/// Plays the same reads to all trials of a server at once, since no figure is one of time.
fn play(contender: &Contender, effort: Effort) -> Result<Vec<Cache>> {
    let mut caches = start(contender, effort)?;
    let mut reads = Reads::new(effort);
    let half = turns(effort);
    let began = Instant::now();
    for turn in 0..half * 2 {
        thread::sleep((began + due(turn)).saturating_duration_since(Instant::now()));
        if turn == half {
            caches.iter_mut().for_each(Cache::begin_anew);
        } else if turn < half && turn.is_multiple_of(half / CORRECTIONS) {
            caches.iter_mut().try_for_each(Cache::correct_limit)?;
        }
        let numbers = reads.next_batch();
        caches.iter_mut().try_for_each(|cache| cache.use_keys(&numbers))?;
    }
    Ok(caches)
}

/// All caches are full from the beginning, of the keys that are asked for least.
fn start(contender: &Contender, effort: Effort) -> Result<Vec<Cache>> {
    let held = held(effort);
    let first_keys = effort.eviction_keys - held..effort.eviction_keys;
    let caches = TRIALS.iter().map(|trial| {
        let limit = match trial.equal {
            Equal::Keys => Limit::Keys(held),
            Equal::Memory => Limit::Bytes(held * EQUAL_BYTES),
        };
        let settings = Settings { policy: trial.policy, samples: trial.samples, limit };
        Cache::start(contender, settings, first_keys.clone())
    });
    caches.collect()
}

/// What is asked for, the same for everybody.
struct Reads(Zipf);

impl Reads {
    fn new(effort: Effort) -> Self {
        Reads(Zipf::new(effort.eviction_keys, SEED))
    }

    fn next_batch(&mut self) -> [u64; DEPTH] {
        std::array::from_fn(|_| self.0.draw())
    }
}

fn held(effort: Effort) -> u64 {
    effort.eviction_keys / HELD_OF
}

/// How many pipelines are sent until the figures begin, and again until they end.
fn turns(effort: Effort) -> u64 {
    effort.eviction_watch.as_secs() * PACE / DEPTH as u64
}

fn due(turn: u64) -> Duration {
    Duration::from_micros(turn * DEPTH as u64 * 1_000_000 / PACE)
}

impl Tables {
    fn add(&mut self, contender: &Contender, caches: Vec<Cache>) -> Result<()> {
        for (trial, mut cache) in TRIALS.iter().zip(caches) {
            self.of(trial.equal).add(trial.label, contender, cache.hits_of_100());
            self.held.add(&trial.named(), contender, cache.keys()? as f64);
        }
        Ok(())
    }

    fn leave_out(&mut self, contender: &Contender) {
        for trial in &TRIALS {
            self.of(trial.equal).leave_out(trial.label, contender);
            self.held.leave_out(&trial.named(), contender);
        }
    }

    fn of(&mut self, equal: Equal) -> &mut Comparison {
        match equal {
            Equal::Keys => &mut self.equal_keys,
            Equal::Memory => &mut self.equal_memory,
        }
    }

    fn chapter(&self, contest: &Contest) -> Chapter {
        let contenders = &contest.contenders;
        let panels = [&self.equal_keys, &self.equal_memory];
        let panels = panels.map(|table| table.panel(Shape::Bars, "policy", contenders));
        Chapter {
            title: "Eviction",
            method: method(contest.effort),
            tables: vec![
                self.equal_keys.table(contenders),
                self.equal_memory.table(contenders),
                self.held.plain_table(contenders),
            ],
            charts: vec![Chart { file: "eviction.svg", panels: panels.into() }],
        }
    }
}

impl Trial {
    fn named(&self) -> String {
        match self.equal {
            Equal::Keys => self.label.to_owned(),
            Equal::Memory => format!("{}, as much memory", self.label),
        }
    }
}

fn method(effort: Effort) -> String {
    let (lru, most) = yardsticks(effort);
    format!(
        "Servers as caches: keys are read, and one that is not there is written, with a value of 32 bytes. Keys are \
         drawn from {keys}, the n-th in proportion to 1 / n to the power of {EXPONENT}; what is drawn is the same for \
         all. Every cache begins full, of keys that are hardly asked for. {pace} reads a second for {watch} s bring in \
         others, and as many again are counted. They are sent in pipelines of {DEPTH}. Servers know idle time by the \
         second, so that a slower pace would tell LRU more; the pace is the same for all. *As many keys*: before the \
         count begins, the limit is moved until the server holds {held} keys, so that nothing but the choice of keys \
         matters. *As much memory*: the limit is what the server itself counts as used memory when it is empty, and \
         {EQUAL_BYTES} bytes for each of {held} keys, so that it pays to need less for a key. An exact LRU of {held} \
         keys hits {lru} of 100; keeping always those that are drawn most often would hit {most}. \
         One round, with a server for each line, all of which are read by turns.",
        keys = grouped(effort.eviction_keys),
        pace = grouped(PACE),
        watch = effort.eviction_watch.as_secs(),
        held = grouped(held(effort)),
        lru = shown(lru),
        most = shown(most),
    )
}

/// The hits of 100 reads of an exact LRU, and of whoever knows how often keys are drawn.
fn yardsticks(effort: Effort) -> (f64, f64) {
    let mut reads = Reads::new(effort);
    let mut cache = ExactLru::new(held(effort) as usize);
    let mut hits = 0;
    for turn in 0..turns(effort) * 2 {
        let found = reads.next_batch().into_iter().filter(|&key| cache.hits(key)).count();
        hits += if turn < turns(effort) { 0 } else { found };
    }
    let counted = turns(effort) as usize * DEPTH;
    let most = reads.0.part_of_first(held(effort));
    (hits as f64 / counted as f64 * 100.0, most * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effort::QUICK;

    #[test]
    fn pipelines_keep_the_pace() {
        assert_eq!(due(0), Duration::ZERO);
        assert_eq!(due(turns(QUICK)), QUICK.eviction_watch);
    }

    #[test]
    fn an_exact_lru_hits_less_than_whoever_knows_what_comes() {
        let (lru, most) = yardsticks(QUICK);
        assert!(lru > 50.0 && lru < most && most < 100.0, "{lru} {most}");
    }
}

//! What a server counts: requests, traffic, errors, and how long each command takes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::command::{Registered, Table};
use crate::error::Error;

/// Codes of errors counted apart; a flood of made-up ones is cut off here.
const MOST_ERROR_CODES: usize = 128;

#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) connections: AtomicU64,
    pub(crate) rejected_connections: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) dropped_for_query_buffer: AtomicU64,
    pub(crate) dropped_for_output_buffer: AtomicU64,
    commands: Box<[CommandStats]>,
    errors: Mutex<BTreeMap<String, u64>>,
    rates: Mutex<Rates>,
}

/// What is counted of one command.
#[derive(Debug, Default)]
pub(crate) struct CommandStats {
    pub(crate) calls: AtomicU64,
    pub(crate) spent_ns: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) failed: AtomicU64,
    histogram: OnceLock<Box<Histogram>>,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let commands = Table::get().rows().iter().map(|_| CommandStats::default()).collect();
        Stats {
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            dropped_for_query_buffer: AtomicU64::new(0),
            dropped_for_output_buffer: AtomicU64::new(0),
            commands,
            errors: Mutex::default(),
            rates: Mutex::default(),
        }
    }

    pub(crate) fn command(&self, row: &Registered) -> &CommandStats {
        &self.commands[row.id]
    }

    /// How many requests were executed.
    pub(crate) fn calls(&self) -> u64 {
        self.commands.iter().map(|command| command.calls.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn error(&self, error: &Error) {
        let code = error.code();
        let mut errors = self.errors.lock().expect("nothing panics while it counts errors");
        if errors.len() < MOST_ERROR_CODES || errors.contains_key(&code) {
            *errors.entry(code).or_default() += 1;
        }
    }

    /// How often each error code was sent.
    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().expect("nothing panics while it counts errors").clone()
    }

    /// Takes a sample of the counters, for the rates that `INFO stats` shows.
    pub(crate) fn sample(&self, now_us: i64) {
        let totals = [self.calls(), read(&self.received_bytes), read(&self.sent_bytes)];
        self.rates.lock().expect("nothing panics while it samples").add(now_us, totals);
    }

    /// Requests, bytes received and bytes sent per second of late.
    pub(crate) fn rates(&self) -> [u64; 3] {
        self.rates.lock().expect("nothing panics while it samples").averages()
    }

    /// `CONFIG RESETSTAT`.
    pub(crate) fn reset(&self) {
        let Stats { connections, rejected_connections, received_bytes, sent_bytes, .. } = self;
        let Stats { reads, writes, .. } = self;
        let Stats { dropped_for_query_buffer, dropped_for_output_buffer, .. } = self;
        for counter in [
            connections,
            rejected_connections,
            received_bytes,
            sent_bytes,
            reads,
            writes,
            dropped_for_query_buffer,
            dropped_for_output_buffer,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        for command in &self.commands {
            command.reset();
        }
        self.errors.lock().expect("nothing panics while it counts errors").clear();
    }
}

impl CommandStats {
    pub(crate) fn record(&self, spent_ns: u64, with_histogram: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.spent_ns.fetch_add(spent_ns, Ordering::Relaxed);
        if with_histogram {
            self.histogram.get_or_init(Box::default).record(spent_ns);
        }
    }

    pub(crate) fn histogram(&self) -> Option<&Histogram> {
        self.histogram.get().map(|histogram| &**histogram)
    }

    fn reset(&self) {
        for counter in [&self.calls, &self.spent_ns, &self.rejected, &self.failed] {
            counter.store(0, Ordering::Relaxed);
        }
        self.reset_histogram();
    }

    pub(crate) fn reset_histogram(&self) {
        if let Some(histogram) = self.histogram() {
            for bucket in &histogram.buckets {
                bucket.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// Durations by their order of magnitude, each power of two in sixteen steps.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; Histogram::BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [const { AtomicU64::new(0) }; Self::BUCKETS] }
    }
}

impl Histogram {
    const STEP_BITS: usize = 4;
    const STEPS: usize = 1 << Self::STEP_BITS;
    /// What is shorter or longer counts as if it were not, as Redis has it for the longest.
    const SHORTEST_NS: u64 = Self::STEPS as u64;
    const LONGEST_NS: u64 = 1_000_000_000;
    const POWERS: usize = Self::LONGEST_NS.ilog2() as usize - Self::STEP_BITS + 1;
    const BUCKETS: usize = Self::STEPS * Self::POWERS;

    fn record(&self, spent_ns: u64) {
        self.buckets[Self::bucket(spent_ns)].fetch_add(1, Ordering::Relaxed);
    }

    fn bucket(spent_ns: u64) -> usize {
        let spent = spent_ns.clamp(Self::SHORTEST_NS, Self::LONGEST_NS);
        let power = spent.ilog2() as usize - Self::STEP_BITS;
        let step = (spent >> power) as usize & (Self::STEPS - 1);
        power * Self::STEPS + step
    }

    /// The longest duration that counts in a bucket.
    const fn longest_ns(bucket: usize) -> u64 {
        let (power, step) = (bucket / Self::STEPS, bucket % Self::STEPS);
        (((Self::STEPS + step + 1) as u64) << power) - 1
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(read).sum()
    }

    /// How many took less than each power of two, for those that say more than the one before.
    /// The powers are of nanoseconds, named in microseconds as Redis rounds them.
    pub(crate) fn by_microseconds(&self) -> Vec<(u64, u64)> {
        let (mut seen, mut shown, mut result, mut limit_ns) = (0, 0, Vec::new(), 1024);
        for (bucket, count) in self.buckets.iter().map(read).enumerate() {
            while Self::longest_ns(bucket) >= limit_ns {
                if seen > shown {
                    result.push((limit_name_us(limit_ns), seen));
                    shown = seen;
                }
                limit_ns *= 2;
            }
            seen += count;
        }
        if seen > shown {
            result.push((limit_name_us(limit_ns), seen));
        }
        result
    }

    /// The duration that so many percent stay below, in microseconds.
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        let wanted = (self.count() as f64 * percent / 100.0).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().map(read).enumerate() {
            seen += count;
            if seen >= wanted && count > 0 {
                return Self::longest_ns(bucket) as f64 / 1000.0;
            }
        }
        0.0
    }
}

/// The end of the span that Redis's histogram, exact to two digits, has at this power of two.
const fn limit_name_us(limit_ns: u64) -> u64 {
    (limit_ns + limit_ns / 128 - 1) / 1000
}

/// The last samples of three counters.
#[derive(Debug, Default)]
struct Rates {
    last: Option<(i64, [u64; 3])>,
    samples: [[u64; 3]; Rates::KEPT],
    next: usize,
}

impl Rates {
    const KEPT: usize = 16;

    fn add(&mut self, now_us: i64, totals: [u64; 3]) {
        if let Some((then_us, before)) = self.last
            && now_us > then_us
        {
            let rate = |new: u64, old: u64| {
                (u128::from(new.saturating_sub(old)) * 1_000_000 / (now_us - then_us) as u128)
                    as u64
            };
            self.samples[self.next] = std::array::from_fn(|at| rate(totals[at], before[at]));
            self.next = (self.next + 1) % Self::KEPT;
        }
        self.last = Some((now_us, totals));
    }

    fn averages(&self) -> [u64; 3] {
        let average =
            |at: usize| self.samples.iter().map(|one| one[at]).sum::<u64>() / Self::KEPT as u64;
        std::array::from_fn(average)
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        let mut expected = 0;
        for bucket in 0..Histogram::BUCKETS {
            let longest_ns = Histogram::longest_ns(bucket);
            if longest_ns <= Histogram::LONGEST_NS {
                assert_eq!(Histogram::bucket(longest_ns), bucket);
                assert_eq!(Histogram::bucket(longest_ns + 1), bucket + 1);
            }
            assert!(longest_ns > expected);
            expected = longest_ns;
        }
        assert_eq!(Histogram::bucket(0), 0);
        assert!(Histogram::bucket(u64::MAX) < Histogram::BUCKETS);
    }

    #[test]
    fn the_distribution_has_the_limits_that_redis_prints() {
        let histogram = Histogram::default();
        for power in 0..22 {
            histogram.record((1000 << power) as u64);
        }
        let limits: Vec<u64> = histogram.by_microseconds().iter().map(|&(us, _)| us).collect();
        let expected = [
            1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633,
            135_266, 270_532, 541_065, 1_082_130,
        ];
        assert_eq!(limits, expected);
        assert_eq!(histogram.by_microseconds().last(), Some(&(1_082_130, 22)));
    }

    #[test]
    fn an_empty_histogram_says_nothing() {
        let histogram = Histogram::default();
        assert_eq!(histogram.by_microseconds(), []);
        assert!(histogram.percentile_us(99.0).abs() < f64::EPSILON);
    }

    #[test]
    fn percentiles_are_exact_to_a_sixteenth() {
        let histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(micros * 1000);
        }
        for (percent, expected) in [(0.0, 1.0), (50.0, 500.0), (99.0, 990.0), (100.0, 1000.0)] {
            let found = histogram.percentile_us(percent);
            assert!(found >= expected && found <= expected * 1.0625, "{percent}: {found}");
        }
    }

    #[test]
    fn rates_are_averages_over_the_last_samples() {
        let mut rates = Rates::default();
        for second in 0..=Rates::KEPT as u64 {
            rates.add((second * 1_000_000) as i64, [second * 100, second * 2048, 0]);
        }
        assert_eq!(rates.averages(), [100, 2048, 0]);
    }
}

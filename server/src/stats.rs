//! What a server counts: requests, traffic, errors, and how long each command takes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::available_parallelism;

use crate::command::{Registered, Table};
use crate::error::Error;

/// Codes of errors counted apart; a flood of made-up ones is cut off here.
const MOST_ERROR_CODES: usize = 128;
const MOST_STRIPES: usize = 16;

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
    /// What the commands did, by groups of clients so that these seldom wait for each other.
    stripes: Box<[Stripe]>,
    /// How many clients have been given a stripe.
    given_stripes: AtomicUsize,
    rejected: Box<[AtomicU64]>,
    failed: Box<[AtomicU64]>,
    errors: Mutex<BTreeMap<String, u64>>,
    rates: Mutex<Rates>,
}

/// What a group of clients has done. Lines of memory are its own, or two groups would wait for each
/// other after all.
#[derive(Debug)]
#[repr(align(64))]
struct Stripe(Mutex<Vec<CommandStats>>);

impl Stripe {
    fn new(rows: usize) -> Self {
        Stripe(Mutex::new(vec![CommandStats::default(); rows]))
    }

    /// What is counted of each command, by its id.
    fn lock(&self) -> MutexGuard<'_, Vec<CommandStats>> {
        self.0.lock().expect("nothing panics while it counts commands")
    }
}

/// What is counted of a command that was executed.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandStats {
    pub(crate) calls: u64,
    pub(crate) spent_ns: u64,
    /// How the durations are distributed, if any was tracked.
    pub(crate) histogram: Option<Box<Histogram>>,
}

/// What one client has done that is not yet part of the statistics: a run of requests is added to
/// them at once, as nothing that all clients share should be touched with every request.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    executed: Vec<Executed>,
    /// Where it is added; clients are given stripes in turn.
    stripe: Option<usize>,
}

/// A command that was executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed {
    /// The id of its row.
    pub(crate) row: usize,
    /// Whether its duration is to be part of the distribution.
    pub(crate) tracked: bool,
    pub(crate) spent_ns: u64,
}

impl Tally {
    const MOST: usize = 64;

    pub(crate) fn add(&mut self, stats: &Stats, executed: Executed) {
        if self.executed.len() == Self::MOST {
            self.flush(stats);
        }
        self.executed.push(executed);
    }

    /// What was done counts for nothing.
    pub(crate) fn forget(&mut self) {
        self.executed.clear();
    }

    /// Adds everything to the statistics.
    pub(crate) fn flush(&mut self, stats: &Stats) {
        if self.executed.is_empty() {
            return;
        }
        let give = || stats.given_stripes.fetch_add(1, Ordering::Relaxed) % stats.stripes.len();
        let mut stripe = stats.stripes[*self.stripe.get_or_insert_with(give)].lock();
        for executed in self.executed.drain(..) {
            stripe[executed.row].record(executed);
        }
    }
}

impl Stats {
    pub(crate) fn new() -> Self {
        let rows = Table::get().rows().len();
        let stripes = available_parallelism().map_or(1, usize::from).min(MOST_STRIPES);
        let counters = || (0..rows).map(|_| AtomicU64::new(0)).collect();
        Stats {
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            dropped_for_query_buffer: AtomicU64::new(0),
            dropped_for_output_buffer: AtomicU64::new(0),
            stripes: (0..stripes).map(|_| Stripe::new(rows)).collect(),
            given_stripes: AtomicUsize::new(0),
            rejected: counters(),
            failed: counters(),
            errors: Mutex::default(),
            rates: Mutex::default(),
        }
    }

    /// What was counted of a command.
    pub(crate) fn command(&self, row: &Registered) -> CommandStats {
        let mut sum = CommandStats::default();
        for stripe in &self.stripes {
            sum.add(&stripe.lock()[row.id]);
        }
        sum
    }

    pub(crate) fn rejected(&self, row: &Registered) -> &AtomicU64 {
        &self.rejected[row.id]
    }

    pub(crate) fn failed(&self, row: &Registered) -> &AtomicU64 {
        &self.failed[row.id]
    }

    /// How many requests were executed.
    pub(crate) fn calls(&self) -> u64 {
        let calls =
            |stripe: &Stripe| stripe.lock().iter().map(|command| command.calls).sum::<u64>();
        self.stripes.iter().map(calls).sum()
    }

    pub(crate) fn error(&self, error: &Error) {
        if matches!(error, Error::Counted(_)) {
            return;
        }
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
        for counter in self.rejected.iter().chain(&self.failed) {
            counter.store(0, Ordering::Relaxed);
        }
        for stripe in &self.stripes {
            stripe.lock().fill(CommandStats::default());
        }
        self.errors.lock().expect("nothing panics while it counts errors").clear();
    }
}

impl CommandStats {
    fn record(&mut self, executed: Executed) {
        self.calls += 1;
        self.spent_ns += executed.spent_ns;
        if executed.tracked {
            self.histogram.get_or_insert_default().record(executed.spent_ns);
        }
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.spent_ns += other.spent_ns;
        if let Some(histogram) = &other.histogram {
            self.histogram.get_or_insert_default().add(histogram);
        }
    }
}

/// Durations by their order of magnitude, each power of two in sixteen steps.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: [u64; Histogram::BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [0; Self::BUCKETS] }
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

    fn record(&mut self, spent_ns: u64) {
        self.buckets[Self::bucket(spent_ns)] += 1;
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
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
        self.buckets.iter().sum()
    }

    /// How many took less than each power of two, for those that say more than the one before.
    /// The powers are of nanoseconds, named in microseconds as Redis rounds them.
    pub(crate) fn by_microseconds(&self) -> Vec<(u64, u64)> {
        let (mut seen, mut shown, mut result, mut limit_ns) = (0, 0, Vec::new(), 1024);
        for (bucket, count) in self.buckets.iter().copied().enumerate() {
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
        for (bucket, count) in self.buckets.iter().copied().enumerate() {
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
        let mut histogram = Histogram::default();
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
        let mut histogram = Histogram::default();
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

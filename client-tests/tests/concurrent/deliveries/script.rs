//! What each consumer of a group does, drawn before anything runs.

use std::time::Duration;

use client_tests::random::Random;

/// Shorter than a script, longer than a round trip, and some in between.
const TIMEOUTS_MS: [usize; 5] = [1, 5, 10, 30, 80];
/// How long consumers rest at most between two steps.
const REST: usize = 1000;
/// Those who take over what others left rest longer, or nobody else would get anywhere.
const RECLAIMER_REST: usize = 15_000;

pub(super) struct Step {
    pub(super) rest: Duration,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// Waits for entries that nobody in the group has got yet.
    Read { most: usize, timeout_ms: usize, then: Then },
    /// Hangs up in the middle of a wait: what was delivered, nobody has seen.
    HangUp { timeout_ms: usize, after: Duration },
    /// Reads again what this consumer got, and has not acknowledged.
    ReadAgain { stream: usize, most: usize, then: Then },
    /// Takes over what was delivered to others, and has been idle for some time.
    Claim { stream: usize, least_idle_ms: usize, most: usize, way: Way, then: Then },
}

#[derive(Clone, Copy)]
pub(super) enum Way {
    Auto,
    /// Learns ids alone, which does not count as a delivery.
    AutoIds,
    /// Looks at what is pending, and claims some of it.
    Chosen,
}

/// What becomes of entries once they were delivered.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Acknowledge,
    AcknowledgeEveryOther,
    Leave,
    /// Loses the connection, and comes back under the same name.
    Crash,
}

pub(super) fn worker(random: &mut Random, steps: usize, streams: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| {
            let (most, timeout_ms) = (1 + random.below(5), *random.pick(&TIMEOUTS_MS));
            let kind = match random.below(12) {
                0 => {
                    let after = Duration::from_micros(random.below(8000) as u64);
                    Kind::HangUp { timeout_ms: 1000, after }
                }
                1 => Kind::ReadAgain { stream: random.below(streams), most, then: then(random) },
                2 => claim(random, streams),
                _ => Kind::Read { most, timeout_ms, then: then(random) },
            };
            Step { rest: Duration::from_micros(random.below(REST) as u64), kind }
        })
        .collect()
}

pub(super) fn reclaimer(random: &mut Random, steps: usize, streams: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| Step {
            rest: Duration::from_micros(random.below(RECLAIMER_REST) as u64),
            kind: claim(random, streams),
        })
        .collect()
}

/// Some of what comes last is left, too, so that something is pending when all is over.
pub(super) fn at_last(played: usize) -> Then {
    if played.is_multiple_of(3) { Then::Leave } else { Then::Acknowledge }
}

/// Takes over what is left, and leaves most of it again.
pub(super) fn heir(random: &mut Random, steps: usize, streams: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| {
            let then = if random.once_in(6) { Then::AcknowledgeEveryOther } else { Then::Leave };
            let (stream, most) = (random.below(streams), 1 + random.below(8));
            let (least_idle_ms, way) = (0, any_way(random));
            let kind = if random.once_in(3) {
                Kind::ReadAgain { stream, most, then }
            } else {
                Kind::Claim { stream, least_idle_ms, most, way, then }
            };
            Step { rest: Duration::from_micros(random.below(REST) as u64), kind }
        })
        .collect()
}

fn claim(random: &mut Random, streams: usize) -> Kind {
    Kind::Claim {
        stream: random.below(streams),
        least_idle_ms: *random.pick(&[0, 1, 5, 20]),
        most: 1 + random.below(8),
        way: any_way(random),
        then: then(random),
    }
}

fn any_way(random: &mut Random) -> Way {
    *random.pick(&[Way::Auto, Way::AutoIds, Way::Chosen])
}

fn then(random: &mut Random) -> Then {
    match random.below(10) {
        0..=4 => Then::Acknowledge,
        5..=6 => Then::AcknowledgeEveryOther,
        7..=8 => Then::Leave,
        _ => Then::Crash,
    }
}

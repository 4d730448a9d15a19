//! Taking longer than need be, where tests ask for it to look at what happens meanwhile.

use std::time::Duration;

use super::job::Job;
use crate::config::Param;
use crate::engine::Engine;

/// So soon it is noticed that nobody asks for it any more.
const STEP: Duration = Duration::from_millis(10);

/// Waits as is asked for so many keys that a snapshot has taken.
pub(super) async fn linger_saving(engine: &Engine, job: &Job, keys: u64) {
    let mut waited = Duration::ZERO;
    while !job.is_abandoned()
        && let Some(step) = next_step(engine, Param::RdbKeySaveDelay, keys, waited)
    {
        engine.clock.sleep(step).await;
        waited += step;
    }
}

/// Waits as is asked for a key that has been loaded.
pub(super) fn linger_loading(engine: &Engine) {
    let mut waited = Duration::ZERO;
    while let Some(step) = next_step(engine, Param::KeyLoadDelay, 1, waited) {
        std::thread::park_timeout(step);
        waited += step;
    }
}

/// How long to wait now, if there is anything left: so many microseconds for each key, or so many keys for each
/// microsecond where the number is negative.
fn next_step(engine: &Engine, param: Param, keys: u64, waited: Duration) -> Option<Duration> {
    let delay = engine.config.number(param);
    let wanted_us = match delay {
        0 => return None,
        1.. => delay.unsigned_abs().saturating_mul(keys),
        _ => keys / delay.unsigned_abs(),
    };
    let left = Duration::from_micros(wanted_us).saturating_sub(waited);
    (!left.is_zero()).then_some(left.min(STEP))
}

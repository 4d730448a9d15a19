//! Losing power at every call of the disk.

use super::faults::{LATER_STEPS, LOG_STEPS, SNAPSHOT_STEPS};
use super::history::End;
use super::world::{DIRECTORY, Keeping, Outcome, World, found_on};
use crate::journal::faulty::FaultyDisk;

/// How many ways to lose what is not on the disk are tried at each call.
const WAYS: usize = 3;

fn lose_power_at_every_call(keeping: Keeping, steps: &[&str]) {
    let disk = FaultyDisk::new(DIRECTORY);
    disk.remember();
    let mut world = World::start(disk.clone(), keeping).expect("the disk is well");
    for step in steps {
        if *step == "@restart" {
            world.restart();
        } else {
            assert_eq!(world.step(step), Outcome::Done, "{step}");
        }
    }
    assert_eq!(world.end(), Ok(()));
    for call in 0..disk.count_calls() {
        for seed in 0..WAYS {
            let seed = (call * WAYS + seed) as u64;
            let left = world.disk.without_power_at(call, seed);
            let result = found_on(&left.copy(), keeping)
                .and_then(|found| world.history.check(&found, End::PowerLoss, call));
            if let Err(problem) = result {
                let calls = &disk.calls()[call.saturating_sub(8)..call];
                panic!(
                    "{keeping:?}, before call {call} (after {calls:?}) with seed {seed}: {problem}; there was {:?}",
                    left.names()
                );
            }
        }
    }
}

#[test]
fn a_log_that_is_always_synced_loses_nothing_with_the_power() {
    lose_power_at_every_call(Keeping::Log("always"), LOG_STEPS);
}

#[test]
fn a_log_loses_with_the_power_what_was_not_synced() {
    lose_power_at_every_call(Keeping::Log("everysec"), LOG_STEPS);
    lose_power_at_every_call(Keeping::Log("no"), LOG_STEPS);
}

#[test]
fn a_log_that_is_turned_on_counts_once_it_has_a_base() {
    lose_power_at_every_call(Keeping::LogLater("always"), LATER_STEPS);
}

#[test]
fn of_snapshots_the_last_or_the_next_one_outlasts_the_power() {
    lose_power_at_every_call(Keeping::Snapshots, SNAPSHOT_STEPS);
}

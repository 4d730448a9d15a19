//! A disk that fails at every call in turn.

use super::history::End;
use super::world::{DIRECTORY, Keeping, Outcome, World, found_on, names_a_file};
use crate::journal::faulty::{Call, Fault, FaultyDisk, Plan, Spell};

/// Changes of all kinds, the log written anew on request and because it has grown, and restarts.
pub(super) const LOG_STEPS: &[&str] = &[
    "SET text hello",
    "SET expiring soon PX 100000",
    "SET lasting long PX 10000000000",
    "MSET left 1 right 1",
    "RPUSH list a b 3",
    "LPOP list",
    "SADD set one 2 three",
    "SADD numbers 1 2 3",
    "XADD stream * field value",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group ann STREAMS stream >",
    "MULTI; SET left 2; RPUSH list d; SET right 2; EXEC",
    "EVAL redis.call('INCR',KEYS[1])redis.call('INCR',KEYS[2]) 2 left right",
    "BGREWRITEAOF",
    "RPUSH list e",
    "@job",
    "SELECT 1; SET elsewhere here; SELECT 0",
    "@restart",
    "RPUSH list f",
    "SETRANGE long 9000 end",
    "SPOP set",
    "@job",
    "RPUSH list g",
    "@advance 200000",
    "SAVE",
    "MULTI; INCR left; INCR right; EXEC",
    "@restart",
    "BGREWRITEAOF",
    "@job",
    "DEL text",
];

/// Changes, and snapshots asked for, in the background, and because of the changes.
pub(super) const SNAPSHOT_STEPS: &[&str] = &[
    "SET text hello",
    "MSET left 1 right 1",
    "SAVE",
    "RPUSH list a b 3",
    "SADD set one 2 three",
    "XADD stream * field value",
    "BGSAVE",
    "SET text changed",
    "@job",
    "@restart",
    "MULTI; INCR left; INCR right; EXEC",
    "SETRANGE long 9000 end",
    "@advance 61000",
    "DEL list",
    "@job",
    "INCR left; INCR right",
];

/// A log that is turned on, and written anew before it has a base and afterwards.
pub(super) const LATER_STEPS: &[&str] = &[
    "SET text hello",
    "RPUSH list a",
    "@log",
    "RPUSH list b",
    "@job",
    "RPUSH list c",
    "BGREWRITEAOF",
    "RPUSH list d",
    "@job",
    "RPUSH list e",
    "@restart",
    "RPUSH list f",
];

const ALL_FAULTS: &[(Fault, Spell)] = &[
    (Fault::Full, Spell::UntilHealed),
    (Fault::FullHalfway, Spell::Once),
    (Fault::FullHalfway, Spell::UntilHealed),
    (Fault::Broken, Spell::Once),
    (Fault::Broken, Spell::UntilHealed),
];

/// Where how long it lasts makes no difference: the first failure is the last.
const SOME_FAULTS: &[(Fault, Spell)] = &[
    (Fault::Full, Spell::UntilHealed),
    (Fault::FullHalfway, Spell::Once),
    (Fault::Broken, Spell::Once),
];

/// Says which plan it was when a test fails.
struct ReportOnPanic(Keeping, Plan, Vec<Call>);

impl Drop for ReportOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ReportOnPanic(keeping, plan, calls) = self;
            let before = &calls[plan.call.saturating_sub(8)..=plan.call];
            eprintln!("{keeping:?} with {plan:?}; the calls up to it are {before:?}");
        }
    }
}

/// The calls that all steps make on a disk that is well.
fn calls_of(keeping: Keeping, steps: &[&str]) -> Vec<Call> {
    let disk = FaultyDisk::new(DIRECTORY);
    run(&disk, keeping, steps);
    disk.calls()
}

fn fail_at_every_call(keeping: Keeping, steps: &[&str], faults: &[(Fault, Spell)]) {
    let calls = calls_of(keeping, steps);
    for (call, kind) in calls.iter().enumerate() {
        for (fault, spell) in faults.iter().copied().filter(|(fault, _)| kind.can_suffer(*fault)) {
            let plan = Plan { call, fault, spell };
            let report = ReportOnPanic(keeping, plan, calls.clone());
            let disk = FaultyDisk::new(DIRECTORY);
            disk.plan(plan);
            run(&disk, keeping, steps);
            drop(report);
        }
    }
}

/// Does all steps as far as the disk lets it, and looks at what is left in the end, and once the disk is well again.
fn run(disk: &FaultyDisk, keeping: Keeping, steps: &[&str]) {
    let mut world = World::start(disk.clone(), keeping).unwrap_or_else(|reason| {
        assert!(names_a_file(&reason), "which file is it? {reason}");
        disk.heal();
        World::start(disk.survive(), keeping)
            .unwrap_or_else(|reason| panic!("the disk is well: {reason}"))
    });
    let mut is_refused = false;
    for step in steps {
        if *step == "@restart" {
            world.restart();
            continue;
        }
        match world.step(step) {
            Outcome::Failed => break,
            // What follows may miss what was refused.
            Outcome::Refused(error) => {
                assert!(is_refused || is_refusal(step, &error), "{step}: {error}");
            }
            Outcome::Done => continue,
        }
        is_refused = true;
        assert!(world.reads(), "after {step}");
    }
    assert_what_is_left(&world, keeping);
    disk.heal();
    if world.engine.has_failed() {
        let is_always = matches!(keeping, Keeping::Log("always") | Keeping::LogLater("always"));
        assert!(is_always, "only this one fails");
        world.restart();
    }
    if keeping != Keeping::Snapshots {
        assert_eq!(world.step("@log"), Outcome::Done);
    }
    world.recover();
    assert_eq!(world.step("SET healed yes"), Outcome::Done);
    assert_eq!(world.end(), Ok(()));
    assert_what_is_left(&world, keeping);
}

/// Whether this may be told to who asks for something that the disk does not let be.
fn is_refusal(step: &str, error: &str) -> bool {
    let is_told = error.starts_with("MISCONF ") || error.starts_with("EXECABORT ");
    is_told || step == "SAVE" && error == "ERR"
}

/// What another server would find now, with the power and without.
fn assert_what_is_left(world: &World, keeping: Keeping) {
    let calls = world.disk.count_calls();
    let without_power = world.disk.without_power(calls as u64);
    for (end, disk) in [(End::Kill, world.disk.copy()), (End::PowerLoss, without_power)] {
        let result =
            found_on(&disk, keeping).and_then(|found| world.history.check(&found, end, calls));
        result.unwrap_or_else(|problem| panic!("after {end:?}: {problem}; {:?}", disk.names()));
    }
}

#[test]
fn a_log_that_is_always_synced_withstands_every_failing_call() {
    fail_at_every_call(Keeping::Log("always"), LOG_STEPS, SOME_FAULTS);
}

#[test]
fn a_log_that_is_synced_every_second_withstands_every_failing_call() {
    fail_at_every_call(Keeping::Log("everysec"), LOG_STEPS, ALL_FAULTS);
}

#[test]
fn a_log_that_is_never_synced_withstands_every_failing_call() {
    fail_at_every_call(Keeping::Log("no"), LOG_STEPS, SOME_FAULTS);
}

#[test]
fn a_log_that_is_turned_on_withstands_every_failing_call() {
    fail_at_every_call(Keeping::LogLater("everysec"), LATER_STEPS, ALL_FAULTS);
    fail_at_every_call(Keeping::LogLater("always"), LATER_STEPS, SOME_FAULTS);
}

#[test]
fn snapshots_withstand_every_failing_call() {
    fail_at_every_call(Keeping::Snapshots, SNAPSHOT_STEPS, ALL_FAULTS);
}

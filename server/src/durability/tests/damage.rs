//! Files that are cut off, or have a byte that is not what it was.

use std::sync::Arc;

use super::history::Everything;
use super::world::{Keeping, World, clock, config, engine_on};
use crate::durability::load;
use crate::journal::faulty::FaultyDisk;

const SNAPSHOT: &str = "/dump.rdb";
const INCREMENT: &str = "/appendonlydir/appendonly.aof.1.incr.aof";

/// Values of all types, in several databases, of which none is long.
const STEPS: &[&str] = &[
    "SET text hello",
    "SET integer -12345",
    "SET lasting long PX 10000000000",
    "SETRANGE repeated 300 end",
    "RPUSH list a 1 70000 -5",
    "MULTI; SET left 1; SELECT 1; SET other there; SELECT 0; SET right 1; EXEC",
    "SADD numbers 1 2 3",
    "SADD set one two three",
    "XADD stream 5-1 field value",
    "XADD stream 5-2 field value more 12",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group ann COUNT 1 STREAMS stream >",
    "SELECT 2; APPEND grown text; SELECT 0",
    "DEL text",
];

/// A disk with what the steps leave, and what there was after each of them.
fn disk_after(steps: &[&str], keeping: Keeping) -> (FaultyDisk, Vec<Everything>) {
    let mut world = World::start(FaultyDisk::new("/"), keeping).expect("the disk is well");
    let mut states = vec![Everything::of(&world.engine)];
    for step in steps {
        world.step(step);
        states.push(Everything::of(&world.engine));
    }
    let disk = world.disk.copy();
    (disk, states)
}

/// What a server finds on a disk with these parameters set; the error is why it does not start.
fn load_with(disk: &FaultyDisk, keeping: Keeping, set: (&str, &str)) -> Result<Everything, String> {
    let config = config(keeping);
    config.set_at_start(set.0, &[set.1]).expect("the parameter is valid");
    let engine = Arc::new(engine_on(disk, config, clock()));
    let loaded = load(&engine).map(|()| Everything::of(&engine));
    engine.durability.appending.finish(&engine);
    loaded
}

/// The byte that a refusal names.
fn offset_in(refusal: &str) -> Option<u64> {
    let (_, behind) = refusal.rsplit_once("(at byte ")?;
    behind.split(')').next()?.parse().ok()
}

#[test]
fn of_a_log_that_is_cut_the_whole_units_are_loaded() {
    let keeping = Keeping::Log("no");
    let (disk, states) = disk_after(STEPS, keeping);
    let whole = disk.get(INCREMENT).expect("there is a log");
    let mut reached = 0;
    for length in 0..=whole.len() {
        disk.put(INCREMENT, &whole[..length]);
        let strict = load_with(&disk, keeping, ("aof-load-truncated", "no"));
        assert_eq!(disk.get(INCREMENT).expect("it stays").len(), length, "nothing was changed");
        let found = load_with(&disk, keeping, ("aof-load-truncated", "yes"));
        let found = found.unwrap_or_else(|refusal| panic!("{length} bytes: {refusal}"));
        let index = states.iter().rposition(|state| *state == found);
        let index = index.unwrap_or_else(|| panic!("{length} bytes: it was never so: {found:?}"));
        assert!(index >= reached, "{length} bytes: less than of a shorter file");
        reached = index;
        let kept = disk.get(INCREMENT).expect("it stays").len();
        match strict {
            Ok(strict) => assert!(strict == found && kept == length, "{length} bytes are whole"),
            Err(refusal) => {
                assert!(kept < length, "{length} bytes: {refusal}");
                assert_eq!(offset_in(&refusal), Some(kept as u64), "{length} bytes: {refusal}");
                assert!(refusal.contains(INCREMENT), "{refusal}");
            }
        }
        assert_eq!(load_with(&disk, keeping, ("aof-load-truncated", "no")), Ok(found));
    }
    assert_eq!(reached, states.len() - 1);
}

#[test]
fn of_a_log_that_ends_in_zeros_the_whole_units_are_loaded() {
    let keeping = Keeping::Log("no");
    let (disk, states) = disk_after(STEPS, keeping);
    let whole = disk.get(INCREMENT).expect("there is a log");
    for length in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[length..].fill(0);
        disk.put(INCREMENT, &bytes);
        let found = load_with(&disk, keeping, ("aof-load-truncated", "yes"));
        let found = found.unwrap_or_else(|refusal| panic!("{length} bytes: {refusal}"));
        assert!(states.contains(&found), "{length} bytes: it was never so: {found:?}");
        assert!(disk.get(INCREMENT).expect("it stays").len() <= length);
    }
}

/// The ways in which a byte becomes another.
const FLIPS: [u8; 3] = [0xff, 0x01, 0x80];

#[test]
fn a_flipped_byte_of_a_log_is_refused_or_loaded() {
    let keeping = Keeping::Log("no");
    let (disk, _) = disk_after(STEPS, keeping);
    let whole = disk.get(INCREMENT).expect("there is a log");
    for flip in FLIPS {
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            disk.put(INCREMENT, &bytes);
            if let Err(refusal) = load_with(&disk, keeping, ("aof-load-truncated", "no")) {
                assert!(offset_in(&refusal).is_some(), "byte {at}: {refusal}");
                assert!(refusal.contains(INCREMENT), "byte {at}: {refusal}");
            }
        }
    }
}

#[test]
fn a_flipped_byte_of_a_snapshot_is_refused() {
    let mut steps = STEPS.to_vec();
    steps.push("SAVE");
    let (disk, states) = disk_after(&steps, Keeping::Snapshots);
    let whole = disk.get(SNAPSHOT).expect("there is a snapshot");
    for flip in FLIPS {
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            disk.put(SNAPSHOT, &bytes);
            let loaded = load_with(&disk, Keeping::Snapshots, ("rdbchecksum", "yes"));
            let refusal = match loaded {
                Err(refusal) => refusal,
                Ok(found) => panic!("byte {at} with {flip:02x} is loaded: {found:?}"),
            };
            assert!(refusal.contains(SNAPSHOT), "byte {at}: {refusal}");
            assert!(offset_in(&refusal).is_some(), "byte {at}: {refusal}");
        }
    }
    disk.put(SNAPSHOT, &whole);
    let found = load_with(&disk, Keeping::Snapshots, ("rdbchecksum", "yes"));
    assert_eq!(found.as_ref(), Ok(&states[states.len() - 1]));
}

#[test]
fn every_beginning_of_a_snapshot_is_refused() {
    let mut steps = STEPS.to_vec();
    steps.push("SAVE");
    let (disk, _) = disk_after(&steps, Keeping::Snapshots);
    let whole = disk.get(SNAPSHOT).expect("there is a snapshot");
    for length in 0..whole.len() {
        disk.put(SNAPSHOT, &whole[..length]);
        let refusal = load_with(&disk, Keeping::Snapshots, ("rdbchecksum", "yes")).unwrap_err();
        assert!(refusal.contains(SNAPSHOT), "{length} bytes: {refusal}");
        assert!(offset_in(&refusal).is_some(), "{length} bytes: {refusal}");
    }
}

#[test]
fn a_flipped_byte_of_a_snapshot_without_checksum_is_refused_or_loaded() {
    let mut steps = vec!["CONFIG SET rdbchecksum no"];
    steps.extend(STEPS);
    steps.push("SAVE");
    let (disk, _) = disk_after(&steps, Keeping::Snapshots);
    let mut whole = disk.get(SNAPSHOT).expect("there is a snapshot");
    let end = whole.len() - 8;
    whole[end..].fill(0);
    for flip in FLIPS {
        for at in 0..end {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            disk.put(SNAPSHOT, &bytes);
            if let Err(refusal) = load_with(&disk, Keeping::Snapshots, ("rdbchecksum", "no")) {
                assert!(refusal.contains(SNAPSHOT), "byte {at}: {refusal}");
            }
        }
    }
}

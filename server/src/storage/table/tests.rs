//! The table does what a map does, and keeps what it promises beyond that, with good luck and bad.

use std::collections::HashMap;

use super::bucket::SLOTS;
use super::model::{LUCK, Luck, Numbers, Pair};
use super::*;
use crate::random::Random;

/// So many operations that Miri, which is slow, still finishes.
const OPERATIONS: usize = if cfg!(miri) { 400 } else { 500_000 };

/// Grows and shrinks over and over; the range of keys decides how large it becomes.
fn operate(luck: Luck, operations: usize, range: u64) {
    let (mut pair, random) = (Pair::new(luck), Random::seeded(range));
    for operation in 0..operations {
        let number = random.next() % range;
        let growing = (operation / (range as usize * 2)).is_multiple_of(2);
        match random.next() % 8 {
            0 => pair.look_up(number),
            1 => pair.put(number, random.next().is_multiple_of(3)),
            2 => pair.remove(number),
            _ if growing => pair.put(number, random.next().is_multiple_of(3)),
            _ => pair.remove(number),
        }
        if operation % (operations / 16) == 0 {
            pair.compare();
        }
    }
    pair.compare();
}

#[test]
fn it_is_a_map_through_millions_of_random_operations() {
    for range in if cfg!(miri) { &[7, 50, 300][..] } else { &[7, 50, 3_000, 50_000] } {
        operate(LUCK[0], OPERATIONS, *range);
    }
}

#[test]
fn it_is_a_map_when_hashes_crowd_together() {
    for luck in &LUCK[1..] {
        for range in if cfg!(miri) { &[20][..] } else { &[7, 50, 700] } {
            operate(*luck, OPERATIONS.min(5_000), *range);
        }
    }
}

#[test]
fn a_scan_visits_what_stays_once_while_the_table_grows_and_shrinks() {
    let many = if cfg!(miri) { 100 } else { 5_000 };
    for (luck, range) in [(LUCK[0], many), (LUCK[1], 100), (LUCK[2], 300), (LUCK[3], 300)] {
        let range = range.min(many);
        for seed in 0..if cfg!(miri) { 1 } else { 40 } {
            let random = Random::seeded(seed);
            let mut pair = Pair::new(luck);
            let stays = 0..range / 10;
            for number in stays.clone() {
                pair.put(number, number.is_multiple_of(3));
            }
            let (mut cursor, mut seen, mut calls) = (0, Vec::new(), 0);
            loop {
                cursor = pair.scan_at(cursor, |number| seen.push(number));
                if cursor == 0 {
                    break;
                }
                calls += 1;
                let growing = (calls / (20 + seed)).is_multiple_of(2);
                for _ in 0..random.next() % 40 {
                    let other = stays.end + random.next() % range;
                    if growing { pair.put(other, false) } else { pair.remove(other) }
                }
            }
            seen.retain(|number| stays.contains(number));
            seen.sort_unstable();
            assert_eq!(seen, stays.collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[test]
fn any_cursor_is_harmless() {
    let mut pair = Pair::new(LUCK[0]);
    for number in 0..if cfg!(miri) { 100 } else { 1_000 } {
        pair.put(number, number.is_multiple_of(3));
        for cursor in [1, u64::from(u32::MAX), PLACES, u64::MAX, number << 22] {
            pair.scan_at(cursor, |_| {});
            pair.table.marked(cursor as u32, 64, |_| {});
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes a hundred thousand picks")]
fn a_random_pick_is_fair_even_while_items_move() {
    let mut pair = Pair::new(LUCK[0]);
    let count = 900;
    for number in 0..count {
        pair.put(number, number.is_multiple_of(3));
    }
    while pair.table.old.as_ref().is_none_or(|old| old.moved < 20) {
        pair.put(pair.model.len() as u64, false);
    }
    let (random, mut picks) = (Random::seeded(3), HashMap::<u64, u32>::new());
    let (wanted, items) = (100, pair.model.len() as u64);
    let (mut tries, mut found) = (0, 0);
    while found < wanted * items {
        tries += 1;
        if let Some(item) = pair.table.pick(random.next()) {
            found += 1;
            *picks.entry(Numbers::number(item)).or_default() += 1;
        }
    }
    assert!(tries < found * 5, "{tries} tries for {found} items");
    // Chi-squared with so many degrees of freedom stays within six standard deviations.
    let square = |count: u32| (f64::from(count) - wanted as f64).powi(2) / wanted as f64;
    let chi_squared: f64 = (0..items).map(|number| square(picks[&number])).sum();
    let freedom = items as f64 - 1.0;
    assert!((chi_squared - freedom).abs() < 6.0 * (2.0 * freedom).sqrt(), "{chi_squared}");
}

#[test]
fn it_stays_as_dense_as_it_should_and_probes_little() {
    let mut pair = Pair::new(LUCK[0]);
    for number in 0..if cfg!(miri) { 500 } else { 200_000 } {
        pair.put(number, number.is_multiple_of(3));
        let buckets = pair.table.array.buckets().count();
        if number > 100 && number.is_multiple_of(97) && pair.table.old.is_none() {
            let load = pair.model.len() as f64 / (buckets * SLOTS) as f64;
            assert!((0.5..=0.82).contains(&load), "{number}: {load}");
            let near = pair.table.array.buckets().filter(|bucket| bucket.reach() <= 2).count();
            assert!(near * 10 >= buckets * 9, "{number}: {near} of {buckets}");
            assert!(pair.table.crowd.len() <= 2 + pair.model.len() / 1000, "{number}");
        }
    }
}

#[test]
fn it_takes_no_memory_once_it_is_empty() {
    let mut pair = Pair::new(LUCK[0]);
    let count = if cfg!(miri) { 300 } else { 10_000 };
    for number in 0..count {
        pair.put(number, number.is_multiple_of(3));
    }
    for number in 0..count {
        pair.remove(number);
        let (buckets, items) = (pair.table.array.buckets().count(), pair.table.len());
        assert!(buckets <= 8 + items * 2 + 512, "{items}: {buckets}");
    }
    assert_eq!(pair.table.array.buckets().count(), 0);
}

/// Deletes most keys in the order of a scan, which leaves the others close together.
fn delete_in_order(pair: &mut Pair, left: usize) {
    let mut cursor = 0;
    while pair.model.len() > left {
        let mut seen = Vec::new();
        cursor = pair.scan_at(cursor, |number| seen.push(number));
        for number in seen {
            pair.remove(number);
        }
    }
}

#[test]
fn deleting_what_a_scan_finds_crowds_nobody() {
    let (count, parts) =
        if cfg!(miri) { (120, &[4][..]) } else { (60_000, &[2, 3, 4, 8, 50, 1_000][..]) };
    for part in parts {
        let mut pair = Pair::new(LUCK[0]);
        (0..count).for_each(|number| pair.put(number, number.is_multiple_of(3)));
        delete_in_order(&mut pair, count as usize / part);
        let crowd = pair.table.crowd.len();
        assert!(crowd <= 50 + count as usize / 200, "a {part}th is left: {crowd}");
        pair.compare();
        (count..count * 2).for_each(|number| pair.put(number, number.is_multiple_of(3)));
        let crowd = pair.table.crowd.len();
        assert!(crowd <= 50 + count as usize / 200, "and filled again: {crowd}");
        pair.compare();
    }
}

#[test]
fn removing_what_is_marked_comes_to_an_end() {
    let count = if cfg!(miri) { 300 } else { 60_000 };
    let mut pair = Pair::new(LUCK[0]);
    (0..count).for_each(|number| pair.put(number, true));
    let mut place = 0_u32;
    for _ in 0..count {
        place = place.wrapping_add(0x9e37_79b9);
        let mut seen = Vec::new();
        pair.table.marked(place, 32, |item| seen.push(Numbers::number(item)));
        for number in seen {
            pair.remove(number);
        }
    }
    assert_eq!(pair.model.len(), 0);
}

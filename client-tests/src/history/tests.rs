use std::time::Duration;

use super::*;

/// What a register was asked, and what it answered.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Wrote(u32),
    Read(u32),
    /// The value before, if it was changed.
    Swapped {
        from: u32,
        to: u32,
    },
}
use Asked::{Read, Swapped, Wrote};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the search has states of any size")]
fn apply(value: &u32, asked: &Asked) -> Option<u32> {
    match *asked {
        Wrote(new) => Some(new),
        Read(seen) => (seen == *value).then_some(*value),
        Swapped { from, to } => (from == *value).then_some(to),
    }
}

/// Operations as `(start, end, what)`, on a register that holds 0.
fn is_linearizable(operations: &[(u64, u64, Asked)]) -> bool {
    check(operations).is_ok()
}

fn check(operations: &[(u64, u64, Asked)]) -> Result<(), Unexplained<u32>> {
    let zero = Instant::now();
    let at = |milliseconds: u64| zero + Duration::from_millis(milliseconds);
    let history: Vec<_> = operations
        .iter()
        .map(|(start, end, action)| Operation { start: at(*start), end: at(*end), action: *action })
        .collect();
    linearize(&history, 0, apply)
}

#[test]
fn nothing_is_linearizable() {
    assert!(is_linearizable(&[]));
}

#[test]
fn one_after_the_other_has_one_order() {
    assert!(is_linearizable(&[
        (0, 1, Wrote(1)),
        (2, 3, Read(1)),
        (4, 5, Wrote(2)),
        (6, 7, Read(2))
    ]));
    assert!(!is_linearizable(&[(0, 1, Wrote(1)), (2, 3, Read(0))]));
    assert!(!is_linearizable(&[(0, 1, Wrote(1)), (2, 3, Wrote(2)), (4, 5, Read(1))]));
}

#[test]
fn the_order_of_the_list_means_nothing() {
    assert!(is_linearizable(&[
        (6, 7, Read(2)),
        (4, 5, Wrote(2)),
        (0, 1, Wrote(1)),
        (2, 3, Read(1))
    ]));
}

#[test]
fn what_overlaps_may_go_either_way() {
    assert!(is_linearizable(&[(0, 9, Wrote(1)), (1, 2, Read(0)), (3, 4, Read(1))]));
    assert!(is_linearizable(&[(0, 9, Wrote(1)), (1, 2, Read(0)), (3, 4, Read(0))]));
    assert!(is_linearizable(&[
        (0, 9, Wrote(1)),
        (0, 9, Wrote(2)),
        (3, 4, Read(2)),
        (5, 6, Read(1))
    ]));
}

#[test]
fn what_was_read_once_is_not_taken_back() {
    assert!(!is_linearizable(&[(0, 9, Wrote(1)), (1, 2, Read(1)), (3, 4, Read(0))]));
    assert!(!is_linearizable(&[
        (0, 9, Wrote(1)),
        (0, 9, Wrote(2)),
        (1, 2, Read(1)),
        (3, 4, Read(2)),
        (5, 6, Read(1)),
    ]));
}

#[test]
fn touching_at_a_moment_is_overlapping() {
    assert!(is_linearizable(&[(0, 5, Wrote(1)), (5, 9, Read(0))]));
}

#[test]
fn a_value_that_nobody_wrote_is_never_read() {
    assert!(!is_linearizable(&[(0, 9, Wrote(1)), (0, 9, Read(7))]));
}

#[test]
fn only_one_of_two_swaps_finds_the_same_value() {
    let first = (0, 9, Swapped { from: 0, to: 1 });
    assert!(is_linearizable(&[first, (0, 9, Swapped { from: 1, to: 2 })]));
    assert!(!is_linearizable(&[first, (0, 9, Swapped { from: 0, to: 2 })]));
}

#[test]
fn many_that_overlap_are_searched_without_trying_all_orders() {
    let mut operations: Vec<_> = (0..14).map(|number| (0, 100, Wrote(number % 4))).collect();
    operations.push((200, 201, Read(3)));
    assert!(is_linearizable(&operations));
    operations.push((202, 203, Read(9)));
    assert!(!is_linearizable(&operations));
}

#[test]
fn long_histories_are_checked() {
    let mut operations = Vec::new();
    for number in 0..1500 {
        let start = u64::from(number) * 10;
        operations.push((start, start + 15, Wrote(number)));
        operations.push((start + 5, start + 14, Read(number)));
    }
    operations.push((0, 60_000, Read(700)));
    assert!(is_linearizable(&operations));
    operations[2800].2 = Wrote(1);
    assert!(!is_linearizable(&operations));
}

#[test]
fn the_longest_explanation_is_told() {
    let unexplained =
        check(&[(4, 5, Read(1)), (0, 1, Wrote(1)), (2, 3, Wrote(2)), (6, 7, Read(1))]).unwrap_err();
    assert_eq!(unexplained.explained, [1, 2]);
    assert_eq!(unexplained.state, 2);
    assert_eq!(unexplained.unfitting, [0]);
}

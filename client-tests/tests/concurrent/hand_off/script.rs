//! What each connection does with the lists, drawn before anything runs.
//!
//! A `bag:` is changed at both ends by everybody. A `queue:` is filled at its left and emptied at its right alone, also by
//! moves, and only the queue before it is moved into it: so elements come out of it in the order in which they came in.

use std::time::Duration;

use client_tests::random::Random;

use crate::client::{Words, command};

pub(super) const BAGS: [&str; 3] = ["bag:0", "bag:1", "bag:2"];
pub(super) const QUEUES: [&str; 3] = ["queue:0", "queue:1", "queue:2"];
/// Shorter than a script, longer than a round trip, and some in between.
const TIMEOUTS: [&str; 5] = ["0.001", "0.005", "0.01", "0.03", "0.08"];
/// How long pushers rest at most: so long that those who pop mostly have to wait.
const PUSHER_REST: usize = 20_000;
/// The others play on without much of a rest.
const REST: usize = 1000;
/// For waits that somebody else is to end; if nobody comes in time, that is no mistake.
const MEDDLED_TIMEOUT: &str = "0.2";

/// A command and what it means for elements.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) rest: Duration,
    pub(super) words: Words,
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    Push { list: String, elements: Vec<String> },
    PushIfThere { list: String, elements: Vec<String> },
    Pop { shape: Shape, lists: Vec<String>, most: usize },
    Move { from: String, to: String },
    Rename,
}

/// How a reply holds what was popped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Element,
    Elements,
    ListAndElement,
    ListAndElements,
}

/// How a wait is ended from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Unblock,
    UnblockWithError,
    Kill,
    HangUp,
}

/// A wait and its end.
pub(super) struct Meddling {
    pub(super) wait: Step,
    /// A list that nobody else uses: the wait has begun before it is ended, and had nothing to get.
    pub(super) private: Option<String>,
    pub(super) after: Duration,
    pub(super) ending: Ending,
}

pub(super) fn pusher(name: &str, random: &mut Random, steps: usize) -> Vec<Step> {
    let mut numbered = 0;
    (0..steps)
        .map(|_| {
            let rest = Duration::from_micros(random.below(PUSHER_REST) as u64);
            let step = match random.below(10) {
                0..=7 => push(name, &mut numbered, random),
                8 => movement(random, ""),
                _ => rename(random),
            };
            Step { rest, ..step }
        })
        .collect()
}

pub(super) fn worker(random: &mut Random, steps: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| match random.below(10) {
            0..=5 => {
                let timeout = random.pick(&TIMEOUTS);
                blocking_pop(random, timeout)
            }
            6..=7 => {
                let timeout = random.pick(&TIMEOUTS);
                movement(random, timeout)
            }
            _ => pop(random),
        })
        .collect()
}

/// Waits on the common lists are ended only so that the server cannot have popped what nobody then gets.
pub(super) fn meddler(name: &str, random: &mut Random, steps: usize) -> Vec<Meddling> {
    (0..steps)
        .map(|number| {
            let private = random.once_in(2).then(|| format!("private:{name}:{number}"));
            let after = Duration::from_micros(random.below(4000) as u64);
            let ending = *random.pick(&[
                Ending::Unblock,
                Ending::UnblockWithError,
                Ending::Kill,
                Ending::HangUp,
            ]);
            let loses_nothing = matches!(ending, Ending::Unblock | Ending::UnblockWithError);
            let wait = match &private {
                Some(list) => private_wait(list, random),
                None if loses_nothing && random.once_in(2) => blocking_pop(random, MEDDLED_TIMEOUT),
                None => movement(random, MEDDLED_TIMEOUT),
            };
            Meddling { wait, private, after, ending }
        })
        .collect()
}

/// Takes from wherever there is something, and waits for it as long as it takes.
pub(super) fn drain(pills: &str) -> Step {
    let lists: Vec<String> =
        QUEUES.iter().chain(&BAGS).chain([&pills]).map(ToString::to_string).collect();
    let words = [command(&["BRPOP"]), lists.clone(), command(&["0"])].concat();
    let kind = Kind::Pop { shape: Shape::ListAndElement, lists, most: 1 };
    Step { rest: Duration::ZERO, words, kind }
}

/// Whether elements of this list come out as they came in.
pub(super) fn keeps_order(list: &str) -> bool {
    list.starts_with("queue:")
}

fn step(random: &mut Random, words: &[&str], kind: Kind) -> Step {
    let rest = Duration::from_micros(random.below(REST) as u64);
    Step { rest, words: command(words), kind }
}

fn any_list(random: &mut Random) -> &'static str {
    let lists = [BAGS, QUEUES].concat();
    lists[random.below(lists.len())]
}

fn push(name: &str, numbered: &mut usize, random: &mut Random) -> Step {
    let list = any_list(random);
    let side = if keeps_order(list) { "L" } else { random.pick(&["L", "R"]) };
    let only_if_there = random.once_in(8);
    let count = if random.once_in(2) { 1 } else { 1 + random.below(5) };
    let elements: Vec<String> =
        (*numbered..*numbered + count).map(|number| format!("{name}/{list}/{number}")).collect();
    *numbered += count;
    let verb = format!("{side}PUSH{}", if only_if_there { "X" } else { "" });
    let mut words = vec![verb.as_str(), list];
    words.extend(elements.iter().map(String::as_str));
    let (list, elements) = (list.to_owned(), elements.clone());
    let kind = if only_if_there {
        Kind::PushIfThere { list, elements }
    } else {
        Kind::Push { list, elements }
    };
    step(random, &words, kind)
}

fn rename(random: &mut Random) -> Step {
    let (from, to) = (*random.pick(&BAGS), *random.pick(&BAGS));
    step(random, &["RENAMENX", from, to], Kind::Rename)
}

/// Some lists in any order, and an end at which all of them may be popped.
fn lists_and_end(random: &mut Random) -> (Vec<&'static str>, &'static str) {
    let mut lists = [BAGS, QUEUES].concat();
    random.shuffle(&mut lists);
    lists.truncate(1 + random.below(3));
    let any_end = lists.iter().all(|list| !keeps_order(list));
    let end = if any_end { random.pick(&["LEFT", "RIGHT"]) } else { "RIGHT" };
    (lists, end)
}

fn blocking_pop(random: &mut Random, timeout: &str) -> Step {
    let (lists, end) = lists_and_end(random);
    blocking_pop_from(&lists, end, random, timeout)
}

fn blocking_pop_from(lists: &[&str], end: &str, random: &mut Random, timeout: &str) -> Step {
    let owned = command(lists);
    if random.once_in(3) {
        let most = 1 + random.below(4);
        let (number, count) = (lists.len().to_string(), most.to_string());
        let words = [&["BLMPOP", timeout, &number], lists, &[end, "COUNT", &count]].concat();
        return step(
            random,
            &words,
            Kind::Pop { shape: Shape::ListAndElements, lists: owned, most },
        );
    }
    let verb = if end == "LEFT" { "BLPOP" } else { "BRPOP" };
    let words = [&[verb], lists, &[timeout]].concat();
    step(random, &words, Kind::Pop { shape: Shape::ListAndElement, lists: owned, most: 1 })
}

fn pop(random: &mut Random) -> Step {
    let (mut lists, end) = lists_and_end(random);
    let most = 1 + random.below(4);
    let count = most.to_string();
    if random.once_in(2) {
        let number = lists.len().to_string();
        let words = [&["LMPOP", &number], &lists[..], &[end, "COUNT", &count]].concat();
        let lists = command(&lists);
        return step(random, &words, Kind::Pop { shape: Shape::ListAndElements, lists, most });
    }
    lists.truncate(1);
    let verb = if end == "LEFT" { "LPOP" } else { "RPOP" };
    let owned = command(&lists);
    if random.once_in(2) {
        let kind = Kind::Pop { shape: Shape::Elements, lists: owned, most };
        return step(random, &[verb, lists[0], &count], kind);
    }
    step(random, &[verb, lists[0]], Kind::Pop { shape: Shape::Element, lists: owned, most: 1 })
}

/// Moves an element on, and waits for it unless the timeout is empty.
fn movement(random: &mut Random, timeout: &str) -> Step {
    let (from, to) = if random.once_in(2) {
        (*random.pick(&BAGS), *random.pick(&BAGS))
    } else {
        let from = random.below(QUEUES.len());
        (QUEUES[from], *QUEUES.get(from + 1).unwrap_or_else(|| random.pick(&BAGS)))
    };
    let ends = if keeps_order(from) || random.once_in(2) {
        ("RIGHT", "LEFT")
    } else {
        (*random.pick(&["LEFT", "RIGHT"]), *random.pick(&["LEFT", "RIGHT"]))
    };
    movement_between(from, to, ends, random, timeout)
}

fn movement_between(
    from: &str,
    to: &str,
    ends: (&str, &str),
    random: &mut Random,
    timeout: &str,
) -> Step {
    let old_verb = ends == ("RIGHT", "LEFT") && random.once_in(2);
    let mut words = match (timeout.is_empty(), old_verb) {
        (true, true) => vec!["RPOPLPUSH", from, to],
        (true, false) => vec!["LMOVE", from, to, ends.0, ends.1],
        (false, true) => vec!["BRPOPLPUSH", from, to],
        (false, false) => vec!["BLMOVE", from, to, ends.0, ends.1],
    };
    if !timeout.is_empty() {
        words.push(timeout);
    }
    step(random, &words, Kind::Move { from: from.to_owned(), to: to.to_owned() })
}

fn private_wait(list: &str, random: &mut Random) -> Step {
    if random.once_in(3) {
        return movement_between(list, "bag:0", ("RIGHT", "LEFT"), random, "0");
    }
    let other = format!("{list}:other");
    let mut lists = vec![list, &other];
    random.shuffle(&mut lists);
    let end = *random.pick(&["LEFT", "RIGHT"]);
    blocking_pop_from(&lists, end, random, "0")
}

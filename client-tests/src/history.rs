//! Whether some order of operations that overlapped explains all of their outcomes: linearizability.
//!
//! The search follows Wing and Gong: the next operation of the order is any that began before all the others that are left
//! had ended, and that fits what came before it. What was reached once and led nowhere, the same operations done and the
//! same state, is not tried again (Lowe). It knows neither servers nor commands; [`registers`] does.

pub mod registers;

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
    time::Instant,
};

/// Something that one client did, with its outcome; it took effect at some moment between its start and its end.
#[derive(Clone, Debug)]
pub struct Operation<Action> {
    pub start: Instant,
    pub end: Instant,
    pub action: Action,
}

/// No order explains a history. This is the longest part of one that was found.
#[derive(Debug)]
pub struct Unexplained<State> {
    /// The operations in their order, as indices of the history.
    pub explained: Vec<usize>,
    pub state: State,
    /// Those of which one would have to be next, and none fits the state.
    pub unfitting: Vec<usize>,
}

/// Looks for an order. `apply` gives the state after an action, or nothing where its outcome does not fit the state.
///
/// # Errors
///
/// There is no such order.
pub fn linearize<Action, State: Clone + Eq + Hash>(
    history: &[Operation<Action>],
    start: State,
    apply: impl Fn(&State, &Action) -> Option<State>,
) -> Result<(), Unexplained<State>> {
    let mut by_start: Vec<usize> = (0..history.len()).collect();
    by_start.sort_by_key(|index| history[*index].start);
    let mut search = Search { history, by_start, seen: HashSet::new() };
    let mut path = vec![Node::new(None, Done::default(), start, &search)];
    let mut best: Option<Unexplained<State>> = None;
    while let Some(node) = path.last_mut() {
        if node.done.count == history.len() {
            return Ok(());
        }
        let Some(next) = node.untried.pop() else {
            if best.as_ref().is_none_or(|best| path.len() > best.explained.len() + 1) {
                best = Some(search.describe(&path));
            }
            path.pop();
            continue;
        };
        let Some(state) = apply(&node.state, &history[search.by_start[next]].action) else {
            continue;
        };
        let done = node.done.with(next);
        if search.seen.insert((done.clone(), state.clone())) {
            path.push(Node::new(Some(next), done, state, &search));
        }
    }
    Err(best.expect("the search has come back from the start"))
}

struct Search<'history, Action, State> {
    history: &'history [Operation<Action>],
    /// Operations are numbered in the order in which they began; this leads back to the history.
    by_start: Vec<usize>,
    seen: HashSet<(Done, State)>,
}

impl<Action, State: Clone> Search<'_, Action, State> {
    /// What may come next: whatever began before the first of those that are left ended.
    fn candidates(&self, done: &Done) -> Vec<usize> {
        let operation = |number: usize| &self.history[self.by_start[number]];
        let mut first_end: Option<Instant> = None;
        let mut candidates = Vec::new();
        for number in done.first_left()..self.history.len() {
            if first_end.is_some_and(|end| operation(number).start > end) {
                break;
            }
            if !done.has(number) {
                let end = operation(number).end;
                first_end = Some(first_end.map_or(end, |first| first.min(end)));
                candidates.push(number);
            }
        }
        candidates
    }

    fn describe(&self, path: &[Node<State>]) -> Unexplained<State> {
        let last = path.last().expect("the path begins with the start");
        let original = |number: &usize| self.by_start[*number];
        Unexplained {
            explained: path.iter().filter_map(|node| node.last.as_ref()).map(original).collect(),
            state: last.state.clone(),
            unfitting: last.candidates.iter().map(original).collect(),
        }
    }
}

/// A part of an order, and what may follow it.
struct Node<State> {
    last: Option<usize>,
    done: Done,
    state: State,
    candidates: Vec<usize>,
    untried: Vec<usize>,
}

impl<State: Clone> Node<State> {
    fn new<Action>(
        last: Option<usize>,
        done: Done,
        state: State,
        search: &Search<'_, Action, State>,
    ) -> Self {
        let candidates = search.candidates(&done);
        // The one that began first is tried first: it is the likeliest.
        let untried = candidates.iter().rev().copied().collect();
        Self { last, done, state, candidates, untried }
    }
}

/// Which operations are done: all up to some number, and some behind it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Done {
    count: usize,
    /// How many words of bits are left out in front, as all of their operations are done.
    full_words: usize,
    words: VecDeque<u64>,
}

const BITS: usize = u64::BITS as usize;

impl Done {
    fn with(&self, number: usize) -> Self {
        let mut done = self.clone();
        let word = number / BITS - done.full_words;
        if done.words.len() <= word {
            done.words.resize(word + 1, 0);
        }
        done.words[word] |= 1 << (number % BITS);
        done.count += 1;
        while done.words.front() == Some(&u64::MAX) {
            done.words.pop_front();
            done.full_words += 1;
        }
        done
    }

    fn has(&self, number: usize) -> bool {
        match (number / BITS).checked_sub(self.full_words) {
            None => true,
            Some(word) => {
                self.words.get(word).is_some_and(|bits| bits & (1 << (number % BITS)) != 0)
            }
        }
    }

    fn first_left(&self) -> usize {
        let in_word = self.words.front().map_or(0, |bits| bits.trailing_ones() as usize);
        self.full_words * BITS + in_word
    }
}

#[cfg(test)]
mod tests;

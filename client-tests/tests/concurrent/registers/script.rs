//! What each connection does with the keys, drawn before anything runs.

use client_tests::{
    history::registers::{KEYS, Touch},
    random::Random,
};

use crate::client::Pace;

/// So that hardly two values are the same, and each tells who wrote it.
const VALUES_OF_A_CLIENT: i64 = 1_000_000;
/// So far apart that sums do not become other values.
const BETWEEN_VALUES: usize = 20;

pub(super) enum Step {
    /// One command of its own.
    Command(Touch),
    /// One command for all keys.
    GetAll,
    Script {
        touches: Vec<Touch>,
        declared: bool,
    },
    Transaction {
        touches: Vec<Touch>,
        pace: Pace,
    },
    /// Reads a key, and sets it if it is still the same: by a script, or by watching it.
    Change {
        key: usize,
        value: i64,
        how: How,
    },
    /// Watches keys, does something else, and tries to write.
    Watch {
        keys: Vec<usize>,
        between: Option<Touch>,
        touches: Vec<Touch>,
        pace: Pace,
    },
    /// Watches a key that is not to matter any more.
    Unwatch {
        key: usize,
        touch: Touch,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Script,
    Watch,
}

pub(super) fn script(client: usize, random: &mut Random, steps: usize) -> Vec<Step> {
    (0..steps)
        .map(|number| {
            let first_value =
                (client as i64 + 1) * VALUES_OF_A_CLIENT + (number * BETWEEN_VALUES) as i64;
            Drawer { random, value: first_value }.step()
        })
        .collect()
}

/// Draws a step, and the values that it writes.
struct Drawer<'random> {
    random: &'random mut Random,
    value: i64,
}

impl Drawer<'_> {
    fn step(&mut self) -> Step {
        match self.random.below(16) {
            0..=5 => Step::Command(self.touch()),
            6 => Step::GetAll,
            7..=8 => {
                let declared = self.random.once_in(2);
                Step::Script { touches: self.touches(), declared }
            }
            9..=10 => Step::Transaction { touches: self.touches(), pace: self.pace() },
            11..=12 => {
                let how = *self.random.pick(&[How::Script, How::Watch]);
                Step::Change { key: self.key(), value: self.value(), how }
            }
            13..=14 => self.watch(),
            _ => Step::Unwatch { key: self.key(), touch: self.touch() },
        }
    }

    fn watch(&mut self) -> Step {
        let mut keys: Vec<usize> = (0..KEYS).collect();
        self.random.shuffle(&mut keys);
        keys.truncate(1 + self.random.below(KEYS));
        let between = self.random.once_in(3).then(|| self.touch());
        Step::Watch { keys, between, touches: self.touches(), pace: self.pace() }
    }

    fn touches(&mut self) -> Vec<Touch> {
        (0..=self.random.below(4)).map(|_| self.touch()).collect()
    }

    fn touch(&mut self) -> Touch {
        let key = self.key();
        match self.random.below(12) {
            0..=3 => Touch::Get { key },
            4..=5 => Touch::Set { key, value: self.value() },
            6 => Touch::SetIfAbsent { key, value: self.value() },
            7..=8 => Touch::Add { key, amount: 1 },
            9 => Touch::Swap { key, value: self.value() },
            10 => *self.random.pick(&[Touch::Take { key }, Touch::Delete { key }]),
            _ => {
                let to = (key + 1 + self.random.below(KEYS - 1)) % KEYS;
                Touch::Rename { from: key, to }
            }
        }
    }

    fn key(&mut self) -> usize {
        self.random.below(KEYS)
    }

    fn value(&mut self) -> i64 {
        self.value += 1;
        self.value
    }

    fn pace(&mut self) -> Pace {
        *self.random.pick(&[Pace::AtOnce, Pace::OneByOne])
    }
}

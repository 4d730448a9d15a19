//! What a few keys with numbers answer if everything happens in one order: the model that histories are checked against.
//!
//! An action is one request, or a transaction. It holds what was answered, so that it fits a state or does not.

use std::fmt;

/// How many keys there are.
pub const KEYS: usize = 3;

/// What a key holds, if it is there.
pub type Value = Option<i64>;

/// Something that is done to one key or two, as a part of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Get {
        key: usize,
    },
    Set {
        key: usize,
        value: i64,
    },
    /// SET with NX; answers 1 or 0.
    SetIfAbsent {
        key: usize,
        value: i64,
    },
    /// Answers the new value.
    Add {
        key: usize,
        amount: i64,
    },
    /// Answers the value before.
    Swap {
        key: usize,
        value: i64,
    },
    /// GETDEL; answers the value before.
    Take {
        key: usize,
    },
    /// Answers 1 or 0.
    Delete {
        key: usize,
    },
    /// Answers 1, or 0 where there is nothing to rename.
    Rename {
        from: usize,
        to: usize,
    },
    /// Answers 1 or 0.
    CompareAndSet {
        key: usize,
        expected: Value,
        value: i64,
    },
}

/// What a client asked, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes effect as a whole; an answer for each of the touches.
    Touched(Vec<(Touch, Value)>),
    Watched {
        client: usize,
        keys: Vec<usize>,
    },
    Unwatched {
        client: usize,
    },
    /// EXEC, or what came of it: nothing if a key that was watched had changed.
    Executed {
        client: usize,
        touches: Vec<(Touch, Value)>,
    },
    Refused {
        client: usize,
    },
}

/// All keys, and who watches them: a bit for each client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    values: [Value; KEYS],
    watchers: [u64; KEYS],
    /// Whose keys have changed since they were watched.
    outdated: u64,
}

impl State {
    /// The state after an action, if its answers fit this one.
    pub fn after(&self, action: &Action) -> Option<Self> {
        let mut state = self.clone();
        match action {
            Action::Touched(touches) => state.touch_all(touches)?,
            Action::Watched { client, keys } => {
                for key in keys {
                    state.watchers[*key] |= bit(*client);
                }
            }
            Action::Unwatched { client } => state.unwatch(*client),
            Action::Executed { client, touches } => {
                if state.is_outdated(*client) {
                    return None;
                }
                state.unwatch(*client);
                state.touch_all(touches)?;
            }
            Action::Refused { client } => {
                if !state.is_outdated(*client) {
                    return None;
                }
                state.unwatch(*client);
            }
        }
        Some(state)
    }

    fn touch_all(&mut self, touches: &[(Touch, Value)]) -> Option<()> {
        touches.iter().try_for_each(|(touch, answer)| (self.touch(*touch) == *answer).then_some(()))
    }

    /// Does what is asked, and gives the answer.
    fn touch(&mut self, touch: Touch) -> Value {
        match touch {
            Touch::Get { key } => self.values[key],
            Touch::Set { key, value } => {
                self.write(key, Some(value));
                None
            }
            Touch::SetIfAbsent { key, value } => {
                self.write_if(self.values[key].is_none(), key, Some(value))
            }
            Touch::Add { key, amount } => {
                let sum = self.values[key].unwrap_or(0) + amount;
                self.write(key, Some(sum));
                Some(sum)
            }
            Touch::Swap { key, value } => {
                let before = self.values[key];
                self.write(key, Some(value));
                before
            }
            Touch::Take { key } => {
                let before = self.values[key];
                self.write_if(before.is_some(), key, None);
                before
            }
            Touch::Delete { key } => self.write_if(self.values[key].is_some(), key, None),
            Touch::Rename { from, to } => {
                let value = self.values[from];
                self.write_if(value.is_some(), from, None);
                self.write_if(value.is_some(), to, value)
            }
            Touch::CompareAndSet { key, expected, value } => {
                self.write_if(self.values[key] == expected, key, Some(value))
            }
        }
    }

    fn write_if(&mut self, condition: bool, key: usize, value: Value) -> Value {
        if condition {
            self.write(key, value);
        }
        Some(i64::from(condition))
    }

    /// Whatever is written, even the same value, is a change to those who watch.
    fn write(&mut self, key: usize, value: Value) {
        self.values[key] = value;
        self.outdated |= self.watchers[key];
    }

    fn is_outdated(&self, client: usize) -> bool {
        self.outdated & bit(client) != 0
    }

    fn unwatch(&mut self, client: usize) {
        self.outdated &= !bit(client);
        self.watchers.iter_mut().for_each(|watchers| *watchers &= !bit(client));
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}, watched by {:b}", self.values, self.watchers[0])?;
        for watchers in &self.watchers[1..] {
            write!(formatter, " {watchers:b}")?;
        }
        write!(formatter, ", outdated {:b}", self.outdated)
    }
}

fn bit(client: usize) -> u64 {
    1 << client
}

#[cfg(test)]
mod tests {
    use super::{
        Action::{Executed, Refused, Touched, Unwatched, Watched},
        Touch::{Add, CompareAndSet, Delete, Get, Rename, Set, SetIfAbsent, Swap, Take},
        *,
    };

    fn fits(actions: &[Action]) -> bool {
        actions.iter().try_fold(State::default(), |state, action| state.after(action)).is_some()
    }

    fn one(touch: Touch, answer: Value) -> Action {
        Touched(vec![(touch, answer)])
    }

    #[test]
    fn each_touch_answers_what_redis_does() {
        assert!(fits(&[
            one(Get { key: 0 }, None),
            one(Add { key: 0, amount: 5 }, Some(5)),
            one(Set { key: 0, value: 7 }, None),
            one(SetIfAbsent { key: 0, value: 8 }, Some(0)),
            one(Swap { key: 0, value: 9 }, Some(7)),
            one(Rename { from: 1, to: 0 }, Some(0)),
            one(Rename { from: 0, to: 2 }, Some(1)),
            one(Take { key: 0 }, None),
            one(Delete { key: 0 }, Some(0)),
            one(SetIfAbsent { key: 0, value: 1 }, Some(1)),
            one(CompareAndSet { key: 2, expected: Some(8), value: 1 }, Some(0)),
            one(CompareAndSet { key: 2, expected: Some(9), value: 1 }, Some(1)),
            one(CompareAndSet { key: 1, expected: None, value: 2 }, Some(1)),
            one(Take { key: 2 }, Some(1)),
            one(Delete { key: 1 }, Some(1)),
            one(Get { key: 1 }, None),
        ]));
        assert!(!fits(&[one(Add { key: 0, amount: 5 }, Some(6))]));
        assert!(!fits(&[one(Set { key: 0, value: 1 }, None), one(Get { key: 0 }, None)]));
    }

    #[test]
    fn touches_of_one_action_see_each_other() {
        let set = (Set { key: 0, value: 1 }, None);
        assert!(fits(&[Touched(vec![set, (Get { key: 0 }, Some(1)), (Get { key: 1 }, None)])]));
        assert!(!fits(&[Touched(vec![set, (Get { key: 0 }, None)])]));
    }

    #[test]
    fn a_watch_is_broken_by_every_write_and_nothing_else() {
        let watched = Watched { client: 3, keys: vec![0, 1] };
        let breaks = |action: Action| fits(&[watched.clone(), action, Refused { client: 3 }]);
        assert!(breaks(one(Set { key: 1, value: 1 }, None)));
        assert!(breaks(one(SetIfAbsent { key: 0, value: 1 }, Some(1))));
        assert!(breaks(one(CompareAndSet { key: 0, expected: None, value: 1 }, Some(1))));
        assert!(!breaks(one(CompareAndSet { key: 0, expected: Some(2), value: 1 }, Some(0))));
        assert!(!breaks(one(Get { key: 0 }, None)));
        assert!(!breaks(one(Delete { key: 0 }, Some(0))));
        assert!(!breaks(one(Rename { from: 0, to: 2 }, Some(0))));
        assert!(!breaks(one(Set { key: 2, value: 1 }, None)));
        assert!(!breaks(Unwatched { client: 3 }));
    }

    #[test]
    fn a_transaction_ends_the_watch() {
        let watched = Watched { client: 0, keys: vec![0] };
        let write = one(Set { key: 0, value: 1 }, None);
        let executed = Executed { client: 0, touches: vec![(Get { key: 0 }, Some(1))] };
        assert!(!fits(&[watched.clone(), write.clone(), executed.clone()]));
        assert!(fits(&[
            watched.clone(),
            write.clone(),
            Refused { client: 0 },
            write.clone(),
            executed.clone(),
        ]));
        assert!(fits(&[watched, write.clone(), Unwatched { client: 0 }, executed.clone()]));
        assert!(!fits(&[write, executed, Refused { client: 0 }]));
    }

    #[test]
    fn only_the_client_that_watches_is_refused() {
        let watched = Watched { client: 0, keys: vec![2] };
        let executed = Executed { client: 1, touches: vec![(Set { key: 2, value: 1 }, None)] };
        assert!(fits(&[watched.clone(), executed.clone(), Refused { client: 0 }]));
        assert!(!fits(&[watched, executed, Refused { client: 1 }]));
    }
}

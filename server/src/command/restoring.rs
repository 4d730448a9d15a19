//! What becomes of a value that was read from a payload or a file, by the limits that hold here.

use std::mem;

use super::list::Limit;
use super::set::limits_of;
use crate::engine::Engine;
use crate::journal::payload::Restored;
use crate::journal::sets::{Form, RestoredSet};
use crate::keyspace::Content;
use crate::value::list::List;
use crate::value::set::{Limits, Set};
use crate::value::{Text, Value};

/// The value as it is to be stored; nothing if it contradicts itself.
pub(crate) fn content<'r>(engine: &Engine, restored: &'r mut Restored<'_>) -> Option<Content<'r>> {
    Some(match restored {
        Restored::String(bytes) => Text::new(bytes).into(),
        Restored::List(list) => {
            if !list.is_long() {
                Limit::of_engine(engine).classify(list);
            }
            Value::List(mem::replace(list, List::new())).into()
        }
        Restored::Set(set) => Value::Set(make_set(set, limits_of(engine))?).into(),
        Restored::Stream(stream) => Value::Stream(mem::take(stream)).into(),
    })
}

/// The set of these members; nothing if some of them are the same.
fn make_set(restored: &RestoredSet, limits: Limits<'_>) -> Option<Set> {
    let mut set = match restored.form {
        Form::Packed => Set::packed(),
        _ => Set::new(Text::new(restored.members.first()?), 1, limits),
    };
    // Redis takes so many members for those of a large set, whatever they are.
    if restored.form == Form::Any && restored.members.len() > limits.integers {
        set.become_table(limits);
    }
    let mut members = restored.members.iter().map(|member| Text::new(member));
    members.all(|member| set.add(member, limits)).then_some(set)
}

//! Values that lie outside of their entries, by number.

use std::mem;
use std::ops::{Index, IndexMut};

use crate::value::Value;

/// They are allocated so many at a time, and never move.
const CHUNK: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Values {
    chunks: Vec<Box<[Place]>>,
    /// The place that was left last.
    vacant: Option<u32>,
    /// Places up to here have been in use.
    used: u32,
}

#[derive(Debug)]
enum Place {
    /// With the place that was left before this one.
    Vacant(Option<u32>),
    Taken(Value),
}

impl Values {
    pub(super) fn add(&mut self, value: Value) -> u32 {
        let number = self.vacant.unwrap_or(self.used);
        if number as usize == self.chunks.len() * CHUNK {
            self.chunks.push((0..CHUNK).map(|_| Place::Vacant(None)).collect());
        }
        match mem::replace(self.place_mut(number), Place::Taken(value)) {
            Place::Vacant(next) if self.vacant.is_some() => self.vacant = next,
            _ => self.used += 1,
        }
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Value {
        let vacant = self.vacant.replace(number);
        match mem::replace(self.place_mut(number), Place::Vacant(vacant)) {
            Place::Taken(value) => value,
            Place::Vacant(_) => unreachable!("{ENTRY_OWNS_IT}"),
        }
    }

    fn place(&self, number: u32) -> &Place {
        &self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }

    fn place_mut(&mut self, number: u32) -> &mut Place {
        &mut self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

impl Index<u32> for Values {
    type Output = Value;

    fn index(&self, number: u32) -> &Value {
        match self.place(number) {
            Place::Taken(value) => value,
            Place::Vacant(_) => unreachable!("{ENTRY_OWNS_IT}"),
        }
    }
}

impl IndexMut<u32> for Values {
    fn index_mut(&mut self, number: u32) -> &mut Value {
        match self.place_mut(number) {
            Place::Taken(value) => value,
            Place::Vacant(_) => unreachable!("{ENTRY_OWNS_IT}"),
        }
    }
}

const ENTRY_OWNS_IT: &str = "an entry names a value from when it is added until it is removed";

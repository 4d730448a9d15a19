//! A sorted set of integers in as few bytes each as the largest of them needs: two, four or eight.
//!
//! The bytes are those of Redis's integer sets, so that a set goes into a file as it is.

use super::super::Text;

/// Sorted, without duplicates, all of the same width.
#[derive(Clone, Debug, Default)]
pub(crate) struct Integers {
    bytes: Vec<u8>,
    width: Width,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    #[default]
    Two,
    Four,
    Eight,
}

impl Width {
    const fn bytes(self) -> usize {
        match self {
            Width::Two => 2,
            Width::Four => 4,
            Width::Eight => 8,
        }
    }

    fn of(integer: i64) -> Self {
        if i16::try_from(integer).is_ok() {
            Width::Two
        } else if i32::try_from(integer).is_ok() {
            Width::Four
        } else {
            Width::Eight
        }
    }
}

impl Integers {
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() / self.width.bytes()
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether the integer was not there before.
    pub(crate) fn add(&mut self, integer: i64) -> bool {
        let Err(at) = self.search(integer) else {
            return false;
        };
        self.widen(Width::of(integer));
        let (width, before) = (self.width.bytes(), self.bytes.len());
        if self.bytes.capacity() - before < width {
            self.bytes.reserve_exact(width + before / 4);
        }
        self.bytes.resize(before + width, 0);
        self.bytes.copy_within(at * width..before, (at + 1) * width);
        self.bytes[at * width..][..width].copy_from_slice(&integer.to_le_bytes()[..width]);
        true
    }

    /// Whether the integer was there.
    pub(crate) fn remove(&mut self, integer: i64) -> bool {
        let Ok(at) = self.search(integer) else {
            return false;
        };
        let width = self.width.bytes();
        self.bytes.drain(at * width..(at + 1) * width);
        true
    }

    pub(crate) fn contains(&self, integer: i64) -> bool {
        self.search(integer).is_ok()
    }

    /// The integer at an index that there is, in ascending order.
    pub(crate) fn get(&self, index: usize) -> i64 {
        let bytes = &self.bytes[index * self.width.bytes()..];
        match self.width {
            Width::Two => bytes.first_chunk().map(|bytes| i16::from_le_bytes(*bytes).into()),
            Width::Four => bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes).into()),
            Width::Eight => bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)),
        }
        .expect("the index is that of an integer")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The length of the longest one when they are printed.
    pub(super) fn longest_digits(&self) -> usize {
        let digits = |integer: i64| Text::Integer(integer).len();
        if self.bytes.is_empty() {
            return 0;
        }
        digits(self.get(0)).max(digits(self.get(self.len() - 1)))
    }

    /// How many bytes each integer takes, and all of them.
    pub(crate) fn parts(&self) -> (usize, &[u8]) {
        (self.width.bytes(), &self.bytes)
    }

    /// Where the integer is, or where it would be.
    fn search(&self, integer: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.get(middle).cmp(&integer) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: Width) {
        if width > self.width {
            let integers: Vec<i64> = self.iter().collect();
            let bytes = integers
                .iter()
                .flat_map(|integer| integer.to_le_bytes().into_iter().take(width.bytes()));
            self.bytes = bytes.collect();
            self.width = width;
        }
    }
}

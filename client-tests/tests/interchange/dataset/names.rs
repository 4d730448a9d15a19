//! Names of keys: empty, binary, long, and such as are numbers.

use std::collections::HashSet;

use client_tests::random::Random;

use super::bytes;

/// Names that a file may treat in a way of its own.
const SPECIAL: [&[u8]; 8] = [
    b"",
    b"\0",
    b"\r\n",
    b"\xff\xfe\x00\x01",
    b"0",
    b"-1",
    b"-9223372036854775808",
    b"{tag}\xc3\xa9",
];

/// Gives no name twice in one database.
pub(super) struct Names {
    prefix: String,
    number: usize,
    /// The special ones that may still be given.
    special: HashSet<&'static [u8]>,
    /// Whether the databases have no other keys.
    first: bool,
}

impl Names {
    /// For databases in which no name is taken.
    pub(super) fn first() -> Self {
        Self { prefix: "data".to_owned(), number: 0, special: HashSet::new(), first: true }
    }

    /// For databases that have keys, of which none has this prefix.
    pub(super) fn further(prefix: String) -> Self {
        Self { prefix, number: 0, special: HashSet::new(), first: false }
    }

    /// From now on the names are for another database.
    pub(super) fn enter_next(&mut self) {
        if self.first {
            self.special = SPECIAL.into_iter().collect();
        }
    }

    pub(super) fn fresh(&mut self, random: &mut Random) -> Vec<u8> {
        self.number += 1;
        let special = *random.pick(&SPECIAL);
        if random.once_in(4) && self.special.remove(special) {
            return special.to_vec();
        }
        let plain = format!("{}:{}", self.prefix, self.number).into_bytes();
        match random.below(6) {
            // Files keep short numbers as numbers.
            0 if self.first => (1000 + self.number).to_string().into_bytes(),
            1 => [&plain[..], &bytes::random_bytes(random, 12)].concat(),
            // Files compress what is longer than twenty bytes.
            2 => [&plain[..], &b"long"[..]].concat().repeat(20),
            _ => plain,
        }
    }
}

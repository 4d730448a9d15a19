//! The digest that `DEBUG DIGEST` prints: Redis's own, so that two servers of any kind that
//! hold the same data can be compared by one line.
//!
//! It does not depend on the order of keys, and of a deadline it only says that there is one.

use std::fmt::Write as _;

use crate::keyspace::{Entry, Txn};
use crate::value::ValueRef;
use crate::value::stream::IdRange;
use crate::value::string::LONGEST_INTEGER;

/// A digest in the making. Without anything added it is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u8; 20]);

impl Digest {
    /// Of all databases together. The transaction holds all shards.
    pub(super) fn of_keyspace(txn: &mut Txn<'_>, databases: usize) -> Self {
        let selected = txn.database();
        let mut digest = Self::default();
        for database in 0..databases {
            txn.select(database);
            if txn.len() > 0 {
                digest.add_in_order(&(database as u32).to_be_bytes());
                txn.for_each(|entry| digest.add(&Self::of_entry(entry).0));
            }
        }
        txn.select(selected);
        digest
    }

    fn of_entry(entry: Entry<'_>) -> Self {
        let mut digest = Self::default();
        digest.add_in_order(entry.key());
        digest.add_value(entry);
        digest
    }

    /// Of a value alone, whatever its key.
    pub(super) fn of_value(entry: Entry<'_>) -> Self {
        let mut digest = Self::default();
        digest.add_value(entry);
        digest
    }

    fn add_value(&mut self, entry: Entry<'_>) {
        const STRING: u32 = 0;
        const LIST: u32 = 1;
        const SET: u32 = 2;
        const STREAM: u32 = 6;
        match entry.value() {
            ValueRef::String(text) => {
                self.add_in_order(&STRING.to_be_bytes());
                self.add_in_order(text.bytes(&mut [0; LONGEST_INTEGER]));
            }
            ValueRef::List(list) => {
                self.add_in_order(&LIST.to_be_bytes());
                for element in list.iter() {
                    self.add_in_order(element.bytes(&mut [0; LONGEST_INTEGER]));
                }
            }
            ValueRef::Set(set) => {
                self.add_in_order(&SET.to_be_bytes());
                for member in set.iter() {
                    self.add(member.bytes(&mut [0; LONGEST_INTEGER]));
                }
            }
            ValueRef::Stream(stream) => {
                self.add_in_order(&STREAM.to_be_bytes());
                for entry in stream.log.range(IdRange::ALL) {
                    self.add_in_order(format!("{}.{}", entry.id.ms, entry.id.sequence).as_bytes());
                    for (name, value) in entry.fields {
                        self.add_in_order(name.bytes(&mut [0; LONGEST_INTEGER]));
                        self.add_in_order(value.bytes(&mut [0; LONGEST_INTEGER]));
                    }
                }
            }
        }
        if entry.deadline_ms().is_some() {
            self.add(b"!!expire!!");
        }
    }

    /// Adds something to a whole whose parts have no order.
    fn add(&mut self, bytes: &[u8]) {
        for (sum, byte) in self.0.iter_mut().zip(sha1(bytes)) {
            *sum ^= byte;
        }
    }

    /// Adds something that has to come exactly here.
    fn add_in_order(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = sha1(&self.0);
    }

    pub(super) fn hexadecimal(&self) -> String {
        let mut text = String::with_capacity(2 * self.0.len());
        for byte in self.0 {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

fn sha1(message: &[u8]) -> [u8; 20] {
    const BLOCK: usize = 64;
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let (whole, rest) = message.as_chunks::<BLOCK>();
    for block in whole {
        sha1_block(&mut state, block);
    }
    let mut end = [0; 2 * BLOCK];
    end[..rest.len()].copy_from_slice(rest);
    end[rest.len()] = 0x80;
    let used = if rest.len() + 9 <= BLOCK { BLOCK } else { 2 * BLOCK };
    end[used - 8..used].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in end[..used].as_chunks::<BLOCK>().0 {
        sha1_block(&mut state, block);
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

fn sha1_block(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for at in 16..words.len() {
        let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = mixed.rotate_left(1);
    }
    let mut chain = *state;
    for (at, word) in words.into_iter().enumerate() {
        let [first, b, c, d, last] = chain;
        let (chosen, constant) = match at / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let parts = [last, chosen, constant, word];
        let sum = parts.into_iter().fold(first.rotate_left(5), u32::wrapping_add);
        chain = [sum, first, b.rotate_left(30), c, d];
    }
    for (sum, word) in state.iter_mut().zip(chain) {
        *sum = sum.wrapping_add(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Keyspace, Run, Scope, Uses};
    use crate::random::Random;
    use crate::value::Text;

    fn put(txn: &mut Txn<'_>, database: usize, key: &[u8], value: &[u8], deadline: Option<i64>) {
        txn.select(database);
        txn.put(key, Text::new(value), deadline);
    }

    #[test]
    fn sha1_of_known_messages() {
        let hexadecimal = |message: &[u8]| Digest(sha1(message)).hexadecimal();
        assert_eq!(hexadecimal(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hexadecimal(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let long = b"a".repeat(1_000_000);
        assert_eq!(hexadecimal(&long), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
        let edge = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(hexadecimal(edge), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    }

    #[test]
    fn digests_are_those_of_real_servers() {
        let keyspace = Keyspace::new(4, 16, &Random::seeded(1));
        let mut run = Run::new(&keyspace);
        let scope = Scope { database: 0, now_ms: 1_000, uses: Uses::Noted };
        let mut txn = run.lock_all(scope);
        let expect = |txn: &mut Txn<'_>, expected: &str| {
            assert_eq!(Digest::of_keyspace(txn, 16).hexadecimal(), expected);
        };
        expect(&mut txn, "0000000000000000000000000000000000000000");
        put(&mut txn, 0, b"a", b"b", None);
        expect(&mut txn, "479783d7290f02957dfbe3408a858ba13eea1709");
        put(&mut txn, 3, b"x", b"y", Some(9_000));
        expect(&mut txn, "b2128e59f95a03106b2ca8344a65adfe8e939705");
        put(&mut txn, 3, b"i", b"12345", None);
        expect(&mut txn, "002525af751726db9c1e244033daa146ec5caa1a");
        assert_eq!(txn.database(), 3);
    }
}

//! What a reply must look like, written once in RESP3's terms.
//!
//! The RESP2 form follows by Redis's general rules: maps become flat arrays, sets and pushes arrays, doubles, big numbers
//! and verbatim strings bulk strings, booleans integers, and the one null one of two.

mod parse;

use crate::{
    reply::{Protocol, Reply},
    text::{contains, glob},
};

/// An expectation for one reply, or for what the connection does in place of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    Any,
    OneOf(Vec<Expect>),
    Simple(Text),
    Error(Text),
    Bulk(Text),
    Verbatim(Text),
    Integer {
        least: i64,
        most: i64,
    },
    Nil,
    NilArray,
    Double(f64),
    Boolean(bool),
    BigNumber(Vec<u8>),
    AnyArray,
    AnyMap,
    Array(List),
    Unordered(List),
    Set(List),
    Push(List),
    Map {
        pairs: Vec<(Expect, Expect)>,
        open: bool,
    },
    /// Exactly these bytes on the wire.
    Raw(Vec<u8>),
    /// The server closes the connection.
    Closed,
    /// The server stays silent for a moment.
    Nothing,
}

/// The elements of an aggregate; an open list may go on with others.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub items: Vec<Expect>,
    pub open: bool,
}

/// What a text must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    Any,
    Exactly(Vec<u8>),
    Glob(Vec<u8>),
    Contains(Vec<Vec<u8>>),
    Lacks(Vec<Vec<u8>>),
}

impl Expect {
    /// Reads the notation that the suite's README describes.
    pub fn parse(notation: &str) -> Result<Self, String> {
        parse::parse(notation)
    }

    /// Whether `reply` is what was expected on a connection that speaks `protocol`.
    pub fn matches(&self, reply: &Reply, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Resp2 => self.matches_resp2(reply),
            Protocol::Resp3 => self.matches_resp3(reply),
        }
    }

    fn matches_resp2(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::OneOf(choices), _) => choices.iter().any(|choice| choice.matches_resp2(reply)),
            (Self::Verbatim(text), Reply::Bulk(bytes)) => text.matches(bytes),
            (Self::Nil, Reply::NullBulk)
            | (Self::NilArray, Reply::NullArray)
            | (Self::AnyMap, Reply::Array(_)) => true,
            (Self::Double(number), Reply::Bulk(text)) => {
                parse_double(text).is_some_and(|got| same(*number, got))
            }
            (Self::Boolean(truth), Reply::Integer(number)) => i64::from(*truth) == *number,
            (Self::BigNumber(digits), Reply::Bulk(text)) => digits == text,
            (Self::Set(list), Reply::Array(items)) => {
                list.matches_in_any_order(items, Protocol::Resp2)
            }
            (Self::Push(list), Reply::Array(items)) => {
                list.matches_in_order(items, Protocol::Resp2)
            }
            (Self::Map { pairs, open }, Reply::Array(items)) => match_flat_map(pairs, *open, items),
            _ => self.matches_either(reply, Protocol::Resp2),
        }
    }

    fn matches_resp3(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::OneOf(choices), _) => choices.iter().any(|choice| choice.matches_resp3(reply)),
            (Self::Verbatim(text), Reply::Verbatim(bytes)) => text.matches(bytes),
            (Self::Nil | Self::NilArray, Reply::Null) | (Self::AnyMap, Reply::Map(_)) => true,
            (Self::Double(number), Reply::Double(got)) => same(*number, *got),
            (Self::Boolean(truth), Reply::Boolean(got)) => truth == got,
            (Self::BigNumber(digits), Reply::BigNumber(got)) => digits == got,
            (Self::Set(list), Reply::Set(items)) => {
                list.matches_in_any_order(items, Protocol::Resp3)
            }
            (Self::Push(list), Reply::Push(items)) => list.matches_in_order(items, Protocol::Resp3),
            (Self::Map { pairs, open }, Reply::Map(got)) => {
                match_pairs(pairs, *open, got, Protocol::Resp3)
            }
            _ => self.matches_either(reply, Protocol::Resp3),
        }
    }

    fn matches_either(&self, reply: &Reply, protocol: Protocol) -> bool {
        match (self, reply) {
            (Self::Any, _) | (Self::AnyArray, Reply::Array(_)) => true,
            (Self::Simple(text), Reply::Simple(bytes))
            | (Self::Error(text), Reply::Error(bytes))
            | (Self::Bulk(text), Reply::Bulk(bytes)) => text.matches(bytes),
            (Self::Integer { least, most }, Reply::Integer(number)) => {
                (least..=most).contains(&number)
            }
            (Self::Array(list), Reply::Array(items)) => list.matches_in_order(items, protocol),
            (Self::Unordered(list), Reply::Array(items)) => {
                list.matches_in_any_order(items, protocol)
            }
            _ => false,
        }
    }
}

impl Text {
    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => expected == text,
            Self::Glob(pattern) => glob(pattern, text),
            Self::Contains(parts) => parts.iter().all(|part| contains(text, part)),
            Self::Lacks(parts) => !parts.iter().any(|part| contains(text, part)),
        }
    }
}

impl List {
    fn fits(&self, length: usize) -> bool {
        length == self.items.len() || (self.open && length > self.items.len())
    }

    fn matches_in_order(&self, got: &[Reply], protocol: Protocol) -> bool {
        self.fits(got.len())
            && self.items.iter().zip(got).all(|(item, reply)| item.matches(reply, protocol))
    }

    fn matches_in_any_order(&self, got: &[Reply], protocol: Protocol) -> bool {
        self.fits(got.len())
            && assign(self.items.len(), got.len(), &|item, at| {
                self.items[item].matches(&got[at], protocol)
            })
    }
}

fn match_flat_map(pairs: &[(Expect, Expect)], open: bool, items: &[Reply]) -> bool {
    if !items.len().is_multiple_of(2) {
        return false;
    }
    let got: Vec<_> = items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    match_pairs(pairs, open, &got, Protocol::Resp2)
}

fn match_pairs(
    pairs: &[(Expect, Expect)],
    open: bool,
    got: &[(Reply, Reply)],
    protocol: Protocol,
) -> bool {
    let fits = got.len() == pairs.len() || (open && got.len() > pairs.len());
    fits && assign(pairs.len(), got.len(), &|pair, at| {
        pairs[pair].0.matches(&got[at].0, protocol) && pairs[pair].1.matches(&got[at].1, protocol)
    })
}

/// Whether each of `wanted` can have one of `offered` for itself: patterns overlap, so taking the first fit would not do.
fn assign(wanted: usize, offered: usize, fits: &dyn Fn(usize, usize) -> bool) -> bool {
    let mut owner = vec![None; offered];
    (0..wanted).all(|item| find_place(item, fits, &mut owner, &mut vec![false; offered]))
}

fn find_place(
    item: usize,
    fits: &dyn Fn(usize, usize) -> bool,
    owner: &mut Vec<Option<usize>>,
    tried: &mut Vec<bool>,
) -> bool {
    for at in 0..owner.len() {
        if tried[at] || !fits(item, at) {
            continue;
        }
        tried[at] = true;
        if owner[at].is_none_or(|other| find_place(other, fits, owner, tried)) {
            owner[at] = Some(item);
            return true;
        }
    }
    false
}

fn parse_double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn same(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;

    fn check(notation: &str, resp2: &[u8], resp3: &[u8]) {
        let expect = Expect::parse(notation).unwrap();
        for (bytes, protocol) in [(resp2, Protocol::Resp2), (resp3, Protocol::Resp3)] {
            let (reply, _) = decode(bytes, protocol).unwrap().unwrap();
            assert!(
                expect.matches(&reply, protocol),
                "{notation} should match {reply} in {protocol}"
            );
        }
    }

    #[test]
    fn one_notation_serves_both_protocols() {
        check("OK", b"+OK\r\n", b"+OK\r\n");
        check("nil", b"$-1\r\n", b"_\r\n");
        check("nil-array", b"*-1\r\n", b"_\r\n");
        check(",1.5", b"$3\r\n1.5\r\n", b",1.5\r\n");
        check("#t", b":1\r\n", b"#t\r\n");
        check("verbatim contains \"b\"", b"$3\r\nabc\r\n", b"=7\r\ntxt:abc\r\n");
        check("set[1 2]", b"*2\r\n:2\r\n:1\r\n", b"~2\r\n:2\r\n:1\r\n");
        check(
            "{\"a\": 1 ...}",
            b"*4\r\n$1\r\nb\r\n:2\r\n$1\r\na\r\n:1\r\n",
            b"%1\r\n$1\r\na\r\n:1\r\n",
        );
        check("push[\"m\" 1]", b"*2\r\n$1\r\nm\r\n:1\r\n", b">2\r\n$1\r\nm\r\n:1\r\n");
    }

    #[test]
    fn a_nil_of_the_other_kind_is_a_failure() {
        let (reply, _) = decode(b"*-1\r\n", Protocol::Resp2).unwrap().unwrap();
        assert!(!Expect::Nil.matches(&reply, Protocol::Resp2));
    }

    #[test]
    fn overlapping_patterns_find_their_places() {
        let expect = Expect::parse("unordered[any \"a\"]").unwrap();
        let (reply, _) = decode(b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", Protocol::Resp2).unwrap().unwrap();
        assert!(expect.matches(&reply, Protocol::Resp2));
    }
}

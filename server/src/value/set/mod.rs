//! Sets: of integers, of a few short members, or of any.

mod integers;
mod members;
#[cfg(test)]
mod tests;

use integers::Integers;
use members::Members;

use super::Text;
use super::list::is_same;
use super::packed::{self, Elements};
use super::string::LONGEST_INTEGER;
use crate::random::Random;
use crate::storage::KeyHasher;

/// A set goes from one form to a later one as it grows, and never back.
#[derive(Clone, Debug)]
pub(crate) enum Set {
    Integers(Integers),
    Packed(Packed),
    Table(Box<Members>),
}

/// Members one after the other, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    count: u32,
}

/// Up to where a set keeps a form, and what a table hashes its members with.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'h> {
    pub(crate) integers: usize,
    pub(crate) packed: usize,
    pub(crate) packed_member_bytes: usize,
    pub(crate) hasher: &'h KeyHasher,
}

impl Set {
    /// An empty set, in the form for this first member and so many in all.
    pub(crate) fn new(first: Text<'_>, expected: usize, limits: Limits<'_>) -> Self {
        if matches!(first, Text::Integer(_)) && expected <= limits.integers {
            Set::Integers(Integers::default())
        } else if expected <= limits.packed {
            Set::packed()
        } else {
            Set::Table(Box::new(Members::new(limits.hasher)))
        }
    }

    /// An empty set of short members.
    pub(crate) fn packed() -> Self {
        Set::Packed(Packed::default())
    }

    /// An empty set for some of this one's members.
    pub(crate) fn for_rest(&self) -> Self {
        match self {
            Set::Integers(_) => Set::Integers(Integers::default()),
            _ => Set::packed(),
        }
    }

    /// A set of these members, each as if it had been added by itself.
    pub(crate) fn collect<'t>(
        members: impl Iterator<Item = Text<'t>>,
        limits: Limits<'_>,
    ) -> Option<Self> {
        let mut set: Option<Set> = None;
        for member in members {
            set.get_or_insert_with(|| Set::new(member, 1, limits)).add(member, limits);
        }
        set
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Set::Integers(integers) => integers.len(),
            Set::Packed(packed) => packed.count as usize,
            Set::Table(members) => members.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Set::Integers(integers) => integers.heap_bytes(),
            Set::Packed(packed) => packed.bytes.capacity(),
            Set::Table(members) => members.heap_bytes(),
        }
    }

    pub(crate) const fn encoding(&self) -> &'static str {
        match self {
            Set::Integers(_) => "intset",
            Set::Packed(_) => "listpack",
            Set::Table(_) => "hashtable",
        }
    }

    /// Takes the form for these members, whether they will be there or not. An empty set takes just the
    /// memory for them.
    pub(crate) fn expect<'t>(
        &mut self,
        members: impl ExactSizeIterator<Item = Text<'t>>,
        limits: Limits<'_>,
    ) {
        let count = members.len();
        let is_too_small = match self {
            Set::Integers(_) => count > limits.integers,
            Set::Packed(_) => count > limits.packed,
            Set::Table(_) => false,
        };
        if is_too_small {
            self.become_table(limits);
        }
        if let Set::Packed(packed) = self
            && packed.count == 0
        {
            packed.bytes.reserve_exact(members.map(packed::size).sum());
        }
    }

    /// Whether the member was not there before.
    pub(crate) fn add(&mut self, member: Text<'_>, limits: Limits<'_>) -> bool {
        match (&mut *self, member) {
            (Set::Integers(integers), Text::Integer(integer)) => {
                let is_new = integers.add(integer);
                if is_new && integers.len() > limits.integers {
                    self.become_table(limits);
                }
                is_new
            }
            (Set::Integers(integers), _) => {
                let longest = integers.longest_digits().max(member.len());
                if integers.len() < limits.packed && longest <= limits.packed_member_bytes {
                    self.become_packed();
                } else {
                    self.become_table(limits);
                }
                self.add(member, limits)
            }
            (Set::Packed(packed), _) => {
                if packed.find(member).is_some() {
                    return false;
                }
                let fits = (packed.count as usize) < limits.packed
                    && member.len() <= limits.packed_member_bytes;
                if fits {
                    packed.push(member);
                    return true;
                }
                self.become_table(limits);
                self.add(member, limits)
            }
            (Set::Table(members), _) => members.add(member.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }

    /// Whether the member was there.
    pub(crate) fn remove(&mut self, member: Text<'_>) -> bool {
        match (self, member) {
            (Set::Integers(integers), Text::Integer(integer)) => integers.remove(integer),
            (Set::Integers(_), _) => false,
            (Set::Packed(packed), _) => packed.remove(member),
            (Set::Table(members), _) => members.remove(member.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }

    /// Whether it has a member, in whatever form that comes.
    pub(crate) fn contains(&self, member: Text<'_>) -> bool {
        match self {
            Set::Integers(integers) => {
                member.integer().is_some_and(|integer| integers.contains(integer))
            }
            Set::Packed(packed) => {
                let member = member.integer().map_or(member, Text::Integer);
                packed.find(member).is_some()
            }
            Set::Table(members) => members.contains(member.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = Text<'_>> + '_> {
        match self {
            Set::Integers(integers) => Box::new(integers.iter().map(Text::Integer)),
            Set::Packed(packed) => Box::new(Elements(&packed.bytes)),
            Set::Table(members) => Box::new(members.iter().map(Text::new)),
        }
    }

    /// Visits all members, as texts whatever they could be read as where that takes no time.
    pub(crate) fn visit<'s>(&'s self, mut visit: impl FnMut(Text<'s>)) {
        match self {
            Set::Integers(integers) => integers.iter().map(Text::Integer).for_each(visit),
            Set::Packed(packed) => packed::visit(&packed.bytes, visit),
            Set::Table(members) => members.visit(|member| visit(Text::Fixed(member))),
        }
    }

    /// One that shares what this one has for as long as that stays as it is, if it is a table. It only tells which
    /// members there are, by `visit`, and finds none.
    pub(crate) fn still(&self) -> Option<Self> {
        match self {
            Set::Table(members) => Some(Set::Table(Box::new(members.still()))),
            _ => None,
        }
    }

    /// A member at random, each with the same chance.
    pub(crate) fn pick(&self, random: &Random) -> Option<Text<'_>> {
        match self {
            _ if self.is_empty() => None,
            Set::Integers(integers) => {
                Some(Text::Integer(integers.get(random.below(integers.len()))))
            }
            Set::Packed(packed) => Elements(&packed.bytes).nth(random.below(packed.count as usize)),
            Set::Table(members) => members.pick(random).map(Text::new),
        }
    }

    /// Visits the members at a cursor and gives the next, 0 at the end. Small sets are visited at
    /// once.
    pub(crate) fn scan(&self, cursor: u64, mut visit: impl FnMut(Text<'_>)) -> u64 {
        if let Set::Table(members) = self {
            return members.scan(cursor, |member| visit(Text::Fixed(member)));
        }
        self.iter().for_each(visit);
        0
    }

    fn become_packed(&mut self) {
        let mut packed = Packed::default();
        self.iter().for_each(|member| packed.push(member));
        *self = Set::Packed(packed);
    }

    pub(crate) fn become_table(&mut self, limits: Limits<'_>) {
        let mut members = Members::new(limits.hasher);
        for member in self.iter() {
            members.add(member.bytes(&mut [0; LONGEST_INTEGER]));
        }
        *self = Set::Table(Box::new(members));
    }
}

impl Packed {
    /// Where a member begins, and how many bytes it takes.
    fn find(&self, member: Text<'_>) -> Option<(usize, usize)> {
        let mut rest = &self.bytes[..];
        while let Some((other, size)) = packed::first(rest) {
            if is_same(other, member) {
                return Some((self.bytes.len() - rest.len(), size));
            }
            rest = &rest[size..];
        }
        None
    }

    fn push(&mut self, member: Text<'_>) {
        let size = packed::size(member);
        if self.bytes.capacity() - self.bytes.len() < size {
            self.bytes.reserve_exact(size + self.bytes.len() / 4);
        }
        packed::append(member, &mut self.bytes);
        self.count += 1;
    }

    fn remove(&mut self, member: Text<'_>) -> bool {
        let Some((at, size)) = self.find(member) else {
            return false;
        };
        self.bytes.drain(at..at + size);
        self.count -= 1;
        true
    }

    pub(crate) fn parts(&self) -> (&[u8], usize) {
        (&self.bytes, self.count as usize)
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains(member))
    }
}

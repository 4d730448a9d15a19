//! Streams against the simplest thing that behaves like one.

use std::collections::BTreeMap;

use super::*;
use crate::journal::payload::{Restored, dump};
use crate::random::Random;
use crate::value::ValueRef;
use crate::value::string::LONGEST_INTEGER;

type Words = Vec<Vec<u8>>;

/// A log, and what should be in it.
struct Both {
    log: Log,
    model: BTreeMap<Id, Words>,
    limits: NodeLimits,
    random: Random,
}

impl Both {
    fn new(seed: u64) -> Self {
        const SIZES: [usize; 4] = [0, 1, 200, 4096];
        const COUNTS: [usize; 4] = [0, 1, 7, 100];
        let random = Random::seeded(seed);
        let limits = NodeLimits { bytes: SIZES[random.below(4)], entries: COUNTS[random.below(4)] };
        Both { log: Log::default(), model: BTreeMap::new(), limits, random }
    }

    fn words(&self) -> Words {
        const LENGTHS: [usize; 8] = [0, 1, 5, 16, 63, 64, 300, 5000];
        let random = &self.random;
        let is_usual = random.below(4) > 0;
        let fields = if is_usual { 2 } else { 1 + random.below(4) };
        let mut words = Vec::new();
        for field in 0..fields {
            let name = if is_usual { field } else { random.below(3) };
            words.push([&b"field"[..], b"12", b"a", b"\xff\0"][name].to_vec());
            words.push(match random.below(3) {
                0 => (random.next() as i64 >> random.below(64)).to_string().into_bytes(),
                _ => vec![b'x'; LENGTHS[random.below(LENGTHS.len())]],
            });
        }
        words
    }

    fn append(&mut self) {
        let last = self.log.history.last_id;
        let id = match self.random.below(8) {
            0 => Id { ms: last.ms + 1 + self.random.next() % (1 << 40), sequence: 0 },
            1 => Id { ms: last.ms + 1, sequence: self.random.next() >> 1 },
            2 => Id { ms: last.ms + 1, sequence: 3 },
            _ => Id { ms: last.ms, sequence: last.sequence + 1 + self.random.next() % 3 },
        };
        let words = self.words();
        let bytes = words.iter().map(Vec::len).sum();
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.log.append(id, &slices, bytes, self.limits);
        self.model.insert(id, words);
    }

    /// The id of some entry, or one beside it.
    fn some_id(&self) -> Id {
        let at = self.random.below(self.model.len().max(1));
        let id = self.model.keys().nth(at).copied().unwrap_or_default();
        match self.random.below(8) {
            0 => id.next().unwrap_or(id),
            1 => id.previous().unwrap_or(id),
            2 => Id::MIN,
            3 => Id::MAX,
            _ => id,
        }
    }

    fn delete(&mut self) {
        let id = self.some_id();
        assert_eq!(self.log.delete(id), self.model.remove(&id).is_some());
    }

    fn trim(&mut self) {
        let until = match self.random.below(2) {
            0 => TrimUntil::Length(self.random.below(self.model.len() + 2)),
            _ => TrimUntil::Id(self.some_id()),
        };
        let is_rough = self.random.below(2) == 0;
        let most = if is_rough { self.random.below(30) } else { 0 };
        let deleted = self.log.trim(Trim { until, is_rough, most });
        let wanted = match until {
            TrimUntil::Length(length) => self.model.len().saturating_sub(length),
            TrimUntil::Id(id) => self.model.range(..id).count(),
        };
        assert!(if is_rough { deleted <= wanted } else { deleted == wanted });
        assert!(most == 0 || deleted <= most);
        for _ in 0..deleted {
            self.model.pop_first();
        }
    }

    fn check(&self) {
        let ids = || self.model.keys().copied();
        assert_eq!(self.log.len(), self.model.len());
        assert_eq!(self.log.first_id(), ids().next().unwrap_or_default());
        assert_eq!(self.log.top(), ids().next_back());
        let id = self.some_id();
        assert_eq!(self.log.get(id).map(words_of), self.model.get(&id).cloned());
        let heap_bytes: usize = self.log.blocks().map(Block::heap_bytes).sum();
        assert_eq!(self.log.block_bytes(), heap_bytes);
        assert_eq!(self.log.clone(), self.log);
        let range = IdRange { first: self.some_id(), last: self.some_id() };
        let mut expected: Vec<(Id, Words)> = Vec::new();
        if range.first <= range.last {
            let found = self.model.range(range.first..=range.last);
            expected.extend(found.map(|(id, words)| (*id, words.clone())));
        }
        let of = |entry: Entry<'_>| (entry.id, words_of(entry));
        assert_eq!(self.log.range(range).map(of).collect::<Vec<_>>(), expected);
        expected.reverse();
        assert_eq!(self.log.range_back(range).map(of).collect::<Vec<_>>(), expected);
    }
}

fn words_of(entry: Entry<'_>) -> Words {
    let bytes = |text: crate::value::Text<'_>| text.bytes(&mut [0; LONGEST_INTEGER]).to_vec();
    assert_eq!(entry.fields.len(), entry.fields.clone().count());
    entry.fields.flat_map(|(name, value)| [bytes(name), bytes(value)]).collect()
}

#[test]
fn a_log_holds_what_was_added_through_random_changes() {
    let (seeds, operations) = if cfg!(miri) { (2, 100) } else { (60, 1500) };
    for seed in 0..seeds {
        let mut both = Both::new(seed);
        for operation in 0..operations {
            let is_growing = operation / 300 % 2 == 0;
            match both.random.below(20) {
                0..12 if is_growing => both.append(),
                0..3 => both.append(),
                19 => both.trim(),
                _ => both.delete(),
            }
            if operation % 10 == 0 {
                both.check();
            }
        }
        both.log.trim(Trim { until: TrimUntil::Id(Id::MAX), is_rough: false, most: 0 });
        assert_eq!((both.log.count_blocks(), both.log.heap_bytes()), (0, 0), "seed {seed}");
    }
}

#[test]
fn a_copy_of_a_log_stays_as_it_is() {
    let mut both = Both::new(77);
    let mut copy: Option<(Log, BTreeMap<Id, Words>)> = None;
    for operation in 0..6_000 {
        match both.random.below(20) {
            0..14 if operation / 1000 % 2 == 0 => both.append(),
            0..4 => both.append(),
            19 if both.random.below(20) == 0 => both.trim(),
            _ => both.delete(),
        }
        if operation % 100 == 0 {
            both.check();
            if let Some((log, model)) = copy {
                let entries = log.range(IdRange::ALL).map(|entry| (entry.id, words_of(entry)));
                assert!(entries.eq(model));
            }
            copy = Some((both.log.clone(), both.model.clone()));
        }
    }
}

#[test]
fn deleted_entries_do_not_keep_their_memory() {
    let mut log = Log::default();
    let words: [&[u8]; 2] = [b"field", &[b'x'; 100]];
    let ids = |count| (1..=count).map(|ms| Id { ms, sequence: 0 });
    for id in ids(10_000) {
        log.append(id, &words, 105, NodeLimits { bytes: 4096, entries: 100 });
    }
    let full = log.heap_bytes();
    for id in ids(10_000).filter(|id| id.ms % 10 != 0) {
        assert!(log.delete(id));
    }
    assert!(log.heap_bytes() * 3 < full, "{} of {full}", log.heap_bytes());
}

#[test]
fn what_redis_has_in_a_node_is_in_a_block() {
    let limits = NodeLimits { bytes: 4096, entries: 100 };
    let mut log = Log::default();
    for ms in 1..=250 {
        log.append(Id { ms, sequence: 0 }, &[b"a", b"1"], 2, limits);
    }
    let lengths: Vec<usize> = log.blocks().map(Block::len).collect();
    assert_eq!(lengths, [100, 100, 50]);
}

#[test]
fn pending_entries_belong_to_one_consumer_each_through_random_changes() {
    let random = Random::seeded(5);
    let mut groups = Groups::default();
    groups.add(b"group", Group::new(Id::MIN, Some(0)));
    let empty = groups.heap_bytes();
    let mut model: BTreeMap<Id, (String, i64)> = BTreeMap::new();
    for operation in 0..5000 {
        let id = Id { ms: 1, sequence: random.next() % 200 };
        let name = format!("consumer {}", random.below(7));
        groups.change(b"group", |group| match random.below(10) {
            0 if random.below(20) == 0 => {
                let removed = group.remove_consumer(name.as_bytes());
                let before = model.len();
                model.retain(|_, (owner, _)| *owner != name);
                assert_eq!(removed.unwrap_or(0), before - model.len());
            }
            0..6 => {
                let (consumer, _) = group.find_or_add_consumer(name.as_bytes(), operation);
                group.assign(id, Pending { consumer, delivered_ms: operation, deliveries: 1 });
                model.insert(id, (name, operation));
            }
            _ => assert_eq!(group.acknowledge(id), model.remove(&id).is_some()),
        });
        let group = groups.get(b"group").expect("it was added above");
        assert_eq!(group.count_pending(), model.len());
        let owners = group.pending_in(IdRange::ALL).map(|(id, pending)| {
            let name = group.consumer(pending.consumer).name.to_vec();
            (id, (String::from_utf8(name).expect("names are texts"), pending.delivered_ms))
        });
        assert!(owners.eq(model.clone()));
        let counts: usize = group.consumers().map(Consumer::count_pending).sum();
        assert_eq!(counts, model.len());
        assert!(groups.heap_bytes() >= empty + 40 * model.len());
    }
    groups.remove(b"group");
    assert_eq!(groups.heap_bytes(), 0);
}

#[test]
fn payloads_hold_everything() {
    for seed in 0..20 {
        let mut both = Both::new(seed);
        for _ in 0..300 {
            match both.random.below(10) {
                0 => both.delete(),
                _ => both.append(),
            }
        }
        let mut stream = Stream { log: both.log, groups: Groups::default() };
        let mut group = Group::new(Id { ms: 3, sequence: 1 }, None);
        for (number, id) in both.model.keys().enumerate().step_by(3) {
            let name = format!("consumer {}", number % 4);
            let (consumer, _) = group.find_or_add_consumer(name.as_bytes(), 7);
            group.consumer_mut(consumer).active_ms = (number % 4 == 1).then_some(9);
            group.assign(*id, Pending { consumer, delivered_ms: 5, deliveries: 1 + seed as i64 });
        }
        stream.groups.add(b"group", group);
        stream.groups.add(b"", Group::new(Id::MAX, Some(12)));
        let payload = dump(ValueRef::Stream(&stream));
        let is_same = Restored::parse(&payload) == Ok(Restored::Stream(Box::new(stream)));
        assert!(is_same, "seed {seed}");
    }
}

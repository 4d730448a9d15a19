//! A list does what a queue of texts does, and keeps account of its bytes.

use std::collections::VecDeque;

use super::*;
use crate::random::Random;

/// What is done to one is done to the other.
#[derive(Clone, Default)]
struct Pair {
    list: Option<List>,
    model: VecDeque<Vec<u8>>,
}

impl Pair {
    fn list(&mut self) -> &mut List {
        self.list.get_or_insert_with(List::new)
    }

    fn compare(&mut self) {
        let list = self.list.get_or_insert_with(List::new);
        let texts = |elements: Vec<Text<'_>>| -> Vec<Vec<u8>> {
            elements.into_iter().map(|element| element.to_bytes().to_vec()).collect()
        };
        assert_eq!(self.model, texts(list.iter().collect()));
        let mut backwards = texts(list.iter().rev().collect());
        backwards.reverse();
        assert_eq!(self.model, backwards);
        assert_eq!(list.len(), self.model.len());
        if let Blocks::Many(many) = &list.blocks {
            let heap: usize = many.blocks.iter().map(|block| block.heap_bytes()).sum();
            let used: usize = many.blocks.iter().map(|block| block.used_bytes()).sum();
            assert_eq!((many.heap_bytes, many.used_bytes), (heap, used));
            assert!(many.blocks.len() > 1 && many.blocks.iter().all(|block| block.count() > 0));
        }
    }

    fn change(&mut self, random: &Random, growing: bool) {
        let element = random_element(random);
        let text = Text::new(&element);
        let length = self.model.len();
        let at = random.below(length.max(1));
        let end = [End::Head, End::Tail][random.below(2)];
        match random.below(20) {
            0..8 if growing || length == 0 => self.push(end, &element),
            0..8 => self.pop(end),
            8..10 => self.push(end, &element),
            10..12 if length > 0 => self.pop(end),
            12 if length > 0 => {
                self.list().set(at, text);
                self.model[at] = element;
            }
            13 => {
                self.list().insert(at.min(length), text);
                self.model.insert(at.min(length), element);
            }
            14 if length > 0 => self.remove_same(at, end, random.below(4)),
            15 if !growing && random.below(20) == 0 => {
                let range = random.below(length + 1)..random.below(length + 2);
                let range = range.start..range.end.max(range.start).min(length);
                self.list().trim(range.clone());
                self.model = self.model.range(range).cloned().collect();
            }
            _ if length > 0 => {
                let found = self.list().get(at).map(|element| element.to_bytes().to_vec());
                assert_eq!(found.as_ref(), Some(&self.model[at]));
                let expected: Vec<Vec<u8>> = self.model.range(at..).take(3).cloned().collect();
                let from = self.list().iter_from(at).take(3).map(|text| text.to_bytes().to_vec());
                assert!(from.eq(expected));
            }
            _ => assert!(self.list().get(at).is_none()),
        }
    }

    fn push(&mut self, end: End, element: &[u8]) {
        self.list().push(end, Text::new(element));
        match end {
            End::Head => self.model.push_front(element.to_vec()),
            End::Tail => self.model.push_back(element.to_vec()),
        }
    }

    fn pop(&mut self, end: End) {
        let popped = match end {
            End::Head => self.model.pop_front(),
            End::Tail => self.model.pop_back(),
        };
        let element = self.list().end(end).map(|element| element.to_bytes().to_vec());
        assert_eq!(element, popped);
        if popped.is_some() {
            self.list().drop_end(end);
        }
    }

    fn remove_same(&mut self, at: usize, end: End, most: usize) {
        let most = if most == 0 { usize::MAX } else { most };
        let gone = self.model[at].clone();
        let same = |model: &VecDeque<Vec<u8>>| match end {
            End::Head => model.iter().position(|element| *element == gone),
            End::Tail => model.iter().rposition(|element| *element == gone),
        };
        let removed = self.list().remove_same(Text::new(&gone), end, most);
        for _ in 0..removed {
            let at = same(&self.model).expect("it is there as often as it was removed");
            self.model.remove(at);
        }
        assert!(removed == most || same(&self.model).is_none());
    }
}

fn random_element(random: &Random) -> Vec<u8> {
    match random.below(40) {
        0 => vec![b'l'; 5000 + random.below(20_000)],
        1..4 => vec![b'm'; random.below(700)],
        4..20 => (random.next() as i64 >> random.below(64)).to_string().into_bytes(),
        _ => vec![b'a' + random.below(4) as u8; random.below(20)],
    }
}

#[test]
fn it_is_a_queue_through_random_changes() {
    for seed in 0..6 {
        let (random, mut pair) = (Random::seeded(seed), Pair::default());
        for operation in 0..6_000 {
            pair.change(&random, (operation / 1500) % 2 == 0);
            if operation % 40 == 0 {
                pair.compare();
            }
        }
    }
}

#[test]
fn a_copy_stays_as_it_is() {
    let (random, mut pair) = (Random::seeded(9), Pair::default());
    let mut copy = pair.clone();
    for operation in 0..12_000 {
        pair.change(&random, (operation / 3000) % 2 == 0);
        if operation % 100 == 0 {
            copy.compare();
            pair.compare();
            copy = pair.clone();
        }
    }
}

#[test]
fn elements_take_little_more_than_their_bytes() {
    for (count, most) in [(10, 26.0), (1_000, 19.0), (200_000, 18.6)] {
        for end in [End::Head, End::Tail] {
            let mut list = List::new();
            for number in 0..count {
                list.push(end, Text::new(format!("element:{number:08}").as_bytes()));
            }
            let each = (list.heap_bytes() + size_of::<List>()) as f64 / f64::from(count);
            assert!(each <= most, "{count} at {end:?}: {each}");
        }
    }
}

#[test]
fn a_queue_that_is_filled_at_one_end_and_emptied_at_the_other_stays_small() {
    for (to, from) in [(End::Head, End::Tail), (End::Tail, End::Head)] {
        let mut list = List::new();
        for number in 0..100_000 {
            list.push(to, Text::Integer(number));
            if number >= 100 {
                list.drop_end(from);
            }
            assert!(list.heap_bytes() < 2_000, "{number}: {}", list.heap_bytes());
        }
    }
}

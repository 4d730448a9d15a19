//! The entries of one database in one shard, by handle.

use super::entry::{self, Content, Draft, Entry, Kept};
use super::usage::Usage;
use super::values::Values;
use crate::storage::{Handle, Items, Pages};
use crate::value::string::LONGEST_INTEGER;
use crate::value::{TextBuffer, Value};

#[derive(Debug, Default)]
pub(super) struct Entries {
    pages: Pages,
    values: Values,
    /// What entries have that the present snapshot is done with, and all of them where there is none.
    epoch: bool,
}

impl Entries {
    pub(super) fn add(&mut self, draft: Draft<'_>) -> Handle {
        let handle = self.pages.take(draft.slot_bytes());
        draft.write(self.pages.get_mut(handle), &mut self.values, self.epoch);
        handle
    }

    /// Replaces an entry by another with the same key, in place if the slot is as large. Its usage follows from
    /// that of the old one.
    pub(super) fn replace(
        &mut self,
        handle: Handle,
        mut draft: Draft<'_>,
        again: impl FnOnce(Usage) -> Usage,
    ) -> Handle {
        let slot = self.pages.get_mut(handle);
        draft.usage = again(entry::usage(slot));
        if let Some(number) = entry::outside(slot) {
            self.values.remove(number);
        }
        if slot.len() == draft.slot_bytes() {
            draft.write(slot, &mut self.values, self.epoch);
            return handle;
        }
        self.pages.give_back(handle);
        self.add(draft)
    }

    /// Whether an entry and the one that is to replace it take the same memory.
    pub(super) fn takes_as_much(&self, handle: Handle, draft: &Draft<'_>) -> bool {
        let slot = self.pages.get(handle);
        slot.len() == draft.slot_bytes() && !draft.is_outside() && entry::outside(slot).is_none()
    }

    pub(super) fn get(&self, handle: Handle) -> Entry<'_> {
        Entry::new(self.pages.get(handle), &self.values)
    }

    pub(super) fn remove(&mut self, handle: Handle) {
        self.drop_outside(handle);
        self.pages.give_back(handle);
    }

    /// Removes an entry and gives what it was.
    pub(super) fn take(&mut self, handle: Handle) -> Kept {
        let slot = self.pages.get(handle);
        let outside = entry::outside(slot).map(|number| self.values.remove(number));
        let kept = Kept::new(slot, outside);
        self.pages.give_back(handle);
        kept
    }

    /// Changes how an entry was used, and gives it.
    pub(super) fn note_use(
        &mut self,
        handle: Handle,
        again: impl FnOnce(Usage) -> Usage,
    ) -> Entry<'_> {
        let slot = self.pages.get_mut(handle);
        entry::note_use(slot, again);
        Entry::new(slot, &self.values)
    }

    pub(super) fn set_deadline(&mut self, handle: Handle, deadline_ms: Option<i64>) -> Handle {
        if entry::replace_deadline(self.pages.get_mut(handle), deadline_ms) {
            return handle;
        }
        let mut kept = self.take(handle);
        self.add(Draft { deadline_ms, ..kept.draft() })
    }

    /// A value that has memory of its own already.
    pub(super) fn outside_mut(&mut self, handle: Handle) -> Option<&mut Value> {
        entry::outside(self.pages.get(handle)).map(|number| &mut self.values[number])
    }

    /// An entry with a large value as it is now, which shares that value. What it takes may change by that.
    pub(super) fn still(&mut self, handle: Handle, bytes: &mut usize) -> Option<Kept> {
        let value = self.outside_mut(handle)?;
        let before = value.heap_bytes();
        let still = value.still()?;
        *bytes = *bytes + value.heap_bytes() - before;
        Some(Kept::new(self.pages.get(handle), Some(still)))
    }

    /// The value with memory of its own, to be changed in place.
    pub(super) fn value_mut(&mut self, handle: &mut Handle) -> &mut Value {
        if entry::outside(self.pages.get(*handle)).is_none() {
            *handle = self.move_outside(*handle);
        }
        let number = entry::outside(self.pages.get(*handle));
        &mut self.values[number.expect("the value was moved outside above")]
    }

    fn move_outside(&mut self, handle: Handle) -> Handle {
        let mut kept = self.take(handle);
        let bytes = kept.entry().inside().bytes(&mut [0; LONGEST_INTEGER]).to_vec();
        let content = Content::Outside(Value::String(TextBuffer::Growing(bytes)));
        self.add(Draft { content, ..kept.draft() })
    }

    /// A snapshot begins, which is done with none of the entries.
    pub(super) const fn begin_epoch(&mut self) {
        self.epoch = !self.epoch;
    }

    pub(super) fn is_done_with(&self, handle: Handle) -> bool {
        entry::epoch(self.pages.get(handle)) == self.epoch
    }

    pub(super) fn be_done_with(&mut self, handle: Handle) {
        entry::toggle_epoch(self.pages.get_mut(handle));
    }

    /// Gives memory back that is kept for what may come.
    pub(super) fn tidy(&mut self) {
        self.pages.tidy();
    }

    /// Drops the value that lies outside, if one does.
    fn drop_outside(&mut self, handle: Handle) {
        if let Some(number) = entry::outside(self.pages.get(handle)) {
            self.values.remove(number);
        }
    }
}

impl Items for Entries {
    fn key(&self, handle: Handle) -> &[u8] {
        entry::key(self.pages.get(handle))
    }

    fn address(&self, handle: Handle) -> *const u8 {
        self.pages.get(handle).as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::SHARE_OF_TABLE;
    use super::*;
    use crate::random::Random;
    use crate::value::string::SHARED_FROM;
    use crate::value::{Text, ValueRef};

    /// What an entry should hold, kept in parts of their own.
    #[derive(Clone, Debug, PartialEq)]
    struct Model {
        key: Vec<u8>,
        text: Vec<u8>,
        encoding: &'static str,
        deadline_ms: Option<i64>,
        usage: Usage,
    }

    impl Model {
        fn random(random: &Random) -> Self {
            let mut model = Model {
                key: random_bytes(random),
                text: Vec::new(),
                encoding: "",
                deadline_ms: (random.below(2) == 0).then(|| random.next() as i64),
                usage: Usage::from_number(random.next() as u32),
            };
            model.set_text(random);
            model
        }

        fn set_text(&mut self, random: &Random) {
            if random.below(3) == 0 {
                let integer = random.next() as i64 >> random.below(64);
                self.text = integer.to_string().into_bytes();
            } else {
                self.text = random_bytes(random);
            }
            self.encoding = Text::new(&self.text).encoding();
        }

        fn draft(&self) -> Draft<'_> {
            let content = Text::new(&self.text).into();
            Draft { key: &self.key, content, deadline_ms: self.deadline_ms, usage: self.usage }
        }

        fn of(entry: Entry<'_>) -> Self {
            let ValueRef::String(text) = entry.value() else { panic!("it was a string") };
            Model {
                key: entry.key().to_vec(),
                text: text.to_bytes().to_vec(),
                encoding: entry.value().encoding(),
                deadline_ms: entry.deadline_ms(),
                usage: entry.usage(),
            }
        }
    }

    fn random_bytes(random: &Random) -> Vec<u8> {
        const LENGTHS: [usize; 15] =
            [0, 1, 7, 8, 9, 31, 44, 45, 254, 255, 256, 700, SHARED_FROM - 1, SHARED_FROM, 40_000];
        let usual = if random.below(20) == 0 { LENGTHS.len() } else { 11 };
        let length = LENGTHS[random.below(usual)];
        (0..length).map(|_| b'a' + random.below(26) as u8).collect()
    }

    /// What is done to one is done to the other.
    fn change(random: &Random, entries: &mut Entries, handle: &mut Handle, model: &mut Model) {
        match random.below(6) {
            0 => {
                model.set_text(random);
                *handle = entries.replace(*handle, model.draft(), |_| model.usage);
            }
            1 => {
                model.deadline_ms = (random.below(2) == 0).then(|| random.next() as i64);
                *handle = entries.set_deadline(*handle, model.deadline_ms);
            }
            2 => {
                let Value::String(text) = entries.value_mut(handle) else {
                    panic!("it was a string");
                };
                text.grow().push(b'!');
                model.text.push(b'!');
                model.encoding = "raw";
            }
            3 => {
                model.key = random_bytes(random);
                let mut kept = entries.take(*handle);
                *handle = entries.add(Draft { key: &model.key, ..kept.draft() });
            }
            4 => {
                model.usage = Usage::from_number(random.next() as u32);
                entries.note_use(*handle, |_| model.usage);
            }
            _ => {
                let mut kept = entries.get(*handle).to_kept();
                *handle = entries.replace(*handle, kept.draft(), |usage| usage);
            }
        }
    }

    #[test]
    fn entries_hold_what_was_put_into_them_through_random_changes() {
        let (mut entries, random) = (Entries::default(), Random::seeded(11));
        let mut models: Vec<(Handle, Model)> = Vec::new();
        let (operations, most) = if cfg!(miri) { (300, 10) } else { (200_000, 300) };
        for operation in 0..operations {
            let growing = (operation / (most * 10)) % 2 == 0;
            let at = random.below(models.len().max(1));
            match random.below(8) {
                0 | 1 if growing && models.len() < most => {
                    let model = Model::random(&random);
                    models.push((entries.add(model.draft()), model));
                }
                0 | 1 if !growing && !models.is_empty() => {
                    let (handle, model) = models.swap_remove(at);
                    assert_eq!(Model::of(entries.get(handle)), model);
                    entries.remove(handle);
                }
                2 => entries.tidy(),
                _ if models.is_empty() => {}
                _ => {
                    let (handle, model) = &mut models[at];
                    change(&random, &mut entries, handle, model);
                    assert_eq!(Model::of(entries.get(*handle)), *model);
                }
            }
            if operation % (operations / 50) == 0 {
                for (handle, model) in &models {
                    assert_eq!(Model::of(entries.get(*handle)), *model);
                    assert_eq!(entries.key(*handle), model.key);
                }
            }
        }
        for (handle, _) in models {
            entries.remove(handle);
        }
        entries.tidy();
        assert_eq!(entries.pages.bytes(), 0);
    }

    fn taken(text: &[u8], deadline_ms: Option<i64>) -> usize {
        let (mut entries, usage) = (Entries::default(), Usage::fresh(0));
        let content = Text::new(text).into();
        let handle = entries.add(Draft { key: b"key:000000000001", content, deadline_ms, usage });
        entries.get(handle).memory() - SHARE_OF_TABLE
    }

    #[test]
    fn short_keys_and_values_take_little() {
        assert_eq!(taken(b"12345", None), 32);
        assert_eq!(taken(&[b'x'; 8], None), 32);
        assert_eq!(taken(&[b'x'; 32], None), 56);
        assert_eq!(taken(&[b'x'; 32], Some(1)), 64);
        assert_eq!(taken(&[b'x'; 64], None), 88);
    }

    #[test]
    fn a_value_of_the_same_size_is_written_where_the_old_one_was() {
        let (mut entries, usage) = (Entries::default(), Usage::fresh(0));
        let draft =
            |text| Draft { key: b"key", content: Content::Text(text), deadline_ms: Some(1), usage };
        let handle = entries.add(draft(b"befor"));
        assert_eq!(entries.replace(handle, draft(b"after"), |usage| usage), handle);
    }
}

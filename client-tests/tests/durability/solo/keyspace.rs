//! What one connection's keys hold, as its operations left them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::entries::{Entry, Id};

/// The values by the last part of their keys' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyspace(BTreeMap<&'static str, Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) deadline_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Stream(Stream),
}

/// A stream with one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) entries: Vec<Entry>,
    /// The last entry that the group has got, if there is a group.
    pub(crate) delivered: Option<Id>,
    /// Who holds which entry, and how often it was delivered.
    pub(crate) pending: BTreeMap<Id, (String, u64)>,
}

impl Keyspace {
    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A new value without a deadline.
    pub(crate) fn put(&mut self, name: &'static str, value: Value) {
        self.0.insert(name, Item { value, deadline_ms: None });
    }

    pub(crate) fn put_item(&mut self, name: &'static str, item: Item) {
        self.0.insert(name, item);
    }

    pub(crate) fn put_text(&mut self, name: &'static str, text: impl Into<String>) {
        self.put(name, Value::Text(text.into()));
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Item> {
        self.0.remove(name)
    }

    pub(crate) fn set_deadline(&mut self, name: &str, deadline_ms: Option<i64>) {
        if let Some(item) = self.0.get_mut(name) {
            item.deadline_ms = deadline_ms;
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.0.get(name)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text that keeps its deadline while it changes; it is empty where there is none.
    pub(crate) fn change_text(&mut self, name: &'static str, change: impl FnOnce(&mut String)) {
        if let Value::Text(text) = self.entry(name, || Value::Text(String::new())) {
            change(text);
        }
    }

    pub(crate) fn list(&self, name: &str) -> Option<&VecDeque<String>> {
        match &self.0.get(name)?.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// Changes a list, which is there if and only if it has elements.
    pub(crate) fn change_list<Answer>(
        &mut self,
        name: &'static str,
        change: impl FnOnce(&mut VecDeque<String>) -> Answer,
    ) -> Option<Answer> {
        let Value::List(list) = self.entry(name, || Value::List(VecDeque::new())) else {
            return None;
        };
        let answer = change(list);
        if list.is_empty() {
            self.0.remove(name);
        }
        Some(answer)
    }

    pub(crate) fn set(&self, name: &str) -> Option<&BTreeSet<String>> {
        match &self.0.get(name)?.value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }

    /// Changes a set, which is there if and only if it has members.
    pub(crate) fn change_set(
        &mut self,
        name: &'static str,
        change: impl FnOnce(&mut BTreeSet<String>),
    ) {
        if let Value::Set(set) = self.entry(name, || Value::Set(BTreeSet::new())) {
            change(set);
            if set.is_empty() {
                self.0.remove(name);
            }
        }
    }

    pub(crate) fn stream(&self, name: &str) -> Option<&Stream> {
        match &self.0.get(name)?.value {
            Value::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn change_stream(&mut self, name: &'static str, change: impl FnOnce(&mut Stream)) {
        if let Value::Stream(stream) = self.entry(name, || Value::Stream(Stream::default())) {
            change(stream);
        }
    }

    fn entry(&mut self, name: &'static str, empty: impl FnOnce() -> Value) -> &mut Value {
        let item = self.0.entry(name);
        &mut item.or_insert_with(|| Item { value: empty(), deadline_ms: None }).value
    }

    /// The first name under which two keyspaces differ, with what each has there.
    pub(crate) fn difference<'both>(
        &'both self,
        other: &'both Self,
    ) -> Option<(&'static str, Option<&'both Item>, Option<&'both Item>)> {
        let mut names = self.names().chain(other.names());
        names.find_map(|name| {
            let (left, right) = (self.get(name), other.get(name));
            (left != right).then_some((name, left, right))
        })
    }
}

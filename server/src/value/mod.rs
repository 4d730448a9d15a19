//! What a key can hold. Pure data structures: no clock, no I/O, no replies.

pub(crate) mod glob;
pub(crate) mod lcs;
pub(crate) mod list;
pub(crate) mod long_double;
pub(crate) mod number;
pub(crate) mod order;
pub(crate) mod packed;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod string;

use list::List;
use set::Set;
use stream::Stream;
pub(crate) use string::{Text, TextBuffer};

/// A value that is too large or too lively to lie in its entry.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(TextBuffer),
    List(List),
    Set(Set),
    Stream(Box<Stream>),
}

/// The value of a key as it is looked at, wherever it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueRef<'a> {
    String(Text<'a>),
    List(&'a List),
    Set(&'a Set),
    Stream(&'a Stream),
}

impl Value {
    pub(crate) const fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::String(text) => ValueRef::String(text.as_text()),
            Value::List(list) => ValueRef::List(list),
            Value::Set(set) => ValueRef::Set(set),
            Value::Stream(stream) => ValueRef::Stream(stream),
        }
    }

    /// The bytes it holds beyond its own size.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Value::String(text) => text.heap_bytes(),
            Value::List(list) => list.heap_bytes(),
            Value::Set(set) => set.heap_bytes(),
            Value::Stream(stream) => stream.heap_bytes(),
        }
    }
}

impl Value {
    /// A value that stays as this one is now, and shares with it what is large until this one is changed. Nothing where
    /// it is written down as quickly. A set among them only tells its members by `visit`.
    pub(crate) fn still(&mut self) -> Option<Value> {
        const LARGE: usize = 16 * 1024;
        if self.heap_bytes() < LARGE {
            return None;
        }
        match self {
            Value::String(text) => text.share().map(Value::String),
            Value::Set(set) => set.still().map(Value::Set),
            Value::List(_) | Value::Stream(_) => Some(self.clone()),
        }
    }
}

impl ValueRef<'_> {
    /// What `TYPE` says.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            ValueRef::String(_) => "string",
            ValueRef::List(_) => "list",
            ValueRef::Set(_) => "set",
            ValueRef::Stream(_) => "stream",
        }
    }

    /// What `OBJECT ENCODING` says.
    pub(crate) const fn encoding(self) -> &'static str {
        match self {
            ValueRef::String(text) => text.encoding(),
            ValueRef::List(list) if list.is_long() => "quicklist",
            ValueRef::List(_) => "listpack",
            ValueRef::Set(set) => set.encoding(),
            ValueRef::Stream(_) => "stream",
        }
    }
}

//! What a key can hold. Pure data structures: no clock, no I/O, no replies.

mod compact;
pub(crate) mod glob;
pub(crate) mod lcs;
pub(crate) mod long_double;
pub(crate) mod number;
pub(crate) mod string;

pub(crate) use compact::Compact;
pub(crate) use string::Text;

/// The value of a key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(Text),
}

impl Value {
    /// What `TYPE` says.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
        }
    }

    /// What `OBJECT ENCODING` says.
    pub(crate) const fn encoding(&self) -> &'static str {
        match self {
            Value::String(text) => text.encoding(),
        }
    }

    /// The bytes it holds beyond its own size.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Value::String(text) => text.heap_bytes(),
        }
    }
}

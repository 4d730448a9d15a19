//! One reply of a server, in the terms of RESP3; RESP2's two nulls keep their own names.

use std::fmt;

use crate::text::escape;

/// The protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Resp2,
    Resp3,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Resp2 => "RESP2",
            Self::Resp3 => "RESP3",
        })
    }
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    Verbatim(Vec<u8>),
    /// RESP3's only null.
    Null,
    /// `$-1` of RESP2.
    NullBulk,
    /// `*-1` of RESP2.
    NullArray,
    Double(f64),
    Boolean(bool),
    BigNumber(Vec<u8>),
    Array(Vec<Reply>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    /// Attributes that precede a reply, and the reply.
    Attributed(Vec<(Reply, Reply)>, Box<Reply>),
}

impl Reply {
    /// The bytes of a text of any type, and an integer's digits.
    pub fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Simple(text)
            | Self::Error(text)
            | Self::Bulk(text)
            | Self::Verbatim(text)
            | Self::BigNumber(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string().into_bytes()),
            Self::Double(number) => Some(number.to_string().into_bytes()),
            _ => None,
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullBulk | Self::NullArray)
    }

    /// The elements of an array, set or push; a map's keys and values in turn.
    pub fn elements(&self) -> Option<Vec<&Reply>> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => {
                Some(items.iter().collect())
            }
            Self::Map(pairs) => Some(pairs.iter().flat_map(|(key, value)| [key, value]).collect()),
            _ => None,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(formatter, "+{}", escape_bare(text)),
            Self::Error(text) => write!(formatter, "-\"{}\"", escape(text)),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Bulk(text) => write!(formatter, "\"{}\"", escape(text)),
            Self::Verbatim(text) => write!(formatter, "verbatim \"{}\"", escape(text)),
            Self::Null | Self::NullBulk => formatter.write_str("nil"),
            Self::NullArray => formatter.write_str("nil-array"),
            Self::Double(number) => write!(formatter, ",{number}"),
            Self::Boolean(truth) => write!(formatter, "#{}", if *truth { 't' } else { 'f' }),
            Self::BigNumber(digits) => write!(formatter, "({}", escape(digits)),
            Self::Array(items) => write_items(formatter, "[", items),
            Self::Set(items) => write_items(formatter, "set[", items),
            Self::Push(items) => write_items(formatter, "push[", items),
            Self::Map(pairs) => write_pairs(formatter, pairs),
            Self::Attributed(pairs, reply) => {
                formatter.write_str("attributes")?;
                write_pairs(formatter, pairs)?;
                write!(formatter, " {reply}")
            }
        }
    }
}

fn escape_bare(text: &[u8]) -> String {
    if text.iter().all(u8::is_ascii_graphic) && !text.is_empty() {
        return escape(text);
    }
    format!("\"{}\"", escape(text))
}

fn write_items(formatter: &mut fmt::Formatter<'_>, open: &str, items: &[Reply]) -> fmt::Result {
    formatter.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        write!(formatter, "{space}{item}")?;
    }
    formatter.write_str("]")
}

fn write_pairs(formatter: &mut fmt::Formatter<'_>, pairs: &[(Reply, Reply)]) -> fmt::Result {
    formatter.write_str("{")?;
    for (index, (key, value)) in pairs.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        write!(formatter, "{space}{key}: {value}")?;
    }
    formatter.write_str("}")
}

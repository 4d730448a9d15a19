//! Finds the items of `MessagePack` in bytes: values without parts, and the heads of arrays and
//! maps.
//!
//! Binary data, timestamps and other extensions are not known here, as they are not to
//! lua-cmsgpack.

use super::super::arguments::error;
use super::super::raised::Raised;

pub(super) enum Item<'data> {
    Nil,
    Boolean(bool),
    Number(f64),
    Text(&'data [u8]),
    /// The head of an array, with the number of elements that follow.
    Array(u32),
    /// The head of a map, with the number of pairs that follow.
    Map(u32),
}

pub(super) struct Reader<'data> {
    rest: &'data [u8],
}

impl<'data> Reader<'data> {
    pub(super) fn new(data: &'data [u8]) -> Self {
        Self { rest: data }
    }

    pub(super) fn rest(&self) -> &'data [u8] {
        self.rest
    }

    pub(super) fn next(&mut self) -> Result<Item<'data>, Raised> {
        let [head] = self.take()?;
        Ok(match head {
            0x00..=0x7f | 0xe0..=0xff => Item::Number(f64::from(head as i8)),
            0x80..=0x8f => Item::Map(u32::from(head & 0x0f)),
            0x90..=0x9f => Item::Array(u32::from(head & 0x0f)),
            0xa0..=0xbf => self.text(u32::from(head & 0x1f))?,
            0xc0 => Item::Nil,
            0xc2 => Item::Boolean(false),
            0xc3 => Item::Boolean(true),
            0xca..=0xd3 => Item::Number(self.number(head)?),
            0xd9..=0xdb => {
                let len = self.len(head - 0xd9)?;
                self.text(len)?
            }
            0xdc | 0xdd => Item::Array(self.len(head - 0xdb)?),
            0xde | 0xdf => Item::Map(self.len(head - 0xdd)?),
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => {
                return Err(error("Bad data format in input."));
            }
        })
    }

    /// Numbers of 64 bits are signed, whatever their head says.
    fn number(&mut self, head: u8) -> Result<f64, Raised> {
        Ok(match head {
            0xca => f64::from(f32::from_be_bytes(self.take()?)),
            0xcb => f64::from_be_bytes(self.take()?),
            0xcc => f64::from(u8::from_be_bytes(self.take()?)),
            0xcd => f64::from(u16::from_be_bytes(self.take()?)),
            0xce => f64::from(u32::from_be_bytes(self.take()?)),
            0xd0 => f64::from(i8::from_be_bytes(self.take()?)),
            0xd1 => f64::from(i16::from_be_bytes(self.take()?)),
            0xd2 => f64::from(i32::from_be_bytes(self.take()?)),
            _ => i64::from_be_bytes(self.take()?) as f64,
        })
    }

    /// A length of one, two or four bytes, for the widths 0, 1 and 2.
    fn len(&mut self, width: u8) -> Result<u32, Raised> {
        Ok(match width {
            0 => u32::from(u8::from_be_bytes(self.take()?)),
            1 => u32::from(u16::from_be_bytes(self.take()?)),
            _ => u32::from_be_bytes(self.take()?),
        })
    }

    fn text(&mut self, len: u32) -> Result<Item<'data>, Raised> {
        let (text, rest) = self.rest.split_at_checked(len as usize).ok_or_else(missing_bytes)?;
        self.rest = rest;
        Ok(Item::Text(text))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Raised> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(missing_bytes)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

fn missing_bytes() -> Raised {
    error("Missing bytes in input.")
}

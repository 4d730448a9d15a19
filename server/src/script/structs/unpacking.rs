//! Unpacking: bytes become values.

use mlua::{Lua, Value};

use super::super::arguments::{argument_error, error, number_in, stack_overflow_or};
use super::super::raised::Raised;
use super::format::{Format, Item, Kind};
use super::{TOO_MANY, to_unsigned};

pub(super) struct Unpacker<'call> {
    lua: &'call Lua,
    data: &'call [u8],
    position: usize,
    values: Vec<Value>,
}

impl<'call> Unpacker<'call> {
    pub(super) fn new(lua: &'call Lua, data: &'call [u8], position: usize) -> Self {
        Self { lua, data, position, values: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// The values, and the position of what follows them.
    pub(super) fn finish(mut self) -> Vec<Value> {
        let next_position = self.position.wrapping_add(1) as i64;
        self.values.push(Value::Number(next_position as f64));
        self.values
    }

    /// Goes to where an item is. Its bytes must be there, if its size is fixed.
    pub(super) fn find(&mut self, item: Item, format: &Format) -> Result<(), Raised> {
        let padding = format.padding(self.position, item);
        self.position = self.position.checked_add(padding).ok_or_else(data_too_short)?;
        self.expect_bytes(item.size)
    }

    fn expect_bytes(&self, size: usize) -> Result<(), Raised> {
        let left = self.data.len().checked_sub(self.position);
        if left.is_some_and(|left| size <= left) { Ok(()) } else { Err(data_too_short()) }
    }

    /// Takes an item that has been found.
    pub(super) fn take(&mut self, item: Item, format: &mut Format) -> Result<(), Raised> {
        let size = item.size;
        match item.kind {
            Kind::Integer => {
                let bits = integer_in(self.take_bytes(size), format.big_endian);
                let number = if item.option.is_ascii_lowercase() {
                    extend_sign(bits, size) as f64
                } else {
                    bits as f64
                };
                self.values.push(Value::Number(number));
            }
            Kind::Float => {
                let bits = integer_in(self.take_bytes(size), format.big_endian);
                self.values.push(Value::Number(f64::from(f32::from_bits(bits as u32))));
            }
            Kind::Double => {
                let bits = integer_in(self.take_bytes(size), format.big_endian);
                self.values.push(Value::Number(f64::from_bits(bits)));
            }
            Kind::Filler => self.position += size,
            Kind::SizedText => self.take_sized(size)?,
            Kind::EndedText => self.take_ended()?,
            Kind::Control => format.control(item.option)?,
        }
        Ok(())
    }

    fn take_bytes(&mut self, size: usize) -> &[u8] {
        let start = self.position;
        self.position += size;
        &self.data[start..self.position]
    }

    /// Takes a text of the given size. Without a size, the value before it is its size and gives
    /// way to it.
    fn take_sized(&mut self, size: usize) -> Result<(), Raised> {
        let size = if size == 0 { self.take_size()? } else { size };
        self.expect_bytes(size)?;
        self.push_text(self.position, size)?;
        self.position += size;
        Ok(())
    }

    fn take_size(&mut self) -> Result<usize, Raised> {
        let size = match self.values.pop() {
            Some(Value::Number(number)) => Some(number),
            Some(Value::String(text)) => number_in(self.lua, &text)?,
            _ => None,
        };
        let size = size.ok_or_else(|| error("format 'c0' needs a previous size"))?;
        Ok(to_unsigned(size) as usize)
    }

    fn take_ended(&mut self) -> Result<(), Raised> {
        let rest = &self.data[self.position..];
        let len = rest.iter().position(|byte| *byte == 0);
        let len = len.ok_or_else(|| error("unfinished string in data"))?;
        self.push_text(self.position, len)?;
        self.position += len + 1;
        Ok(())
    }

    fn push_text(&mut self, start: usize, size: usize) -> Result<(), Raised> {
        let text = self.lua.create_string(&self.data[start..start + size]);
        let text = text.map_err(|error| stack_overflow_or(error, TOO_MANY))?;
        self.values.push(Value::String(text));
        Ok(())
    }
}

/// The lowest 64 bits of an integer of any size.
fn integer_in(bytes: &[u8], big_endian: bool) -> u64 {
    let append = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, append) } else { bytes.iter().rev().fold(0, append) }
}

/// Sizes above eight bytes have their sign looked for at the wrong place, as in C, where a shift
/// counts modulo 64.
fn extend_sign(bits: u64, size: usize) -> i64 {
    let mask = u64::MAX << ((size * 8).wrapping_sub(1) % 64);
    (if bits & mask == 0 { bits } else { bits | mask }) as i64
}

fn data_too_short() -> Raised {
    argument_error(2, "data string too short")
}

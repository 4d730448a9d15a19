//! The text of an encoding: everything that is no table.

use mlua::{BString, Table, Value};

use super::super::raised::Raised;
use super::settings::{InvalidNumbers, Settings};
use super::{number, type_name};

/// A table that holds a large text many times over must not become larger than this.
const MOST_BYTES: usize = 64 << 20;

pub(super) struct Text<'a> {
    pub(super) bytes: Vec<u8>,
    settings: &'a Settings,
}

impl<'a> Text<'a> {
    pub(super) fn with_capacity(settings: &'a Settings, capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), settings }
    }

    /// Appends a value, or returns it if it is a table.
    pub(super) fn append(&mut self, value: Value) -> Result<Option<Table>, Raised> {
        match value {
            Value::String(string) => self.append_quoted(&string.as_bytes())?,
            Value::Integer(integer) => self.append_number(integer as f64)?,
            Value::Number(number) => self.append_number(number)?,
            Value::Boolean(true) => self.append_text(b"true")?,
            Value::Boolean(false) => self.append_text(b"false")?,
            Value::Table(table) => return Ok(Some(table)),
            Value::Nil => self.append_text(b"null")?,
            Value::LightUserData(data) if data.0.is_null() => self.append_text(b"null")?,
            other => return Err(refused(&other, "type not supported")),
        }
        Ok(None)
    }

    /// Appends a key of an object, with its colon.
    pub(super) fn append_key(&mut self, key: &Value) -> Result<(), Raised> {
        match key {
            Value::String(string) => self.append_quoted(&string.as_bytes())?,
            Value::Integer(integer) => self.append_quoted_number(*integer as f64)?,
            Value::Number(number) => self.append_quoted_number(*number)?,
            other => return Err(refused(other, "table key must be a number or string")),
        }
        self.bytes.push(b':');
        Ok(())
    }

    /// Appends a key as the text that Lua has made of it, if that tells enough: the first one could
    /// be the index of an array's element, and infinities are not always allowed.
    pub(super) fn append_plain_key(&mut self, key: &BString, index: i32) -> Result<bool, Raised> {
        let is_unclear = match key.first() {
            Some(b'0'..=b'9') => index == 1,
            Some(b'i' | b'-') => key == "inf" || key == "-inf",
            _ => false,
        };
        if !is_unclear {
            self.append_quoted(key)?;
            self.bytes.push(b':');
        }
        Ok(!is_unclear)
    }

    pub(super) fn append_text(&mut self, text: &[u8]) -> Result<(), Raised> {
        self.check_room(text.len())?;
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    fn check_room(&self, length: usize) -> Result<(), Raised> {
        if self.bytes.len() + length <= MOST_BYTES {
            return Ok(());
        }
        Err(Raised::Lua(mlua::Error::MemoryError("not enough memory".to_owned())))
    }

    fn append_quoted(&mut self, string: &[u8]) -> Result<(), Raised> {
        self.check_room(string.len())?;
        self.bytes.reserve(string.len() + 2);
        self.bytes.push(b'"');
        if is_plain(string) {
            self.bytes.extend_from_slice(string);
        } else {
            self.append_escaped(string)?;
        }
        self.bytes.push(b'"');
        Ok(())
    }

    fn append_escaped(&mut self, string: &[u8]) -> Result<(), Raised> {
        let mut rest = string;
        while let Some(plain) = rest.iter().position(|byte| is_escaped(*byte)) {
            self.append_text(&rest[..plain])?;
            self.append_escape(rest[plain]);
            rest = &rest[plain + 1..];
        }
        self.append_text(rest)
    }

    fn append_escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let letter = match byte {
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            b'"' | b'/' | b'\\' => byte,
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                self.bytes.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                return;
            }
        };
        self.bytes.extend_from_slice(&[b'\\', letter]);
    }

    fn append_quoted_number(&mut self, number: f64) -> Result<(), Raised> {
        self.bytes.push(b'"');
        self.append_number(number)?;
        self.bytes.push(b'"');
        Ok(())
    }

    fn append_number(&mut self, number: f64) -> Result<(), Raised> {
        if number.is_finite() {
            self.check_room(0)?;
            number::append(&mut self.bytes, number, self.settings.precision as usize);
            return Ok(());
        }
        self.append_text(match self.settings.encode_invalid_numbers {
            InvalidNumbers::Refused => {
                return Err(refused(&Value::Number(number), "must not be NaN or Inf"));
            }
            InvalidNumbers::Null => b"null",
            InvalidNumbers::Written if number.is_nan() => b"nan",
            InvalidNumbers::Written if number > 0.0 => b"inf",
            InvalidNumbers::Written => b"-inf",
        })
    }
}

/// Whether every byte stands for itself. Whole words take far fewer instructions than bytes.
fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let is_plain_word = |word: &[u8; 8]| !has_escaped(u64::from_ne_bytes(*word));
    // The last word may overlap the one before it.
    words.iter().all(is_plain_word)
        && match text.last_chunk::<8>() {
            Some(last) => is_plain_word(last),
            None => !rest.iter().any(|byte| is_escaped(*byte)),
        }
}

const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'/' | b'\\' | 0x7f)
}

/// Whether one of eight bytes is escaped, found without a look at each.
const fn has_escaped(word: u64) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    const TOP_BITS: u64 = EACH * 0x80;
    // The top bit of a byte gets set by subtracting what the byte is below of.
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(EACH * limit as u64) & !word & TOP_BITS
    }
    const fn equal(word: u64, byte: u8) -> u64 {
        below(word ^ (EACH * byte as u64), 1)
    }
    below(word, 0x20)
        | equal(word, b'"')
        | equal(word, b'/')
        | equal(word, b'\\')
        | equal(word, 0x7f)
        != 0
}

fn refused(value: &Value, reason: &str) -> Raised {
    let text = format!("Cannot serialise {}: {reason}", type_name(value));
    Raised::Error(text.into_bytes())
}

//! What a script can set in the library, and the functions that set it.
//!
//! Each function takes the new setting, or nothing, and returns the setting as it is then. Where
//! one has several settings, those in front of a wrong argument are set all the same.

use std::ops::RangeInclusive;

use mlua::{Lua, MultiValue, Value};

use super::super::raised::Raised;
use super::type_name;

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) encode_max_depth: i32,
    pub(super) decode_max_depth: i32,
    pub(super) sparse_arrays: SparseArrays,
    /// Significant digits of a number.
    pub(super) precision: i32,
    /// Kept for scripts to read back: the buffer of an encoding never outlives it here.
    keep_buffer: bool,
    pub(super) encode_invalid_numbers: InvalidNumbers,
    pub(super) decode_invalid_numbers: bool,
}

/// A table of whole numbers is too sparse for an array when its greatest is over `safe` and more
/// than `ratio` times their count. A ratio of zero lets every array be.
#[derive(Clone, Copy)]
pub(super) struct SparseArrays {
    /// Whether it becomes an object then; otherwise it is an error.
    pub(super) convert: bool,
    pub(super) ratio: i32,
    pub(super) safe: i32,
}

impl SparseArrays {
    pub(super) fn is_too_sparse(&self, length: i32, count: i32) -> bool {
        // Redis lets the product overflow.
        let most = count.wrapping_mul(self.ratio);
        self.ratio > 0 && length > most && length > self.safe
    }
}

/// What becomes of infinities and NaN when they are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

impl Settings {
    pub(super) const DEFAULT: Self = Self {
        encode_max_depth: 1000,
        decode_max_depth: 1000,
        sparse_arrays: SparseArrays { convert: false, ratio: 2, safe: 10 },
        precision: 14,
        keep_buffer: true,
        encode_invalid_numbers: InvalidNumbers::Refused,
        decode_invalid_numbers: true,
    };
}

pub(super) type Change = fn(&mut Settings, &Lua, MultiValue) -> Result<MultiValue, Raised>;

pub(super) const CHANGES: [(&str, Change); 7] = [
    ("encode_sparse_array", encode_sparse_array),
    ("encode_max_depth", encode_max_depth),
    ("decode_max_depth", decode_max_depth),
    ("encode_number_precision", encode_number_precision),
    ("encode_keep_buffer", encode_keep_buffer),
    ("encode_invalid_numbers", encode_invalid_numbers),
    ("decode_invalid_numbers", decode_invalid_numbers),
];

fn encode_sparse_array(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 3)?;
    let arrays = &mut settings.sparse_arrays;
    options.switch(&mut arrays.convert)?;
    options.integer(&mut arrays.ratio, 0..=i32::MAX)?;
    options.integer(&mut arrays.safe, 0..=i32::MAX)?;
    Ok(options.results)
}

fn encode_max_depth(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 1)?;
    options.integer(&mut settings.encode_max_depth, 1..=i32::MAX)?;
    Ok(options.results)
}

fn decode_max_depth(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 1)?;
    options.integer(&mut settings.decode_max_depth, 1..=i32::MAX)?;
    Ok(options.results)
}

fn encode_number_precision(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 1)?;
    options.integer(&mut settings.precision, 1..=14)?;
    Ok(options.results)
}

fn encode_keep_buffer(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 1)?;
    options.switch(&mut settings.keep_buffer)?;
    Ok(options.results)
}

fn encode_invalid_numbers(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 1)?;
    options.invalid_numbers(&mut settings.encode_invalid_numbers)?;
    Ok(options.results)
}

fn decode_invalid_numbers(
    settings: &mut Settings,
    lua: &Lua,
    arguments: MultiValue,
) -> Result<MultiValue, Raised> {
    let mut options = Options::new(lua, arguments, 1)?;
    options.switch(&mut settings.decode_invalid_numbers)?;
    Ok(options.results)
}

/// The arguments of a call, read from left to right, and the settings after it.
struct Options<'a> {
    lua: &'a Lua,
    arguments: MultiValue,
    position: i32,
    results: MultiValue,
}

impl<'a> Options<'a> {
    fn new(lua: &'a Lua, arguments: MultiValue, most: usize) -> Result<Self, Raised> {
        if arguments.len() > most {
            return Err(Raised::Argument(most as i32 + 1, b"found too many arguments".to_vec()));
        }
        Ok(Self { lua, arguments, position: 0, results: MultiValue::with_capacity(most) })
    }

    /// The next argument, unless it asks to leave the setting as it is.
    fn next(&mut self) -> Option<Value> {
        self.position += 1;
        self.arguments.pop_front().filter(|argument| !argument.is_nil())
    }

    fn integer(&mut self, setting: &mut i32, range: RangeInclusive<i32>) -> Result<(), Raised> {
        if let Some(argument) = self.next() {
            let number = wrapped_integer(self.number(argument)?);
            if !range.contains(&number) {
                let (least, most) = (range.start(), range.end());
                let text = format!("expected integer between {least} and {most}");
                // Redis blames the first argument, whichever it was.
                return Err(Raised::Argument(1, text.into_bytes()));
            }
            *setting = number;
        }
        self.results.push_back(Value::Integer(i64::from(*setting)));
        Ok(())
    }

    fn switch(&mut self, setting: &mut bool) -> Result<(), Raised> {
        *setting = match self.next() {
            None => *setting,
            Some(Value::Boolean(on)) => on,
            Some(argument) => self.choice(argument, &["off", "on"])? == 1,
        };
        self.results.push_back(Value::Boolean(*setting));
        Ok(())
    }

    fn invalid_numbers(&mut self, setting: &mut InvalidNumbers) -> Result<(), Raised> {
        const CHOICES: [InvalidNumbers; 3] =
            [InvalidNumbers::Refused, InvalidNumbers::Written, InvalidNumbers::Null];
        *setting = match self.next() {
            None => *setting,
            Some(Value::Boolean(on)) => CHOICES[usize::from(on)],
            Some(argument) => CHOICES[self.choice(argument, &["off", "on", "null"])?],
        };
        let result = match *setting {
            InvalidNumbers::Null => {
                Value::String(self.lua.create_string("null").map_err(Raised::Lua)?)
            }
            setting => Value::Boolean(setting == InvalidNumbers::Written),
        };
        self.results.push_back(result);
        Ok(())
    }

    fn number(&self, argument: Value) -> Result<f64, Raised> {
        let wrong_type = self.wrong_type("number", &argument);
        self.lua.coerce_number(argument).map_err(Raised::Lua)?.ok_or(wrong_type)
    }

    /// Which of the choices a text names. Numbers are texts too.
    fn choice(&self, argument: Value, choices: &[&str]) -> Result<usize, Raised> {
        let wrong_type = self.wrong_type("string", &argument);
        let text = self.lua.coerce_string(argument).map_err(Raised::Lua)?.ok_or(wrong_type)?;
        let text = text.as_bytes();
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        choices.iter().position(|choice| choice.as_bytes() == text).ok_or_else(|| {
            Raised::Argument(self.position, [b"invalid option '", text, b"'"].concat())
        })
    }

    fn wrong_type(&self, expected: &str, found: &Value) -> Raised {
        let text = format!("{expected} expected, got {}", type_name(found));
        Raised::Argument(self.position, text.into_bytes())
    }
}

/// A number as C makes an `int` of it, by way of 64 bits: those above 32 are lost, and what 64 do
/// not hold becomes zero.
fn wrapped_integer(number: f64) -> i32 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 as i32 } else { 0 }
}

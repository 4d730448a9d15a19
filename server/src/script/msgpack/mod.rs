//! The library `cmsgpack`: Lua's values as `MessagePack`, and back, as lua-cmsgpack does it.
//!
//! `writing` turns values into bytes, `reading` finds the items in bytes, and `building` makes
//! values of them. This module has what scripts call.

mod building;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use mlua::{Lua, MultiValue, Value};

use super::arguments::{Arguments, argument_error, check_stack, error};
use super::bounded::BoundedBytes;
use super::raised::{Function, Raised};
use building::Builder;
use writing::Place;

/// In the order in which they are entered into the table, which decides the order of `pairs`.
pub(crate) const FUNCTIONS: &[(&str, Function)] = &[
    ("pack", pack),
    ("unpack", unpack),
    ("unpack_one", unpack_one),
    ("unpack_limit", unpack_limit),
];

/// What the table holds besides, entered after the functions.
pub(crate) const CONSTANTS: &[(&str, &str)] = &[
    ("_NAME", "cmsgpack"),
    ("_VERSION", "lua-cmsgpack 0.4.0"),
    ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
    ("_DESCRIPTION", "MessagePack C implementation for Lua"),
];

/// `cmsgpack.pack(value, ...)`
fn pack(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let count = arguments.count();
    if count == 0 {
        return Err(argument_error(0, "MessagePack pack needs input."));
    }
    if check_stack(count, count, "").is_err() {
        return Err(argument_error(0, "Too many arguments for MessagePack pack."));
    }
    let mut output = BoundedBytes::default();
    for (index, value) in arguments.iter().enumerate() {
        // The arguments, what became of those before, and a copy of this one.
        let place = Place { depth: 0, slots: count + index + 1 };
        writing::append_value(&mut output, value, place)?;
    }
    let packed = lua.create_string(output.as_slice()).map_err(Raised::Lua)?;
    Ok(MultiValue::from_iter([Value::String(packed)]))
}

/// `cmsgpack.unpack(data)`: gives every value in it.
fn unpack(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    unpack_part(lua, &arguments, arguments.count(), Part::ALL)
}

/// `cmsgpack.unpack_one(data [, offset])`: gives the offset after the value, and the value.
fn unpack_one(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let offset = arguments.integer_or(2, 0)?;
    unpack_part(lua, &arguments, 1, Part { limit: 1, offset })
}

/// `cmsgpack.unpack_limit(data, limit [, offset])`: gives the offset after the last value, and the
/// values.
fn unpack_limit(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let limit = arguments.integer(2)?;
    let offset = arguments.integer_or(3, 0)?;
    unpack_part(lua, &arguments, 1, Part { limit, offset })
}

/// Which of the values in the data are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Part {
    limit: i64,
    offset: i64,
}

impl Part {
    /// Neither a limit nor an offset stands for everything, and then no offset is given back.
    const ALL: Self = Self { limit: 0, offset: 0 };

    /// The part of the data that is behind the offset.
    fn rest_of(self, data: &[u8]) -> Result<&[u8], Raised> {
        // Messages show the lower half of a number only.
        let (shown_offset, shown_len) = (self.offset as i32, data.len() as i32);
        if self.offset < 0 || self.limit < 0 {
            return Err(error(&format!(
                "Invalid request to unpack with offset of {shown_offset} and limit of {shown_len}."
            )));
        }
        data.get(self.offset as usize..).ok_or_else(|| {
            error(&format!("Start offset {shown_offset} greater than input length {shown_len}."))
        })
    }
}

/// Unpacks the first argument. `slots` is how many arguments stay on Lua's stack meanwhile.
fn unpack_part(
    lua: &Lua,
    arguments: &Arguments,
    slots: usize,
    part: Part,
) -> Result<MultiValue, Raised> {
    let data = arguments.text(1)?.as_bytes();
    let rest = part.rest_of(&data)?;
    let limit = if part == Part::ALL { i64::from(i32::MAX) } else { part.limit };
    let mut builder = Builder::new(lua, rest, slots);
    let mut values = Vec::new();
    while !builder.rest().is_empty() && (values.len() as i64) < limit {
        values.push(builder.next_value()?);
    }
    if part == Part::ALL {
        return Ok(MultiValue::from_vec(values));
    }
    check_stack(slots + values.len(), 1, "in function mp_unpack_full")?;
    let left = builder.rest().len();
    let next_offset = if left == 0 { -1 } else { (data.len() - left) as i64 };
    let mut results = MultiValue::from_vec(values);
    results.push_front(Value::Integer(next_offset));
    Ok(results)
}

//! The library `struct`: numbers and texts as the bytes that a format describes, and back.
//!
//! | option | stands for |
//! |---|---|
//! | `b` `B`, `h` `H`, `l` `L` `T` | integers of 1, 2 and 8 bytes; small letters are signed |
//! | `i` `I` with a size | integers of so many bytes, 4 without a size, 32 at most |
//! | `f`, `d` | floats of 4 and 8 bytes |
//! | `s` | a text that ends with a zero byte |
//! | `c` with a size | so many bytes, 1 without a size; `c0` takes its size from elsewhere |
//! | `x` | a zero byte that is not read |
//! | `>`, `<`, `!` with a power of two, space | big endian, little endian, alignment, nothing |
//!
//! Numbers are converted as C does it on x86-64, where what does not fit has results that scripts
//! can see.

mod format;
mod packing;
#[cfg(test)]
mod tests;
mod unpacking;

use mlua::{Lua, MultiValue, Value};

use super::arguments::{Arguments, argument_error, check_stack, error, to_integer};
use super::raised::{Function, Raised};
use format::{Format, Item, Kind};
use packing::Packer;
use unpacking::Unpacker;

/// In the order in which they are entered into the table, which decides the order of `pairs`.
pub(crate) const FUNCTIONS: &[(&str, Function)] =
    &[("pack", pack), ("unpack", unpack), ("size", size)];

const TOO_MANY: &str = "too many results";

/// `struct.pack(format, ...)`
fn pack(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let mut arguments = Arguments::new(lua, arguments);
    let format = arguments.text(1)?.as_bytes();
    let mut format = Format::new(&format);
    arguments.mark_end();
    let mut packer = Packer::new(&arguments);
    while let Some(item) = format.next()? {
        packer.append(item, &mut format)?;
    }
    let text = lua.create_string(packer.output()).map_err(Raised::Lua)?;
    Ok(MultiValue::from_iter([Value::String(text)]))
}

/// `struct.unpack(format, data [, position])`: gives the values, and the position of what follows
/// them.
fn unpack(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let format = arguments.text(1)?.as_bytes();
    let data = arguments.text(2)?.as_bytes();
    let position = arguments.integer_or(3, 1)?;
    if position == 0 {
        return Err(argument_error(3, "offset must be 1 or greater"));
    }
    // A negative position is beyond every data.
    let position = (position as u64 - 1) as usize;
    let mut unpacker = Unpacker::new(lua, &data, position);
    let mut format = Format::new(&format);
    while let Some(item) = format.next()? {
        unpacker.find(item, &format)?;
        check_stack(arguments.count() + unpacker.count(), 2, TOO_MANY)?;
        unpacker.take(item, &mut format)?;
    }
    Ok(MultiValue::from_vec(unpacker.finish()))
}

/// `struct.size(format)`: letters and digits without a meaning are let through.
fn size(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let format = arguments.text(1)?.as_bytes();
    let mut format = Format::new(&format);
    let mut total = 0usize;
    while let Some(item) = format.next()? {
        let padding = format.padding(total, item);
        match item {
            Item { kind: Kind::EndedText, .. } => return Err(no_fixed_size("s")),
            Item { kind: Kind::SizedText, size: 0, .. } => return Err(no_fixed_size("c0")),
            Item { option, .. } if option.is_ascii_alphanumeric() => {}
            Item { option, .. } => format.control(option)?,
        }
        let grown = total.checked_add(padding).and_then(|total| total.checked_add(item.size));
        total = grown.ok_or_else(|| error("integral size overflow"))?;
    }
    Ok(MultiValue::from_iter([Value::Number(total as f64)]))
}

fn no_fixed_size(option: &str) -> Raised {
    argument_error(1, &format!("option '{option}' has no fixed size"))
}

/// Drops the fraction as x86-64 does it: half of all numbers at a time. What no unsigned integer
/// can hold becomes zero, and what is no number becomes the lowest signed one.
fn to_unsigned(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if number >= HALF {
        to_integer(number - HALF) as u64 ^ (1 << 63)
    } else {
        to_integer(number) as u64
    }
}

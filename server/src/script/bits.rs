//! The library `bit`: operations on the bits of numbers, as `BitOp` for Lua has them.
//!
//! Every number is brought to 32 bits first, and every result is a signed 32-bit number. Nothing
//! but numbers goes in or out, except for the text of `tohex`.

use mlua::{Lua, MultiValue, Value};

use super::arguments::Arguments;
use super::raised::{Function, Raised};

/// In the order in which they are entered into the table, which decides the order of `pairs`.
pub(crate) const FUNCTIONS: &[(&str, Function)] = &[
    ("tobit", tobit),
    ("bnot", bnot),
    ("band", band),
    ("bor", bor),
    ("bxor", bxor),
    ("lshift", lshift),
    ("rshift", rshift),
    ("arshift", arshift),
    ("rol", rol),
    ("ror", ror),
    ("bswap", bswap),
    ("tohex", tohex),
];

/// `bit.tobit(x)`
fn tobit(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    convert(lua, arguments, |bits| bits)
}

/// `bit.bnot(x)`
fn bnot(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    convert(lua, arguments, |bits| !bits)
}

/// `bit.bswap(x)`
fn bswap(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    convert(lua, arguments, u32::swap_bytes)
}

/// `bit.band(x, ...)`
fn band(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    combine(lua, arguments, |left, right| left & right)
}

/// `bit.bor(x, ...)`
fn bor(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    combine(lua, arguments, |left, right| left | right)
}

/// `bit.bxor(x, ...)`
fn bxor(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    combine(lua, arguments, |left, right| left ^ right)
}

/// `bit.lshift(x, count)`: only the lower five bits of a count matter, here and below.
fn lshift(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    shift(lua, arguments, u32::wrapping_shl)
}

/// `bit.rshift(x, count)`
fn rshift(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    shift(lua, arguments, u32::wrapping_shr)
}

/// `bit.arshift(x, count)`: the sign moves in from the left.
fn arshift(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    shift(lua, arguments, |bits, count| (bits as i32).wrapping_shr(count) as u32)
}

/// `bit.rol(x, count)`
fn rol(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    shift(lua, arguments, u32::rotate_left)
}

/// `bit.ror(x, count)`
fn ror(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    shift(lua, arguments, u32::rotate_right)
}

/// `bit.tohex(x [, digits])`: a negative number of digits asks for capitals. A second argument that
/// is `nil` is refused.
fn tohex(lua: &Lua, arguments: MultiValue) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let bits = bits_of(&arguments, 1)?;
    let wanted = if arguments.count() < 2 { 8 } else { bits_of(&arguments, 2)? as i32 };
    let all = if wanted < 0 { format!("{bits:08X}") } else { format!("{bits:08x}") };
    let digits = wanted.unsigned_abs().min(8) as usize;
    let text = lua.create_string(&all[8 - digits..]).map_err(Raised::Lua)?;
    Ok(MultiValue::from_iter([Value::String(text)]))
}

fn convert(
    lua: &Lua,
    arguments: MultiValue,
    operation: fn(u32) -> u32,
) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    Ok(signed(operation(bits_of(&arguments, 1)?)))
}

/// Looks at the first argument, then at the others from the last one on, so that the same one of
/// several wrong arguments is named.
fn combine(
    lua: &Lua,
    arguments: MultiValue,
    operation: fn(u32, u32) -> u32,
) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let mut bits = bits_of(&arguments, 1)?;
    for position in (2..=arguments.count()).rev() {
        bits = operation(bits, bits_of(&arguments, position)?);
    }
    Ok(signed(bits))
}

fn shift(
    lua: &Lua,
    arguments: MultiValue,
    operation: fn(u32, u32) -> u32,
) -> Result<MultiValue, Raised> {
    let arguments = Arguments::new(lua, arguments);
    let bits = bits_of(&arguments, 1)?;
    Ok(signed(operation(bits, bits_of(&arguments, 2)? % u32::BITS)))
}

/// The lowest 32 bits of the nearest integer, halves to even. The sum has its last mantissa bit at
/// one, so rounding happens in the addition. Numbers too large for that give bits of their mantissa
/// as it is.
fn bits_of(arguments: &Arguments, position: usize) -> Result<u32, Raised> {
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    let number = arguments.number(position)?;
    Ok((number + ROUNDING).to_bits() as u32)
}

fn signed(bits: u32) -> MultiValue {
    MultiValue::from_iter([Value::Integer(i64::from(bits as i32))])
}

#[cfg(test)]
mod tests {
    use super::super::calling::check_calls;
    use super::*;

    #[test]
    fn numbers_are_brought_to_32_signed_bits() {
        check_calls(
            FUNCTIONS,
            &[
                ("tobit", "0xffffffff", "-1"),
                ("tobit", "2^31", "-2147483648"),
                ("tobit", "2^32 + 5", "5"),
                ("tobit", "-2^40 - 3", "-3"),
                ("tobit", "1.5", "2"),
                ("tobit", "2.5", "2"),
                ("tobit", "-0.5", "0"),
                ("tobit", "2^51 - 1", "-1"),
                ("tobit", "2^51 + 1", "0"),
                ("tobit", "2^53 + 4", "2"),
                ("tobit", "1e300", "-2013235812"),
                ("tobit", "1/0", "0"),
                ("tobit", "0/0", "0"),
                ("tobit", "'0x10'", "16"),
                ("tobit", "' 1e1 '", "10"),
            ],
        );
    }

    #[test]
    fn operators_work_on_all_their_arguments() {
        check_calls(
            FUNCTIONS,
            &[
                ("bnot", "5", "-6"),
                ("bswap", "0x12345678", "2018915346"),
                ("band", "15, 7, 3", "3"),
                ("band", "5", "5"),
                ("bor", "1, 2, 4", "7"),
                ("bor", "0x80000000, 0", "-2147483648"),
                ("bxor", "1, 3, 7", "5"),
                ("lshift", "1, 33", "2"),
                ("lshift", "1, -1", "-2147483648"),
                ("rshift", "-1, 28", "15"),
                ("arshift", "-256, 4", "-16"),
                ("rol", "0x12345678, 8", "878082066"),
                ("ror", "0x12345678, 40", "2014458966"),
            ],
        );
    }

    #[test]
    fn hexadecimal_digits_are_cut_or_capital() {
        check_calls(
            FUNCTIONS,
            &[
                ("tohex", "255", "'000000ff'"),
                ("tohex", "-1, 20", "'ffffffff'"),
                ("tohex", "0xabc, 2", "'bc'"),
                ("tohex", "0xabc, -4", "'0ABC'"),
                ("tohex", "1, 0", "''"),
                ("tohex", "65535, -2147483648", "'0000FFFF'"),
            ],
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        check_calls(
            FUNCTIONS,
            &[
                ("band", "", "!1 number expected, got no value"),
                ("bnot", "nil", "!1 number expected, got nil"),
                ("bnot", "'1 2'", "!1 number expected, got string"),
                ("lshift", "1", "!2 number expected, got no value"),
                ("tohex", "1, nil", "!2 number expected, got nil"),
            ],
        );
    }

    #[test]
    fn the_last_wrong_argument_is_named_unless_the_first_is_wrong() {
        check_calls(
            FUNCTIONS,
            &[
                ("bxor", "1, {}, true", "!3 number expected, got boolean"),
                ("bxor", "{}, {}, true", "!1 number expected, got table"),
            ],
        );
    }
}

//! Writes Lua's values as `MessagePack`, each in the fewest bytes.
//!
//! What has no form there is written as nil: functions, and tables that are nested too deep, which
//! also ends tables that hold themselves. The room that the real library would need on Lua's stack
//! is counted, because running out of it is an error that scripts can see.

use mlua::{Table, Value};

use super::super::arguments::check_stack;
use super::super::bounded::BoundedBytes;
use super::super::raised::Raised;

/// Tables inside this many others are written as nil.
const DEEPEST_NESTING: usize = 16;

/// Where a value stands: in how many tables, and how many values Lua's stack has with it on top.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) depth: usize,
    pub(super) slots: usize,
}

impl Place {
    fn inside(self, more_slots: usize) -> Self {
        Self { depth: self.depth + 1, slots: self.slots + more_slots }
    }
}

pub(super) fn append_value(
    output: &mut BoundedBytes,
    value: &Value,
    place: Place,
) -> Result<(), Raised> {
    match value {
        Value::Boolean(boolean) => output.append(&[0xc2 + u8::from(*boolean)]),
        Value::Integer(integer) => append_integer(output, *integer),
        Value::Number(number) => append_number(output, *number),
        Value::String(text) => append_text(output, &text.as_bytes()),
        Value::Table(table) if place.depth < DEEPEST_NESTING => append_table(output, table, place),
        _ => output.append(&[0xc0]),
    }
}

/// Appends a number that is no integer, or zero with a sign, which is written as one.
fn append_number(output: &mut BoundedBytes, number: f64) -> Result<(), Raised> {
    if number == 0.0 {
        return append_integer(output, 0);
    }
    let short = number as f32;
    if f64::from(short).to_bits() == number.to_bits() && !number.is_nan() {
        append_headed(output, 0xca, &short.to_be_bytes())
    } else {
        append_headed(output, 0xcb, &number.to_be_bytes())
    }
}

fn append_integer(output: &mut BoundedBytes, integer: i64) -> Result<(), Raised> {
    let bytes = integer.to_be_bytes();
    match integer {
        -0x20..=0x7f => output.append(&bytes[7..]),
        0x80..=0xff => append_headed(output, 0xcc, &bytes[7..]),
        0x100..=0xffff => append_headed(output, 0xcd, &bytes[6..]),
        0x1_0000..=0xffff_ffff => append_headed(output, 0xce, &bytes[4..]),
        0x1_0000_0000.. => append_headed(output, 0xcf, &bytes),
        -0x80..=-0x21 => append_headed(output, 0xd0, &bytes[7..]),
        -0x8000..=-0x81 => append_headed(output, 0xd1, &bytes[6..]),
        -0x8000_0000..=-0x8001 => append_headed(output, 0xd2, &bytes[4..]),
        ..=-0x8000_0001 => append_headed(output, 0xd3, &bytes),
    }
}

fn append_text(output: &mut BoundedBytes, text: &[u8]) -> Result<(), Raised> {
    let len = text.len();
    match len {
        0..=0x1f => output.append(&[0xa0 | len as u8])?,
        0x20..=0xff => append_headed(output, 0xd9, &[len as u8])?,
        0x100..=0xffff => append_headed(output, 0xda, &(len as u16).to_be_bytes())?,
        _ => append_headed(output, 0xdb, &(len as u32).to_be_bytes())?,
    }
    output.append(text)
}

fn append_headed(output: &mut BoundedBytes, head: u8, bytes: &[u8]) -> Result<(), Raised> {
    output.append(&[head])?;
    output.append(bytes)
}

/// A table is an array if its keys are the numbers from one to how many there are.
fn append_table(output: &mut BoundedBytes, table: &Table, place: Place) -> Result<(), Raised> {
    check_stack(place.slots, 2, "in function table_is_an_array")?;
    let len = count_pairs(table)?;
    if is_sequence(table, len) {
        append_array(output, table, len, place)
    } else {
        append_map(output, table, len, place)
    }
}

fn count_pairs(table: &Table) -> Result<usize, Raised> {
    let mut count = 0;
    // Asking for truth values is the cheapest way to walk over the pairs.
    let walked = table.for_each(|_: bool, _: bool| {
        count += 1;
        Ok(())
    });
    walked.map_err(Raised::Lua)?;
    Ok(count)
}

/// Whether the keys of all `len` pairs are those of a sequence.
fn is_sequence(table: &Table, len: usize) -> bool {
    table.raw_len() == len && table.sequence_values::<bool>().take(len).count() == len
}

fn append_array(
    output: &mut BoundedBytes,
    table: &Table,
    len: usize,
    place: Place,
) -> Result<(), Raised> {
    append_container_head(output, len, [0x90, 0xdc, 0xdd])?;
    for element in table.sequence_values::<Value>().take(len) {
        append_value(output, &element.map_err(Raised::Lua)?, place.inside(1))?;
    }
    Ok(())
}

fn append_map(
    output: &mut BoundedBytes,
    table: &Table,
    len: usize,
    place: Place,
) -> Result<(), Raised> {
    check_stack(place.slots, 3, "in function mp_encode_lua_table_as_map")?;
    append_container_head(output, len, [0x80, 0xde, 0xdf])?;
    let mut raised = Ok(());
    let walked = table.for_each(|key: Value, value: Value| {
        // A copy of the key lies on top of the pair while the key is written.
        raised = append_value(output, &key, place.inside(3))
            .and_then(|()| append_value(output, &value, place.inside(2)));
        if raised.is_ok() { Ok(()) } else { Err(mlua::Error::StackError) }
    });
    raised?;
    walked.map_err(Raised::Lua)
}

/// Appends the head of an array or a map, of one byte, or with a length of two or four.
fn append_container_head(
    output: &mut BoundedBytes,
    len: usize,
    heads: [u8; 3],
) -> Result<(), Raised> {
    match len {
        0..=0x0f => output.append(&[heads[0] | len as u8]),
        0x10..=0xffff => append_headed(output, heads[1], &(len as u16).to_be_bytes()),
        _ => append_headed(output, heads[2], &(len as u32).to_be_bytes()),
    }
}

//! Values of types that redlet does not have: where they end, and nothing more.

use super::payload::Reader;
use super::rdb::Version;

const OLD_SORTED_SET: u8 = 3;
const HASH: u8 = 4;
const SORTED_SET: u8 = 5;
/// Those that are one string, in which everything is packed.
const PACKED: [u8; 5] = [9, 12, 13, 16, 17];
/// With deadlines of fields, as are all up to the last one; Valkey gave the number to a form of its own.
const EARLY_HASH_WITH_DEADLINES: u8 = 22;
const HASH_WITH_DEADLINES: u8 = 24;
const PACKED_HASH_WITH_DEADLINES: u8 = 25;

/// Whether it is known where values of this type end.
pub(super) fn is_known(kind: u8) -> bool {
    PACKED.contains(&kind)
        || matches!(kind, OLD_SORTED_SET | HASH | SORTED_SET)
        || (EARLY_HASH_WITH_DEADLINES..=PACKED_HASH_WITH_DEADLINES).contains(&kind)
}

/// Reads a value that nobody wants; nothing where it is not what it should be.
pub(super) fn pass_over(kind: u8, version: Version, reader: &mut Reader<'_>) -> Option<()> {
    match kind {
        OLD_SORTED_SET => each(reader, |reader| {
            reader.string()?;
            printed_number(reader)
        }),
        HASH => each(reader, |reader| {
            reader.string()?;
            reader.string().map(drop)
        }),
        SORTED_SET => each(reader, |reader| {
            reader.string()?;
            reader.array::<8>().map(drop)
        }),
        EARLY_HASH_WITH_DEADLINES if version.is_valkey => each(reader, |reader| {
            reader.string()?;
            reader.string()?;
            reader.array::<8>().map(drop)
        }),
        EARLY_HASH_WITH_DEADLINES => each(reader, field_with_deadline),
        HASH_WITH_DEADLINES => {
            reader.array::<8>()?;
            each(reader, field_with_deadline)
        }
        PACKED_HASH_WITH_DEADLINES => {
            reader.array::<8>()?;
            reader.string().map(drop)
        }
        _ => reader.string().map(drop),
    }
}

fn each(
    reader: &mut Reader<'_>,
    mut element: impl FnMut(&mut Reader<'_>) -> Option<()>,
) -> Option<()> {
    let count = reader.plain_length()?;
    (0..count).try_for_each(|_| element(reader))
}

fn field_with_deadline(reader: &mut Reader<'_>) -> Option<()> {
    reader.plain_length()?;
    reader.string()?;
    reader.string().map(drop)
}

/// A number in digits behind their count; the three highest counts are numbers that have no digits.
fn printed_number(reader: &mut Reader<'_>) -> Option<()> {
    const NOT_A_NUMBER: u8 = 253;
    match reader.byte()? {
        NOT_A_NUMBER.. => Some(()),
        count => reader.take(u64::from(count)).map(drop),
    }
}

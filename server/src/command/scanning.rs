//! What SCAN and its kin have in common: cursors, how much one call visits, and the reply.

use crate::error::Error;
use crate::resp::Reply;
use crate::value::number::parse_integer;

/// For each element that is asked for, so many buckets may turn out to be empty.
const BUCKETS_FOR_EACH: usize = 10;

/// Takes what C's `strtoull` takes, save for negative integers as such.
pub(super) fn parse_cursor(argument: &[u8]) -> Result<u64, Error> {
    let invalid = || Error::err("invalid cursor");
    if let Some(integer) = parse_integer(argument) {
        return u64::try_from(integer).map_err(|_| invalid());
    }
    let end = argument.iter().position(|&byte| byte == 0).unwrap_or(argument.len());
    let text = std::str::from_utf8(&argument[..end]).map_err(|_| invalid())?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    let number = number.ok_or_else(invalid)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

/// Goes on from a cursor until so many elements were seen, and gives the next cursor. `visit` visits
/// a bucket, and says where the next one is and how many elements it saw.
pub(super) fn scan_from(
    cursor: u64,
    count: usize,
    mut visit: impl FnMut(u64) -> (u64, usize),
) -> u64 {
    let most_buckets = count.saturating_mul(BUCKETS_FOR_EACH);
    let (mut cursor, mut seen, mut buckets) = (cursor, 0, 0);
    loop {
        let (next, more) = visit(cursor);
        (cursor, seen, buckets) = (next, seen + more, buckets + 1);
        if cursor == 0 || seen >= count || buckets >= most_buckets {
            return cursor;
        }
    }
}

pub(super) fn write_scanned(reply: &mut Reply<'_>, cursor: u64, found: &[Box<[u8]>]) {
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
    reply.array(found.len());
    for element in found {
        reply.bulk(element);
    }
}

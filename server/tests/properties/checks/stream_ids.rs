//! Ids of entries, and ranges of them: read, printed and compared as numbers of 128 bits would be.

use std::fmt::Write;

use redlet::fuzzing::{self, NotAnId, StreamId};

use super::Choices;
use super::client::CheckedClient;

/// No longer text is an id.
const LONGEST: usize = 127;
const INVALID: &str = "-ERR Invalid stream ID specified as stream command argument\r\n";
const NO_START: &str = "-ERR invalid start ID for the interval\r\n";
const NO_END: &str = "-ERR invalid end ID for the interval\r\n";

/// What ids are made of.
const PARTS: &[&str] = &[
    "0",
    "1",
    "5",
    "7",
    "05",
    "00",
    "+",
    "-",
    "(",
    "*",
    " ",
    "\t",
    "\0",
    "x",
    "+5",
    "-5",
    "-05",
    "- 5",
    "10",
    "99",
    "1700000000000",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "-18446744073709551615",
    "000000000000000000000000000000000000000000000000000000000000000000005",
];

/// A text that is an id, or nearly one.
pub fn text(choices: &mut impl Choices) -> Vec<u8> {
    let mut text = Vec::new();
    if choices.once_in(8) {
        text.push(b'(');
    }
    for part in 0..=choices.below(3) {
        if part > 0 && !choices.once_in(8) {
            text.push(b'-');
        }
        text.extend_from_slice(choices.pick(PARTS).as_bytes());
    }
    if choices.once_in(8) {
        text.push(choices.below(256) as u8);
    }
    text
}

/// Some id, near an edge more often than not.
pub fn id(choices: &mut impl Choices) -> StreamId {
    const NUMBERS: &[u64] = &[0, 1, 5, 6, 7, 99, 1_700_000_000_000, u64::MAX - 1, u64::MAX];
    (*choices.pick(NUMBERS), *choices.pick(NUMBERS))
}

/// A text is read by the rules, and so is what XADD makes of it.
pub fn check_text(text: &[u8], missing: u64, last: StreamId, now_ms: u64) {
    let read = fuzzing::parse_stream_id(text, missing);
    assert_eq!(read, parse(text, missing), "{}", text.escape_ascii());
    let new = fuzzing::new_stream_id(text, last, now_ms);
    let expected = new_id(text, last, now_ms);
    assert_eq!(new, expected, "{} behind {last:?}, at {now_ms}", text.escape_ascii());
}

/// An id comes back from its printed form and its bytes, and has neighbours.
pub fn check_id(id: StreamId) {
    let printed = fuzzing::format_stream_id(id);
    assert_eq!(printed, format!("{}-{}", id.0, id.1).into_bytes());
    assert_eq!(fuzzing::parse_stream_id(&printed, 3), Some(id));
    let neighbours = [number(id).checked_sub(1), number(id).checked_add(1), Some(number(id))];
    assert_eq!(fuzzing::stream_id_neighbours(id), neighbours.map(|number| number.map(id_of)));
}

fn number((ms, sequence): StreamId) -> u128 {
    u128::from(ms) << 64 | u128::from(sequence)
}

fn id_of(number: u128) -> StreamId {
    ((number >> 64) as u64, number as u64)
}

/// A text up to its first zero byte.
fn in_c(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|&byte| byte == 0).unwrap_or(text.len())]
}

fn parse(text: &[u8], missing: u64) -> Option<StreamId> {
    let id = in_c(text);
    let parts: Vec<&[u8]> = id.splitn(2, |&byte| byte == b'-').collect();
    let sequence = parts.get(1).map_or(Some(missing), |text| unsigned(text));
    (text.len() <= LONGEST).then_some((unsigned(parts[0])?, sequence?))
}

/// A number as `strtoull` reads it, but for what is a negative integer as it is usually written.
fn unsigned(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    if text.parse::<i64>().is_ok_and(|integer| integer < 0 && integer.to_string() == text) {
        return None;
    }
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let number: u64 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    Some(if is_negative { number.wrapping_neg() } else { number })
}

/// The least id that a text allows behind the last one, if there is one, of a text that XADD takes.
fn new_id(text: &[u8], last: StreamId, now_ms: u64) -> Result<Option<StreamId>, NotAnId> {
    let next = number(last).checked_add(1);
    let at_least = |ms: u64| next.map(|next| id_of(next.max(u128::from(ms) << 64)));
    if text.len() <= LONGEST && in_c(text) == b"*" {
        return Ok(at_least(now_ms));
    }
    if text.len() <= LONGEST
        && let Some(ms) = in_c(text).strip_suffix(b"-*")
        && !ms.contains(&b'-')
    {
        let ms = unsigned(ms).ok_or(NotAnId)?;
        return Ok(at_least(ms).filter(|id| id.0 == ms));
    }
    let id = parse(text, 0).ok_or(NotAnId)?;
    Ok((id > last).then_some(id))
}

/// The bound of a range that a text stands for: the first id in it, or the last one.
fn bound(text: &[u8], is_start: bool) -> Result<u128, &'static str> {
    let missing = if is_start { 0 } else { u64::MAX };
    match in_c(text) {
        b"-" => Ok(0),
        b"+" => Ok(u128::MAX),
        _ if text.len() > 1 && text[0] == b'(' => {
            let id = number(parse(&text[1..], missing).ok_or(INVALID)?);
            let (beside, error) =
                if is_start { (id.checked_add(1), NO_START) } else { (id.checked_sub(1), NO_END) };
            beside.ok_or(error)
        }
        _ => parse(text, missing).map(number).ok_or(INVALID),
    }
}

/// A stream of these ids tells what is in a range, from either end, and deletes what is before it.
pub fn check_range(client: &mut CheckedClient, ids: &[StreamId], start: &[u8], end: &[u8]) {
    let mut ids: Vec<u128> = ids.iter().map(|&id| number(id)).filter(|&id| id > 0).collect();
    ids.sort_unstable();
    ids.dedup();
    client.call(&["DEL", "s"]);
    for id in &ids {
        let printed = printed(*id);
        let reply = client.call(&["XADD", "s", &printed, "n", "1"]);
        assert_eq!(reply, format!("${}\r\n{printed}\r\n", printed.len()).into_bytes());
    }
    let range = bound(start, true).and_then(|first| Ok((first, bound(end, false)?)));
    let mut found: Vec<u128> = ids.clone();
    found.retain(|id| range.is_ok_and(|(first, last)| (first..=last).contains(id)));
    let expected = |found: &[u128]| match &range {
        Ok(_) => entries(found),
        Err(error) => (*error).to_owned(),
    };
    check(client, &[b"XRANGE", b"s", start, end], &expected(&found));
    check(client, &[b"XPENDING", b"s", b"g", start, end, b"9"], "-");
    found.reverse();
    check(client, &[b"XREVRANGE", b"s", end, start], &expected(&found));
    found.truncate(1);
    check(client, &[b"XREVRANGE", b"s", end, start, b"COUNT", b"1"], &expected(&found));
    let Some(at_least) = parse(start, 0).map(number) else {
        return check(client, &[b"XTRIM", b"s", b"MINID", start], "-");
    };
    let behind: Vec<u128> = ids.iter().copied().filter(|&id| id > at_least).collect();
    check(client, &[b"XREAD", b"STREAMS", b"s", start], &read(&behind));
    let before = ids.iter().filter(|&&id| id < at_least).count();
    check(client, &[b"XTRIM", b"s", b"MINID", start], &format!(":{before}\r\n"));
    let there = usize::from(ids.contains(&at_least));
    check(client, &[b"XDEL", b"s", start], &format!(":{there}\r\n"));
    check(client, &[b"XLEN", b"s"], &format!(":{}\r\n", behind.len()));
}

fn printed(number: u128) -> String {
    let (ms, sequence) = id_of(number);
    format!("{ms}-{sequence}")
}

fn check(client: &mut CheckedClient, request: &[&[u8]], expected: &str) {
    let reply = client.call(request);
    let is_expected =
        if expected == "-" { reply.starts_with(b"-") } else { reply == expected.as_bytes() };
    let request: Vec<_> = request.iter().map(|word| word.escape_ascii().to_string()).collect();
    assert!(is_expected, "{request:?}: {}, not {expected}", reply.escape_ascii());
}

/// The reply of XRANGE.
fn entries(ids: &[u128]) -> String {
    let mut reply = format!("*{}\r\n", ids.len());
    for id in ids {
        let id = printed(*id);
        write!(reply, "*2\r\n${}\r\n{id}\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n", id.len())
            .expect("a string takes all that is written to it");
    }
    reply
}

/// The reply of XREAD.
fn read(ids: &[u128]) -> String {
    if ids.is_empty() {
        return "*-1\r\n".to_owned();
    }
    format!("*1\r\n*2\r\n$1\r\ns\r\n{}", entries(ids))
}

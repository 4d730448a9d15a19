//! Telling whole replies apart. The heads of aggregates are read here, because `redis-protocol`
//! refuses sets of maps; all else is decoded by it.

use redis_protocol::{resp2, resp3};

/// What a server sent, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub replies: usize,
    /// What was sent without being asked for.
    pub pushes: usize,
}

/// Counts the replies; what is no reply, or only a part of one, is an error.
pub fn count(mut bytes: &[u8], is_resp3: bool) -> Result<Counted, String> {
    let mut counted = Counted::default();
    while let Some(kind) = bytes.first() {
        if *kind == b'>' && is_resp3 {
            counted.pushes += 1;
        } else {
            counted.replies += 1;
        }
        bytes = skip(bytes, is_resp3)?;
    }
    Ok(counted)
}

/// What stands after the first reply.
fn skip(bytes: &[u8], is_resp3: bool) -> Result<&[u8], String> {
    let (mut rest, mut pending) = (bytes, 1usize);
    while pending > 0 {
        pending -= 1;
        let kind = rest.first().ok_or("a part of a reply is missing")?;
        rest = match (kind, is_resp3) {
            (b'*', _) | (b'%' | b'~' | b'>' | b'|', true) => {
                let (length, after) = head(rest)?;
                pending += match kind {
                    b'%' => length * 2,
                    // Attributes precede the reply that they are about.
                    b'|' => length * 2 + 1,
                    _ => length,
                };
                after
            }
            (_, false) => scalar_of_resp2(rest)?,
            (_, true) => scalar_of_resp3(rest)?,
        };
    }
    Ok(rest)
}

fn head(bytes: &[u8]) -> Result<(usize, &[u8]), String> {
    let wrong = || format!("no head of an aggregate: {}", bytes.escape_ascii());
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").ok_or_else(wrong)?;
    let digits = std::str::from_utf8(&bytes[1..end]).map_err(|_| wrong())?;
    let length = if digits == "-1" { Ok(0) } else { digits.parse() };
    Ok((length.map_err(|_| wrong())?, &bytes[end + 2..]))
}

fn scalar_of_resp2(bytes: &[u8]) -> Result<&[u8], String> {
    match resp2::decode::decode_range(bytes) {
        Ok(Some((_, length))) => Ok(&bytes[length..]),
        other => Err(format!("{other:?}: {}", bytes.escape_ascii())),
    }
}

fn scalar_of_resp3(bytes: &[u8]) -> Result<&[u8], String> {
    match resp3::decode::complete::decode_range(bytes) {
        Ok(Some((_, length))) => Ok(&bytes[length..]),
        other => Err(format!("{other:?}: {}", bytes.escape_ascii())),
    }
}

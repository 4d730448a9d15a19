//! Bytes of a server made into a `Reply`.
//!
//! Every scalar is decoded by the crate `redis-protocol`, for RESP2 and RESP3 each by its own decoder. Only the headers
//! of aggregates are read here: that crate keeps maps and sets in hash tables, which lose order and duplicates, and
//! refuses sets of maps, which COMMAND answers.

use redis_protocol::{resp2, resp3};

use crate::reply::{Protocol, Reply};

/// The first whole reply of `bytes` and its length, or `None` while it is incomplete.
pub fn decode(bytes: &[u8], protocol: Protocol) -> Result<Option<(Reply, usize)>, String> {
    let mut at = 0;
    let reply = decode_at(bytes, &mut at, protocol)?;
    Ok(reply.map(|reply| (reply, at)))
}

fn decode_at(bytes: &[u8], at: &mut usize, protocol: Protocol) -> Result<Option<Reply>, String> {
    let Some(&kind) = bytes.get(*at) else { return Ok(None) };
    let aggregate =
        matches!((kind, protocol), (b'*', _) | (b'%' | b'~' | b'>' | b'|', Protocol::Resp3));
    if aggregate {
        return decode_aggregate(bytes, at, protocol);
    }
    match protocol {
        Protocol::Resp2 => decode_resp2(bytes, at),
        Protocol::Resp3 => decode_resp3(bytes, at),
    }
}

fn decode_aggregate(
    bytes: &[u8],
    at: &mut usize,
    protocol: Protocol,
) -> Result<Option<Reply>, String> {
    let kind = bytes[*at];
    let Some(length) = read_length(bytes, at)? else { return Ok(None) };
    if length == -1 && kind == b'*' && protocol == Protocol::Resp2 {
        return Ok(Some(Reply::NullArray));
    }
    let length =
        usize::try_from(length).map_err(|_| format!("an aggregate of {length} elements"))?;
    match kind {
        b'%' => Ok(decode_pairs(bytes, at, protocol, length)?.map(Reply::Map)),
        b'|' => decode_attributed(bytes, at, protocol, length),
        _ => Ok(decode_items(bytes, at, protocol, length)?.map(|items| match kind {
            b'~' => Reply::Set(items),
            b'>' => Reply::Push(items),
            _ => Reply::Array(items),
        })),
    }
}

fn read_length(bytes: &[u8], at: &mut usize) -> Result<Option<i64>, String> {
    let rest = &bytes[*at + 1..];
    let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    *at += end + 3;
    std::str::from_utf8(&rest[..end])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or_else(|| "an aggregate whose length is no number".to_owned())
}

fn decode_items(
    bytes: &[u8],
    at: &mut usize,
    protocol: Protocol,
    length: usize,
) -> Result<Option<Vec<Reply>>, String> {
    let mut items = Vec::new();
    for _ in 0..length {
        let Some(item) = decode_at(bytes, at, protocol)? else { return Ok(None) };
        items.push(item);
    }
    Ok(Some(items))
}

type Pairs = Vec<(Reply, Reply)>;

fn decode_pairs(
    bytes: &[u8],
    at: &mut usize,
    protocol: Protocol,
    length: usize,
) -> Result<Option<Pairs>, String> {
    let Some(items) = decode_items(bytes, at, protocol, length * 2)? else { return Ok(None) };
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(length);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Ok(Some(pairs))
}

fn decode_attributed(
    bytes: &[u8],
    at: &mut usize,
    protocol: Protocol,
    length: usize,
) -> Result<Option<Reply>, String> {
    let Some(attributes) = decode_pairs(bytes, at, protocol, length)? else { return Ok(None) };
    let reply = decode_at(bytes, at, protocol)?;
    Ok(reply.map(|reply| Reply::Attributed(attributes, Box::new(reply))))
}

fn decode_resp2(bytes: &[u8], at: &mut usize) -> Result<Option<Reply>, String> {
    use resp2::types::RangeFrame as Frame;
    let bytes = &bytes[*at..];
    let Some((frame, length)) =
        resp2::decode::decode_range(bytes).map_err(|error| error.to_string())?
    else {
        return Ok(None);
    };
    *at += length;
    Ok(Some(match frame {
        Frame::SimpleString(range) => Reply::Simple(slice(bytes, range)),
        Frame::Error(range) => Reply::Error(slice(bytes, range)),
        Frame::Integer(number) => Reply::Integer(number),
        Frame::BulkString(range) => Reply::Bulk(slice(bytes, range)),
        Frame::Null => Reply::NullBulk,
        Frame::Array(_) => return Err("an array where a scalar was announced".to_owned()),
    }))
}

fn decode_resp3(bytes: &[u8], at: &mut usize) -> Result<Option<Reply>, String> {
    use resp3::types::RangeFrame as Frame;
    let bytes = &bytes[*at..];
    let decoded =
        resp3::decode::complete::decode_range(bytes).map_err(|error| error.to_string())?;
    let Some((frame, length)) = decoded else { return Ok(None) };
    *at += length;
    Ok(Some(match frame {
        Frame::SimpleString { data, .. } => Reply::Simple(slice(bytes, data)),
        Frame::SimpleError { data, .. } | Frame::BlobError { data, .. } => {
            Reply::Error(slice(bytes, data))
        }
        Frame::Number { data, .. } => Reply::Integer(data),
        Frame::BlobString { data, .. } => Reply::Bulk(slice(bytes, data)),
        Frame::VerbatimString { data, .. } => Reply::Verbatim(slice(bytes, data)),
        Frame::Null => Reply::Null,
        Frame::Double { data, .. } => Reply::Double(data),
        Frame::Boolean { data, .. } => Reply::Boolean(data),
        Frame::BigNumber { data, .. } => Reply::BigNumber(slice(bytes, data)),
        other => return Err(format!("a reply of an unexpected kind: {other:?}")),
    }))
}

fn slice(bytes: &[u8], (start, end): (usize, usize)) -> Vec<u8> {
    bytes[start..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_keep_their_kind() {
        let (reply, length) =
            decode(b"*2\r\n*-1\r\n$-1\r\n+next", Protocol::Resp2).unwrap().unwrap();
        assert_eq!(reply, Reply::Array(vec![Reply::NullArray, Reply::NullBulk]));
        assert_eq!(length, 14);
    }

    #[test]
    fn a_set_may_hold_maps() {
        let (reply, _) = decode(b"~1\r\n%1\r\n+a\r\n:1\r\n", Protocol::Resp3).unwrap().unwrap();
        let map = Reply::Map(vec![(Reply::Simple(b"a".to_vec()), Reply::Integer(1))]);
        assert_eq!(reply, Reply::Set(vec![map]));
    }

    #[test]
    fn every_prefix_is_incomplete() {
        let whole = b"%1\r\n$1\r\na\r\n*2\r\n:1\r\n,1.5\r\n";
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length], Protocol::Resp3).unwrap(), None);
        }
    }
}

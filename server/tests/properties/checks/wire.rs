//! The decoder of requests: in pieces as in one, and in agreement with `redis-protocol`.

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;
use redlet::fuzzing::{self, Decoded, Request};

/// Frames inside one another beyond this are not given to `redis-protocol`, which recurses.
const DEEPEST: usize = 100;

/// How the bytes arrive makes no difference; `cuts` are the lengths of the pieces, over and over.
pub fn check_pieces(bytes: &[u8], cuts: &[u8]) {
    let pieces = cut(bytes, cuts);
    let pieces = || pieces.iter().copied();
    let whole = fuzzing::decode([bytes]);
    compare(&whole, &fuzzing::decode(pieces()), cuts);
    compare(&whole, &fuzzing::decode_singly(pieces()), cuts);
    let before_auth = fuzzing::decode_before_auth([bytes]);
    compare(&before_auth, &fuzzing::decode_before_auth(pieces()), cuts);
    assert!(whole.requests.starts_with(&before_auth.requests));
}

/// A line that is too long is accepted where its end arrives along with the rest.
fn compare(whole: &Decoded, in_pieces: &Decoded, cuts: &[u8]) {
    let is_too_big = |error: &String| error.contains("too big");
    if whole != in_pieces && in_pieces.error.as_ref().is_some_and(is_too_big) {
        assert!(whole.requests.starts_with(&in_pieces.requests));
    } else {
        assert!(whole == in_pieces, "{} and, in pieces {cuts:?}, {}", show(whole), show(in_pieces));
    }
}

fn show(decoded: &Decoded) -> String {
    let show_word = |word: &Vec<u8>| match word.len() {
        0..100 => format!("\"{}\"", word.escape_ascii()),
        length => format!("({length} bytes)"),
    };
    let show_request =
        |request: &Request| request.iter().map(show_word).collect::<Vec<_>>().join(" ");
    let requests: Vec<String> = decoded.requests.iter().map(show_request).collect();
    format!("[{}] {:?}", requests.join(", "), decoded.error)
}

fn cut<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut lengths = cuts.iter().cycle();
    while !bytes.is_empty() {
        let length = lengths.next().map_or(bytes.len(), |length| usize::from(*length) + 1);
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Arrays of bulk strings, as far as `redis-protocol` finds them at the start, are the first
/// requests; and what is decoded here is the same when it is written again.
pub fn check_against_redis_protocol(bytes: &[u8]) {
    let decoded = fuzzing::decode([bytes]);
    let (expected, is_canonical) = requests_of_redis_protocol(bytes);
    let common = expected.len().min(decoded.requests.len());
    assert_eq!(decoded.requests[..common], expected[..common]);
    if expected.len() > common {
        assert!(!is_canonical && decoded.error.is_some(), "missed {:?}", expected[common]);
    }
    let again: Vec<u8> = decoded.requests.iter().flat_map(|request| encode(request)).collect();
    let (requests, _) = requests_of_redis_protocol(&again);
    assert_eq!(requests, decoded.requests, "redis-protocol reads what was written again");
    assert_eq!(fuzzing::decode([&again[..]]).requests, decoded.requests, "and so does redlet");
}

/// The requests at the start, and whether all are written as this module would write them.
fn requests_of_redis_protocol(bytes: &[u8]) -> (Vec<Request>, bool) {
    let (mut requests, mut at, mut is_canonical) = (Vec::new(), 0, true);
    let depth = bytes.windows(3).filter(|window| window == b"\r\n*").count();
    while depth < DEEPEST || is_flat(&bytes[at..]) {
        let Some((request, length)) = first_request(&bytes[at..]) else { break };
        is_canonical &= encode(&request) == bytes[at..at + length];
        at += length;
        requests.push(request);
    }
    (requests, is_canonical)
}

/// Whether what stands behind the first head is no further array.
fn is_flat(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    end.and_then(|end| bytes.get(end + 1)) == Some(&b'$')
}

fn first_request(bytes: &[u8]) -> Option<(Request, usize)> {
    let (RangeFrame::Array(items), length) = decode_range(bytes).ok()?? else { return None };
    let word = |item| match item {
        RangeFrame::BulkString((start, end)) => Some(bytes[start..end].to_vec()),
        _ => None,
    };
    let words: Request = items.into_iter().map(word).collect::<Option<_>>()?;
    (!words.is_empty()).then_some((words, length))
}

/// A request as clients write it.
pub fn encode(request: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
    for word in request {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Inline commands agree with a reader that goes byte by byte, and quoting is undone.
pub fn check_inline(line: &[u8]) {
    if line.contains(&b'\n') || line.starts_with(b"*") {
        return;
    }
    let decoded = fuzzing::decode([line, b"\n"]);
    if line.contains(&0) {
        // The end of such a line is never found.
        assert_eq!(decoded, Decoded::default(), "{}", line.escape_ascii());
        return;
    }
    match split_by_states(line.strip_suffix(b"\r").unwrap_or(line)) {
        None => assert!(decoded.error.is_some(), "{}", line.escape_ascii()),
        Some(words) => {
            assert_eq!(decoded.error, None, "{}", line.escape_ascii());
            let words: Vec<Request> =
                [words].into_iter().filter(|words| !words.is_empty()).collect();
            assert_eq!(decoded.requests, words, "{}", line.escape_ascii());
        }
    }
    let mut quoted = b"first \"".to_vec();
    for byte in line {
        quoted.extend(format!("\\x{byte:02x}").bytes());
    }
    quoted.extend_from_slice(b"\" last\r\n");
    let words = vec![b"first".to_vec(), line.to_vec(), b"last".to_vec()];
    assert_eq!(fuzzing::decode([&quoted[..]]).requests, [words]);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Bare,
    Double,
    Single,
    /// Behind a closing quote.
    Closed,
}

/// A second way to split a line: one byte after the other, with what has to be remembered.
fn split_by_states(line: &[u8]) -> Option<Request> {
    let (mut words, mut state, mut at) = (Request::new(), State::Between, 0);
    while at < line.len() {
        let (byte, next) = (line[at], line.get(at + 1).copied());
        let is_space = matches!(byte, b' ' | 9..=13);
        if state == State::Between && !is_space {
            words.push(Vec::new());
            state = State::Bare;
        }
        let word = words.last_mut();
        at += 1;
        match (state, byte) {
            (State::Between | State::Closed, _) if is_space => state = State::Between,
            (State::Between | State::Closed, _) => return None,
            (State::Bare, b' ' | b'\n' | b'\r' | b'\t') => state = State::Between,
            (State::Bare, b'"') => state = State::Double,
            (State::Bare, b'\'') => state = State::Single,
            (State::Double, b'"') | (State::Single, b'\'') => state = State::Closed,
            (State::Double, b'\\') => at += unescape(&line[at..], word?),
            (State::Single, b'\\') if next == Some(b'\'') => {
                word?.push(b'\'');
                at += 1;
            }
            _ => word?.push(byte),
        }
    }
    (!matches!(state, State::Double | State::Single)).then_some(words)
}

/// Takes what a backslash introduces; how many bytes that are.
fn unescape(rest: &[u8], word: &mut Vec<u8>) -> usize {
    let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
    match (rest.first(), digit(1), digit(2)) {
        (Some(b'x'), Some(high), Some(low)) => {
            word.push((high * 16 + low) as u8);
            3
        }
        (Some(letter), ..) => {
            word.push(match letter {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'a' => 7,
                other => *other,
            });
            1
        }
        (None, ..) => {
            word.push(b'\\');
            0
        }
    }
}

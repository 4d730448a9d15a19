//! How long a reply is. What it means is left to whoever asked for it.

use crate::Result;

/// The length of the reply at the start of `bytes`; nothing while a part of it is missing. What is new in RESP3 is not
/// known, as no instrument asks for it.
pub(crate) fn reply_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(line) = line_length(bytes) else { return Ok(None) };
    match bytes[0] {
        b'+' | b'-' | b':' => Ok(Some(line)),
        b'$' => Ok(Some(bulk_length(bytes, line)?).filter(|whole| *whole <= bytes.len())),
        b'*' => array_length(bytes, line),
        other => Err(format!("a reply begins with {:?}", char::from(other)).into()),
    }
}

/// What stands between the frame's first and last bytes.
pub(crate) fn reply_text(reply: &[u8]) -> String {
    let line = line_length(reply).unwrap_or(reply.len());
    let content = match reply.first() {
        Some(b'$') => reply.get(line..reply.len() - 2).unwrap_or_default(),
        _ => reply.get(1..line - 2).unwrap_or_default(),
    };
    String::from_utf8_lossy(content).into_owned()
}

/// The first line with its end.
fn line_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(2).position(|pair| pair == b"\r\n")? + 2)
}

fn bulk_length(bytes: &[u8], line: usize) -> Result<usize> {
    Ok(announced(bytes, line)?.map_or(line, |length| line + length + 2))
}

/// An array is as long as its first line and all its elements.
fn array_length(bytes: &[u8], line: usize) -> Result<Option<usize>> {
    let mut whole = line;
    for _ in 0..announced(bytes, line)?.unwrap_or_default() {
        let Some(element) = reply_length(&bytes[whole..])? else { return Ok(None) };
        whole += element;
    }
    Ok(Some(whole))
}

/// The number in the first line; nothing where it says that there is neither a string nor an array.
fn announced(bytes: &[u8], line: usize) -> Result<Option<usize>> {
    match &bytes[1..line - 2] {
        b"-1" => Ok(None),
        number => Ok(Some(std::str::from_utf8(number)?.parse()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(bytes: &[u8]) -> Option<usize> {
        reply_length(bytes).unwrap()
    }

    #[test]
    fn a_reply_ends_where_the_next_one_begins() {
        assert_eq!(length(b"+OK\r\n:1\r\n"), Some(5));
        assert_eq!(length(b":12\r\n"), Some(5));
        assert_eq!(length(b"-ERR no\r\n"), Some(9));
        assert_eq!(length(b"$-1\r\n+OK\r\n"), Some(5));
        assert_eq!(length(b"$3\r\na\r\n\r\n$"), Some(9));
        assert_eq!(length(b"*0\r\n:1\r\n"), Some(4));
        assert_eq!(length(b"*-1\r\n:1\r\n"), Some(5));
        assert_eq!(length(b"*2\r\n*1\r\n$-1\r\n:1\r\n+OK\r\n"), Some(17));
    }

    #[test]
    fn a_part_is_no_reply() {
        for part in [&b""[..], b"+", b"+OK\r", b"$", b"$3\r\n", b"$3\r\nabc\r", b"*2\r\n:1\r\n"] {
            assert_eq!(length(part), None, "{}", part.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(reply_length(b"%1\r\n").is_err());
        assert!(reply_length(b"$x\r\n").is_err());
    }

    #[test]
    fn the_text_is_without_the_frame() {
        assert_eq!(reply_text(b"+PONG\r\n"), "PONG");
        assert_eq!(reply_text(b"$4\r\na\r\nb\r\n"), "a\r\nb");
        assert_eq!(reply_text(b"$-1\r\n"), "");
    }
}

//! Inline commands: a line typed by hand, split into arguments with Redis's quoting.
//!
//! Arguments stand between spaces. `"..."` knows the escapes `\n \r \t \b \a \xHH` and takes any
//! other escaped byte for itself; `'...'` knows `\'` only. A quote may open in the middle of an
//! argument, but what comes after a closing one must be a space or the end. As in a C string, a
//! zero byte ends the line.
//!
//! Where a line ends and how long it may be is for the decoder to know.

/// A quote that is never closed, or one that is closed in front of something other than a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnbalancedQuotes;

/// The arguments of a line, which comes without its line feed; there are none in a line of spaces.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
    let mut rest = &line[..end];
    let mut arguments = Vec::new();
    loop {
        rest = skip_spaces(rest);
        if rest.is_empty() {
            return Ok(arguments);
        }
        let (argument, after) = split_first(rest)?;
        arguments.push(argument);
        rest = after;
    }
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_space(*byte)).unwrap_or(line.len());
    &line[start..]
}

/// What C's `isspace` takes for a space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The argument that a line starts with, and what is left of the line.
fn split_first(line: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut argument = Vec::new();
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            // Vertical tabs and form feeds part arguments only in front of one: here they belong to
            // it.
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => {
                rest = read_double_quoted(after, &mut argument)?;
                break;
            }
            b'\'' => {
                rest = read_single_quoted(after, &mut argument)?;
                break;
            }
            _ => argument.push(byte),
        }
        rest = after;
    }
    Ok((argument, rest))
}

/// Appends what stands up to the closing quote and returns what is left after it.
fn read_double_quoted<'l>(
    mut rest: &'l [u8],
    argument: &mut Vec<u8>,
) -> Result<&'l [u8], UnbalancedQuotes> {
    loop {
        let (byte, after) = match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                ((hex_value(*high) << 4) | hex_value(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [b'"', after @ ..] => return after_closing_quote(after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(UnbalancedQuotes),
        };
        argument.push(byte);
        rest = after;
    }
}

/// The same between single quotes.
fn read_single_quoted<'l>(
    mut rest: &'l [u8],
    argument: &mut Vec<u8>,
) -> Result<&'l [u8], UnbalancedQuotes> {
    loop {
        let (byte, after) = match rest {
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return after_closing_quote(after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(UnbalancedQuotes),
        };
        argument.push(byte);
        rest = after;
    }
}

fn after_closing_quote(rest: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a') + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_as_redis_splits_them() {
        let cases: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t\x0b\x0c\r", &[]),
            (b"PING", &[b"PING"]),
            (b"  SET  key\tvalue \r", &[b"SET", b"key", b"value"]),
            (b"a\x0bb", &[b"a\x0bb"]),
            (b"a \x0bb", &[b"a", b"b"]),
            (b"\"\"", &[b""]),
            (b"'' \"\"", &[b"", b""]),
            (b"\"hello world\" 'single quoted'", &[b"hello world", b"single quoted"]),
            (b"\"\\n\\r\\t\\b\\a\\\"\\\\\\q\"", &[b"\n\r\t\x08\x07\"\\q"]),
            (b"\"\\x41\\xfF\\x00\\x4g\\x\"", &[b"A\xff\0x4gx"]),
            (b"'it\\'s' '\\n' '\\\\a'", &[b"it's", b"\\n", b"\\\\a"]),
            (b"foo\"bar\" x'y'", &[b"foobar", b"xy"]),
            (b"\"a\"\x0bb", &[b"a", b"b"]),
            (b"\\n a\\b", &[b"\\n", b"a\\b"]),
            (b"GET key\0 \"ignored", &[b"GET", b"key"]),
            (b"\xc3\xa9 \xff", &[b"\xc3\xa9", b"\xff"]),
        ];
        for (line, expected) in cases {
            let arguments = split(line).expect("quotes are balanced");
            assert_eq!(arguments, *expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn quotes_must_balance() {
        for line in [
            &b"\""[..],
            b"'",
            b"\"abc",
            b"'abc",
            b"\"abc\\\"",
            b"'abc\\'",
            b"\"\\",
            b"\"\\x4",
            b"\"a\"b",
            b"'a'b",
            b"\"a\"\"b\"",
            b"'a''b'",
            b"\"a\"'b'",
            b"SET k \"v",
            b"a\"b",
            b"\"a\0\"",
            b"\\\"",
        ] {
            assert_eq!(split(line), Err(UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }
}

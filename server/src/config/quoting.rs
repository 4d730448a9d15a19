//! How redis.conf quotes: reading a line's words, and writing a word so that it is read back.

/// A line's words, or nothing if a quote is not closed or is followed by anything but a space.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = skip_spaces(line);
    while !rest.is_empty() {
        let (word, after) = split_word(rest)?;
        words.push(word);
        rest = skip_spaces(after);
    }
    Some(words)
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|&byte| !is_space(byte)).unwrap_or(line.len());
    &line[start..]
}

/// The first word, and what comes after it.
fn split_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' | b'\'' => {
                rest = quoted(byte, after, &mut word)?;
                let ends = rest.first().is_none_or(|&next| is_space(next));
                return ends.then_some((word, rest));
            }
            _ if is_space(byte) => break,
            _ => word.push(byte),
        }
        rest = after;
    }
    Some((word, rest))
}

/// Reads up to the closing quote; what comes after it remains.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match *rest {
            [byte, ref after @ ..] if byte == quote => return Some(after),
            [b'\\', b'\'', ref after @ ..] if quote == b'\'' => {
                word.push(b'\'');
                after
            }
            [b'\\', b'x', high, low, ref after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex_digit(high) << 4 | hex_digit(low));
                after
            }
            [b'\\', letter, ref after @ ..] if quote == b'"' => {
                word.push(unescaped(letter));
                after
            }
            [byte, ref after @ ..] => {
                word.push(byte);
                after
            }
            [] => return None,
        };
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

fn hex_digit(digit: u8) -> u8 {
    char::from(digit).to_digit(16).expect("checked to be a hexadecimal digit") as u8
}

fn unescaped(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => b'\x07',
        b'b' => b'\x08',
        other => other,
    }
}

/// A word in double quotes, in ASCII.
pub(super) fn quote(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for byte in word.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            b'\x07' => quoted.push_str("\\a"),
            b'\x08' => quoted.push_str("\\b"),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.extend(["\\x", &format!("{byte:02x}")]),
        }
    }
    quoted.push('"');
    quoted
}

/// A word as it is, unless that would be read back as something else.
pub(crate) fn quote_if_needed(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\#".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) { word.to_owned() } else { quote(word) }
}

//! Text as people write it: redis-cli's quoting, byte-wise globs, and bytes made readable.

use std::fmt::Write as _;

/// Splits a command line the way redis-cli does: words at spaces, `"..."` with escapes, `'...'` taken as is.
pub fn split_words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at == bytes.len() {
            return Ok(words);
        }
        words.push(read_word(bytes, &mut at)?);
    }
}

fn read_word(bytes: &[u8], at: &mut usize) -> Result<Vec<u8>, String> {
    let mut word = Vec::new();
    while let Some(&byte) = bytes.get(*at) {
        match byte {
            b'"' | b'\'' => {
                word.extend(read_quoted(bytes, at)?);
                if bytes.get(*at).is_some_and(|next| !next.is_ascii_whitespace()) {
                    return Err("a closing quote must be followed by a space".to_owned());
                }
                return Ok(word);
            }
            byte if byte.is_ascii_whitespace() => break,
            byte => word.push(byte),
        }
        *at += 1;
    }
    Ok(word)
}

/// Reads the quoted text that starts at `at` and leaves `at` behind its closing quote.
pub fn read_quoted(bytes: &[u8], at: &mut usize) -> Result<Vec<u8>, String> {
    let quote = bytes[*at];
    *at += 1;
    let mut text = Vec::new();
    while let Some(&byte) = bytes.get(*at) {
        *at += 1;
        match byte {
            byte if byte == quote => return Ok(text),
            b'\\' if quote == b'"' => text.push(read_escape(bytes, at)?),
            b'\\' if bytes.get(*at) == Some(&b'\'') => {
                *at += 1;
                text.push(b'\'');
            }
            byte => text.push(byte),
        }
    }
    Err("a quote is never closed".to_owned())
}

fn read_escape(bytes: &[u8], at: &mut usize) -> Result<u8, String> {
    let byte = *bytes.get(*at).ok_or("a backslash ends the text")?;
    *at += 1;
    Ok(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        b'x' => read_hexadecimal(bytes, at)?,
        other => other,
    })
}

fn read_hexadecimal(bytes: &[u8], at: &mut usize) -> Result<u8, String> {
    let digits = bytes.get(*at..*at + 2).ok_or("\\x needs two digits")?;
    *at += 2;
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .ok_or_else(|| "\\x needs two hexadecimal digits".to_owned())
}

/// Finds `needle` outside quotes.
pub fn find_unquoted(line: &str, needle: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(needle.as_bytes()) {
            return Some(at);
        }
        if matches!(bytes[at], b'"' | b'\'') {
            read_quoted(bytes, &mut at).ok()?;
        } else {
            at += 1;
        }
    }
    None
}

/// Whether a text between double quotes is not closed yet. An apostrophe in prose opens none.
pub fn has_open_quote(line: &str) -> bool {
    let mut bytes = line.bytes();
    let mut quote = None;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quote.is_some() => {
                bytes.next();
            }
            byte if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => quote = Some(byte),
            _ => {}
        }
    }
    quote == Some(b'"')
}

/// Bytes as they would be typed between double quotes, without the quotes.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(byte as char);
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(byte as char),
            _ => write!(text, "\\x{byte:02x}").expect("writing to a String cannot fail"),
        }
    }
    text
}

/// A word as it can be typed again: quoted only where it must be.
pub fn quote(word: &[u8]) -> String {
    let plain = !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\'));
    if plain {
        return escape(word);
    }
    format!("\"{}\"", escape(word))
}

/// A command line that `split_words` reads back.
pub fn command_line<Word: AsRef<[u8]>>(words: &[Word]) -> String {
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Cuts what is too long for a report's line.
pub fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most).collect();
    format!("{head}... ({} bytes)", text.len())
}

/// Whether `text` has the form of `pattern`, in which `*` stands for any bytes and `?` for one.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        Some((b'?', rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((byte, rest)) => text.first() == Some(byte) && glob(rest, &text[1..]),
    }
}

/// Whether `text` has `part` somewhere.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_redis_cli() {
        let words = split_words(r#"SET "a\x00\r\n" 'it\'s' plain"#).unwrap();
        assert_eq!(
            words,
            [b"SET".to_vec(), b"a\0\r\n".to_vec(), b"it's".to_vec(), b"plain".to_vec()]
        );
        assert!(split_words("\"open").is_err());
        assert!(split_words("\"a\"b").is_err());
    }

    #[test]
    fn open_quotes_are_those_of_texts() {
        for (line, open) in [
            ("GET \"k", true),
            ("GET \"k\" \"", true),
            ("GET \"k\\\" k\\\\\"", false),
            ("SET k '\"'", false),
            ("@not redis because it's \"new\"", false),
        ] {
            assert_eq!(has_open_quote(line), open, "{line}");
        }
    }

    #[test]
    fn a_command_line_reads_back() {
        let words = [b"SET".to_vec(), Vec::new(), b"\xff \"\\".to_vec()];
        assert_eq!(split_words(&command_line(&words)).unwrap(), words);
    }

    #[test]
    fn globs_know_stars_and_question_marks() {
        assert!(glob(b"a*c?", b"abbbcd"));
        assert!(!glob(b"a*c?", b"abbbc"));
    }
}

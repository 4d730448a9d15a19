//! The tokens of a JSON text, as Redis's library cuts them.
//!
//! A NUL ends the text, wherever it stands.

use std::borrow::Cow;

use super::number;

/// What a text consists of. Texts without escapes stay where they are.
pub(super) enum Token<'a> {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Cow<'a, [u8]>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    /// Why there is no token.
    Wrong(&'static str),
}

impl Token<'_> {
    /// What an error calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Text(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Wrong(reason) => reason,
        }
    }
}

pub(super) struct Tokens<'a> {
    text: &'a [u8],
    /// How much of the text has been read.
    pub(super) position: usize,
    /// Where the last token begins, or where it went wrong.
    pub(super) start: usize,
    invalid_numbers: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8], invalid_numbers: bool) -> Self {
        Self { text, position: 0, start: 0, invalid_numbers }
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.position += 1;
        }
        self.start = self.position;
        let token = match self.byte(0) {
            b'"' => return self.quoted(),
            b'-' | b'0'..=b'9' => return self.number(),
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return Token::End,
            _ => return self.word(),
        };
        self.position += 1;
        token
    }

    /// The byte so far behind what has been read; behind the end of the text there are NULs.
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.position + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.position..]
    }

    fn word(&mut self) -> Token<'a> {
        const WORDS: [(&[u8], Token); 3] = [
            (b"true", Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ];
        for (word, token) in WORDS {
            if self.rest().starts_with(word) {
                self.position += word.len();
                return token;
            }
        }
        if self.invalid_numbers && self.at_invalid_number() {
            return self.any_number();
        }
        Token::Wrong("invalid token")
    }

    fn number(&mut self) -> Token<'a> {
        if !self.invalid_numbers && self.at_invalid_number() {
            return Token::Wrong("invalid number");
        }
        self.any_number()
    }

    fn any_number(&mut self) -> Token<'a> {
        let Some((number, length)) = number::parse_prefix(self.rest()) else {
            return Token::Wrong("invalid number");
        };
        self.position += length;
        Token::Number(number)
    }

    /// Whether what follows begins like a number that JSON does not have.
    fn at_invalid_number(&self) -> bool {
        let rest = self.rest();
        let unsigned = match rest {
            [b'+', ..] => return true,
            [b'-', unsigned @ ..] | unsigned => unsigned,
        };
        match unsigned {
            [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
            [0..=b'9', ..] | [] => false,
            _ => [b"inf", b"nan"].iter().any(|name| {
                unsigned.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(*name))
            }),
        }
    }

    fn quoted(&mut self) -> Token<'a> {
        self.position += 1;
        let rest = self.rest();
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0));
        let plain = plain.unwrap_or(rest.len());
        self.position += plain;
        if self.byte(0) == b'"' {
            self.position += 1;
            return Token::Text(Cow::Borrowed(&rest[..plain]));
        }
        self.escaped(rest[..plain].to_vec())
    }

    /// Goes on with a text in which a backslash or the end has been found.
    fn escaped(&mut self, mut text: Vec<u8>) -> Token<'a> {
        loop {
            let unescaped = match self.byte(0) {
                b'"' => break,
                b'\\' => self.escape(&mut text),
                0 => Err("unexpected end of string"),
                byte => {
                    text.push(byte);
                    self.position += 1;
                    Ok(())
                }
            };
            if let Err(reason) = unescaped {
                self.start = self.position;
                return Token::Wrong(reason);
            }
        }
        self.position += 1;
        Token::Text(Cow::Owned(text))
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), &'static str> {
        let byte = match self.byte(1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, length) =
                    self.unicode_escape().ok_or("invalid unicode escape code")?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                self.position += length;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        text.push(byte);
        self.position += 2;
        Ok(())
    }

    /// A character given by one escape or by two, and their length.
    fn unicode_escape(&self) -> Option<(char, usize)> {
        let first = self.four_digits(2)?;
        if !(0xD800..0xE000).contains(&first) {
            return Some((char::from_u32(first)?, 6));
        }
        let is_pair = first < 0xDC00 && self.byte(6) == b'\\' && self.byte(7) == b'u';
        let second = if is_pair { self.four_digits(8)? } else { return None };
        if !(0xDC00..0xE000).contains(&second) {
            return None;
        }
        let character = 0x10000 + ((first & 0x3FF) << 10 | second & 0x3FF);
        Some((char::from_u32(character)?, 12))
    }

    fn four_digits(&self, ahead: usize) -> Option<u32> {
        (ahead..ahead + 4)
            .try_fold(0, |sum, ahead| Some(sum << 4 | char::from(self.byte(ahead)).to_digit(16)?))
    }
}

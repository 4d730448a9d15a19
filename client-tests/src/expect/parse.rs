//! The notation of expectations.

use super::{Expect, List, Text};
use crate::text::read_quoted;

pub(super) fn parse(notation: &str) -> Result<Expect, String> {
    let mut parser = Parser { bytes: notation.trim().as_bytes(), at: 0, depth: 0 };
    let expect = parser.choices()?;
    parser.skip_spaces();
    if parser.at < parser.bytes.len() {
        return Err(format!("`{}` was not understood", parser.rest()));
    }
    Ok(expect)
}

struct Parser<'notation> {
    bytes: &'notation [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn choices(&mut self) -> Result<Expect, String> {
        let first = self.one()?;
        let mut choices = vec![first];
        while self.take("|") {
            choices.push(self.one()?);
        }
        if choices.len() == 1 {
            return Ok(choices.remove(0));
        }
        Ok(Expect::OneOf(choices))
    }

    fn one(&mut self) -> Result<Expect, String> {
        self.skip_spaces();
        match self.peek() {
            None => Err("an expectation is missing".to_owned()),
            Some(b'"') => Ok(Expect::Bulk(self.text()?)),
            Some(b'[') => Ok(Expect::Array(self.list()?)),
            Some(b'{') => self.map(),
            Some(b'+') => self.simple(),
            Some(b'-') if !self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.error()
            }
            Some(b'-' | b'.' | b'0'..=b'9') => self.integers(),
            Some(b',') => self.double(),
            Some(b'#') => self.boolean(),
            Some(b'(') => self.big_number(),
            Some(_) => self.named(),
        }
    }

    fn named(&mut self) -> Result<Expect, String> {
        let start = self.at;
        let word = self.word();
        Ok(match word.as_str() {
            "OK" | "PONG" | "QUEUED" => Expect::Simple(Text::Exactly(word.into_bytes())),
            "any" => Expect::Any,
            "nil" => Expect::Nil,
            "nil-array" => Expect::NilArray,
            "int" => Expect::Integer { least: i64::MIN, most: i64::MAX },
            "text" => Expect::Bulk(Text::Any),
            "error" => Expect::Error(Text::Any),
            "array" => Expect::AnyArray,
            "map" => Expect::AnyMap,
            "closed" => Expect::Closed,
            "nothing" => Expect::Nothing,
            "verbatim" => Expect::Verbatim(self.text_or_any()?),
            "raw" => Expect::Raw(self.quoted()?),
            "set" => Expect::Set(self.list()?),
            "unordered" => Expect::Unordered(self.list()?),
            "push" => Expect::Push(self.list()?),
            "glob" | "contains" | "lacks" => {
                self.at = start;
                Expect::Bulk(self.text()?)
            }
            other => return Err(format!("`{other}` is no expectation")),
        })
    }

    fn simple(&mut self) -> Result<Expect, String> {
        self.at += 1;
        if self.peek() == Some(b'"') || self.at_pattern() {
            return Ok(Expect::Simple(self.text()?));
        }
        if self.depth == 0 {
            return Ok(Expect::Simple(Text::Exactly(self.line())));
        }
        Ok(Expect::Simple(Text::Exactly(self.word().into_bytes())))
    }

    fn error(&mut self) -> Result<Expect, String> {
        self.at += 1;
        if self.peek() == Some(b'"') || self.at_pattern() {
            return Ok(Expect::Error(self.text()?));
        }
        if self.depth > 0 {
            return Err("an error inside an aggregate is written -\"ERR ...\"".to_owned());
        }
        Ok(Expect::Error(Text::Exactly(self.line())))
    }

    fn at_pattern(&self) -> bool {
        ["glob ", "contains ", "lacks "]
            .iter()
            .any(|word| self.bytes[self.at..].starts_with(word.as_bytes()))
    }

    fn text_or_any(&mut self) -> Result<Text, String> {
        self.skip_spaces();
        if self.peek() == Some(b'"') || self.at_pattern() {
            return self.text();
        }
        Ok(Text::Any)
    }

    fn text(&mut self) -> Result<Text, String> {
        self.skip_spaces();
        if self.peek() == Some(b'"') {
            return Ok(Text::Exactly(self.quoted()?));
        }
        match self.word().as_str() {
            "glob" => Ok(Text::Glob(self.quoted()?)),
            "contains" => Ok(Text::Contains(self.parts()?)),
            "lacks" => Ok(Text::Lacks(self.parts()?)),
            other => Err(format!("`{other}` is no text")),
        }
    }

    /// One quoted text, or several between brackets.
    fn parts(&mut self) -> Result<Vec<Vec<u8>>, String> {
        if !self.take("[") {
            return Ok(vec![self.quoted()?]);
        }
        let mut parts = Vec::new();
        while !self.take("]") {
            parts.push(self.quoted()?);
        }
        Ok(parts)
    }

    fn integers(&mut self) -> Result<Expect, String> {
        let least = self.number()?;
        if !self.bytes[self.at..].starts_with(b"..") {
            let number = least.ok_or("a number is missing")?;
            return Ok(Expect::Integer { least: number, most: number });
        }
        self.at += 2;
        let most = self.number()?;
        Ok(Expect::Integer { least: least.unwrap_or(i64::MIN), most: most.unwrap_or(i64::MAX) })
    }

    fn number(&mut self) -> Result<Option<i64>, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Ok(None);
        }
        let digits = String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned();
        digits.parse().map(Some).map_err(|_| format!("`{digits}` is no integer of 64 bits"))
    }

    fn double(&mut self) -> Result<Expect, String> {
        self.at += 1;
        let digits = self.word();
        digits.parse().map(Expect::Double).map_err(|_| format!("`{digits}` is no double"))
    }

    fn boolean(&mut self) -> Result<Expect, String> {
        self.at += 1;
        match self.word().as_str() {
            "t" => Ok(Expect::Boolean(true)),
            "f" => Ok(Expect::Boolean(false)),
            _ => Err("a boolean is #t or #f".to_owned()),
        }
    }

    fn big_number(&mut self) -> Result<Expect, String> {
        self.at += 1;
        let digits = self.word();
        if digits.is_empty() {
            return Err("a big number is written (123".to_owned());
        }
        Ok(Expect::BigNumber(digits.into_bytes()))
    }

    fn list(&mut self) -> Result<List, String> {
        self.open("[")?;
        let mut list = List { items: Vec::new(), open: false };
        while !self.take("]") {
            if self.take("...") {
                list.open = true;
            } else {
                list.items.push(self.choices()?);
            }
        }
        self.depth -= 1;
        Ok(list)
    }

    fn map(&mut self) -> Result<Expect, String> {
        self.open("{")?;
        let mut pairs = Vec::new();
        let mut open = false;
        while !self.take("}") {
            if self.take("...") {
                open = true;
                continue;
            }
            let key = self.choices()?;
            if !self.take(":") {
                return Err("a map's key and value are written key: value".to_owned());
            }
            pairs.push((key, self.choices()?));
        }
        self.depth -= 1;
        Ok(Expect::Map { pairs, open })
    }

    fn open(&mut self, bracket: &str) -> Result<(), String> {
        self.depth += 1;
        if self.take(bracket) { Ok(()) } else { Err(format!("a `{bracket}` is missing")) }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, String> {
        self.skip_spaces();
        if self.peek() != Some(b'"') {
            return Err(format!("a quoted text is missing before `{}`", self.rest()));
        }
        read_quoted(self.bytes, &mut self.at)
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| !byte.is_ascii_whitespace() && !b"[]{}:|\"".contains(&byte))
        {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned()
    }

    fn line(&mut self) -> Vec<u8> {
        let line = self.bytes[self.at..].to_vec();
        self.at = self.bytes.len();
        line
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let found = self.bytes[self.at..].starts_with(token.as_bytes());
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn rest(&self) -> String {
        String::from_utf8_lossy(&self.bytes[self.at..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_integers_share_the_minus() {
        let error = Expect::Error(Text::Exactly(b"ERR syntax error".to_vec()));
        assert_eq!(parse("-ERR syntax error").unwrap(), error);
        assert_eq!(parse("-\"ERR syntax error\"").unwrap(), error);
        assert_eq!(parse("-2").unwrap(), Expect::Integer { least: -2, most: -2 });
        assert_eq!(parse("29..30").unwrap(), Expect::Integer { least: 29, most: 30 });
        assert_eq!(parse("5..").unwrap(), Expect::Integer { least: 5, most: i64::MAX });
    }

    #[test]
    fn aggregates_nest() {
        let notation = r#"{"a": ["x" nil ...] "b": set[+OK -"ERR no" 1 | 2]}"#;
        let Expect::Map { pairs, open } = parse(notation).unwrap() else { panic!("not a map") };
        assert_eq!(pairs.len(), 2);
        assert!(!open);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in
            ["", "okay", "[1", "\"open", "1 2", "{\"a\" 1}", "[-ERR no]", "99999999999999999999"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

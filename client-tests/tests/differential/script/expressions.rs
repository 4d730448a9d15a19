//! Expressions of Lua, by what they give.

use std::fmt::Write as _;

use super::program::Writer;

/// Fractions that are the same in binary and decimal digits, so that all servers write them alike.
const NUMBERS: [&str; 12] =
    ["0", "1", "2", "3", "10", "255", "-1", "-7", "0.5", "-2.25", "65536", "2147483648"];
const PATTERNS: [&str; 8] = ["a", "%d+", "^%w", ".", "[ab]+", "(%a)(.?)", "%s*$", "x?"];
/// The longest text that is made of others.
const LONGEST: usize = 200;

impl Writer<'_> {
    /// Something that a command takes as an argument.
    pub(super) fn scalar(&mut self, depth: usize) -> String {
        if self.random.once_in(2) { self.number(depth) } else { self.text(depth) }
    }

    pub(super) fn number(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.once_in(3) {
            return match self.random.below(3) {
                0 => format!("#{}", self.random.pick(&["KEYS", "ARGV"])),
                1 if !self.scope.numbers.is_empty() => {
                    self.random.pick(&self.scope.numbers).clone()
                }
                _ => (*self.random.pick(&NUMBERS)).to_owned(),
            };
        }
        match self.random.below(5) {
            0 => self.arithmetic(depth - 1),
            1 => self.bits(depth - 1),
            2 => self.number_of_text(depth - 1),
            3 => format!("#{}", self.parenthesized_list(depth - 1)),
            _ => self.round_trip_of_number(depth - 1),
        }
    }

    /// What grows is cut, so that no number leaves the range in which all are whole.
    fn arithmetic(&mut self, depth: usize) -> String {
        let (left, right) = (self.number(depth), self.number(depth));
        match self.random.below(8) {
            0 => format!("({left} + {right})"),
            1 => format!("({left} - {right})"),
            2 => format!("({left} * {right}) % 65536"),
            3 => format!("math.max({left}, {right})"),
            4 => format!("math.min({left}, {right})"),
            5 => format!("math.floor({left})"),
            6 => format!("math.abs({left})"),
            _ => format!("math.floor({left}) / 2"),
        }
    }

    fn bits(&mut self, depth: usize) -> String {
        let (left, right) = (self.number(depth), self.number(depth));
        let (left, right) =
            (format!("math.floor({left}) % 65536"), format!("math.floor({right}) % 32"));
        let function = *self.random.pick(&["band", "bor", "bxor", "lshift", "rshift", "rol"]);
        match self.random.below(4) {
            0 => format!("bit.bnot({left})"),
            1 => format!("bit.bswap({left})"),
            _ => format!("bit.{function}({left}, {right})"),
        }
    }

    fn number_of_text(&mut self, depth: usize) -> String {
        let text = self.text(depth);
        match self.random.below(5) {
            0 => format!("#({text})"),
            1 => format!("(string.byte({text}) or 0)"),
            2 => format!("(tonumber((string.match({text}, '^%d%d?%d?$'))) or 4)"),
            3 => format!("(string.find({text}, 'a', 1, true) or -1)"),
            _ => format!("string.len({text})"),
        }
    }

    fn round_trip_of_number(&mut self, depth: usize) -> String {
        let number = self.number(depth);
        match self.random.below(4) {
            0 => format!("cjson.decode(cjson.encode({{{number}}}))[1]"),
            1 => format!("cmsgpack.unpack(cmsgpack.pack({number}))"),
            2 => {
                format!("(struct.unpack('>I4', struct.pack('>I4', math.floor({number}) % 65536)))")
            }
            _ => format!("#cmsgpack.pack({number})"),
        }
    }

    pub(super) fn text(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.once_in(3) {
            return match self.random.below(4) {
                0 if !self.scope.texts.is_empty() => self.random.pick(&self.scope.texts).clone(),
                1 => self.key(),
                2 => self.argument(),
                _ => {
                    let word = self.generator.word("value", self.random);
                    quote(&word)
                }
            };
        }
        match self.random.below(4) {
            0 => self.text_of_texts(depth - 1),
            1 => self.text_of_text(depth - 1),
            2 => self.text_of_number(depth - 1),
            _ => self.text_of_list(depth - 1),
        }
    }

    fn text_of_texts(&mut self, depth: usize) -> String {
        let (left, right) = (self.text(depth), self.text(depth));
        match self.random.below(3) {
            0 => format!("string.format('%s|%s', {left}, {right}):sub(1, {LONGEST})"),
            _ => format!("({left} .. {right}):sub(1, {LONGEST})"),
        }
    }

    fn text_of_text(&mut self, depth: usize) -> String {
        let text = self.text(depth);
        let pattern = *self.random.pick(&PATTERNS);
        match self.random.below(9) {
            0 => format!("string.upper({text})"),
            1 => format!("string.reverse({text})"),
            2 => format!("string.sub({text}, 2, -2)"),
            3 => format!("string.rep({text}, 2):sub(1, {LONGEST})"),
            4 => format!("(string.gsub({text}, '{pattern}', '<%0>')):sub(1, {LONGEST})"),
            5 => format!("(string.match({text}, '{pattern}') or 'none')"),
            6 => format!("redis.sha1hex({text})"),
            7 => format!("string.format('%q', {text}):sub(1, {LONGEST})"),
            _ => format!("cmsgpack.pack({text})"),
        }
    }

    fn text_of_number(&mut self, depth: usize) -> String {
        let number = self.number(depth);
        let format = *self.random.pick(&["%d", "%5d", "%x", "%.3f", "%e", "%g", "%03d"]);
        match self.random.below(4) {
            0 => format!("tostring({number})"),
            1 => format!("string.format('{format}', math.floor({number}) % 65536)"),
            2 => format!("string.char(math.floor({number}) % 256)"),
            _ => format!(
                "struct.pack('<i2b', math.floor({number}) % 256, {})",
                self.random.below(99)
            ),
        }
    }

    fn text_of_list(&mut self, depth: usize) -> String {
        let list = self.list(depth);
        match self.random.below(3) {
            0 => format!("cjson.encode({list})"),
            1 => format!("cmsgpack.pack({list})"),
            _ => format!("table.concat({list}, ','):sub(1, {LONGEST})"),
        }
    }

    /// A list of texts and numbers.
    pub(super) fn list(&mut self, depth: usize) -> String {
        if !self.scope.lists.is_empty() && self.random.once_in(2) {
            return self.random.pick(&self.scope.lists).clone();
        }
        let depth = depth.saturating_sub(1);
        let items: Vec<String> = (0..self.random.below(4)).map(|_| self.scalar(depth)).collect();
        let list = format!("{{{}}}", items.join(", "));
        match self.random.below(8) {
            0 => format!("cjson.decode(cjson.encode({list}))"),
            1 => format!("cmsgpack.unpack(cmsgpack.pack({list}))"),
            2 => format!("{{string.byte({}, 1, 3)}}", self.text(depth)),
            3 => format!("{{unpack({list})}}"),
            _ => list,
        }
    }

    /// A table that is written out can only be measured in parentheses.
    fn parenthesized_list(&mut self, depth: usize) -> String {
        let list = self.list(depth);
        format!("({list})")
    }

    pub(super) fn truth(&mut self) -> String {
        let (left, right) = (self.number(1), self.number(1));
        let operator = *self.random.pick(&["==", "~=", "<", "<=", ">"]);
        match self.random.below(6) {
            0 => format!("{left} {operator} {right}"),
            1 => format!("{} == {}", self.text(1), self.text(1)),
            2 => format!("not ({left} {operator} {right})"),
            3 => format!("type({}) == 'table'", self.reply()),
            4 => format!("({left} {operator} {right}) and {}", self.reply()),
            _ => self.reply(),
        }
    }

    /// What a command replied, or is asked to reply now.
    fn reply(&mut self) -> String {
        if self.scope.replies.is_empty() || self.random.once_in(4) {
            return self.call();
        }
        self.random.pick(&self.scope.replies).clone()
    }

    /// Anything that a script may return.
    pub(super) fn result(&mut self, depth: usize) -> String {
        if depth > 0 && self.random.once_in(2) {
            let count = self.random.below(5);
            let items: Vec<String> = (0..count).map(|_| self.result(depth - 1)).collect();
            return format!("{{{}}}", items.join(", "));
        }
        match self.random.below(12) {
            0..=3 => self.reply(),
            4 if !self.scope.outcomes.is_empty() => self.random.pick(&self.scope.outcomes).clone(),
            5 => self.text(2),
            6 => self.number(2),
            7 => self.list(2),
            8 => self.truth(),
            9 => self.tagged(),
            _ => self.several(),
        }
    }

    /// Tables that stand for replies of other kinds.
    fn tagged(&mut self) -> String {
        let (text, number) = (self.text(1), self.number(1));
        match self.random.below(11) {
            0 => format!("{{ok = {text}}}"),
            1 => format!("{{err = {text}}}"),
            2 => format!("redis.status_reply({text})"),
            3 => format!("redis.error_reply({text})"),
            4 => format!("{{double = {number}}}"),
            5 => format!("{{map = {{[{text}] = {number}}}}}"),
            6 => format!("{{set = {{[{text}] = true}}}}"),
            // Valkey ends it at a zero byte.
            7 => format!("{{big_number = (string.gsub({text}, '%z', ''))}}"),
            8 => format!("{{verbatim_string = {{format = 'txt', string = {text}}}}}"),
            9 => format!("{{{number}, nil, {text}}}"),
            _ => format!("{{field = {text}, {number}}}"),
        }
    }

    /// Functions that give several values, or one of any type.
    fn several(&mut self) -> String {
        let (text, number) = (self.text(1), self.number(1));
        let pattern = *self.random.pick(&PATTERNS);
        match self.random.below(9) {
            0 => format!("{{string.find({text}, '{pattern}')}}"),
            1 => format!("{{string.gsub({text}, '{pattern}', '-')}}"),
            2 => format!(
                "{{struct.unpack('>I2b', struct.pack('>I2b', {}, 7))}}",
                self.random.below(65536)
            ),
            3 => format!("{{pcall(error, {text})}}"),
            4 => format!("select('#', unpack({}))", self.list(1)),
            5 => format!("{{pcall(cjson.decode, {text})}}"),
            6 => format!("{{type({number}), type({text}), type(nil), type(redis.call)}}"),
            7 => format!("{{pcall(cmsgpack.unpack, {text})}}"),
            _ => format!("{{tonumber({number}), tonumber(string.sub({text}, 1, 3)) ~= nil}}"),
        }
    }

    /// One of the keys, old or new.
    pub(super) fn key(&mut self) -> String {
        if self.keys.is_empty() || self.random.once_in(3) {
            let key = self.generator.word("key", self.random);
            self.keys.push(key);
        }
        format!("KEYS[{}]", 1 + self.random.below(self.keys.len()))
    }

    /// One of the arguments, old or new.
    pub(super) fn argument(&mut self) -> String {
        if self.arguments.is_empty() || self.random.once_in(3) {
            let value = self.generator.word("value", self.random);
            self.arguments.push(value);
        }
        format!("ARGV[{}]", 1 + self.random.below(self.arguments.len()))
    }
}

/// A text as Lua reads it.
pub(super) fn quote(text: &[u8]) -> String {
    let mut quoted = String::from("'");
    for &byte in text {
        match byte {
            b'\'' | b'\\' => quoted.extend(['\\', byte as char]),
            b' '..=b'~' => quoted.push(byte as char),
            _ => write!(quoted, "\\{byte:03}").expect("writing to a String cannot fail"),
        }
    }
    quoted.push('\'');
    quoted
}

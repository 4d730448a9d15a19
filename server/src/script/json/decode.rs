//! JSON as Lua values.

use std::borrow::Cow;

use mlua::{Either, IntoLua, Lua, MultiValue, Table, Value};

use super::super::raised::Raised;
use super::settings::Settings;
use super::token::{Token, Tokens};
use super::{MOST_SLOTS, only_argument, type_name};

/// What Redis asks Lua for: places for the table and an element, or for a key and a value.
const ARRAY_SLOTS: usize = 2;
const OBJECT_SLOTS: usize = 3;

/// `cjson.decode(text)`
pub(super) fn decode(
    lua: &Lua,
    settings: &Settings,
    arguments: MultiValue,
) -> Result<Value, Raised> {
    let argument = only_argument(arguments)?;
    let found = type_name(&argument);
    let Some(text) = lua.coerce_string(argument).map_err(Raised::Lua)? else {
        let text = format!("string expected, got {found}");
        return Err(Raised::Argument(1, text.into_bytes()));
    };
    let text = text.as_bytes();
    if matches!(&text[..], [0, _, ..] | [_, 0, ..]) {
        let text = b"JSON parser does not support UTF-16 or UTF-32";
        return Err(Raised::Error(text.to_vec()));
    }
    let mut decoder = Decoder {
        lua,
        tokens: Tokens::new(&text, settings.decode_invalid_numbers),
        max_depth: settings.decode_max_depth as usize,
        unfinished: Vec::new(),
        unfinished_objects: 0,
    };
    decoder.decode().map_err(|raised| match raised {
        // Lua has no place left for one more table.
        Raised::Lua(mlua::Error::StackError) => decoder.too_deep(),
        raised => raised,
    })
}

struct Decoder<'a> {
    lua: &'a Lua,
    tokens: Tokens<'a>,
    max_depth: usize,
    /// The tables around what is being read, the innermost last.
    unfinished: Vec<Unfinished<'a>>,
    unfinished_objects: usize,
}

/// A table, and where in it the value goes that is being read.
enum Unfinished<'a> {
    Array(Table, i64),
    Object(Table, Cow<'a, [u8]>),
}

/// How decoding goes on.
enum Step<'a> {
    /// With a value that begins here.
    Token(Token<'a>),
    /// With what follows a value.
    Value(Decoded<'a>),
}

/// A value on its way into a table.
enum Decoded<'a> {
    Text(Cow<'a, [u8]>),
    Other(Value),
}

impl<'a> Decoder<'a> {
    fn decode(&mut self) -> Result<Value, Raised> {
        let mut step = Step::Token(self.tokens.next());
        loop {
            step = match step {
                Step::Token(token) => self.begin(token)?,
                Step::Value(value) => match self.unfinished.pop() {
                    Some(Unfinished::Array(array, index)) => {
                        self.put_into_array(array, index, value)?
                    }
                    Some(Unfinished::Object(object, key)) => {
                        self.put_into_object(object, &key, value)?
                    }
                    None => return self.end(value),
                },
            };
        }
    }

    fn begin(&mut self, token: Token<'a>) -> Result<Step<'a>, Raised> {
        let value = match token {
            Token::Text(text) => return Ok(Step::Value(Decoded::Text(text))),
            Token::ObjectBegin => return self.begin_object(),
            Token::ArrayBegin => return self.begin_array(),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(boolean) => Value::Boolean(boolean),
            Token::Null => Value::NULL,
            other => return Err(self.unexpected("value", &other)),
        };
        Ok(Step::Value(Decoded::Other(value)))
    }

    fn begin_object(&mut self) -> Result<Step<'a>, Raised> {
        self.check_depth(OBJECT_SLOTS)?;
        let table = self.lua.create_table().map_err(Raised::Lua)?;
        match self.tokens.next() {
            Token::ObjectEnd => Ok(Step::Value(Decoded::Other(Value::Table(table)))),
            token => {
                let key = self.key(token)?;
                self.unfinished_objects += 1;
                self.unfinished.push(Unfinished::Object(table, key));
                Ok(Step::Token(self.tokens.next()))
            }
        }
    }

    fn begin_array(&mut self) -> Result<Step<'a>, Raised> {
        self.check_depth(ARRAY_SLOTS)?;
        let table = self.lua.create_table().map_err(Raised::Lua)?;
        match self.tokens.next() {
            Token::ArrayEnd => Ok(Step::Value(Decoded::Other(Value::Table(table)))),
            token => {
                self.unfinished.push(Unfinished::Array(table, 1));
                Ok(Step::Token(token))
            }
        }
    }

    fn check_depth(&self, slots_for_this: usize) -> Result<(), Raised> {
        // The argument, every table, and a key of each object.
        let slots = 1 + self.unfinished.len() + self.unfinished_objects;
        let allowed =
            self.unfinished.len() < self.max_depth && slots + slots_for_this <= MOST_SLOTS;
        if allowed { Ok(()) } else { Err(self.too_deep()) }
    }

    fn too_deep(&self) -> Raised {
        let (depth, position) = (self.unfinished.len() + 1, self.tokens.position);
        let text =
            format!("Found too many nested data structures ({depth}) at character {position}");
        Raised::Error(text.into_bytes())
    }

    /// A key that the token should be, with its colon.
    fn key(&mut self, token: Token<'a>) -> Result<Cow<'a, [u8]>, Raised> {
        let Token::Text(key) = token else {
            return Err(self.unexpected("object key string", &token));
        };
        match self.tokens.next() {
            Token::Colon => Ok(key),
            token => Err(self.unexpected("colon", &token)),
        }
    }

    fn put_into_array(
        &mut self,
        array: Table,
        index: i64,
        value: Decoded,
    ) -> Result<Step<'a>, Raised> {
        self.set(&array, index, value)?;
        match self.tokens.next() {
            Token::ArrayEnd => Ok(Step::Value(Decoded::Other(Value::Table(array)))),
            Token::Comma => {
                self.unfinished.push(Unfinished::Array(array, index + 1));
                Ok(Step::Token(self.tokens.next()))
            }
            other => Err(self.unexpected("comma or array end", &other)),
        }
    }

    fn put_into_object(
        &mut self,
        object: Table,
        key: &[u8],
        value: Decoded,
    ) -> Result<Step<'a>, Raised> {
        let key = text_to_lua(self.lua, key)?;
        self.set(&object, key, value)?;
        match self.tokens.next() {
            Token::ObjectEnd => {
                self.unfinished_objects -= 1;
                Ok(Step::Value(Decoded::Other(Value::Table(object))))
            }
            Token::Comma => {
                let token = self.tokens.next();
                let key = self.key(token)?;
                self.unfinished.push(Unfinished::Object(object, key));
                Ok(Step::Token(self.tokens.next()))
            }
            other => Err(self.unexpected("comma or object end", &other)),
        }
    }

    fn set(&self, table: &Table, key: impl IntoLua, value: Decoded) -> Result<(), Raised> {
        match value {
            Decoded::Text(text) => table.raw_set(key, text_to_lua(self.lua, &text)?),
            Decoded::Other(value) => table.raw_set(key, value),
        }
        .map_err(Raised::Lua)
    }

    /// What has been read, if nothing follows it.
    fn end(&mut self, value: Decoded) -> Result<Value, Raised> {
        match self.tokens.next() {
            Token::End => match value {
                Decoded::Text(text) => {
                    self.lua.create_string(text).map(Value::String).map_err(Raised::Lua)
                }
                Decoded::Other(value) => Ok(value),
            },
            other => Err(self.unexpected("the end", &other)),
        }
    }

    fn unexpected(&self, expected: &str, found: &Token) -> Raised {
        let (found, position) = (found.name(), self.tokens.start + 1);
        let text = format!("Expected {expected} but found {found} at character {position}");
        Raised::Error(text.into_bytes())
    }
}

/// A text as something that Lua takes. What is UTF-8 reaches it on a shorter way.
fn text_to_lua<'a>(lua: &Lua, text: &'a [u8]) -> Result<Either<&'a str, Value>, Raised> {
    if let Ok(text) = str::from_utf8(text) {
        return Ok(Either::Left(text));
    }
    let string = lua.create_string(text).map_err(Raised::Lua)?;
    Ok(Either::Right(Value::String(string)))
}

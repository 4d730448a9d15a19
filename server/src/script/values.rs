//! Between replies and the values of Lua, in both directions.

use mlua::{Lua, Table, Value};

use crate::error::Error;
use crate::resp::{Mark, Reply};
use crate::value::number;

/// How many tables deep a reply may be: Lua's stack has room for so many in Redis.
const DEEPEST: usize = 7995;
/// What a script may answer at most.
const LONGEST_REPLY: usize = 512 * 1024 * 1024;

/// How many values it may have. A script's memory holds fewer, but a table may stand in a reply any number of times.
const MOST_VALUES: usize = 8 << 20;

/// A reply as a script gets it.
pub(super) fn from_reply(lua: &Lua, reply: &[u8]) -> mlua::Result<Value> {
    Reader { lua, rest: reply }.value()
}

/// Reads a reply that this server has written, which is therefore whole and sound.
struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> mlua::Result<Value> {
        let line = self.line();
        let Some((kind, text)) = line.split_first() else {
            return Ok(Value::Nil);
        };
        let length = || usize::try_from(number::parse_integer(text).unwrap_or(-1)).ok();
        match kind {
            b'$' => match length() {
                Some(length) => self.bulk(length),
                None => Ok(Value::Boolean(false)),
            },
            b':' => Ok(Value::Number(number::parse_integer(text).unwrap_or(0) as f64)),
            b'+' => self.field("ok", text),
            b'-' => error_table(self.lua, text).map(Value::Table),
            b'*' => match length() {
                Some(length) => self.array(length).map(Value::Table),
                None => Ok(Value::Boolean(false)),
            },
            b'#' => Ok(Value::Boolean(text == b"t")),
            b',' => {
                let double = number::parse_double(text).unwrap_or(f64::NAN);
                self.wrapped("double", Value::Number(double))
            }
            b'(' => self.field("big_number", text),
            b'=' => self.verbatim(length().unwrap_or(0)),
            b'%' => self.map(length().unwrap_or(0)),
            b'~' => self.set(length().unwrap_or(0)),
            _ => Ok(Value::Nil),
        }
    }

    fn line(&mut self) -> &'a [u8] {
        let end = self.rest.windows(2).position(|bytes| bytes == b"\r\n");
        let end = end.unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        line
    }

    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let bytes = &self.rest[..length.min(self.rest.len())];
        self.rest = self.rest.get(length + 2..).unwrap_or_default();
        bytes
    }

    fn bulk(&mut self, length: usize) -> mlua::Result<Value> {
        let bytes = self.bytes(length);
        self.lua.create_string(bytes).map(Value::String)
    }

    fn array(&mut self, length: usize) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(length, 0)?;
        for index in 1..=length {
            let value = self.value()?;
            table.raw_set(index, value)?;
        }
        Ok(table)
    }

    fn map(&mut self, pairs: usize) -> mlua::Result<Value> {
        let map = self.lua.create_table_with_capacity(0, pairs)?;
        for _ in 0..pairs {
            let (key, value) = (self.value()?, self.value()?);
            map.raw_set(key, value)?;
        }
        self.wrapped("map", Value::Table(map))
    }

    fn set(&mut self, length: usize) -> mlua::Result<Value> {
        let set = self.lua.create_table_with_capacity(0, length)?;
        for _ in 0..length {
            let member = self.value()?;
            set.raw_set(member, true)?;
        }
        self.wrapped("set", Value::Table(set))
    }

    fn verbatim(&mut self, length: usize) -> mlua::Result<Value> {
        const FORMAT: usize = 3;
        let bytes = self.bytes(length);
        let (format, string) = bytes.split_at(FORMAT.min(bytes.len()));
        let parts = self.lua.create_table_with_capacity(0, 2)?;
        parts.raw_set("format", self.lua.create_string(format)?)?;
        parts.raw_set("string", self.lua.create_string(string.get(1..).unwrap_or_default())?)?;
        self.wrapped("verbatim_string", Value::Table(parts))
    }

    fn field(&self, name: &str, text: &[u8]) -> mlua::Result<Value> {
        self.wrapped(name, Value::String(self.lua.create_string(text)?))
    }

    fn wrapped(&self, name: &str, value: Value) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }
}

/// An error that a command gave, which has been counted.
pub(super) fn error_table(lua: &Lua, text: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(text)?)?;
    table.raw_set("ignore_error_stats_update", true)?;
    Ok(table)
}

/// Writes what a script returned as the reply to its client. Booleans are numbers and nothing unless the
/// script has asked for RESP3. Gives the errors in it.
pub(super) fn write(
    value: Value,
    has_booleans: bool,
    reply: Reply<'_>,
) -> Result<Vec<Error>, Error> {
    let begin = reply.mark();
    let mut writer = Writer { reply, has_booleans, errors: Vec::new(), open: Vec::new(), begin };
    writer.value(value).map_err(|error| internal(&error))?;
    let mut values = 1;
    while let Some(level) = writer.open.last_mut() {
        match level.next().map_err(|error| internal(&error))? {
            Some(value) => writer.value(value).map_err(|error| internal(&error))?,
            None => _ = writer.open.pop(),
        }
        values += 1;
        if values > MOST_VALUES {
            return Err(Error::err("the script's reply has more than 8388608 values"));
        }
        if writer.reply.written_since(writer.begin) > LONGEST_REPLY {
            return Err(Error::err("the script's reply is larger than 512 megabytes"));
        }
    }
    Ok(writer.errors)
}

fn internal(error: &mlua::Error) -> Error {
    Error::format(format_args!("the script's reply cannot be read: {error}"))
}

/// What is left of a table. The elements of an array stay in it, as there may be more of them than can be held at
/// the same time.
enum Level {
    Array { table: Table, next: usize, length: usize },
    Parts(std::vec::IntoIter<Value>),
}

impl Level {
    fn next(&mut self) -> mlua::Result<Option<Value>> {
        match self {
            Level::Parts(parts) => Ok(parts.next()),
            Level::Array { next, length, .. } if *next > *length => Ok(None),
            Level::Array { table, next, .. } => {
                *next += 1;
                table.raw_get(*next - 1).map(Some)
            }
        }
    }
}

/// Writes tables level by level, as deep as they are, without going into itself.
struct Writer<'a> {
    reply: Reply<'a>,
    has_booleans: bool,
    errors: Vec<Error>,
    /// What is still to be written, the innermost last.
    open: Vec<Level>,
    begin: Mark,
}

impl Writer<'_> {
    fn value(&mut self, value: Value) -> mlua::Result<()> {
        match value {
            Value::String(text) => self.reply.bulk(&text.as_bytes()),
            Value::Integer(number) => self.reply.integer(number),
            Value::Number(number) => self.reply.integer(truncated(number)),
            Value::Boolean(flag) if self.has_booleans => self.reply.boolean(flag),
            Value::Boolean(true) => self.reply.integer(1),
            Value::Table(table) => return self.table(&table),
            _ => self.reply.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> mlua::Result<()> {
        if self.open.len() >= DEEPEST {
            self.reply.error(&Error::err("reached lua stack limit"));
            return Ok(());
        }
        if let Value::String(text) = table.raw_get("err")? {
            let text = up_to_nul(&text.as_bytes()).to_vec();
            let is_counted = !table.raw_get::<Value>("ignore_error_stats_update")?.is_nil();
            let error = if is_counted { Error::Counted(text) } else { Error::Text(text.into()) };
            self.reply.error(&error);
            self.errors.push(error);
        } else if let Value::String(text) = table.raw_get("ok")? {
            self.reply.status(up_to_nul(&text.as_bytes()));
        } else if let Some(number) = float(&table.raw_get("double")?) {
            self.reply.double(number);
        } else if let Value::String(digits) = table.raw_get("big_number")? {
            self.reply.big_number(&digits.as_bytes());
        } else if !self.verbatim(table)? {
            self.aggregate(table)?;
        }
        Ok(())
    }

    fn aggregate(&mut self, table: &Table) -> mlua::Result<()> {
        if let Value::Table(map) = table.raw_get("map")? {
            self.map(&map)
        } else if let Value::Table(set) = table.raw_get("set")? {
            self.set(&set)
        } else {
            self.array(table.clone())
        }
    }

    fn map(&mut self, map: &Table) -> mlua::Result<()> {
        let pairs: mlua::Result<Vec<(Value, Value)>> = map.pairs().collect();
        let pairs = pairs?;
        self.reply.map(pairs.len());
        let parts: Vec<Value> = pairs.into_iter().flat_map(|(key, value)| [key, value]).collect();
        self.open.push(Level::Parts(parts.into_iter()));
        Ok(())
    }

    fn set(&mut self, set: &Table) -> mlua::Result<()> {
        let members: mlua::Result<Vec<(Value, Value)>> = set.pairs().collect();
        let members: Vec<Value> = members?.into_iter().map(|(member, _)| member).collect();
        self.reply.set(members.len());
        self.open.push(Level::Parts(members.into_iter()));
        Ok(())
    }

    fn verbatim(&mut self, table: &Table) -> mlua::Result<bool> {
        let Value::Table(parts) = table.raw_get("verbatim_string")? else {
            return Ok(false);
        };
        let (string, format) = (parts.raw_get("string")?, parts.raw_get("format")?);
        let (Value::String(string), Value::String(format)) = (string, format) else {
            return Ok(false);
        };
        let format = format.as_bytes();
        let mut letters = *b"   ";
        let length = format.len().min(letters.len());
        letters[..length].copy_from_slice(&format[..length]);
        self.reply.verbatim_as(letters, &string.as_bytes());
        Ok(true)
    }

    fn array(&mut self, table: Table) -> mlua::Result<()> {
        let mut length = 0;
        while !table.raw_get::<Value>(length + 1)?.is_nil() {
            length += 1;
        }
        self.reply.array(length);
        self.open.push(Level::Array { table, next: 1, length });
        Ok(())
    }
}

/// As the processors that Redis runs on most convert what no integer holds.
pub(super) fn truncated(number: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&number) { number as i64 } else { i64::MIN }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

/// Where a text of C ends.
pub(super) fn up_to_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

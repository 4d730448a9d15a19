//! Lua values as JSON.
//!
//! Tables inside tables are not followed by recursion. What a table holds besides tables is written
//! as soon as it is reached, because a walk over one of Lua's tables cannot be left in the middle
//! and taken up again; the text behind its first table then waits until that table is written.

use mlua::{BString, FromLua, Lua, MultiValue, Table, Value};

use super::super::raised::Raised;
use super::settings::Settings;
use super::text::Text;
use super::{MOST_SLOTS, only_argument};

/// Lua keeps values for Rust in a limited number of places, so only so many tables wait there.
const MOST_HELD_TABLES: usize = 500;

/// `cjson.encode(value)`
pub(super) fn encode(
    lua: &Lua,
    settings: &Settings,
    arguments: MultiValue,
) -> Result<Value, Raised> {
    let value = only_argument(arguments)?;
    let mut encoder = Encoder::new(lua, settings);
    encoder.encode(value)?;
    lua.create_string(&encoder.text.bytes).map(Value::String).map_err(Raised::Lua)
}

struct Encoder<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    text: Text<'a>,
    /// The ends of unfinished tables, behind those that are being written: the innermost's last.
    waiting: Text<'a>,
    /// The tables inside unfinished ones, in the same order.
    inner: Vec<Inner>,
    held_tables: usize,
    /// The inner tables that are not held one by one, with the index of each as its key.
    others: Option<Table>,
    unfinished: Vec<Unfinished>,
    unfinished_objects: usize,
}

/// A table whose text is written up to one of the tables inside it.
struct Unfinished {
    kind: Kind,
    members: i32,
    /// Where in the waiting text this table's part begins, and how far it has been written.
    waiting: usize,
    written: usize,
    /// Where among the inner tables this one's begin, and up to which they have had their turn.
    inner: usize,
    taken: usize,
    /// Why the text ends early.
    failure: Option<Box<Raised>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Object,
}

/// A table inside an unfinished one.
struct Inner {
    /// `None` where it is among the others, or has had its turn.
    table: Option<Table>,
    /// Its place in the waiting text.
    place: usize,
}

impl<'a> Encoder<'a> {
    fn new(lua: &'a Lua, settings: &'a Settings) -> Self {
        /// Enough for most documents.
        const CAPACITY: usize = 1024;
        Self {
            lua,
            settings,
            text: Text::with_capacity(settings, CAPACITY),
            waiting: Text::with_capacity(settings, 0),
            inner: Vec::new(),
            held_tables: 0,
            others: None,
            unfinished: Vec::new(),
            unfinished_objects: 0,
        }
    }

    fn encode(&mut self, value: Value) -> Result<(), Raised> {
        let mut next = self.text.append(value)?;
        loop {
            while let Some(table) = next {
                next = self.begin(&table)?;
            }
            let Some(unfinished) = self.unfinished.pop() else { return Ok(()) };
            self.unfinished_objects -= usize::from(unfinished.kind == Kind::Object);
            next = self.go_on(unfinished)?;
        }
    }

    /// Writes a table up to the first one inside it, which is returned.
    fn begin(&mut self, table: &Table) -> Result<Option<Table>, Raised> {
        self.check_depth()?;
        if table.is_empty() {
            self.text.append_text(b"{}")?;
            return Ok(None);
        }
        let unfinished = match self.walk_plain(table)? {
            Some(unfinished) => unfinished,
            None => self.walk_any(table)?,
        };
        self.go_on(unfinished)
    }

    fn check_depth(&self) -> Result<(), Raised> {
        const SLOTS_FOR_ONE_LEVEL: usize = 3;
        // The argument, an element of each array, a key and a value of each object.
        let slots = 1 + self.unfinished.len() + self.unfinished_objects;
        let depth = self.unfinished.len() + 1;
        if depth > self.settings.encode_max_depth as usize
            || slots + SLOTS_FOR_ONE_LEVEL > MOST_SLOTS
        {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(Raised::Error(text.into_bytes()));
        }
        Ok(())
    }

    /// Writes what follows a table inside this one, up to the next table inside it.
    fn go_on(&mut self, mut unfinished: Unfinished) -> Result<Option<Table>, Raised> {
        let written = unfinished.written;
        let Some(inner) = self.inner.get_mut(unfinished.taken) else {
            self.text.append_text(&self.waiting.bytes[written..])?;
            self.waiting.bytes.truncate(unfinished.waiting);
            self.inner.truncate(unfinished.inner);
            self.text.bytes.push(unfinished.kind.closing());
            return unfinished.failure.map_or(Ok(None), |raised| Err(*raised));
        };
        self.text.append_text(&self.waiting.bytes[written..inner.place])?;
        unfinished.written = inner.place;
        let table = match inner.table.take() {
            Some(table) => {
                self.held_tables -= 1;
                Some(table)
            }
            None => self.other(unfinished.taken)?,
        };
        unfinished.taken += 1;
        self.unfinished_objects += usize::from(unfinished.kind == Kind::Object);
        self.unfinished.push(unfinished);
        Ok(table)
    }

    /// Begins an array that is whole and in order, or an object whose keys need no look at their
    /// types. Nearly every table is one or the other, and this is much less work.
    fn walk_plain(&mut self, table: &Table) -> Result<Option<Unfinished>, Raised> {
        let (text, waiting) = (self.text.bytes.len(), self.waiting.bytes.len());
        let (inner, sparse) = (self.inner.len(), self.settings.sparse_arrays);
        let walked = if table.raw_len() > 0 {
            self.walk(table, Kind::Array, |_, key: &Value, index| Ok(is_index(key, index)))?
                // It only counts what the elements are if they make an array in the end.
                .filter(|array| {
                    array.failure.is_none() && !sparse.is_too_sparse(array.members, array.members)
                })
        } else if self.settings.precision == Settings::DEFAULT.precision {
            self.walk(table, Kind::Object, |text, key: &BString, index| {
                text.append_plain_key(key, index)
            })?
        } else {
            None
        };
        if walked.is_none() {
            self.text.bytes.truncate(text);
            self.waiting.bytes.truncate(waiting);
            self.drop_inner(inner);
        }
        Ok(walked)
    }

    fn walk_any(&mut self, table: &Table) -> Result<Unfinished, Raised> {
        let length = self.array_length(table)?;
        if length > 0 {
            return self.walk_indices(table, length);
        }
        let walked = self.walk(table, Kind::Object, |text, key: &Value, _| {
            text.append_key(key)?;
            Ok(true)
        })?;
        walked.ok_or_else(|| Raised::Lua(end_of_walk()))
    }

    /// Writes a table up to the first one inside it; nothing if a key is not what it has to be.
    fn walk<K: FromLua>(
        &mut self,
        table: &Table,
        kind: Kind,
        append_key: impl Fn(&mut Text<'a>, &K, i32) -> Result<bool, Raised>,
    ) -> Result<Option<Unfinished>, Raised> {
        let mut unfinished = self.open(kind);
        let mut is_suitable = Ok(true);
        let walked = table.for_each(|key: K, value: Value| {
            is_suitable = self
                .append_member(&mut unfinished, value, |text, index| append_key(text, &key, index));
            if matches!(is_suitable, Ok(true)) { Ok(()) } else { Err(end_of_walk()) }
        });
        match (is_suitable, walked) {
            (Ok(true), Ok(())) => Ok(Some(unfinished)),
            (Ok(false), _) | (_, Err(mlua::Error::FromLuaConversionError { .. })) => Ok(None),
            (Ok(true), Err(error)) => Err(Raised::Lua(error)),
            (Err(raised), _) => unfinished.fail(raised).map(Some),
        }
    }

    /// Writes an array up to the first table inside it, with `null` for elements it does not have.
    fn walk_indices(&mut self, table: &Table, length: i32) -> Result<Unfinished, Raised> {
        let mut unfinished = self.open(Kind::Array);
        for index in 1..=length {
            let value = table.raw_get(index).map_err(Raised::Lua)?;
            if let Err(raised) = self.append_member(&mut unfinished, value, |_, _| Ok(true)) {
                return unfinished.fail(raised);
            }
        }
        Ok(unfinished)
    }

    fn open(&mut self, kind: Kind) -> Unfinished {
        self.text.bytes.push(kind.opening());
        let (waiting, inner) = (self.waiting.bytes.len(), self.inner.len());
        let (written, taken) = (waiting, inner);
        Unfinished { kind, members: 0, waiting, written, inner, taken, failure: None }
    }

    /// Writes a member, or a place for it if it is a table; false if its key was not suitable.
    fn append_member(
        &mut self,
        unfinished: &mut Unfinished,
        value: Value,
        append_key: impl FnOnce(&mut Text<'a>, i32) -> Result<bool, Raised>,
    ) -> Result<bool, Raised> {
        let is_waiting = self.inner.len() > unfinished.inner;
        let text = if is_waiting { &mut self.waiting } else { &mut self.text };
        if unfinished.members > 0 {
            text.bytes.push(b',');
        }
        unfinished.members = unfinished.members.wrapping_add(1);
        if !append_key(text, unfinished.members)? {
            return Ok(false);
        }
        if let Some(table) = text.append(value)? {
            self.hold(table).map_err(Raised::Lua)?;
        }
        Ok(true)
    }

    /// Keeps a table until its turn.
    fn hold(&mut self, table: Table) -> mlua::Result<()> {
        let place = self.waiting.bytes.len();
        let table = if self.held_tables < MOST_HELD_TABLES {
            self.held_tables += 1;
            Some(table)
        } else {
            let others = match &self.others {
                Some(others) => others,
                None => self.others.insert(self.lua.create_table()?),
            };
            others.raw_set(self.inner.len(), table)?;
            None
        };
        self.inner.push(Inner { table, place });
        Ok(())
    }

    fn other(&self, index: usize) -> Result<Option<Table>, Raised> {
        let others = self.others.as_ref();
        others.map(|others| others.raw_get(index)).transpose().map_err(Raised::Lua)
    }

    fn drop_inner(&mut self, first: usize) {
        let held = self.inner.drain(first..).filter(|inner| inner.table.is_some()).count();
        self.held_tables -= held;
    }

    /// The length of the array that a table is written as; zero if it becomes an object.
    fn array_length(&self, table: &Table) -> Result<i32, Raised> {
        let (mut length, mut count, mut is_array) = (0, 0_i32, true);
        let walked = table.for_each(|key: Value, _: bool| {
            let Some(index) = array_index(&key) else {
                is_array = false;
                return Err(end_of_walk());
            };
            count = count.wrapping_add(1);
            // Redis compares before it cuts a great index down to 32 bits.
            if index > f64::from(length) {
                length = if index < 2_147_483_648.0 { index as i32 } else { i32::MIN };
            }
            Ok(())
        });
        if !is_array {
            return Ok(0);
        }
        walked.map_err(Raised::Lua)?;
        let sparse = self.settings.sparse_arrays;
        if !sparse.is_too_sparse(length, count) {
            return Ok(length);
        }
        if sparse.convert {
            return Ok(0);
        }
        Err(Raised::Error(b"Cannot serialise table: excessively sparse array".to_vec()))
    }
}

impl Unfinished {
    /// Keeps what a script has done wrong until the text before it is written, which may hold
    /// something worse. What Lua itself cannot do is told at once.
    fn fail(mut self, raised: Raised) -> Result<Self, Raised> {
        if matches!(raised, Raised::Lua(_)) {
            return Err(raised);
        }
        self.failure = Some(Box::new(raised));
        Ok(self)
    }
}

impl Kind {
    const fn opening(self) -> u8 {
        match self {
            Self::Array => b'[',
            Self::Object => b'{',
        }
    }

    const fn closing(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}

fn is_index(key: &Value, index: i32) -> bool {
    matches!(key, Value::Integer(key) if *key == i64::from(index))
}

/// A key as the index of an array's element.
fn array_index(key: &Value) -> Option<f64> {
    let number = match key {
        Value::Integer(integer) => *integer as f64,
        Value::Number(number) => *number,
        _ => return None,
    };
    (number >= 1.0 && number.floor() >= number).then_some(number)
}

/// What ends a walk whose outcome is known; nobody looks at the error itself.
fn end_of_walk() -> mlua::Error {
    mlua::Error::CoroutineUnresumable
}

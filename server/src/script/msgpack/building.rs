//! Makes Lua's values of the items in `MessagePack`.
//!
//! Tables that are not whole yet are kept in a list, not in calls within calls, so that no nesting
//! is too deep for the thread. What stops it is the room on Lua's stack: the real library keeps its
//! unfinished tables there, and this one counts along.
//!
//! Tables are filled in the order of the data and never given room ahead: the length of a table
//! with holes depends on how it grew.

use mlua::{Lua, Table, Value};

use super::super::arguments::{check_stack, stack_overflow_or};
use super::super::raised::Raised;
use super::reading::{Item, Reader};

pub(super) const TOO_MANY: &str =
    "too many return values at once; use unpack_one or unpack_limit instead.";

pub(super) struct Builder<'call> {
    lua: &'call Lua,
    reader: Reader<'call>,
    unfinished: Vec<Unfinished>,
    /// How many values the real library would have on Lua's stack.
    slots: usize,
}

/// A table that waits for more items.
struct Unfinished {
    table: Table,
    left: u32,
    awaited: Awaited,
}

/// What the next item is to an unfinished table.
enum Awaited {
    Element(u32),
    Key,
    ValueOf(Value),
}

impl<'call> Builder<'call> {
    pub(super) fn new(lua: &'call Lua, data: &'call [u8], slots: usize) -> Self {
        Self { lua, reader: Reader::new(data), unfinished: Vec::new(), slots }
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.reader.rest()
    }

    /// The next whole value.
    pub(super) fn next_value(&mut self) -> Result<Value, Raised> {
        loop {
            if let Some(value) = self.begin_item()?
                && let Some(value) = self.place(value)?
            {
                self.slots += 1;
                return Ok(value);
            }
        }
    }

    /// Reads an item. It is whole already, unless it begins a table.
    fn begin_item(&mut self) -> Result<Option<Value>, Raised> {
        // The end of the data is noticed before the end of the stack.
        if !self.rest().is_empty() {
            check_stack(self.slots, 1, TOO_MANY)?;
        }
        Ok(Some(match self.reader.next()? {
            Item::Nil => Value::Nil,
            Item::Boolean(boolean) => Value::Boolean(boolean),
            Item::Number(number) => Value::Number(number),
            Item::Text(text) => Value::String(self.lua.create_string(text).map_err(lua_error)?),
            Item::Array(len) => {
                check_stack(self.slots, 2, "in function mp_decode_to_lua_array")?;
                return self.begin_table(len, Awaited::Element(1));
            }
            Item::Map(len) => return self.begin_table(len, Awaited::Key),
        }))
    }

    fn begin_table(&mut self, left: u32, awaited: Awaited) -> Result<Option<Value>, Raised> {
        let table = self.lua.create_table().map_err(lua_error)?;
        if left == 0 {
            return Ok(Some(Value::Table(table)));
        }
        self.await_more(Unfinished { table, left, awaited });
        Ok(None)
    }

    fn await_more(&mut self, table: Unfinished) {
        self.slots += table.slots();
        self.unfinished.push(table);
    }

    /// Puts a value into the table that waits for it, and the tables that this ends into those that
    /// wait for them. What no table waits for comes back.
    fn place(&mut self, mut value: Value) -> Result<Option<Value>, Raised> {
        while let Some(mut parent) = self.unfinished.pop() {
            self.slots -= parent.slots();
            parent.fill(value)?;
            if parent.left > 0 {
                self.await_more(parent);
                return Ok(None);
            }
            value = Value::Table(parent.table);
        }
        Ok(Some(value))
    }
}

impl Unfinished {
    /// The table itself, and the index or key that waits beside it.
    fn slots(&self) -> usize {
        if matches!(self.awaited, Awaited::Key) { 1 } else { 2 }
    }

    fn fill(&mut self, value: Value) -> Result<(), Raised> {
        match std::mem::replace(&mut self.awaited, Awaited::Key) {
            Awaited::Key => {
                self.awaited = Awaited::ValueOf(value);
                return Ok(());
            }
            Awaited::Element(index) => {
                self.awaited = Awaited::Element(index.wrapping_add(1));
                self.table.raw_set(index, value).map_err(lua_error)?;
            }
            Awaited::ValueOf(key) => {
                check_key(&key)?;
                self.table.raw_set(key, value).map_err(lua_error)?;
            }
        }
        self.left -= 1;
        Ok(())
    }
}

/// Refuses what no table takes as a key, as Lua does it for C functions: without a place.
fn check_key(key: &Value) -> Result<(), Raised> {
    let refused = match key {
        Value::Nil => "nil",
        Value::Number(number) if number.is_nan() => "NaN",
        _ => return Ok(()),
    };
    Err(Raised::Lua(mlua::Error::RuntimeError(format!("table index is {refused}"))))
}

fn lua_error(error: mlua::Error) -> Raised {
    stack_overflow_or(error, TOO_MANY)
}

//! Errors that the functions of the server raise in a script, at the place where the script called them.

use std::ptr::without_provenance_mut;

use mlua::{IntoLua, LightUserData, Lua, MultiValue, Value};

use super::values::error_table;

/// What a function raises.
#[derive(Debug)]
pub(crate) enum Raised {
    /// A text, which gets the place of the call in front.
    Error(Vec<u8>),
    /// What is wrong with the argument of this number; the text names the function as the script called it.
    Argument(i32, Vec<u8>),
    /// The text of an error reply, which the script can tell from other errors by its being a table.
    Reply(Vec<u8>),
    /// What ends the script, whatever it does against it.
    Lua(mlua::Error),
}

/// A function that scripts call.
pub(crate) type Function = fn(&Lua, MultiValue) -> Result<MultiValue, Raised>;

/// What the Lua of scripts takes for an error to raise, as its `lhost.c` has it.
const RAISE_VALUE: usize = 1;
const RAISE_TEXT: usize = 2;
const RAISE_ARGUMENT: usize = 3;

impl Raised {
    pub(super) fn reply(text: &str) -> Self {
        Raised::Reply([b"ERR ", text.as_bytes()].concat())
    }

    /// What a function returns to have this raised.
    pub(super) fn into_values(self, lua: &Lua) -> mlua::Result<MultiValue> {
        let mark = |mark| Value::LightUserData(LightUserData(without_provenance_mut(mark)));
        let text = |text: Vec<u8>| lua.create_string(text).map(Value::String);
        let values = match self {
            Raised::Error(message) => vec![mark(RAISE_TEXT), text(message)?],
            Raised::Argument(number, message) => {
                vec![mark(RAISE_ARGUMENT), number.into_lua(lua)?, text(message)?]
            }
            Raised::Reply(message) => {
                vec![mark(RAISE_VALUE), Value::Table(error_table(lua, &message)?)]
            }
            Raised::Lua(mlua::Error::RuntimeError(message) | mlua::Error::MemoryError(message)) => {
                let message = message.lines().next().unwrap_or_default();
                vec![mark(RAISE_VALUE), text(message.as_bytes().to_vec())?]
            }
            Raised::Lua(error) => return Err(error),
        };
        Ok(MultiValue::from_iter(values))
    }
}

impl From<mlua::Error> for Raised {
    fn from(error: mlua::Error) -> Self {
        Raised::Lua(error)
    }
}

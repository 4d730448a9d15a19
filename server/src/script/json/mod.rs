//! The library `cjson` that scripts see: tables as JSON and JSON as tables.
//!
//! Every byte is what Redis's own library makes of it, which is not always what JSON asks for:
//! text need not be UTF-8, a text ends at its first NUL, and hexadecimal numbers and `nan` are read.
//! Neither direction recurses, so that the depth a script may ask for costs no native stack.
//!
//! This module knows nothing of how an error reaches a script, nor of the server.

mod decode;
mod encode;
mod number;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod token;

use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Lua, MultiValue, Table, Value};

use self::settings::{CHANGES, Change, Settings};
use super::raised::Raised;
use super::vm::raising;

/// A function with settings of its own.
type Function = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue, Raised> + Send>;

/// Lua slots that a C function may use, by which Redis ends nesting that the settings would allow.
const MOST_SLOTS: usize = 8000;

type SharedSettings = Arc<Mutex<Settings>>;
type Converter = fn(&Lua, &Settings, MultiValue) -> Result<Value, Raised>;

/// A table of the library with settings of its own. They last as long as its functions do.
///
/// The order in which it is filled is Redis's, because it decides on the order of `pairs`.
/// `wrap` is the tool that has functions raise.
pub(crate) fn library(lua: &Lua, wrap: &mlua::Function) -> mlua::Result<Table> {
    let settings = Arc::new(Mutex::new(Settings::DEFAULT));
    let table = lua.create_table()?;
    let add = |name, function| table.raw_set(name, raising(lua, wrap, function)?);
    add("encode", converter(&settings, encode::encode))?;
    add("decode", converter(&settings, decode::decode))?;
    for (name, change) in CHANGES {
        add(name, changer(&settings, change))?;
    }
    let again = wrap.clone();
    add(
        "new",
        Box::new(move |lua, _| {
            let table = library(lua, &again).map_err(Raised::Lua)?;
            Ok(one(Value::Table(table)))
        }),
    )?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn converter(settings: &SharedSettings, convert: Converter) -> Function {
    let settings = Arc::clone(settings);
    Box::new(move |lua, arguments| {
        let settings = *settings.lock().unwrap_or_else(PoisonError::into_inner);
        convert(lua, &settings, arguments).map(one)
    })
}

fn changer(settings: &SharedSettings, change: Change) -> Function {
    let settings = Arc::clone(settings);
    Box::new(move |lua, arguments| {
        let mut settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut settings, lua, arguments)
    })
}

fn one(value: Value) -> MultiValue {
    MultiValue::from_vec(vec![value])
}

/// The argument of a function that takes just one.
fn only_argument(arguments: MultiValue) -> Result<Value, Raised> {
    <[Value; 1]>::try_from(arguments.into_vec())
        .map(|[argument]| argument)
        .map_err(|_| Raised::Argument(1, b"expected 1 argument".to_vec()))
}

/// What Lua calls the type of a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) | Value::Number(_) => "number",
        Value::LightUserData(_) | Value::Error(_) | Value::Other(_) => "userdata",
        value => value.type_name(),
    }
}

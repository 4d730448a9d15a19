//! The arguments of a call to a library's function, taken as C functions of Lua 5.1 take them:
//! texts that hold a number pass for numbers, numbers pass for texts, and what does not fit is
//! refused in Lua's words. The room that a C function has on Lua's stack is counted here too,
//! because scripts can see where it ends.
//!
//! Positions count from one, as in the messages. Nothing here knows what the arguments mean, nor
//! under which name the function was called.

use mlua::{Lua, LuaString, MultiValue, Value};

use super::raised::Raised;

/// How many values a C function of Lua 5.1 may have on the stack, its arguments included.
const STACK_ROOM: usize = 8000;

pub(super) struct Arguments<'call> {
    lua: &'call Lua,
    values: MultiValue,
}

impl<'call> Arguments<'call> {
    pub(super) fn new(lua: &'call Lua, values: MultiValue) -> Self {
        Self { lua, values }
    }

    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    pub(super) fn get(&self, position: usize) -> Option<&Value> {
        self.values.get(position - 1)
    }

    /// Has `nil` stand after the last argument. Functions that put a mark there report a missing
    /// argument as `nil`.
    pub(super) fn mark_end(&mut self) {
        self.values.push_back(Value::Nil);
    }

    pub(super) fn number(&self, position: usize) -> Result<f64, Raised> {
        match self.get(position) {
            Some(Value::Integer(integer)) => Ok(*integer as f64),
            Some(Value::Number(number)) => Ok(*number),
            Some(Value::String(text)) => match number_in(self.lua, text)? {
                Some(number) => Ok(number),
                None => Err(self.type_error(position, "number")),
            },
            _ => Err(self.type_error(position, "number")),
        }
    }

    pub(super) fn integer(&self, position: usize) -> Result<i64, Raised> {
        self.number(position).map(to_integer)
    }

    pub(super) fn integer_or(&self, position: usize, default: i64) -> Result<i64, Raised> {
        match self.get(position) {
            None | Some(Value::Nil) => Ok(default),
            Some(_) => self.integer(position),
        }
    }

    pub(super) fn text(&self, position: usize) -> Result<LuaString, Raised> {
        match self.get(position) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Integer(_) | Value::Number(_))) => {
                let text = self.lua.coerce_string(value.clone()).map_err(Raised::Lua)?;
                text.ok_or_else(|| self.type_error(position, "string"))
            }
            _ => Err(self.type_error(position, "string")),
        }
    }

    fn type_error(&self, position: usize, expected: &str) -> Raised {
        let found = self.get(position).map_or("no value", type_name);
        argument_error(position, &format!("{expected} expected, got {found}"))
    }
}

pub(super) fn argument_error(position: usize, text: &str) -> Raised {
    Raised::Argument(position as i32, text.as_bytes().to_vec())
}

pub(super) fn error(text: &str) -> Raised {
    Raised::Error(text.as_bytes().to_vec())
}

/// The number that a text stands for, by Lua's own rules.
pub(super) fn number_in(lua: &Lua, text: &LuaString) -> Result<Option<f64>, Raised> {
    lua.coerce_number(Value::String(text.clone())).map_err(Raised::Lua)
}

/// Drops the fraction. What no integer can hold becomes the lowest one, as on x86-64.
pub(super) fn to_integer(number: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&number) { number as i64 } else { i64::MIN }
}

/// Raises "stack overflow" unless `more` values have room beside the `used` ones.
pub(super) fn check_stack(used: usize, more: usize, whose: &str) -> Result<(), Raised> {
    if used + more > STACK_ROOM { Err(stack_overflow(whose)) } else { Ok(()) }
}

fn stack_overflow(whose: &str) -> Raised {
    error(&format!("stack overflow ({whose})"))
}

/// The bindings keep what they refer to on a stack of their own, which can end before Lua's does.
pub(super) fn stack_overflow_or(error: mlua::Error, whose: &str) -> Raised {
    match error {
        mlua::Error::StackError => stack_overflow(whose),
        error => Raised::Lua(error),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments<'lua>(lua: &'lua Lua, source: &str) -> Arguments<'lua> {
        Arguments::new(lua, lua.load(format!("return {source}")).eval().unwrap())
    }

    fn refusal<T>(taken: Result<T, Raised>) -> String {
        match taken {
            Err(Raised::Argument(position, text)) => {
                format!("{position} {}", text.escape_ascii())
            }
            _ => "no refusal".to_owned(),
        }
    }

    #[test]
    fn texts_pass_for_numbers_and_numbers_for_texts() {
        let lua = crate::script::vm::bare().unwrap();
        let arguments = arguments(&lua, "'0x10', ' 1.5 ', 2^53, 0.1, 'text'");
        assert!(matches!(arguments.number(1), Ok(16.0)));
        assert!(matches!(arguments.number(2), Ok(1.5)));
        assert!(matches!(arguments.integer(2), Ok(1)));
        for (position, text) in [(1, "0x10"), (3, "9.007199254741e+15"), (4, "0.1"), (5, "text")] {
            assert_eq!(&*arguments.text(position).unwrap().as_bytes(), text.as_bytes());
        }
        assert_eq!(refusal(arguments.number(5)), "5 number expected, got string");
    }

    #[test]
    fn refusals_name_the_type_that_was_found() {
        let lua = crate::script::vm::bare().unwrap();
        let mut arguments =
            arguments(&lua, "nil, true, {}, next, coroutine.create(function() end)");
        for (position, found) in
            ["nil", "boolean", "table", "function", "thread", "no value"].into_iter().enumerate()
        {
            let position = position + 1;
            let expected = format!("{position} number expected, got {found}");
            assert_eq!(refusal(arguments.number(position)), expected);
            let expected = format!("{position} string expected, got {found}");
            assert_eq!(refusal(arguments.text(position)), expected);
        }
        arguments.mark_end();
        assert_eq!(refusal(arguments.text(6)), "6 string expected, got nil");
    }

    #[test]
    fn only_what_is_left_out_or_nil_is_replaced_by_a_default() {
        let lua = crate::script::vm::bare().unwrap();
        let arguments = arguments(&lua, "nil, '7', false");
        assert!(matches!(arguments.integer_or(1, 5), Ok(5)));
        assert!(matches!(arguments.integer_or(2, 5), Ok(7)));
        assert!(matches!(arguments.integer_or(4, 5), Ok(5)));
        assert_eq!(refusal(arguments.integer_or(3, 5)), "3 number expected, got boolean");
    }

    #[test]
    fn numbers_that_no_integer_holds_become_the_lowest_one() {
        for number in [9.3e18, -9.3e18, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(to_integer(number), i64::MIN, "{number}");
        }
        for (number, integer) in [(-1.9, -1), (0.9, 0), (4_294_967_297.0, 4_294_967_297)] {
            assert_eq!(to_integer(number), integer);
        }
    }

    #[test]
    fn the_stack_ends_after_eight_thousand_values() {
        assert!(check_stack(7998, 2, "text").is_ok());
        let Err(Raised::Error(text)) = check_stack(7999, 2, "text") else { panic!("not raised") };
        assert_eq!(text, b"stack overflow (text)");
    }
}

//! Calls of libraries' functions in tests: the arguments are Lua, and so is what comes back.

use mlua::{MultiValue, Value};

use super::raised::{Function, Raised};

/// Calls the function of that name. Results stand in a row; errors have `!` in front, and an
/// argument's number if they blame one.
pub(super) fn call(functions: &[(&str, Function)], name: &str, arguments: &str) -> String {
    let lua = crate::script::vm::bare().unwrap();
    let arguments: MultiValue = lua.load(format!("return {arguments}")).eval().unwrap();
    let (_, function) = functions.iter().find(|(known, _)| *known == name).unwrap();
    match function(&lua, arguments) {
        Ok(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Err(Raised::Error(text)) => format!("!{}", readable(&text)),
        Err(Raised::Argument(position, text)) => format!("!{position} {}", readable(&text)),
        Err(Raised::Reply(text)) => format!("!reply {}", readable(&text)),
        Err(Raised::Lua(error)) => format!("!lua {error}"),
    }
}

/// Checks calls given as name, arguments, and what [`call`] is to make of them.
pub(super) fn check_calls(functions: &[(&str, Function)], calls: &[(&str, &str, &str)]) {
    for (name, arguments, expected) in calls {
        assert_eq!(call(functions, name, arguments), *expected, "{name}({arguments})");
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", readable(&text.as_bytes())),
        Value::Integer(integer) => integer.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Table(table) => {
            let mut pairs = Vec::new();
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair.unwrap();
                pairs.push(format!("{}={}", shown(&key), shown(&value)));
            }
            format!("{{{}}}", pairs.join(" "))
        }
        other => other.type_name().to_owned(),
    }
}

fn readable(text: &[u8]) -> String {
    text.escape_ascii().to_string().replace(r"\'", "'")
}

/// Numbers that look random, and are the same in every run.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// Up to `most` bytes out of those in `from`.
    pub(super) fn bytes(&mut self, from: &[u8], most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| from[self.below(from.len())]).collect()
    }
}

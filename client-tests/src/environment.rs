//! What the environment says about a run: a variable that is empty says nothing.

use std::{
    env,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// What stands between commas.
pub fn list(name: &str) -> Option<Vec<String>> {
    variable(name).map(|value| value.split(',').map(str::to_owned).collect())
}

pub fn number<Number: FromStr>(name: &str) -> Result<Option<Number>, String> {
    match variable(name) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| format!("{name}={value} is no number")),
    }
}

/// The number that repeats a run: from this variable, or from the clock.
pub fn seed(name: &str) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    Ok(number(name)?.unwrap_or(now.as_millis() as u64))
}

/// Whether a target that cannot be had is a failure.
pub fn requires_all() -> bool {
    variable("CONFORMANCE_REQUIRE").is_some_and(|value| value == "all")
}

//! How long a command may have its client wait.

use crate::error::Error;
use crate::execute::Call;
use crate::value::long_double::LongDouble;
use crate::value::number::{parse_double, parse_integer};

/// When the time is over that an argument gives in seconds, or none if it is to be without end.
pub(super) fn deadline_in_seconds(call: &Call<'_>, index: usize) -> Result<Option<i64>, Error> {
    let seconds = parse_seconds(call.args.at(index));
    let seconds = seconds.ok_or(Error::err("timeout is not a float or out of range"))?;
    // A part of a millisecond counts as a whole one. What is beyond all integers becomes the last.
    deadline(call, (seconds * 1000.0).ceil() as i64)
}

/// Redis reads seconds with more bits than a double has: what is beyond a double is next to nothing, or
/// more than there may be.
fn parse_seconds(text: &[u8]) -> Option<f64> {
    let beyond = || {
        let magnitude = match &*LongDouble::parse(text)?.format() {
            "0" | "-0" => f64::MIN_POSITIVE,
            _ => f64::INFINITY,
        };
        Some(if text.starts_with(b"-") { -magnitude } else { magnitude })
    };
    parse_double(text).or_else(beyond)
}

/// The same for milliseconds.
pub(super) fn deadline_in_milliseconds(
    call: &Call<'_>,
    index: usize,
) -> Result<Option<i64>, Error> {
    let timeout_ms = parse_integer(call.args.at(index));
    deadline(call, timeout_ms.ok_or(Error::err("timeout is not an integer or out of range"))?)
}

fn deadline(call: &Call<'_>, timeout_ms: i64) -> Result<Option<i64>, Error> {
    match timeout_ms {
        ..0 => Err(Error::err("timeout is negative")),
        0 => Ok(None),
        _ => {
            let deadline_ms = call.now_ms().checked_add(timeout_ms);
            deadline_ms.map(Some).ok_or(Error::err("timeout is out of range"))
        }
    }
}

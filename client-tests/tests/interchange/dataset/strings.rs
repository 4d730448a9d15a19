//! Strings: numbers, short texts in one piece, and long ones.

use client_tests::command;

use super::{Builder, bytes};

pub(super) fn add(builder: &mut Builder, key: &[u8]) {
    let random = &mut builder.random;
    let command = match random.below(8) {
        0 => command!["SET", key, bytes::integer(random).to_string()],
        1 => command!["SET", key, bytes::large(random)],
        // A hole of zero bytes before the value.
        2 => command!["SETRANGE", key, random.below(5000).to_string(), "value"],
        3 => command!["INCRBY", key, bytes::integer(random).to_string()],
        4 => command!["INCRBYFLOAT", key, "3.0e3"],
        _ => command!["SET", key, bytes::any(random)],
    };
    builder.push(command);
    // What was changed in place lies elsewhere in memory than what was set.
    if builder.random.once_in(6) {
        let more = bytes::any(&mut builder.random);
        builder.push(command!["APPEND", key, more]);
    }
}

//! Lists: in one piece, in many, with elements too large to be packed, and such as were longer once.

use client_tests::{command, random::Random};

use super::{Builder, bytes};

/// More than are packed in one piece.
const MANY: usize = 600;

pub(super) fn add(builder: &mut Builder, key: &[u8]) {
    let random = &mut builder.random;
    let elements = match random.below(6) {
        0 => vec![bytes::any(random)],
        1 => (0..=random.below(MANY))
            .map(|_| bytes::integer(random).to_string().into_bytes())
            .collect(),
        2 => (0..=random.below(MANY)).map(|_| bytes::any(random)).collect(),
        3 => with_large_ones(random),
        _ => (0..=random.below(40)).map(|_| bytes::short(random)).collect(),
    };
    let push = *builder.random.pick(&["RPUSH", "LPUSH"]);
    builder.push_in_parts(push, key, &elements);
    change(builder, key, &elements);
}

fn with_large_ones(random: &mut Random) -> Vec<Vec<u8>> {
    let element = |_| if random.once_in(5) { bytes::large(random) } else { bytes::any(random) };
    (0..12).map(element).collect()
}

/// What happens to a list leaves its traces in how it is kept.
fn change(builder: &mut Builder, key: &[u8], elements: &[Vec<u8>]) {
    let value = bytes::any(&mut builder.random);
    let middle = (elements.len() / 2).to_string();
    match builder.random.below(6) {
        0 => builder.push(command!["LTRIM", key, "0", "3"]),
        1 => builder.push(command!["LINSERT", key, "BEFORE", elements[elements.len() / 2], value]),
        2 => builder.push(command!["LSET", key, middle, value]),
        3 if elements.len() > 1 => builder.push(command!["LPOP", key, middle]),
        _ => {}
    }
}

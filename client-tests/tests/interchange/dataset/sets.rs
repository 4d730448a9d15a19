//! Sets: of numbers of each width, packed, and in tables.

use client_tests::{command, random::Random};

use super::{Builder, bytes};

pub(super) fn add(builder: &mut Builder, key: &[u8]) {
    let members = members(&mut builder.random);
    builder.push_in_parts("SADD", key, &members);
    change(builder, key, &members);
}

fn members(random: &mut Random) -> Vec<Vec<u8>> {
    let few = 1 + random.below(100);
    match random.below(7) {
        0 => numbers(random, few, 15),
        1 => numbers(random, few, 31),
        2 => numbers(random, few, 63),
        // More numbers than are kept as such.
        3 => numbers(random, 700, 31),
        4 => (0..300).map(|_| bytes::any(random)).collect(),
        // Too long to be packed.
        5 => (0..few).map(|_| bytes::text(random, 65)).collect(),
        _ => (0..few).map(|_| bytes::short(random)).collect(),
    }
}

fn numbers(random: &mut Random, count: usize, bits: usize) -> Vec<Vec<u8>> {
    let mut number = |_| {
        let number = (random.number() as i64) >> (63 - bits);
        number.to_string().into_bytes()
    };
    (0..count).map(&mut number).collect()
}

/// A set that has become smaller, or lost what its form was for.
fn change(builder: &mut Builder, key: &[u8], members: &[Vec<u8>]) {
    match builder.random.below(5) {
        0 => {
            builder.push(command!["SADD", key, "a text among them"]);
            builder.push(command!["SREM", key, "a text among them"]);
        }
        1 => builder.push_in_parts("SREM", key, &members[1..]),
        _ => {}
    }
}

//! Values at the edges of how files and memory keep them: numbers by their widths, texts by their lengths.

use client_tests::random::Random;

/// What looks like a number and is none, and numbers where one more byte is needed.
const EDGES: [&str; 33] = [
    "",
    "0",
    "-0",
    "00",
    "01",
    "+1",
    " 1",
    "1 ",
    "1.5",
    "-1",
    "12",
    "13",
    "127",
    "128",
    "-128",
    "-129",
    "4095",
    "4096",
    "-4096",
    "-4097",
    "32767",
    "32768",
    "-32769",
    "8388607",
    "8388608",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "1e5",
];

/// Where a length needs another byte, or a text another place in memory.
const LENGTHS: [usize; 14] = [1, 4, 11, 12, 20, 21, 44, 45, 63, 64, 65, 127, 128, 4096];

/// Where a length needs four bytes, and a text a node of its own.
const LARGE: [usize; 5] = [8192, 16_383, 16_384, 70_000, 300_000];

/// A short value of any kind.
pub(super) fn short(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => random.pick(&EDGES).as_bytes().to_vec(),
        1 => integer(random).to_string().into_bytes(),
        2 => {
            let length = random.below(64);
            random_bytes(random, length)
        }
        _ => {
            let length = *random.pick(&LENGTHS[..11]);
            text(random, length)
        }
    }
}

/// A value of any kind but the largest.
pub(super) fn any(random: &mut Random) -> Vec<u8> {
    if random.once_in(8) {
        let length = *random.pick(&LENGTHS);
        return text(random, length);
    }
    short(random)
}

/// A value that is large enough for a form of its own.
pub(super) fn large(random: &mut Random) -> Vec<u8> {
    let length = *random.pick(&LARGE) + random.below(3);
    text(random, length)
}

/// A number of any width.
pub(super) fn integer(random: &mut Random) -> i64 {
    let shift = random.below(64);
    random.number() as i64 >> shift
}

/// Bytes that repeat themselves, or that nothing can be made shorter.
pub(super) fn text(random: &mut Random, length: usize) -> Vec<u8> {
    if random.once_in(2) {
        return random_bytes(random, length);
    }
    let period = 1 + random.below(40);
    let pattern = random_bytes(random, period);
    pattern.into_iter().cycle().take(length).collect()
}

pub(super) fn random_bytes(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.number() as u8).collect()
}

//! LZF compression as liblzf writes and reads it, which is what RDB files and DUMP payloads hold.
//!
//! The format is a row of items. A control byte below 32 announces that many bytes plus one,
//! literally; any other is a copy of what came before: three bits of length, more in the next byte
//! if all are set, and thirteen bits of distance. The compressor looks where liblzf looks (in the
//! build that Redis uses), so that its output is the same.
//!
//! Both directions take any input; neither allocates more than the output can need.

use std::cell::RefCell;

const MOST_LITERALS: usize = 32;
const LONGEST_COPY: usize = 264;
const FARTHEST_COPY: usize = 1 << 13;
/// The control byte's three bits of length when there is another byte of it.
const LONG_COPY: usize = 7;
const TABLE_BITS: u32 = 16;
/// A copy of the longest kind takes three bytes, and nothing expands further.
const HIGHEST_RATIO: usize = LONGEST_COPY / 3;
/// Redis keeps what is not at least this much smaller as it is.
const LEAST_SAVING: usize = 4;

/// The compressed form, unless it would not be at least four bytes smaller.
pub(crate) fn compress(input: &[u8]) -> Option<Vec<u8>> {
    if input.len() <= LEAST_SAVING || u32::try_from(input.len()).is_err() {
        return None;
    }
    SCRATCH.with_borrow_mut(|scratch| compress_with(scratch, input))
}

fn compress_with(scratch: &mut Scratch, input: &[u8]) -> Option<Vec<u8>> {
    let mut writer = ItemWriter::new(input.len() - LEAST_SAVING);
    let mut seen = SeenTriples::new(input, scratch);
    let mut at = 0;
    while at + 2 < input.len() {
        if let Some(earlier) = seen.replace(at) {
            let len = copy_len(input, earlier, at);
            writer.copy(len, at - earlier)?;
            at += len;
            if at + 2 < input.len() {
                seen.replace(at - 2);
                seen.replace(at - 1);
            }
        } else {
            writer.literal(input[at])?;
            at += 1;
        }
    }
    writer.finish(&input[at..])
}

/// How far the bytes agree, given that three do. As in liblzf, the last two bytes of the input are
/// left to be literals, except that where more than 16 bytes may be copied, 19 are compared in any
/// case.
fn copy_len(input: &[u8], earlier: usize, at: usize) -> usize {
    let mut most = (input.len() - at - 2).min(LONGEST_COPY);
    if most > 16 {
        most = most.max(19);
    }
    let mut len = 3;
    while len < most && input[earlier + len] == input[at + len] {
        len += 1;
    }
    len
}

thread_local! {
    /// A table to work in, as clearing it would take longer than to compress a short text.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { positions: Vec::new(), used: 0 }) };
}

/// Positions in all inputs so far, as if they stood one behind the other: what is before the present one counts as never
/// seen.
struct Scratch {
    positions: Vec<u32>,
    used: u32,
}

impl Scratch {
    /// Makes room for an input of this length behind those before.
    fn begin(&mut self, length: u32) -> u32 {
        if self.positions.is_empty() || self.used.checked_add(length).is_none() {
            self.positions = vec![0; 1 << TABLE_BITS];
            self.used = 0;
        }
        let base = self.used;
        self.used = base.saturating_add(length);
        base
    }
}

/// Where each three bytes were last seen. Slots are shared by triples of the same hash.
struct SeenTriples<'i> {
    input: &'i [u8],
    positions: &'i mut [u32],
    /// What the position of the input's first byte is noted as.
    base: u32,
}

impl<'i> SeenTriples<'i> {
    fn new(input: &'i [u8], scratch: &'i mut Scratch) -> Self {
        let base = scratch.begin(input.len() as u32);
        Self { input, positions: &mut scratch.positions, base }
    }

    /// Notes the triple at a position and returns where the same one was before, if a copy can
    /// reach it.
    fn replace(&mut self, at: usize) -> Option<usize> {
        let triple = &self.input[at..at + 3];
        let word = triple.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        let hash = (word >> (24 - TABLE_BITS)).wrapping_sub(word.wrapping_mul(5));
        let slot = &mut self.positions[(hash & ((1 << TABLE_BITS) - 1)) as usize];
        let noted = std::mem::replace(slot, self.base + at as u32);
        // What is at the very beginning is not looked for, as liblzf does not either.
        let earlier = noted.saturating_sub(self.base) as usize;
        let reachable = earlier > 0 && at - earlier <= FARTHEST_COPY;
        (reachable && self.input[earlier..earlier + 3] == *triple).then_some(earlier)
    }
}

/// Writes items up to a limit; `None` when it is reached.
struct ItemWriter {
    output: Vec<u8>,
    limit: usize,
    /// How many literals stand after the control byte that is waiting for their number.
    literals: usize,
}

impl ItemWriter {
    fn new(limit: usize) -> Self {
        let mut output = Vec::with_capacity(limit.min(1 << 16));
        output.push(0);
        Self { output, limit, literals: 0 }
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        if self.output.len() >= self.limit {
            return None;
        }
        self.push_literal(byte);
        Some(())
    }

    fn push_literal(&mut self, byte: u8) {
        self.output.push(byte);
        self.literals += 1;
        if self.literals == MOST_LITERALS {
            self.end_literals();
            self.output.push(0);
        }
    }

    /// Fills in the waiting control byte, or takes it back if nothing came after it.
    fn end_literals(&mut self) {
        let control = self.output.len() - self.literals - 1;
        if self.literals == 0 {
            self.output.pop();
        } else {
            self.output[control] = (self.literals - 1) as u8;
        }
        self.literals = 0;
    }

    fn copy(&mut self, len: usize, distance: usize) -> Option<()> {
        self.end_literals();
        if self.output.len() + 4 >= self.limit {
            return None;
        }
        let (len, distance) = (len - 2, distance - 1);
        self.output.push(((len.min(LONG_COPY) << 5) | (distance >> 8)) as u8);
        if len >= LONG_COPY {
            self.output.push((len - LONG_COPY) as u8);
        }
        self.output.extend([distance as u8, 0]);
        Some(())
    }

    fn finish(mut self, last_bytes: &[u8]) -> Option<Vec<u8>> {
        if self.output.len() + 3 > self.limit {
            return None;
        }
        for byte in last_bytes {
            self.push_literal(*byte);
        }
        self.end_literals();
        Some(self.output)
    }
}

/// The original, if the input is well formed and stands for exactly `expected_len` bytes.
pub(crate) fn decompress(input: &[u8], expected_len: usize) -> Option<Vec<u8>> {
    if expected_len > input.len().saturating_mul(HIGHEST_RATIO) {
        return None;
    }
    let mut output = Vec::with_capacity(expected_len);
    let mut rest = input;
    while let Some((&control, after)) = rest.split_first() {
        rest = if usize::from(control) < MOST_LITERALS {
            let (literals, after) = after.split_at_checked(usize::from(control) + 1)?;
            output.extend_from_slice(literals);
            after
        } else {
            let (len, distance, after) = read_copy(control, after)?;
            repeat_earlier(&mut output, len, distance)?;
            after
        };
        if output.len() > expected_len {
            return None;
        }
    }
    (output.len() == expected_len).then_some(output)
}

fn read_copy(control: u8, after: &[u8]) -> Option<(usize, usize, &[u8])> {
    let (mut len, mut after) = (usize::from(control >> 5), after);
    if len == LONG_COPY {
        let (more, rest) = after.split_first()?;
        len += usize::from(*more);
        after = rest;
    }
    let (low, after) = after.split_first()?;
    let distance = (usize::from(control & 0x1f) << 8 | usize::from(*low)) + 1;
    Some((len + 2, distance, after))
}

/// Appends `len` bytes from `distance` back. They may reach into themselves, and then repeat.
fn repeat_earlier(output: &mut Vec<u8>, len: usize, distance: usize) -> Option<()> {
    let start = output.len().checked_sub(distance)?;
    let mut left = len;
    while left > 0 {
        let step = left.min(output.len() - start);
        output.extend_from_within(start..start + step);
        left -= step;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Noise(u64);

    impl Noise {
        fn byte(&mut self, below: u8) -> u8 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) % u64::from(below)) as u8
        }
    }

    #[test]
    fn output_is_that_of_liblzf() {
        for (input, output) in [
            (&[b'a'; 39][..], &b"\x01aa\xe0\x1a\x00\x01aa"[..]),
            (&[b'a'; 21], b"\x01aa\xe0\x0a\x00"),
            (b"abcabcabcabcabcabcabcabc", b"\x03abca\xe0\x0a\x02\x00c"),
        ] {
            assert_eq!(compress(input).as_deref(), Some(output));
            assert_eq!(decompress(output, input.len()).as_deref(), Some(input));
        }
    }

    #[test]
    fn everything_compressed_comes_back() {
        let mut noise = Noise(1);
        for letters in [1, 2, 3, 7, 60, 255] {
            for len in (0..600).chain([5000, 8190, 8195, 8200, 20_000, 70_000]) {
                let input: Vec<u8> = (0..len).map(|_| noise.byte(letters)).collect();
                if let Some(output) = compress(&input) {
                    assert!(output.len() + LEAST_SAVING <= input.len());
                    assert!(
                        decompress(&output, len) == Some(input),
                        "{letters} letters, {len} bytes"
                    );
                }
            }
        }
    }

    #[test]
    fn what_would_not_shrink_is_left_alone() {
        let mut noise = Noise(2);
        for len in [0, 1, 3, 4, 5, 6, 100, 10_000] {
            let input: Vec<u8> = (0..len).map(|_| noise.byte(255)).collect();
            assert_eq!(compress(&input), None, "{len} bytes");
        }
        assert_eq!(compress(b"aaaaa"), None);
    }

    #[test]
    fn malformed_input_is_refused() {
        for (input, expected_len) in [
            (&b""[..], 1),
            (b"\x01a", 2),
            (b"\x00a", 2),
            (b"\x00a", 0),
            (b"\x20\x00", 3),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0", 10),
            (b"\x00a\xe0\x00", 10),
            (b"\x00a\x20\x00", usize::MAX),
            (b"\x00a\x20\x00", 5),
            (b"\x00a\x20\x00", 3),
        ] {
            assert_eq!(decompress(input, expected_len), None, "{input:?} {expected_len}");
        }
        assert_eq!(decompress(b"\x00a\x20\x00", 4).as_deref(), Some(&b"aaaa"[..]));
        assert_eq!(decompress(b"", 0), Some(vec![]));
    }

    #[test]
    fn noise_never_decompresses_past_what_is_expected() {
        let mut noise = Noise(3);
        for round in 0..50_000 {
            let input: Vec<u8> = (0..round % 40).map(|_| noise.byte(255)).collect();
            let expected_len = round % 300;
            if let Some(output) = decompress(&input, expected_len) {
                assert_eq!(output.len(), expected_len);
                assert!(output.capacity() <= input.len() * HIGHEST_RATIO);
            }
        }
    }
}

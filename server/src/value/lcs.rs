//! The longest common subsequence of two texts, and which of several equally long ones Redis
//! reports.
//!
//! Redis walks its table back from the ends of both texts: equal bytes are always taken, and
//! otherwise it steps back in the first text only where that keeps a strictly longer subsequence.
//! The walk needs no more of the table than that one answer per cell, so a bit is kept where Redis
//! keeps a word.
//!
//! How much may be compared at all is for the caller to say, with [`table_bytes`].

/// A run of equal bytes: inclusive positions in both texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) a_start: usize,
    pub(crate) a_end: usize,
    pub(crate) b_start: usize,
    pub(crate) b_end: usize,
}

impl Match {
    pub(crate) fn len(self) -> usize {
        self.a_end - self.a_start + 1
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lcs {
    pub(crate) text: Vec<u8>,
    /// From the ends of the texts to their starts, in which order Redis replies.
    pub(crate) matches: Vec<Match>,
}

/// What Redis's table for two texts of these lengths would take, which is what its limits are
/// about.
pub(crate) fn table_bytes(a_len: usize, b_len: usize) -> u128 {
    (a_len as u128 + 1) * (b_len as u128 + 1) * 4
}

/// The length alone, in memory for one row.
pub(crate) fn lcs_len(a: &[u8], b: &[u8]) -> usize {
    let mut row = LengthRow::new(b);
    for byte in a {
        row.advance(*byte, |_| {});
    }
    row.last()
}

/// The subsequence and its matches, in memory for a bit per pair of bytes.
pub(crate) fn lcs(a: &[u8], b: &[u8]) -> Lcs {
    let steps = StepTable::new(a, b);
    let mut text = Vec::with_capacity(steps.len);
    let mut matches = Vec::new();
    let mut run: Option<Match> = None;
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            text.push(a[i]);
            run = Some(match run {
                Some(run) => Match { a_start: i, b_start: j, ..run },
                None => Match { a_start: i, a_end: i, b_start: j, b_end: j },
            });
            continue;
        }
        matches.extend(run.take());
        if steps.shortens_a(i - 1, j - 1) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    matches.extend(run);
    text.reverse();
    Lcs { text, matches }
}

/// One row of the table of lengths: at `j`, the length for the bytes of `a` so far and the first
/// `j` of `b`.
struct LengthRow<'b> {
    b: &'b [u8],
    lengths: Vec<usize>,
}

impl<'b> LengthRow<'b> {
    fn new(b: &'b [u8]) -> Self {
        Self { b, lengths: vec![0; b.len() + 1] }
    }

    /// Moves on by one byte of `a`. Reports each `j` at which leaving this byte out keeps more than
    /// leaving out `b[j]`.
    fn advance(&mut self, byte: u8, mut longer_without_byte: impl FnMut(usize)) {
        let mut diagonal = 0;
        let mut left = 0;
        for (j, (length, other)) in self.lengths[1..].iter_mut().zip(self.b).enumerate() {
            let above = *length;
            if byte == *other {
                *length = diagonal + 1;
            } else if above > left {
                longer_without_byte(j);
            } else {
                *length = left;
            }
            (diagonal, left) = (above, *length);
        }
    }

    fn last(&self) -> usize {
        self.lengths.last().copied().unwrap_or(0)
    }
}

/// Where to step back on the way from the ends to the starts.
struct StepTable {
    bits: Vec<u64>,
    words_per_row: usize,
    len: usize,
}

impl StepTable {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let words_per_row = b.len().div_ceil(64);
        let mut bits = vec![0; words_per_row * a.len()];
        let mut row = LengthRow::new(b);
        if words_per_row > 0 {
            for (byte, row_bits) in a.iter().zip(bits.chunks_exact_mut(words_per_row)) {
                row.advance(*byte, |j| row_bits[j / 64] |= 1 << (j % 64));
            }
        }
        Self { bits, words_per_row, len: row.last() }
    }

    fn shortens_a(&self, i: usize, j: usize) -> bool {
        (self.bits[i * self.words_per_row + j / 64] >> (j % 64)) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(a: &str, b: &str) -> String {
        String::from_utf8(lcs(a.as_bytes(), b.as_bytes()).text).unwrap()
    }

    #[test]
    fn the_example_of_the_documentation() {
        let found = lcs(b"ohmytext", b"mynewtext");
        assert_eq!(found.text, b"mytext");
        assert_eq!(
            found.matches,
            [
                Match { a_start: 4, a_end: 7, b_start: 5, b_end: 8 },
                Match { a_start: 2, a_end: 3, b_start: 0, b_end: 1 },
            ]
        );
        assert_eq!(found.matches[0].len(), 4);
    }

    #[test]
    fn nothing_in_common_is_empty() {
        for (a, b) in [("", ""), ("a", ""), ("", "a"), ("abc", "xyz")] {
            assert_eq!(lcs(a.as_bytes(), b.as_bytes()), Lcs { text: vec![], matches: vec![] });
            assert_eq!(lcs_len(a.as_bytes(), b.as_bytes()), 0);
        }
    }

    #[test]
    fn ties_go_the_way_of_redis() {
        for (a, b, expected) in [
            ("ab", "ba", "b"),
            ("accabcab", "bdabbabbb", "abab"),
            ("adcabbcb", "bbcadbacc", "bbcb"),
            ("daacbbdc", "acbacaabc", "acbbc"),
            ("dcdadaab", "cdbbdcdbc", "cddb"),
            ("bdacacdd", "dbaabdcdb", "daadd"),
            ("bbdcadba", "aabbabbca", "bbaba"),
            ("abcddcba", "adbdcaaaa", "addca"),
            ("aaabccaa", "bbadccbcb", "bcc"),
            ("bcbdddab", "dcbcbcdcb", "bcbdb"),
            ("cbcdddbd", "dcacacddb", "ccddb"),
        ] {
            assert_eq!(text(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_run_spans_the_words_of_a_row() {
        let a = b"0123456789".repeat(20);
        let found = lcs(&a, &a);
        assert_eq!(found.text, a);
        assert_eq!(found.matches, [Match { a_start: 0, a_end: 199, b_start: 0, b_end: 199 }]);
    }

    #[test]
    fn matches_spell_the_text_backwards() {
        let mut state: u64 = 3;
        let mut letters = |count: u64| -> Vec<u8> {
            (0..count)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    b'a' + (state >> 60) as u8 % 4
                })
                .collect()
        };
        for round in 0..300 {
            let (a, b) = (letters(round % 90), letters(round * 7 % 130));
            let found = lcs(&a, &b);
            let parts: Vec<&[u8]> =
                found.matches.iter().rev().map(|run| &a[run.a_start..=run.a_end]).collect();
            let same: Vec<&[u8]> =
                found.matches.iter().rev().map(|run| &b[run.b_start..=run.b_end]).collect();
            assert_eq!(parts, same);
            assert_eq!(parts.concat(), found.text);
            assert_eq!(found.text.len(), lcs_len(&a, &b));
            assert_eq!(found.text.len(), lcs_len(&b, &a));
        }
    }
}

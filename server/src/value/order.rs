//! Bringing elements into an order, by numbers or by texts, and only the part of it that is wanted.
//!
//! What decides on an element's place is brought down to one number first, so that most comparisons
//! look at nothing else. Where the numbers and texts come from is not known here.

use std::cmp::Ordering;
use std::ops::Range;

use super::Text;
use super::number::parse_double;
use super::string::LONGEST_INTEGER;

/// Which way an order goes, and which part of it is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) is_descending: bool,
    pub(crate) part: Range<usize>,
}

/// How much of a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// What C takes for the text.
    UpToZero,
}

/// The place of an element before it is moved, and what decides on where it goes. Where ranks
/// differ, their order is the one that is looked for.
#[derive(Clone, Copy)]
struct Ranked {
    rank: u64,
    place: usize,
}

impl Order {
    /// Orders elements by numbers, of which there is one for each. Those of equal numbers are
    /// ordered by their bytes.
    pub(crate) fn by_numbers<'t>(&self, elements: &[Text<'t>], numbers: &[f64]) -> Vec<Text<'t>> {
        let ranks = numbers.iter().map(|&number| number_rank(number));
        let compare_equal =
            |one: usize, other: usize| compare(elements[one], elements[other], Extent::Whole);
        self.arrange(elements, ranks, compare_equal)
    }

    /// Orders elements by the texts of their places, those without one first. Elements of equal
    /// texts keep their order, whichever way it goes.
    pub(crate) fn by_texts<'t, 'w>(
        &self,
        elements: &[Text<'t>],
        extent: Extent,
        text: impl Fn(usize) -> Option<Text<'w>>,
    ) -> Vec<Text<'t>> {
        let ranks = (0..elements.len()).map(|place| {
            text(place)
                .map_or(0, |text| text_rank(extent.of(text.bytes(&mut [0; LONGEST_INTEGER]))))
        });
        let compare_equal = |one: usize, other: usize| match (text(one), text(other)) {
            (Some(one), Some(other)) => compare(one, other, extent),
            (one, other) => one.is_some().cmp(&other.is_some()),
        };
        self.arrange(elements, ranks, compare_equal)
    }

    /// The wanted part of the elements in their order. Elements of equal rank are compared by
    /// their places in `elements`.
    fn arrange<'t>(
        &self,
        elements: &[Text<'t>],
        ranks: impl Iterator<Item = u64>,
        compare_equal: impl Fn(usize, usize) -> Ordering,
    ) -> Vec<Text<'t>> {
        let compare = |one: &Ranked, other: &Ranked| {
            let upward = one.rank.cmp(&other.rank);
            let upward = upward.then_with(|| compare_equal(one.place, other.place));
            let directed = if self.is_descending { upward.reverse() } else { upward };
            directed.then(one.place.cmp(&other.place))
        };
        let mut ranked: Vec<_> =
            ranks.enumerate().map(|(place, rank)| Ranked { rank, place }).collect();
        let part = sort_part(&mut ranked, self.part.clone(), compare);
        part.iter().map(|ranked| elements[ranked.place]).collect()
    }
}

/// Sorts as much as it takes to know what is in this part of the order, and gives that.
fn sort_part<T>(
    items: &mut [T],
    part: Range<usize>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> &mut [T] {
    if part.is_empty() {
        return &mut [];
    }
    if part.end < items.len() {
        items.select_nth_unstable_by(part.end, &compare);
    }
    let items = &mut items[..part.end];
    if part.start > 0 {
        items.select_nth_unstable_by(part.start, &compare);
    }
    let wanted = &mut items[part.start..];
    wanted.sort_unstable_by(compare);
    wanted
}

impl Extent {
    fn of(self, text: &[u8]) -> &[u8] {
        match self {
            Extent::Whole => text,
            Extent::UpToZero => up_to_zero(text),
        }
    }
}

/// What of a text comes before its first zero byte.
pub(crate) fn up_to_zero(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    &text[..end]
}

fn compare(one: Text<'_>, other: Text<'_>, extent: Extent) -> Ordering {
    let (mut digits, mut other_digits) = ([0; LONGEST_INTEGER], [0; LONGEST_INTEGER]);
    extent.of(one.bytes(&mut digits)).cmp(extent.of(other.bytes(&mut other_digits)))
}

/// A number that is larger the larger the other is. Both zeros have the same.
fn number_rank(number: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    // A negative zero becomes the other one.
    let bits = (number + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The first bytes as a number. As far as it differs, texts differ in the same way.
fn text_rank(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = text.len().min(first.len());
    first[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(first)
}

/// What a text is worth as a number: it ends at a zero byte, nothing is zero, and hexadecimal
/// digits are none.
pub(crate) fn weight(text: Text<'_>) -> Option<f64> {
    if let Text::Integer(integer) = text {
        return Some(integer as f64);
    }
    match up_to_zero(text.bytes(&mut [0; LONGEST_INTEGER])) {
        b"" => Some(0.0),
        text if text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'x')) => None,
        text => parse_double(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn order(is_descending: bool, part: Range<usize>) -> Order {
        Order { is_descending, part }
    }

    fn texts<'t>(words: &[&'t str]) -> Vec<Text<'t>> {
        words.iter().map(|word| Text::new(word.as_bytes())).collect()
    }

    fn joined(elements: &[Text<'_>]) -> String {
        let words = elements.iter().map(|&element| element.to_bytes());
        words.map(|word| String::from_utf8(word.into()).unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_part_is_what_a_whole_order_has_there() {
        let random = Random::seeded(1);
        for length in 0..60 {
            let items: Vec<(usize, usize)> = (0..length).map(|at| (random.below(20), at)).collect();
            let mut whole = items.clone();
            whole.sort_unstable();
            for start in 0..=length {
                for end in start..=length {
                    let mut items = items.clone();
                    let part = sort_part(&mut items, start..end, Ord::cmp);
                    assert_eq!(part, &whole[start..end]);
                }
            }
        }
    }

    #[test]
    fn numbers_have_the_order_of_their_ranks() {
        let ascending =
            [f64::NEG_INFINITY, f64::MIN, -1.5, -5e-324, 0.0, 5e-324, 1.5, f64::MAX, f64::INFINITY];
        assert!(ascending.is_sorted_by(|&one, &other| number_rank(one) < number_rank(other)));
        assert_eq!(number_rank(-0.0), number_rank(0.0));
    }

    #[test]
    fn elements_of_equal_numbers_are_ordered_by_bytes_both_ways() {
        let elements = texts(&["1.0", "2", "1", "01", "10"]);
        let numbers: Vec<f64> = elements.iter().map(|&element| weight(element).unwrap()).collect();
        let by = |order: Order| joined(&order.by_numbers(&elements, &numbers));
        assert_eq!(by(order(false, 0..5)), "01 1 1.0 2 10");
        assert_eq!(by(order(true, 0..5)), "10 2 1.0 1 01");
        assert_eq!(by(order(true, 1..3)), "2 1.0");
    }

    #[test]
    fn elements_of_equal_texts_stay_as_they_are_both_ways() {
        let elements = texts(&["c", "a", "d", "b"]);
        let weights = [Some("x"), Some("x"), None, Some("longer than a rank")];
        let text = |place: usize| weights[place].map(|weight| Text::new(weight.as_bytes()));
        let by = |order: Order| joined(&order.by_texts(&elements, Extent::Whole, text));
        assert_eq!(by(order(false, 0..4)), "d b c a");
        assert_eq!(by(order(true, 0..4)), "c a b d");
    }

    #[test]
    fn texts_are_compared_whole_or_up_to_a_zero_byte() {
        let elements = texts(&["a\0b", "a\0a", "12345678b", "12345678a", "a", "9", "10", ""]);
        let text = |place: usize| Some(elements[place]);
        let by = |extent| joined(&order(false, 0..8).by_texts(&elements, extent, text));
        assert_eq!(by(Extent::Whole), " 10 12345678a 12345678b 9 a a\0a a\0b");
        assert_eq!(by(Extent::UpToZero), " 10 12345678a 12345678b 9 a\0b a\0a a");
    }

    #[test]
    fn texts_are_worth_what_they_say() {
        for (text, expected) in [
            ("-12", Some(-12.0)),
            ("+1.5e1", Some(15.0)),
            ("inf", Some(f64::INFINITY)),
            ("1e-310", Some(1e-310)),
            ("", Some(0.0)),
            ("\x00x", Some(0.0)),
            ("1\x00x", Some(1.0)),
            ("9007199254740993", Some(9_007_199_254_740_992.0)),
            ("0x10", None),
            ("0X1P1", None),
            (" 1", None),
            ("1 ", None),
            ("nan", None),
            ("1e400", None),
        ] {
            assert_eq!(weight(Text::new(text.as_bytes())), expected, "{text:?}");
        }
    }
}

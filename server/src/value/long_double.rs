//! The 80-bit floating point numbers that Redis adds with, whatever machine this runs on.
//!
//! INCRBYFLOAT and HINCRBYFLOAT compute in C's `long double`, which is x87 extended precision where
//! Redis usually runs: 64 bits of mantissa, 15 of exponent, denormals, round to nearest with ties
//! to even. Every step here is exact until its one rounding: reading a decimal, adding, printing.
//!
//! This module knows nothing of commands: what Redis refuses to parse is `None`, and what becomes
//! of an infinity or a NaN is up to the caller.

use std::cmp::Ordering;
use std::fmt::Write;

use super::number::{FloatDigits, FloatText, Magnitude, round_shifted};

/// The weight of a mantissa's lowest bit is two to the power of an exponent between these.
const LOWEST_EXPONENT: i64 = -16_445;
const HIGHEST_EXPONENT: i64 = 16_320;
/// Redis copies a number into a buffer of 5 KiB before it parses it.
const LONGEST_TEXT: usize = 5 * 1024 - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    negative: bool,
    kind: Kind,
}

/// A finite mantissa has its top bit set, unless the exponent is already the lowest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Finite { mantissa: u64, exponent: i64 },
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// Reads what `strtold` takes whole. NaN, overflow and a number that vanishes to zero are
    /// refused; `inf` is not.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST_TEXT {
            return None;
        }
        let float = FloatText::scan(text)?;
        let (digits, (mantissa, exponent)) = match float.magnitude {
            Magnitude::Infinity => {
                return Some(Self { negative: float.negative, kind: Kind::Infinite });
            }
            Magnitude::Decimal(digits) => (digits, decimal_significand(digits)?),
            Magnitude::Hexadecimal(digits) => (digits, digits.significand()),
        };
        let number = Self::rounded(float.negative, mantissa, exponent);
        let in_range = !number.is_infinite() && (!number.is_zero() || digits.is_zero());
        in_range.then_some(number)
    }

    pub(crate) fn is_nan(self) -> bool {
        self.kind == Kind::NotANumber
    }

    pub(crate) fn is_infinite(self) -> bool {
        self.kind == Kind::Infinite
    }

    fn is_zero(self) -> bool {
        matches!(self.kind, Kind::Finite { mantissa: 0, .. })
    }

    /// The sum, rounded once. Opposite infinities make a NaN.
    #[must_use]
    pub(crate) fn add(self, other: Self) -> Self {
        match (self.kind, other.kind) {
            (Kind::Finite { exponent: left, .. }, Kind::Finite { exponent: right, .. }) => {
                if left >= right {
                    self.add_lower(other, left - right)
                } else {
                    other.add_lower(self, right - left)
                }
            }
            (Kind::NotANumber, _) | (Kind::Infinite, Kind::Finite { .. }) => self,
            (Kind::Infinite, Kind::Infinite) if self.negative != other.negative => {
                Self { negative: false, kind: Kind::NotANumber }
            }
            (_, Kind::Infinite | Kind::NotANumber) => other,
        }
    }

    /// Adds a finite number whose exponent is lower by `distance`.
    fn add_lower(self, lower: Self, distance: i64) -> Self {
        // One bit stays free for the carry, and those below the mantissas decide the rounding.
        const GUARD_BITS: u32 = 63;
        let (Kind::Finite { mantissa: high, exponent }, Kind::Finite { mantissa: low, .. }) =
            (self.kind, lower.kind)
        else {
            return self;
        };
        let high = u128::from(high) << GUARD_BITS;
        let low = shift_right_sticky(u128::from(low) << GUARD_BITS, distance.unsigned_abs());
        let (negative, sum) = if self.negative == lower.negative {
            (self.negative, high + low)
        } else {
            match high.cmp(&low) {
                Ordering::Greater => (self.negative, high - low),
                Ordering::Equal => (false, 0),
                Ordering::Less => (lower.negative, low - high),
            }
        };
        Self::rounded(negative, sum, exponent - i64::from(GUARD_BITS))
    }

    /// `value * 2^exponent`, rounded to the nearest number there is, ties to even.
    fn rounded(negative: bool, value: u128, exponent: i64) -> Self {
        let width = i64::from(u128::BITS - value.leading_zeros());
        if value == 0 {
            return Self {
                negative,
                kind: Kind::Finite { mantissa: 0, exponent: LOWEST_EXPONENT },
            };
        }
        let mut kept_exponent = exponent.saturating_add(width - 64).max(LOWEST_EXPONENT);
        let dropped = kept_exponent.saturating_sub(exponent);
        let mut kept = if dropped <= 0 {
            value << dropped.unsigned_abs().min(64)
        } else {
            round_shifted(value, dropped.unsigned_abs())
        };
        if kept >> 64 != 0 {
            kept >>= 1;
            kept_exponent += 1;
        }
        let kind = if kept_exponent > HIGHEST_EXPONENT {
            Kind::Infinite
        } else {
            Kind::Finite { mantissa: kept as u64, exponent: kept_exponent }
        };
        Self { negative, kind }
    }

    /// Prints the number as Redis does: the digits of `%.17Lf` without the zeros at the end, never
    /// an exponent.
    pub(crate) fn format(self) -> String {
        let (mantissa, exponent) = match self.kind {
            Kind::NotANumber => return "nan".to_owned(),
            Kind::Infinite => return if self.negative { "-inf" } else { "inf" }.to_owned(),
            Kind::Finite { mantissa, exponent } => (mantissa, exponent),
        };
        let magnitude = if exponent < 0 {
            format_fraction(mantissa, exponent.unsigned_abs())
        } else {
            let mut integer = Natural::from(mantissa);
            integer.shift_left(exponent as usize);
            integer.into_decimal()
        };
        // What rounds to zero loses its sign.
        if self.negative && magnitude != "0" { format!("-{magnitude}") } else { magnitude }
    }
}

fn shift_right_sticky(value: u128, distance: u64) -> u128 {
    match distance {
        0 => value,
        1..=127 => (value >> distance) | u128::from(value & ((1 << distance) - 1) != 0),
        _ => u128::from(value != 0),
    }
}

/// `mantissa / 2^shift` with at most 17 digits after the point.
fn format_fraction(mantissa: u64, shift: u64) -> String {
    const UNIT: u128 = 100_000_000_000_000_000;
    let scaled = round_shifted(u128::from(mantissa) * UNIT, shift);
    let (integer, fraction) = (scaled / UNIT, scaled % UNIT);
    if fraction == 0 {
        return integer.to_string();
    }
    let fraction = format!("{fraction:017}");
    format!("{integer}.{}", fraction.trim_end_matches('0'))
}

/// A decimal as `mantissa * 2^exponent`, where the mantissa is wide enough to be rounded correctly
/// from here. `None` stands for what is far out of any range.
fn decimal_significand(digits: FloatDigits<'_>) -> Option<(u128, i64)> {
    // Powers of ten that no long double comes near, with room for the digits in front of them.
    const RANGE: std::ops::RangeInclusive<i64> = -5000..=5000;
    let end = |zeros: usize| digits.integer.len() + digits.fraction.len() - zeros;
    let trailing_zeros = digits
        .fraction
        .iter()
        .rev()
        .chain(digits.integer.iter().rev())
        .take_while(|digit| **digit == b'0')
        .count();
    let leading_zeros = end(0) - digits.significant().count();
    let count = end(trailing_zeros).saturating_sub(leading_zeros);
    if count == 0 {
        return Some((0, 0));
    }
    let power = digits.exponent - digits.fraction.len() as i64 + trailing_zeros as i64;
    if !RANGE.contains(&(power + count as i64)) {
        return None;
    }
    let significant = digits.significant().take(count);
    if count <= 19 && (-19..=0).contains(&power) {
        let numerator = significant.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
        return Some(divide_words(numerator, 10u64.pow(power.unsigned_abs() as u32)));
    }
    let mut numerator = Natural::from_decimal(significant);
    let mut denominator = Natural::from(1);
    let scaled = if power < 0 { &mut denominator } else { &mut numerator };
    scaled.multiply_power_of_ten(power.unsigned_abs() as usize);
    Some(divide(numerator, denominator))
}

/// The quotient of two words as `mantissa * 2^exponent`. The mantissa has at least 64 bits;
/// its lowest one is set if there is a remainder.
fn divide_words(numerator: u64, denominator: u64) -> (u128, i64) {
    let (up, down) = (numerator.leading_zeros(), denominator.leading_zeros());
    let dividend = u128::from(numerator << up) << 64;
    let divisor = u128::from(denominator << down);
    // The quotient may be no wider than a mantissa: two more bits of it decide the rounding.
    let below = (dividend % divisor) << 2;
    let sticky = u128::from(below % divisor != 0);
    let quotient = ((dividend / divisor) << 2) | (below / divisor);
    ((quotient << 1) | sticky, i64::from(down) - i64::from(up) - 67)
}

/// The same for numbers of any size.
fn divide(mut numerator: Natural, mut denominator: Natural) -> (u128, i64) {
    const STEPS: i64 = 68;
    let shift = denominator.width() as i64 - numerator.width() as i64;
    if shift > 0 {
        numerator.shift_left(shift as usize);
    } else {
        denominator.shift_left(shift.unsigned_abs() as usize);
    }
    let mut quotient: u128 = 0;
    for _ in 0..STEPS {
        quotient <<= 1;
        if numerator.compare(&denominator).is_ge() {
            numerator.subtract(&denominator);
            quotient |= 1;
        }
        numerator.shift_left(1);
    }
    ((quotient << 1) | u128::from(numerator.width() != 0), -shift - STEPS)
}

/// An integer of any size, lowest word first, without zeros on top.
struct Natural {
    words: Vec<u64>,
}

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        let mut natural = Self { words: vec![value] };
        natural.trim();
        natural
    }
}

impl Natural {
    /// The largest power of ten in a word, and its number of zeros.
    const TEN_POWER: u64 = 10_000_000_000_000_000_000;
    const TEN_ZEROS: usize = 19;

    fn from_decimal(digits: impl Iterator<Item = u8>) -> Self {
        let mut natural = Self { words: Vec::new() };
        let (mut chunk, mut scale) = (0, 1);
        for digit in digits {
            chunk = chunk * 10 + u64::from(digit - b'0');
            scale *= 10;
            if scale == Self::TEN_POWER {
                natural.multiply_add(scale, chunk);
                (chunk, scale) = (0, 1);
            }
        }
        natural.multiply_add(scale, chunk);
        natural
    }

    fn into_decimal(mut self) -> String {
        let mut chunks = Vec::new();
        while !self.words.is_empty() {
            chunks.push(self.divide_billion());
        }
        let mut text = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            write!(text, "{chunk:09}").expect("a string takes all that is written");
        }
        text
    }

    fn width(&self) -> usize {
        let top = self.words.last().map_or(0, |word| word.leading_zeros() as usize);
        self.words.len() * 64 - top
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = u128::from(summand);
        for word in &mut self.words {
            carry += u128::from(*word) * u128::from(factor);
            *word = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            self.words.push(carry as u64);
        }
    }

    fn multiply_power_of_ten(&mut self, zeros: usize) {
        for _ in 0..zeros / Self::TEN_ZEROS {
            self.multiply_add(Self::TEN_POWER, 0);
        }
        self.multiply_add(10u64.pow((zeros % Self::TEN_ZEROS) as u32), 0);
    }

    /// Divides by 10^9 and returns the remainder. Halves of words keep the division a machine's
    /// own.
    fn divide_billion(&mut self) -> u64 {
        const BILLION: u64 = 1_000_000_000;
        let mut rest = 0;
        for word in self.words.iter_mut().rev() {
            let high = (rest << 32) | (*word >> 32);
            let low = ((high % BILLION) << 32) | (*word & 0xffff_ffff);
            *word = ((high / BILLION) << 32) | (low / BILLION);
            rest = low % BILLION;
        }
        self.trim();
        rest
    }

    fn shift_left(&mut self, bits: usize) {
        let (words, bits) = (bits / 64, bits % 64);
        if bits != 0 {
            let mut carry = 0;
            for word in &mut self.words {
                let moved = (*word << bits) | carry;
                carry = *word >> (64 - bits);
                *word = moved;
            }
            if carry != 0 {
                self.words.push(carry);
            }
        }
        if words != 0 && !self.words.is_empty() {
            self.words.splice(0..0, std::iter::repeat_n(0, words));
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_words = || self.words.iter().rev().cmp(other.words.iter().rev());
        self.words.len().cmp(&other.words.len()).then_with(by_words)
    }

    /// Subtracts a number that is not larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        let subtrahends = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, subtrahend) in self.words.iter_mut().zip(subtrahends) {
            let (difference, below) = word.overflowing_sub(subtrahend);
            let (difference, below_again) = difference.overflowing_sub(u64::from(borrow));
            *word = difference;
            borrow = below || below_again;
        }
        debug_assert!(!borrow, "the subtrahend is not larger");
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> LongDouble {
        LongDouble::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn sums_are_those_of_x87() {
        for (left, right, sum) in [
            ("10.50", "0.1", "10.6"),
            ("0.1", "3", "3.1"),
            ("0.1", "0.2", "0.3"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0e3", "0", "3000"),
            ("1", "-1", "0"),
            ("-0", "-0", "0"),
            ("-1e-20", "0", "0"),
            ("1e-17", "0", "0.00000000000000001"),
            ("5.1e-18", "0", "0.00000000000000001"),
            ("4.9e-18", "0", "0"),
            ("17179869184", "1.5", "17179869185.5"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("18446744073709551616", "1.0000000001", "18446744073709551618"),
            ("18446744073709551618", "1", "18446744073709551620"),
            ("0x1p63", "0x1p-1", "9223372036854775808"),
            ("0x1p63", "0x1.8p-1", "9223372036854775809"),
            ("0x1p64", "-0x1.1p-1", "18446744073709551615"),
            ("0x1p64", "-0x1p-1", "18446744073709551616"),
            ("1e30", "0", "1000000000000000000024696061952"),
            ("1e30", "-1e30", "0"),
            ("0x1p-16445", "-0x1p-16445", "0"),
        ] {
            assert_eq!(parse(left).add(parse(right)).format(), sum, "{left} + {right}");
            assert_eq!(parse(right).add(parse(left)).format(), sum, "{right} + {left}");
        }
    }

    #[test]
    fn decimals_round_to_the_nearest_even_mantissa() {
        for (decimal, exact) in [
            ("0.1", "0xc.ccccccccccccccdp-7"),
            ("1e4932", "0xd.72cb2a95c7ef6cdp+16380"),
            ("1e-4950", "0x0.000000000000003p-16385"),
            ("-1e-20", "-0xb.ce5086492111aebp-70"),
            ("18446744073709551617", "0x1p64"),
            ("18446744073709551619", "0x1.0000000000000004p64"),
            ("9223372036854775809.5", "0x1.0000000000000004p63"),
            ("9223372036854775808.5", "0x1p63"),
            ("36893488147419103233", "0x1p65"),
            ("1.18973149535723176502e+4932", "0x1.fffffffffffffffep16383"),
            ("3.6e-4951", "0x1p-16445"),
            ("1.9e-4951", "0x1p-16445"),
            ("000000000000000000000000000001000e-3", "1"),
        ] {
            assert_eq!(parse(decimal), parse(exact), "{decimal}");
        }
    }

    #[test]
    fn a_mark_far_to_the_right_breaks_a_tie() {
        let zeros = "0".repeat(4900);
        assert_eq!(parse(&format!("9223372036854775808.5{zeros}1")), parse("9223372036854775809"));
        assert_eq!(parse(&format!("9223372036854775808.5{zeros}0")), parse("9223372036854775808"));
        assert_eq!(
            parse(&format!("0x1.0000000000000001{zeros}1p63")),
            parse("9223372036854775809")
        );
        assert_eq!(
            parse(&format!("0x1.0000000000000001{zeros}0p63")),
            parse("9223372036854775808")
        );
        assert_eq!(parse(&format!("0.{zeros}1e4901")), parse("1"));
        assert_eq!(parse(&format!("1{zeros}e-4900")), parse("1"));
    }

    #[test]
    fn infinities_come_through_and_nan_only_from_adding_them() {
        let (infinity, one) = (parse("inf"), parse("1"));
        assert_eq!(infinity.add(one).format(), "inf");
        assert_eq!(one.add(parse("-Infinity")).format(), "-inf");
        assert!(infinity.add(infinity).is_infinite());
        let nan = infinity.add(parse("-inf"));
        assert!(nan.is_nan() && !nan.is_infinite());
        assert!(nan.add(one).is_nan() && one.add(nan).is_nan() && infinity.add(nan).is_nan());
        assert_eq!(nan.format(), "nan");
        let largest = parse("1.18973149535723176502e+4932");
        assert!(largest.add(largest).is_infinite());
        assert_eq!(largest.add(one), largest);
        assert_eq!(largest.format().len(), 4933);
    }

    #[test]
    fn what_redis_refuses_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "1\n",
            "+",
            "-",
            ".",
            "e1",
            "1e",
            "1e+",
            "0x",
            "0x.p1",
            "0x1p",
            "nan",
            "-nan",
            "nan(1)",
            "infinit",
            "1\0",
            "1e4933",
            "-1e4933",
            "1e-4952",
            "1e999999999999999999999",
            "1e-999999999999999999999",
            "0x1p16384",
            "0x1p-16446",
            "1.2e4932",
            "--1",
            "1,0",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert!(LongDouble::parse(&b"1".repeat(LONGEST_TEXT + 1)).is_none());
        assert!(LongDouble::parse(&b"0".repeat(LONGEST_TEXT + 1)).is_none());
        assert!(LongDouble::parse(&b"0".repeat(LONGEST_TEXT)).is_some());
        assert_eq!(parse("0e99999999999999999999").format(), "0");
    }

    #[test]
    fn what_is_printed_reads_back_when_it_is_whole() {
        let mut state: u64 = 7;
        for _ in 0..2000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mantissa = state | (1 << 63);
            let number = parse(&format!("0x{mantissa:x}p{}", (state >> 20) & 0x1fff));
            assert_eq!(parse(&number.format()), number);
        }
    }
}

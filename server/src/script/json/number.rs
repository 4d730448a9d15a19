//! Numbers in JSON: written like C's `%.14g`, read like C's `strtod`, in no locale.
//!
//! This module does not know which numbers JSON allows.

use std::fmt;
use std::io::{self, Write as _};

use crate::value::number::{format_integer, parse_double};

/// Appends a finite number with so many significant digits, at most 14.
pub(super) fn append(output: &mut Vec<u8>, number: f64, precision: usize) {
    let whole = number as i64;
    let is_whole = (whole as f64).to_bits() == number.to_bits();
    if is_whole && whole.unsigned_abs() < 10_u64.pow(precision as u32) {
        output.extend_from_slice(format_integer(whole, &mut [0; 20]));
    } else {
        append_decimal(output, number, precision);
    }
}

/// Like `append`, for any number.
fn append_decimal(output: &mut Vec<u8>, number: f64, precision: usize) {
    let magnitude = number.abs();
    // The fewest digits that tell a number from all others are also those nearest to it, unless
    // they are too many. Numbers next to zero lie too far apart for that.
    let mut decimal = Decimal::new(format_args!("{magnitude:e}"));
    if decimal.count > precision || magnitude < f64::MIN_POSITIVE {
        decimal = Decimal::new(format_args!("{magnitude:.*e}", precision - 1));
    }
    if number.is_sign_negative() {
        output.push(b'-');
    }
    let (digits, exponent) = (decimal.digits(), decimal.exponent);
    if exponent < -4 || exponent >= precision as i32 {
        append_scientific(output, digits, exponent);
    } else {
        append_plain(output, digits, exponent);
    }
}

/// `d.ddd` times ten to the exponent, without zeros at the end.
struct Decimal {
    digits: [u8; Self::MOST_DIGITS],
    count: usize,
    exponent: i32,
}

impl Decimal {
    const MOST_DIGITS: usize = 17;

    /// Takes Rust's own scientific notation apart.
    fn new(text: fmt::Arguments) -> Self {
        let mut buffer = [0; 32];
        let mut cursor = io::Cursor::new(&mut buffer[..]);
        cursor.write_fmt(text).expect("seventeen digits and an exponent fit 32 bytes");
        let length = cursor.position() as usize;
        let text = &buffer[..length];
        let mantissa = count_while(text, |byte| *byte != b'e');
        let mut decimal = Self {
            digits: [0; Self::MOST_DIGITS],
            count: 0,
            exponent: exponent_value(&text[mantissa + 1..]),
        };
        for digit in text[..mantissa].iter().filter(|byte| **byte != b'.') {
            decimal.digits[decimal.count] = *digit;
            decimal.count += 1;
        }
        while decimal.count > 1 && decimal.digits[decimal.count - 1] == b'0' {
            decimal.count -= 1;
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.count]
    }
}

/// Digits behind a sign, which may be missing.
fn exponent_value(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    if negative { -magnitude } else { magnitude }
}

fn append_scientific(output: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    output.push(digits[0]);
    if digits.len() > 1 {
        output.push(b'.');
        output.extend_from_slice(&digits[1..]);
    }
    output.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 {
        output.push(b'0');
    }
    output.extend_from_slice(format_integer(i64::from(exponent.abs()), &mut [0; 20]));
}

fn append_plain(output: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let Ok(exponent) = usize::try_from(exponent) else {
        output.extend_from_slice(b"0.");
        output.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        output.extend_from_slice(digits);
        return;
    };
    let (whole, fraction) = digits.split_at(digits.len().min(exponent + 1));
    output.extend_from_slice(whole);
    output.extend(std::iter::repeat_n(b'0', exponent + 1 - whole.len()));
    if !fraction.is_empty() {
        output.push(b'.');
        output.extend_from_slice(fraction);
    }
}

/// Reads the longest number that a text begins with, and its length; `None` if there is none.
pub(super) fn parse_prefix(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let unsigned = &text[sign..];
    let (magnitude, length) = match unsigned {
        [b'0', b'x' | b'X', ..] => hexadecimal(unsigned),
        [b'i' | b'I' | b'n' | b'N', ..] => named(unsigned)?,
        _ => decimal(unsigned)?,
    };
    let negative = text.first() == Some(&b'-');
    Some((if negative { -magnitude } else { magnitude }, sign + length))
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    /// So many digits always fit a double's mantissa.
    const EXACT_DIGITS: usize = 15;
    let digits = count_while(text, u8::is_ascii_digit);
    if (1..=EXACT_DIGITS).contains(&digits) && !matches!(text.get(digits), Some(b'.' | b'e' | b'E'))
    {
        let whole = text[..digits].iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        return Some((whole as f64, digits));
    }
    let length = scan(text, u8::is_ascii_digit, b'e')?;
    let number = str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((number, length))
}

/// What follows `0x` has to be a number; otherwise the zero alone is one.
fn hexadecimal(text: &[u8]) -> (f64, usize) {
    let Some(length) = scan(&text[2..], u8::is_ascii_hexdigit, b'p') else { return (0.0, 1) };
    let text = &text[..2 + length];
    (parse_double(text).unwrap_or_else(|| beyond_doubles(text)), text.len())
}

/// The double nearest to a hexadecimal number that is too great or too small to have one.
fn beyond_doubles(text: &[u8]) -> f64 {
    /// Far beyond any double, and any text's length.
    const LIMIT: i64 = 1 << 58;
    let letter = text.iter().position(|byte| byte | 0x20 == b'p').unwrap_or(text.len());
    let (digits, exponent) = (&text[2..letter], &text[letter..]);
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let first = digits.iter().position(|byte| !matches!(byte, b'0' | b'.')).unwrap_or_default();
    let magnitude = exponent
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit - b'0')).min(LIMIT));
    let exponent = if exponent.get(1) == Some(&b'-') { -magnitude } else { magnitude };
    // A thousand bits lie between the two, so that the first digit's own place is near enough.
    if exponent + 4 * (point as i64 - first as i64) > 0 { f64::INFINITY } else { 0.0 }
}

fn named(text: &[u8]) -> Option<(f64, usize)> {
    let begins_with =
        |name: &[u8]| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if begins_with(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins_with(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    begins_with(b"nan").then(|| (f64::NAN, 3 + tag_length(&text[3..])))
}

/// The length of `(tag)`, which may follow `nan`.
fn tag_length(text: &[u8]) -> usize {
    let [b'(', tag @ ..] = text else { return 0 };
    let length = count_while(tag, |byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if tag.get(length) == Some(&b')') { length + 2 } else { 0 }
}

/// The length of `digits.digits` with an exponent, if there is one; one digit has to be there.
fn scan(text: &[u8], is_digit: fn(&u8) -> bool, exponent_letter: u8) -> Option<usize> {
    let whole = count_while(text, is_digit);
    let mut length = whole;
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        fraction = count_while(&text[whole + 1..], is_digit);
        length += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    Some(length + exponent_length(&text[length..], exponent_letter))
}

/// The length of an exponent; none without digits.
fn exponent_length(text: &[u8], letter: u8) -> usize {
    let Some((first, rest)) = text.split_first() else { return 0 };
    if first | 0x20 != letter {
        return 0;
    }
    let sign = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
    let digits = count_while(&rest[sign..], u8::is_ascii_digit);
    if digits == 0 { 0 } else { 1 + sign + digits }
}

fn count_while(text: &[u8], fits: impl Fn(&u8) -> bool) -> usize {
    text.iter().position(|byte| !fits(byte)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(number: f64, precision: usize) -> String {
        let mut output = Vec::new();
        append(&mut output, number, precision);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333"),
            (2.0 / 3.0, "0.66666666666667"),
            (99_999_999_999_999.0, "99999999999999"),
            (100_000_000_000_000.0, "1e+14"),
            (99_999_999_999_999.9, "1e+14"),
            (123_456_789.123_456_79, "123456789.12346"),
            (1e15, "1e+15"),
            (9_007_199_254_740_992.0, "9.007199254741e+15"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-1.25e-7, "-1.25e-07"),
            (1e100, "1e+100"),
            (1e-300, "1e-300"),
            (5e-324, "4.9406564584125e-324"),
            (f64::MIN_POSITIVE, "2.2250738585072e-308"),
            (f64::MAX, "1.7976931348623e+308"),
        ] {
            assert_eq!(written(number, 14), text);
        }
        for (number, precision, text) in [
            (123.0, 1, "1e+02"),
            (0.05, 1, "0.05"),
            (2.5, 1, "2"),
            (3.5, 1, "4"),
            (0.125, 2, "0.12"),
            (999.5, 3, "1e+03"),
            (999.0, 3, "999"),
            (1000.0, 3, "1e+03"),
            (-1.0 / 3.0, 3, "-0.333"),
            (5e-324, 1, "5e-324"),
        ] {
            assert_eq!(written(number, precision), text);
        }
    }

    #[test]
    fn fewest_digits_are_the_nearest_ones() {
        let mut state: u64 = 7;
        for _ in 0..50_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let magnitude = (state >> 34) as f64 / 10_f64.powi((state >> 20) as i32 % 20);
            let fewest = Decimal::new(format_args!("{magnitude:e}"));
            let nearest = Decimal::new(format_args!("{magnitude:.13e}"));
            if fewest.count <= 14 {
                assert_eq!(fewest.digits(), nearest.digits(), "{magnitude:e}");
                assert_eq!(fewest.exponent, nearest.exponent, "{magnitude:e}");
            }
        }
    }

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        for (text, number, length) in [
            ("0", 0.0, 1),
            ("+7", 7.0, 2),
            ("012]", 12.0, 3),
            ("1.", 1.0, 2),
            ("1.5.5", 1.5, 3),
            ("1e5,", 1e5, 3),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("1E-2x", 0.01, 4),
            ("-.5", -0.5, 3),
            ("123456789012345", 123_456_789_012_345.0, 15),
            ("9007199254740993", 9_007_199_254_740_992.0, 16),
            ("1e400", f64::INFINITY, 5),
            ("-1e400", f64::NEG_INFINITY, 6),
            ("1e-400", 0.0, 6),
            ("0x10", 16.0, 4),
            ("-0X.8p1", -1.0, 7),
            ("0x", 0.0, 1),
            ("0x.", 0.0, 1),
            ("0xg", 0.0, 1),
            ("0x1p", 1.0, 3),
            ("0x1p99999999999999999999", f64::INFINITY, 24),
            ("0x1p-99999999999999999999", 0.0, 25),
            ("0x0p99999", 0.0, 9),
            ("inf", f64::INFINITY, 3),
            ("-Infinity", f64::NEG_INFINITY, 9),
            ("infinit", f64::INFINITY, 3),
        ] {
            assert_eq!(parse_prefix(text.as_bytes()), Some((number, length)), "{text}");
        }
        for (text, expected) in
            [("nan", 3), ("-NaN", 4), ("nan(a_1)", 8), ("nan()", 5), ("nan(-)", 3), ("nan(1", 3)]
        {
            let (number, length) = parse_prefix(text.as_bytes()).unwrap();
            assert!(number.is_nan() && length == expected, "{text}");
            assert_eq!(number.is_sign_negative(), text.starts_with('-'), "{text}");
        }
        for text in ["", "-", "+", "--1", "-+1", ".", "e5", "in", "na", "x", " 1", "-e"] {
            assert_eq!(parse_prefix(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_numbers_beyond_doubles_vanish_or_overflow() {
        let zeros = "0".repeat(2000);
        for (text, number) in [
            (format!("0x0.{zeros}1p3000"), 0.0),
            (format!("0x0.{zeros}1p8004"), 1.0),
            (format!("0x0.{zeros}1p12000"), f64::INFINITY),
            (format!("0x1{zeros}p-8000"), 1.0),
            (format!("0x1{zeros}p-12000"), 0.0),
            (format!("0x1{zeros}"), f64::INFINITY),
        ] {
            assert_eq!(parse_prefix(text.as_bytes()), Some((number, text.len())), "{text}");
        }
    }
}

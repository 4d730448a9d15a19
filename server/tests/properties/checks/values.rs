//! Numbers: what is written can be read again, and nothing else is taken.

use redlet::fuzzing;

pub fn check_integer(integer: i64) {
    let text = fuzzing::format_integer(integer);
    assert_eq!(text, integer.to_string().into_bytes());
    assert_eq!(fuzzing::parse_integer(&text), Some(integer));
}

/// An integer has one spelling only.
pub fn check_integer_text(text: &[u8]) {
    let parsed = fuzzing::parse_integer(text);
    let canonical = std::str::from_utf8(text).ok().and_then(|text| {
        let integer: i64 = text.parse().ok()?;
        (integer.to_string() == text).then_some(integer)
    });
    assert_eq!(parsed, canonical, "{}", text.escape_ascii());
}

pub fn check_double(double: f64) {
    let text = fuzzing::format_double(double);
    if double.is_nan() {
        assert_eq!(text, "nan");
        assert_eq!(fuzzing::parse_double(text.as_bytes()), None);
        return;
    }
    let parsed = fuzzing::parse_double(text.as_bytes());
    assert_eq!(parsed.map(f64::to_bits), Some(double.to_bits()), "{text}");
}

pub fn check_double_text(text: &[u8]) {
    let Some(parsed) = fuzzing::parse_double(text) else { return };
    assert!(!parsed.is_nan());
    check_double(parsed);
    let unsigned = text.trim_ascii_start();
    assert_eq!(unsigned.len(), text.len(), "no spaces in front");
    if let Some(expected) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok())
    {
        assert_eq!(parsed.to_bits(), expected.to_bits(), "{}", text.escape_ascii());
    }
}

/// What INCRBYFLOAT prints is read as a number that prints the same.
pub fn check_long_double_text(text: &[u8]) {
    let Some(printed) = fuzzing::print_long_double(text) else { return };
    assert!(!printed.contains(['e', 'E']), "{printed} has no exponent");
    if printed.len() < 5000 {
        let again = fuzzing::print_long_double(printed.as_bytes());
        assert_eq!(again.as_ref(), Some(&printed), "{}", text.escape_ascii());
        let with_zero = fuzzing::add_long_doubles(printed.as_bytes(), b"0");
        assert_eq!(with_zero, Some(printed));
    }
}

pub fn check_long_double_sum(one: &[u8], other: &[u8]) {
    let sum = fuzzing::add_long_doubles(one, other);
    assert_eq!(sum, fuzzing::add_long_doubles(other, one), "sums do not depend on the order");
    let both =
        fuzzing::print_long_double(one).is_some() && fuzzing::print_long_double(other).is_some();
    assert_eq!(sum.is_some(), both);
}

/// Integers of 63 bits and their sums are exact.
pub fn check_long_double_integers(one: i64, other: i64) {
    let sum = i128::from(one) + i128::from(other);
    let added = fuzzing::add_long_doubles(one.to_string().as_bytes(), other.to_string().as_bytes());
    assert_eq!(added, Some(sum.to_string()));
}

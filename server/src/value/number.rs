//! Numbers as text, by Redis's rules: what it takes for an integer or a double, and how it prints
//! them.
//!
//! An integer has one spelling only, the one `format_integer` writes, so that a value can be kept
//! as a number and given back as the text it came from. Doubles are read as C's `strtod` reads them
//! when it takes the whole text.
//!
//! This module knows nothing of errors on the wire: a text is a number or it is not.

/// Reads the only spelling of an integer that Redis accepts: no spaces, no `+`, no leading zeros,
/// no `-0`.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Nineteen digits always fit an unsigned word; only the sign decides whether they fit a signed
    // one.
    let mut magnitude: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

const DIGIT_PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[number * 2] = b'0' + (number / 10) as u8;
        pairs[number * 2 + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
};

/// The two digits of a number below 100.
pub(crate) const fn digit_pair(number: usize) -> [u8; 2] {
    [DIGIT_PAIRS[number * 2], DIGIT_PAIRS[number * 2 + 1]]
}

/// Writes `number` into the end of `buffer` and returns the part that was written.
pub(crate) fn format_integer(number: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = write_digits(number.unsigned_abs(), buffer);
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    &buffer[start..]
}

/// Writes the digits of a number up to the end of `buffer`, and says where they begin.
pub(crate) fn write_digits(mut number: u64, buffer: &mut [u8]) -> usize {
    let mut start = buffer.len();
    while number >= 100 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&DIGIT_PAIRS[pair..pair + 2]);
    }
    if number >= 10 {
        let pair = number as usize * 2;
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&DIGIT_PAIRS[pair..pair + 2]);
    } else {
        start -= 1;
        buffer[start] = b'0' + number as u8;
    }
    start
}

/// Reads a number without a sign as C's `strtoull` does where it takes the whole text, but for those
/// that read as negative integers.
pub(crate) fn parse_unsigned(text: &[u8]) -> Option<u64> {
    if let Some(integer) = parse_integer(text) {
        return u64::try_from(integer).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let begin = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let (is_negative, digits) = match &text[begin..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut number: u64 = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    let number = if is_negative { number.wrapping_neg() } else { number };
    (!digits.is_empty()).then_some(number)
}

/// Reads a double that Redis accepts: infinities yes, NaN no, and nothing that overflows or
/// vanishes to zero.
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    let float = FloatText::scan(text)?;
    let magnitude = match float.magnitude {
        Magnitude::Infinity => f64::INFINITY,
        Magnitude::Decimal(digits) => {
            let unsigned = text.strip_prefix(b"-").unwrap_or(text);
            let magnitude: f64 = str::from_utf8(unsigned).ok()?.parse().ok()?;
            in_range(magnitude, digits.is_zero())?
        }
        Magnitude::Hexadecimal(digits) => {
            let (mantissa, exponent) = digits.significand();
            in_range(scale(mantissa, exponent), digits.is_zero())?
        }
    };
    Some(if float.negative { -magnitude } else { magnitude })
}

/// Passes a magnitude on unless its text meant another number that no double can hold.
fn in_range(magnitude: f64, text_is_zero: bool) -> Option<f64> {
    (magnitude.is_finite() && (magnitude != 0.0 || text_is_zero)).then_some(magnitude)
}

/// `mantissa * 2^exponent`, rounded once to the nearest double, ties to even.
fn scale(mantissa: u128, exponent: i64) -> f64 {
    const LOWEST_EXPONENT: i64 = -1074;
    if mantissa == 0 {
        return 0.0;
    }
    let width = i64::from(u128::BITS - mantissa.leading_zeros());
    let kept_exponent = (exponent.saturating_add(width - 53)).max(LOWEST_EXPONENT);
    let dropped = kept_exponent.saturating_sub(exponent);
    let mut kept = if dropped <= 0 {
        // A mantissa this narrow is exact; both bounds above keep the shift under 53.
        (mantissa << dropped.unsigned_abs().min(64)) as u64
    } else {
        round_shifted(mantissa, dropped.unsigned_abs()) as u64
    };
    let mut kept_exponent = kept_exponent;
    if kept == 1 << 53 {
        kept >>= 1;
        kept_exponent += 1;
    }
    if kept_exponent > 971 {
        return f64::INFINITY;
    }
    // A mantissa without its top bit is a denormal, whose stored exponent is zero.
    let stored_exponent =
        if kept >> 52 == 0 { 0 } else { (kept_exponent - LOWEST_EXPONENT + 1) as u64 };
    f64::from_bits(stored_exponent << 52 | (kept & ((1 << 52) - 1)))
}

/// `value / 2^dropped`, rounded to the nearest integer, ties to even.
pub(super) fn round_shifted(value: u128, dropped: u64) -> u128 {
    match dropped {
        0 => value,
        1..=127 => {
            let (kept, rest, half) =
                (value >> dropped, value & ((1 << dropped) - 1), 1 << (dropped - 1));
            kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
        }
        128 => u128::from(value > 1 << 127),
        _ => 0,
    }
}

/// A whole text in the syntax that C's `strtod` and `strtold` share, NaN excepted: no Redis command
/// takes one.
pub(super) struct FloatText<'a> {
    pub(super) negative: bool,
    pub(super) magnitude: Magnitude<'a>,
}

pub(super) enum Magnitude<'a> {
    Infinity,
    Decimal(FloatDigits<'a>),
    Hexadecimal(FloatDigits<'a>),
}

/// `integer.fraction`, times the base to the exponent (ten for decimals, two for hexadecimals).
#[derive(Clone, Copy)]
pub(super) struct FloatDigits<'a> {
    pub(super) integer: &'a [u8],
    pub(super) fraction: &'a [u8],
    /// Saturated: far beyond any format's range, but never so far that adding a text's length
    /// overflows.
    pub(super) exponent: i64,
}

impl<'a> FloatText<'a> {
    pub(super) fn scan(text: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = split_sign(text);
        let magnitude = match unsigned {
            [b'i' | b'I', ..] => {
                let known = [&b"inf"[..], b"infinity"]
                    .iter()
                    .any(|name| unsigned.eq_ignore_ascii_case(name));
                known.then_some(Magnitude::Infinity)?
            }
            [b'0', b'x' | b'X', rest @ ..] => {
                Magnitude::Hexadecimal(FloatDigits::scan(rest, u8::is_ascii_hexdigit, b'p')?)
            }
            rest => Magnitude::Decimal(FloatDigits::scan(rest, u8::is_ascii_digit, b'e')?),
        };
        Some(Self { negative, magnitude })
    }
}

impl<'a> FloatDigits<'a> {
    fn scan(text: &'a [u8], is_digit: fn(&u8) -> bool, exponent_letter: u8) -> Option<Self> {
        let (integer, rest) = split_digits(text, is_digit);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest, is_digit),
            rest => (&[][..], rest),
        };
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [letter, rest @ ..] if letter.eq_ignore_ascii_case(&exponent_letter) => {
                scan_exponent(rest)?
            }
            _ => return None,
        };
        Some(Self { integer, fraction, exponent })
    }

    /// All digits in order, without the zeros in front.
    pub(super) fn significant(self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        self.integer.iter().chain(self.fraction).copied().skip_while(|digit| *digit == b'0')
    }

    pub(super) fn is_zero(self) -> bool {
        self.significant().next().is_none()
    }

    /// Hexadecimal digits as `mantissa * 2^exponent`. Bits past the first 120 only leave a mark in
    /// the lowest one, which is all that rounding to 64 bits or fewer needs to know of them.
    pub(super) fn significand(self) -> (u128, i64) {
        let mut mantissa: u128 = 0;
        let mut exponent = self.exponent - 4 * self.fraction.len() as i64;
        for digit in self.significant() {
            let value = u128::from(hex_value(digit));
            if mantissa >> 116 == 0 {
                mantissa = mantissa << 4 | value;
            } else {
                mantissa |= u128::from(value != 0);
                exponent += 4;
            }
        }
        (mantissa, exponent)
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a') + 10,
    }
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    }
}

fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_digit(byte)).unwrap_or(text.len());
    text.split_at(end)
}

fn scan_exponent(text: &[u8]) -> Option<i64> {
    const LIMIT: i64 = 1 << 58;
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude =
        digits.iter().fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit - b'0')).min(LIMIT));
    Some(if negative { -magnitude } else { magnitude })
}

/// Prints a double as Redis does since 7.2: few digits that read back as the same number.
///
/// Nearly always these are the fewest and the nearest. Redis finds them with the Grisu2 algorithm,
/// which misses them now and then, and so does this.
pub(crate) fn format_double(number: f64) -> String {
    // Within these bounds Redis prints whole numbers by the digits of the integer.
    const INTEGER_LIMIT: f64 = (i64::MAX / 2) as f64;
    if number.is_nan() {
        return "nan".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let magnitude = number.abs();
    if magnitude.is_infinite() {
        return format!("{sign}inf");
    }
    if magnitude <= INTEGER_LIMIT && magnitude.trunc().to_bits() == magnitude.to_bits() {
        return format!("{sign}{}", magnitude as u64);
    }
    format!("{sign}{}", ShortDigits::of(magnitude).layout())
}

/// The digits of a number and the power of ten of the last one.
struct ShortDigits {
    digits: String,
    power: i32,
}

impl ShortDigits {
    /// Chooses between plain and scientific notation.
    fn layout(self) -> String {
        // No more than these fill up a whole number.
        const MOST_ZEROS: i32 = 7;
        let Self { digits, power } = self;
        let count = digits.len() as i32;
        let exponent = power + count - 1;
        if (0..=MOST_ZEROS).contains(&power) {
            return digits + &"0".repeat(power as usize);
        }
        if power < 0 && (power > -7 || exponent.abs() < 4) {
            let whole = count + power;
            if whole <= 0 {
                return format!("0.{}{digits}", "0".repeat(whole.unsigned_abs() as usize));
            }
            let (whole, fraction) = digits.split_at(whole as usize);
            return format!("{whole}.{fraction}");
        }
        let (first, others) = digits.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        format!("{first}{point}{others}e{exponent:+}")
    }

    /// The digits of a positive finite number.
    fn of(number: f64) -> Self {
        const HIDDEN_BIT: u64 = 1 << 52;
        let stored_exponent = (number.to_bits() >> 52) as i32;
        let hidden = if stored_exponent == 0 { 0 } else { HIDDEN_BIT };
        let mantissa = number.to_bits() & (HIDDEN_BIT - 1) | hidden;
        let shift = mantissa.leading_zeros();
        let exponent = stored_exponent.max(1) - 1075 - shift as i32;
        // What lies between the middles of the ways to both neighbours reads back as the number.
        // The way down is half as long below a power of two.
        let down = if mantissa == HIDDEN_BIT { 2 } else { 1 };
        let lower = ((mantissa << down) - 1) << (shift - down);
        let upper = ((mantissa << 1) + 1) << (shift - 1);
        let power = PowerOfTen::for_exponent(exponent);
        // Each product may be off by one in its last place; what both limits lose makes up for it.
        let interval = Interval {
            number: power.scale(mantissa << shift),
            lower: power.scale(lower) + 1,
            upper: power.scale(upper) - 1,
            shift: (-(exponent + power.exponent + 64)) as u32,
        };
        let mut short = interval.digits();
        short.power -= power.power;
        short
    }
}

/// Fixed point numbers with `shift` bits after the point, between 32 and 60.
struct Interval {
    number: u64,
    lower: u64,
    upper: u64,
    shift: u32,
}

impl Interval {
    /// Writes the digits of the upper limit until what is left out fits the interval.
    fn digits(&self) -> ShortDigits {
        let Self { shift, upper, .. } = *self;
        let mut short = ShortDigits { digits: String::with_capacity(18), power: 9 };
        let (mut width, mut gap) = (upper - self.lower, upper - self.number);
        let mut whole = upper >> shift;
        let mut unit = 1_000_000_000;
        let fraction_mask = (1 << shift) - 1;
        let mut fraction = upper & fraction_mask;
        loop {
            let digit = whole / unit;
            whole %= unit;
            let rest = (whole << shift) + fraction;
            let enough = rest <= width;
            let lowered = if enough { steps_down(rest, unit << shift, width, gap) } else { 0 };
            short.push(digit, lowered);
            if enough {
                return short;
            }
            short.power -= 1;
            if unit == 1 {
                break;
            }
            unit /= 10;
        }
        loop {
            (fraction, width, gap) = (fraction * 10, width * 10, gap * 10);
            let digit = fraction >> shift;
            fraction &= fraction_mask;
            let enough = fraction < width;
            let lowered = if enough { steps_down(fraction, 1 << shift, width, gap) } else { 0 };
            short.push(digit, lowered);
            if enough {
                return short;
            }
            short.power -= 1;
        }
    }
}

impl ShortDigits {
    /// Appends a digit, lowered so many times, unless it is a zero in front.
    fn push(&mut self, digit: u64, lowered: u64) {
        if digit != 0 || !self.digits.is_empty() {
            self.digits.push(char::from(b'0' + (digit - lowered) as u8));
        }
    }
}

/// How often the last digit can be lowered by a `unit` to come nearer to the number without leaving
/// the interval. Both distances are from the upper limit: `rest` that of the digits, `gap` that of
/// the number.
fn steps_down(mut rest: u64, unit: u64, width: u64, gap: u64) -> u64 {
    let mut steps = 0;
    while rest < gap
        && width - rest >= unit
        && (rest + unit < gap || gap - rest > rest + unit - gap)
    {
        rest += unit;
        steps += 1;
    }
    steps
}

/// `10^power` as `mantissa * 2^exponent`, the mantissa rounded and with its top bit set.
#[derive(Clone, Copy)]
struct PowerOfTen {
    mantissa: u64,
    exponent: i32,
    power: i32,
}

impl PowerOfTen {
    const LOWEST: i32 = -348;
    const STEP: i32 = 8;
    const COUNT: usize = 87;

    /// The power that brings a mantissa of 64 bits with this exponent to between 32 and 60 bits
    /// after the point.
    fn for_exponent(exponent: i32) -> Self {
        // Where two powers would do, the estimate decides, so it is made just as Redis makes it.
        let estimate =
            (f64::from(-(exponent + Self::COUNT as i32)) * std::f64::consts::LOG10_2) as i32;
        let mut index = (estimate - Self::LOWEST) / Self::STEP;
        loop {
            let power = POWERS_OF_TEN[index as usize];
            match exponent + power.exponent + 64 {
                ..-60 => index += 1,
                -60..=-32 => return power,
                _ => index -= 1,
            }
        }
    }

    /// The upper half of a product with the mantissa, rounded.
    fn scale(self, value: u64) -> u64 {
        let product = u128::from(value) * u128::from(self.mantissa);
        ((product + (1 << 63)) >> 64) as u64
    }
}

static POWERS_OF_TEN: [PowerOfTen; PowerOfTen::COUNT] = powers_of_ten();

/// Goes up and down from the middle in 128 bits: what gets lost on the way does not reach the 64
/// that are kept.
const fn powers_of_ten() -> [PowerOfTen; PowerOfTen::COUNT] {
    const FACTOR: u128 = 100_000_000;
    const MIDDLE: usize = 44;
    let ten_thousand = 10_000u128;
    let mut powers = [PowerOfTen { mantissa: 0, exponent: 0, power: 0 }; PowerOfTen::COUNT];
    let (mut wide, mut exponent) = normalize(ten_thousand, 0, 0);
    let mut index = MIDDLE;
    while index < PowerOfTen::COUNT {
        powers[index] = narrow(wide, exponent, index);
        let low = (wide & (u64::MAX as u128)) * FACTOR;
        let high = (wide >> 64) * FACTOR + (low >> 64);
        (wide, exponent) = normalize(high, low << 64, exponent + 64);
        index += 1;
    }
    (wide, exponent) = normalize(ten_thousand, 0, 0);
    index = MIDDLE;
    while index > 0 {
        index -= 1;
        let (quotient, rest) = (wide / FACTOR, wide % FACTOR);
        let below = ((rest << 64) / FACTOR) << 64;
        (wide, exponent) = normalize(quotient, below, exponent);
        powers[index] = narrow(wide, exponent, index);
    }
    powers
}

/// Shifts a number of 256 bits, whose upper half is not zero, until its top bit is set; the lower
/// half is then dropped.
const fn normalize(high: u128, low: u128, exponent: i32) -> (u128, i32) {
    let shift = high.leading_zeros();
    let carried = if shift == 0 { 0 } else { low >> (128 - shift) };
    (high << shift | carried, exponent - shift as i32)
}

const fn narrow(wide: u128, exponent: i32, index: usize) -> PowerOfTen {
    let mantissa = (wide >> 64) as u64 + ((wide >> 63) & 1) as u64;
    let power = PowerOfTen::LOWEST + PowerOfTen::STEP * index as i32;
    PowerOfTen { mantissa, exponent: exponent + 64, power }
}

/// An integer of up to eight bytes, the lowest first, with its sign.
pub(crate) fn from_little_endian(bytes: &[u8]) -> i64 {
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut all = [if is_negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, number) in [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("1000", 1000),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), Some(number), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "00",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "--1",
            "-01",
            "1e3",
            "1\0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "10000000000000000000000",
            "99999999999999999999",
        ] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn integers_read_back_from_their_format() {
        let mut buffer = [0; 20];
        let mut power: i64 = 1;
        for _ in 0..63 {
            power = power.wrapping_mul(2);
            for near in [
                power.wrapping_sub(1),
                power,
                power.wrapping_add(1),
                power / 7,
                power.wrapping_neg(),
            ] {
                let text = format_integer(near, &mut buffer);
                assert_eq!(text, near.to_string().as_bytes());
                assert_eq!(parse_integer(text), Some(near));
            }
        }
        for number in -1100..1100 {
            assert_eq!(format_integer(number, &mut buffer), number.to_string().as_bytes());
        }
    }

    #[test]
    fn doubles_are_read_as_strtod_reads_them() {
        for (text, number) in [
            ("0", 0.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e5", 1e5),
            ("1E-5", 1e-5),
            ("-1.5e+3", -1500.0),
            ("007", 7.0),
            ("inf", f64::INFINITY),
            ("+Infinity", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
            ("1e-320", 1e-320),
            ("0e999999999999999999999", 0.0),
            ("0x10", 16.0),
            ("0X.8P1", 1.0),
            ("0x1p-1074", 5e-324),
            ("0x1.8p-1075", 5e-324),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7ffffffffffffffffffffffffp0", 1.999_999_999_999_999_8),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x0p99999999999999999999", 0.0),
            ("-0x0.0000000000000000000000000000000000000000000000000001p208", -1.0),
        ] {
            assert_eq!(parse_double(text.as_bytes()), Some(number), "{text}");
        }
        assert!(parse_double(b"-0").is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()));
        for text in [
            "",
            " 1",
            "1 ",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "--1",
            "+-1",
            "-+1",
            "0x",
            "0x.",
            "0x1p",
            "0xp1",
            "1_000",
            "nan",
            "NaN",
            "nan(1)",
            "infin",
            "infinityx",
            "1\0",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p1024",
            "0x1p-1075",
            "0x1.fffffffffffff8p1023",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "1,5",
            "\u{661}",
        ] {
            assert_eq!(parse_double(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_doubles_agree_with_every_bit_pattern() {
        let mut state: u64 = 1;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits((state ^ state >> 29) & !(1 << 63));
            if !number.is_finite() {
                continue;
            }
            let (exponent, fraction) = (number.to_bits() >> 52, number.to_bits() & ((1 << 52) - 1));
            let text = match exponent {
                0 => format!("0x0.{fraction:013x}p-1022"),
                _ => format!("0x1.{fraction:013x}p{}", exponent as i64 - 1023),
            };
            assert_eq!(parse_double(text.as_bytes()), Some(number), "{text}");
        }
    }

    #[test]
    fn doubles_are_printed_as_redis_prints_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e18, "1000000000000000000"),
            (9.3e18, "9.3e+18"),
            (-4_611_686_018_427_387_904.0, "-4611686018427387904"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (-7.555_786_372_591_432e22, "-75557863725914320000000"),
            (5_123_456_789_012_345_678.0, "5123456789012346000"),
            (123_456_789_012_345_678.0, "123456789012345680"),
            (1e20, "1e+20"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (1.234e-4, "1.234e-4"),
            (1.23e-7, "1.23e-7"),
            (12345.678e20, "1.2345678e+24"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            // These have shorter or nearer digits, which Redis does not find.
            (5.31417e20, "531416999999999970000"),
            (-9.54e21, "-9539999999999999000000"),
            (9.335_006_391_241_598e14, "933500639124159.7"),
        ] {
            assert_eq!(format_double(number), text);
        }
    }

    #[test]
    fn printed_doubles_read_back() {
        let mut state: u64 = 5;
        for round in 0..50_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Every tenth is a denormal.
            let bits = if round % 10 == 0 { state >> 12 >> (state % 52) } else { state };
            let number = f64::from_bits(bits);
            if number.is_finite() {
                assert_eq!(parse_double(format_double(number).as_bytes()), Some(number));
            }
        }
        for exponent in 1..2047 {
            let number = f64::from_bits(exponent << 52);
            assert_eq!(parse_double(format_double(number).as_bytes()), Some(number));
        }
    }

    #[test]
    fn powers_of_ten_are_rounded_to_nearest() {
        let ends = [0, 43, 44, PowerOfTen::COUNT - 1].map(|index| POWERS_OF_TEN[index]);
        assert_eq!(
            ends.map(|power| (power.power, power.mantissa, power.exponent)),
            [
                (-348, 0xfa8f_d5a0_081c_0288, -1220),
                (-4, 0xd1b7_1758_e219_652c, -77),
                (4, 0x9c40_0000_0000_0000, -50),
                (340, 0xaf87_023b_9bf0_ee6b, 1066),
            ]
        );
    }
}

//! Glob patterns as Redis matches them, byte by byte: `*`, `?`, `[a-z]`, `[^x]` and `\` before a
//! byte taken literally.
//!
//! Every element of a pattern except `*` takes exactly one byte, so only the last `*` ever needs to
//! be tried again: matching takes no more than the product of both lengths, and no stack.
//!
//! Answers follow Redis where they surprise: `*` does not match an empty text, a class that is
//! never closed ends with the pattern, `[]` matches nothing and `[^]` anything, a range may be
//! reversed and orders bytes as signed, and ignoring case does not reach a byte that is escaped
//! inside a class.

/// Redis gives up on a pattern that has to open more stars than this one inside another.
const MOST_STARS: usize = 1000;

/// Whether a name is one that a pattern asks for. A star alone stands for the empty name too, which
/// a star in a pattern does not.
pub(crate) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    pattern == b"*" || matches(pattern, name)
}

/// Whether the whole of `text` matches `pattern`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_by(pattern, text, |byte| byte)
}

/// Whether the whole of `text` matches `pattern`, ASCII letters being equal in both cases.
pub(crate) fn matches_ignore_case(pattern: &[u8], text: &[u8]) -> bool {
    matches_by(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn matches_by(mut pattern: &[u8], mut text: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> bool {
    // What to go back to: the pattern after the last star, and the text that star has not swallowed
    // yet.
    let mut retry: Option<(&[u8], &[u8])> = None;
    let mut stars = 0;
    while !pattern.is_empty() && !text.is_empty() {
        if pattern[0] == b'*' {
            pattern = skip_stars(pattern);
            if pattern.is_empty() {
                return true;
            }
            stars += 1;
            if stars > MOST_STARS {
                return false;
            }
            retry = Some((pattern, text));
            continue;
        }
        let (matched, rest) = match_one(pattern, text[0], fold);
        if matched {
            (pattern, text) = (rest, &text[1..]);
            if text.is_empty() {
                pattern = skip_stars(pattern);
            }
        }
        if !matched || (pattern.is_empty() && !text.is_empty()) {
            let Some((after_star, swallowed_up_to)) = retry else { return false };
            (pattern, text) = (after_star, &swallowed_up_to[1..]);
            retry = Some((pattern, text));
        }
    }
    pattern.is_empty() && text.is_empty()
}

fn skip_stars(pattern: &[u8]) -> &[u8] {
    let end = pattern.iter().position(|byte| *byte != b'*').unwrap_or(pattern.len());
    &pattern[end..]
}

/// Matches one byte against the element in front of a pattern that is not empty; the pattern after
/// it comes along.
fn match_one(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, &[u8]) {
    match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'[', class @ ..] => match_class(class, byte, fold),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (fold(*literal) == fold(byte), rest),
        [] => (false, pattern),
    }
}

fn match_class(class: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, &[u8]) {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut matched = false;
    loop {
        class = match class {
            [b'\\', escaped, rest @ ..] => {
                matched |= *escaped == byte;
                rest
            }
            [b']', rest @ ..] => break (matched != negated, rest),
            [] => break (matched != negated, class),
            [first, b'-', last, rest @ ..] => {
                matched |= in_range(*first, *last, byte, &fold);
                rest
            }
            [literal, rest @ ..] => {
                matched |= fold(*literal) == fold(byte);
                rest
            }
        }
    }
}

/// The ends are put in order before their case is folded, as Redis does: `[Z-a]` is empty when case
/// is ignored.
fn in_range(first: u8, last: u8, byte: u8, fold: impl Fn(u8) -> u8) -> bool {
    let signed = |byte: u8| i8::from_ne_bytes([byte]);
    let (low, high) = if signed(first) > signed(last) { (last, first) } else { (first, last) };
    (signed(fold(low))..=signed(fold(high))).contains(&signed(fold(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_of_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", false),
            ("**", "", false),
            ("*", "a", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a", "a", true),
            ("*?", "a", true),
            ("?*?", "a", false),
            ("a*c", "abcabc", true),
            ("a*c", "abcab", false),
            ("a*b*c*d", "a--b--c--c--d", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hello", false),
            ("h[^e]llo", "hallo", true),
            ("[a-c]", "b", true),
            ("[c-a]", "b", true),
            ("[a-c]", "d", false),
            ("[a-]", "-", false),
            ("[a-]", "^", true),
            ("[-a]", "-", true),
            ("[", "[", false),
            ("[", "a", false),
            ("[^", "a", true),
            ("[abc", "c", true),
            ("[abc", "d", false),
            ("[^abc", "d", true),
            ("[]", "a", false),
            ("[]a]", "a", false),
            ("[^]", "a", true),
            ("[^]a", "ba", true),
            ("[\\]]", "]", true),
            ("[\\-z]", "-", true),
            ("[a\\", "\\", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
            ("\\a", "a", true),
            ("\\\\", "\\", true),
            ("*\\", "ab\\", true),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn bytes_in_a_range_are_signed() {
        assert!(matches(b"[\x7f-\x80]", b"a"));
        assert!(matches(b"[\x80-\x01]", b"\xff"));
        assert!(!matches(b"[\x80-\x01]", b"\x02"));
        assert!(matches(b"[\xf0-\xff]", b"\xf8"));
    }

    #[test]
    fn case_is_ignored_except_for_an_escape_in_a_class() {
        for (pattern, text, expected) in [
            ("HeLLo*", "hEllO World", true),
            ("\\A", "a", true),
            ("[ABC]", "b", true),
            ("[A-C]", "b", true),
            ("[a-c]", "B", true),
            ("[\\A]", "a", false),
            ("[\\A]", "A", true),
            ("[Z-a]", "z", false),
            ("[Z-a]", "b", false),
        ] {
            assert_eq!(
                matches_ignore_case(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn many_stars_take_polynomial_time() {
        let pattern = b"a*".repeat(20);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &[b'a'; 40]));
        let pattern = b"*?".repeat(50_000);
        assert!(!matches(&pattern, &b"a".repeat(50_000)));
        let pattern = [&b"*a".repeat(MOST_STARS)[..], b"b"].concat();
        assert!(!matches(&pattern, &b"a".repeat(20_000)));
    }

    #[test]
    fn stars_past_the_limit_match_nothing() {
        let text = [b'a'; 2000];
        assert!(matches(&b"*a".repeat(MOST_STARS), &text));
        assert!(matches(&[&b"*a".repeat(MOST_STARS)[..], b"*"].concat(), &text));
        assert!(!matches(&b"*a".repeat(MOST_STARS + 1), &text));
    }
}

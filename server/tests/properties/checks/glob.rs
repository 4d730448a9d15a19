//! Glob patterns against a matcher that fills in a table of all prefixes.

use redlet::fuzzing;

/// The table is quadratic; longer inputs would only take time.
const LONGEST: usize = 400;

pub fn check(pattern: &[u8], text: &[u8]) {
    if pattern.len() > LONGEST || text.len() > LONGEST {
        return;
    }
    let shown = || format!("{} on {}", pattern.escape_ascii(), text.escape_ascii());
    let expected = matches(pattern, text, |byte| byte);
    assert_eq!(fuzzing::glob_matches(pattern, text), expected, "{}", shown());
    let expected = matches(pattern, text, |byte| byte.to_ascii_lowercase());
    assert_eq!(
        fuzzing::glob_matches_ignore_case(pattern, text),
        expected,
        "ignoring case {}",
        shown()
    );
}

enum Element {
    Star,
    One(Vec<Item>, Sense),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    AnyOf,
    NoneOf,
}

enum Item {
    Byte(u8),
    /// Its case counts even where case is ignored.
    Exactly(u8),
    Range(u8, u8),
}

fn matches(pattern: &[u8], text: &[u8], fold: fn(u8) -> u8) -> bool {
    let elements = parse(pattern);
    if text.is_empty() {
        return elements.is_empty();
    }
    // `reached[n]`: the elements so far match the first n bytes.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for element in &elements {
        match element {
            Element::Star => {
                let first = reached.iter().position(|is_reached| *is_reached);
                (first.unwrap_or(reached.len())..reached.len()).for_each(|at| reached[at] = true);
            }
            Element::One(items, sense) => {
                for at in (0..text.len()).rev() {
                    let found = items.iter().any(|item| item.accepts(text[at], fold));
                    reached[at + 1] = reached[at] && found == (*sense == Sense::AnyOf);
                }
                reached[0] = false;
            }
        }
    }
    reached[text.len()]
}

impl Item {
    fn accepts(&self, byte: u8, fold: fn(u8) -> u8) -> bool {
        match *self {
            Item::Byte(own) => fold(own) == fold(byte),
            Item::Exactly(own) => own == byte,
            Item::Range(one, other) => {
                let (low, high) = ((one as i8).min(other as i8), (one as i8).max(other as i8));
                let fold = |byte: i8| fold(byte as u8) as i8;
                fold(low) <= fold(byte as i8) && fold(byte as i8) <= fold(high)
            }
        }
    }
}

fn parse(pattern: &[u8]) -> Vec<Element> {
    let (mut elements, mut at) = (Vec::new(), 0);
    while at < pattern.len() {
        elements.push(match (pattern[at], pattern.get(at + 1)) {
            (b'*', _) => Element::Star,
            (b'?', _) => Element::One(Vec::new(), Sense::NoneOf),
            (b'[', _) => {
                let (element, length) = parse_class(&pattern[at + 1..]);
                at += length;
                element
            }
            (b'\\', Some(escaped)) => {
                at += 1;
                Element::One(vec![Item::Byte(*escaped)], Sense::AnyOf)
            }
            (byte, _) => Element::One(vec![Item::Byte(byte)], Sense::AnyOf),
        });
        at += 1;
    }
    elements
}

/// What stands behind an opening bracket, and its length with the closing one.
fn parse_class(class: &[u8]) -> (Element, usize) {
    let sense = if class.starts_with(b"^") { Sense::NoneOf } else { Sense::AnyOf };
    let mut at = usize::from(sense == Sense::NoneOf);
    let mut items = Vec::new();
    while at < class.len() {
        at += match class[at..] {
            [b'\\', escaped, ..] => {
                items.push(Item::Exactly(escaped));
                2
            }
            [b']', ..] => return (Element::One(items, sense), at + 1),
            [first, b'-', last, ..] => {
                items.push(Item::Range(first, last));
                3
            }
            [byte, ..] => {
                items.push(Item::Byte(byte));
                1
            }
            [] => 0,
        };
    }
    (Element::One(items, sense), at)
}

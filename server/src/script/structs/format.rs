//! Formats: the options in them, one after the other, and the places of the items that they stand
//! for.
//!
//! Nothing here knows the items' values.

use super::super::arguments::error;
use super::super::raised::Raised;

pub(super) const LARGEST_INTEGER: usize = 32;
/// What `!` without a number asks for.
const NATIVE_ALIGNMENT: usize = 8;

/// One option of a format, and how many bytes it has: zero for those whose size is not fixed.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) option: u8,
    pub(super) kind: Kind,
    pub(super) size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
    Double,
    /// A text that ends with a zero byte.
    EndedText,
    /// A text whose size is given, or zero for a size that is found elsewhere.
    SizedText,
    Filler,
    /// Stands for no bytes, and may be no option at all.
    Control,
}

/// A format on its way through its options.
pub(super) struct Format<'text> {
    rest: &'text [u8],
    pub(super) big_endian: bool,
    alignment: usize,
}

impl<'text> Format<'text> {
    /// Formats end at a zero byte, as texts do in C.
    pub(super) fn new(text: &'text [u8]) -> Self {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        Self { rest: &text[..end], big_endian: false, alignment: 1 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, Raised> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let (kind, size) = match option {
            b'b' | b'B' => (Kind::Integer, 1),
            b'h' | b'H' => (Kind::Integer, 2),
            b'l' | b'L' | b'T' => (Kind::Integer, 8),
            b'i' | b'I' => (Kind::Integer, self.integer_size()?),
            b'f' => (Kind::Float, 4),
            b'd' => (Kind::Double, 8),
            b's' => (Kind::EndedText, 0),
            b'c' => (Kind::SizedText, self.number_or(1)?),
            b'x' => (Kind::Filler, 1),
            _ => (Kind::Control, 0),
        };
        Ok(Some(Item { option, kind, size }))
    }

    fn integer_size(&mut self) -> Result<usize, Raised> {
        let size = self.number_or(4)?;
        if size > LARGEST_INTEGER {
            let text = format!("integral size {size} is larger than limit of {LARGEST_INTEGER}");
            return Err(error(&text));
        }
        Ok(size)
    }

    /// The digits that come next, as a number that C's `int` can hold.
    fn number_or(&mut self, default: usize) -> Result<usize, Raised> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(default);
        }
        let number = digits.iter().try_fold(0i32, |number, digit| {
            number.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
        });
        number.map(|number| number as usize).ok_or_else(|| error("integral size overflow"))
    }

    /// How many bytes to leave out in front of an item that would stand at `position`.
    pub(super) fn padding(&self, position: usize, item: Item) -> usize {
        if item.size == 0 || item.kind == Kind::SizedText {
            return 0;
        }
        let boundary = item.size.min(self.alignment);
        (boundary - (position & (boundary - 1))) & (boundary - 1)
    }

    /// Takes an option that stands for no bytes.
    pub(super) fn control(&mut self, option: u8) -> Result<(), Raised> {
        match option {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.number_or(NATIVE_ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    return Err(error(&format!("alignment {alignment} is not a power of 2")));
                }
                self.alignment = alignment;
            }
            _ => {
                let text = [b"invalid format option '", &[option][..], b"'"].concat();
                return Err(Raised::Argument(1, text));
            }
        }
        Ok(())
    }
}

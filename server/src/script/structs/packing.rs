//! Packing: arguments become bytes.

use super::super::arguments::{Arguments, argument_error, to_integer};
use super::super::bounded::BoundedBytes;
use super::super::raised::Raised;
use super::format::{Format, Item, Kind, LARGEST_INTEGER};
use super::to_unsigned;

pub(super) struct Packer<'call> {
    arguments: &'call Arguments<'call>,
    /// The position of the last argument that has been packed.
    used: usize,
    output: BoundedBytes,
}

impl<'call> Packer<'call> {
    /// Leaves out the first argument, which is the format.
    pub(super) fn new(arguments: &'call Arguments<'call>) -> Self {
        Self { arguments, used: 1, output: BoundedBytes::default() }
    }

    pub(super) fn output(&self) -> &[u8] {
        self.output.as_slice()
    }

    pub(super) fn append(&mut self, item: Item, format: &mut Format) -> Result<(), Raised> {
        self.output.append_zeros(format.padding(self.output.len(), item))?;
        match item.kind {
            Kind::Integer => {
                let bits = integer_bits(self.next_number()?);
                let mut bytes = [0; LARGEST_INTEGER];
                bytes[..8].copy_from_slice(&bits.to_le_bytes());
                self.append_ordered(&mut bytes[..item.size], format)
            }
            Kind::Float => {
                let number = self.next_number()? as f32;
                self.append_ordered(&mut number.to_le_bytes(), format)
            }
            Kind::Double => {
                let number = self.next_number()?;
                self.append_ordered(&mut number.to_le_bytes(), format)
            }
            Kind::Filler => self.output.append_zeros(1),
            Kind::SizedText => self.append_text(item.size),
            Kind::EndedText => {
                self.append_text(0)?;
                self.output.append_zeros(1)
            }
            Kind::Control => format.control(item.option),
        }
    }

    fn next_number(&mut self) -> Result<f64, Raised> {
        self.used += 1;
        self.arguments.number(self.used)
    }

    /// Appends so many bytes of the next argument, or all of it if the size is zero.
    fn append_text(&mut self, size: usize) -> Result<(), Raised> {
        self.used += 1;
        let text = self.arguments.text(self.used)?.as_bytes();
        if size > text.len() {
            // The real library has moved on to the next argument before it finds out.
            return Err(argument_error(self.used + 1, "string too short"));
        }
        self.output.append(if size == 0 { &text } else { &text[..size] })
    }

    fn append_ordered(&mut self, little_endian: &mut [u8], format: &Format) -> Result<(), Raised> {
        if format.big_endian {
            little_endian.reverse();
        }
        self.output.append(little_endian)
    }
}

/// The bits of an integer that is taken for a signed one if it is negative.
fn integer_bits(number: f64) -> u64 {
    if number < 0.0 { to_integer(number) as u64 } else { to_unsigned(number) }
}

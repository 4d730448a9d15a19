//! Writing replies: the one place where RESP2 and RESP3 differ.

use std::borrow::Cow;

use bytes::Bytes;

use super::output::{Mark, Output};
use crate::error::Error;
use crate::value::number;

/// Writes one reply into a connection's output, in the protocol its client speaks.
pub(crate) struct Reply<'a> {
    output: &'a mut Output,
    protocol: Protocol,
}

/// The version of the protocol that a client chose with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

impl Protocol {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

impl<'a> Reply<'a> {
    pub(crate) const fn new(output: &'a mut Output, protocol: Protocol) -> Self {
        Reply { output, protocol }
    }

    /// The same reply, for somebody else to go on with.
    pub(crate) fn lend(&mut self, protocol: Protocol) -> Reply<'_> {
        Reply { output: self.output, protocol }
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn mark(&self) -> Mark {
        self.output.mark()
    }

    /// Takes back everything written since the mark.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.output.rewind(mark);
    }

    /// From here on, as HELLO does before its own reply.
    pub(crate) const fn switch(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    pub(crate) fn ok(&mut self) {
        self.output.write(b"+OK\r\n");
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// A simple string of any bytes, those made harmless that would end it.
    pub(crate) fn status(&mut self, text: &[u8]) {
        self.line(b'+', &one_line(text));
    }

    /// How much has been written since the mark.
    pub(crate) fn written_since(&self, mark: Mark) -> usize {
        self.output.written_since(mark)
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A length or count, which is never beyond what an integer reply holds.
    pub(crate) fn count(&mut self, value: usize) {
        self.integer(value as i64);
    }

    /// 1 or 0.
    pub(crate) fn flag(&mut self, value: bool) {
        self.output.write(if value { b":1\r\n" } else { b":0\r\n" });
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        if let 10..100 = bytes.len() {
            let [tens, ones] = number::digit_pair(bytes.len());
            return self.output.write_framed([b'$', tens, ones, b'\r', b'\n'], bytes, *b"\r\n");
        }
        self.header(b'$', bytes.len() as i64);
        self.output.write(bytes);
        self.output.write(b"\r\n");
    }

    /// A bulk string that is kept by reference where it is large.
    pub(crate) fn shared_bulk(&mut self, bytes: &Bytes) {
        self.header(b'$', bytes.len() as i64);
        self.output.share(bytes);
        self.output.write(b"\r\n");
    }

    /// An integer printed as a bulk string.
    pub(crate) fn bulk_integer(&mut self, value: i64) {
        self.bulk(number::format_integer(value, &mut [0; 20]));
    }

    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Nothing where a string could be.
    pub(crate) fn null(&mut self) {
        self.output.write(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Nothing where an array could be.
    pub(crate) fn null_array(&mut self) {
        self.output.write(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The head of an array; `length` replies follow.
    pub(crate) fn array(&mut self, length: usize) {
        self.header(b'*', length as i64);
    }

    /// The head of an array whose elements have been written since the mark.
    pub(crate) fn array_at(&mut self, mark: Mark, length: usize) {
        self.insert_at(mark, |reply| reply.array(length));
    }

    /// The head of a map whose parts have been written since the mark.
    pub(crate) fn map_at(&mut self, mark: Mark, pairs: usize) {
        self.insert_at(mark, |reply| reply.map(pairs));
    }

    /// Writes something short in front of what has been written since the mark.
    pub(crate) fn insert_at(&mut self, mark: Mark, write: impl FnOnce(&mut Reply<'_>)) {
        let end = self.mark();
        write(self);
        self.output.move_to(mark, end);
    }

    /// The head of a map; twice `pairs` replies follow.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(pairs * 2),
            Protocol::Resp3 => self.header(b'%', pairs as i64),
        }
    }

    pub(crate) fn set(&mut self, length: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(length),
            Protocol::Resp3 => self.header(b'~', length as i64),
        }
    }

    pub(crate) fn double(&mut self, value: f64) {
        let text = number::format_double(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Written as 1 or 0 where the protocol has no booleans.
    pub(crate) fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.flag(value),
            Protocol::Resp3 => self.output.write(if value { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// The digits of a number of any size.
    pub(crate) fn big_number(&mut self, digits: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(&one_line(digits)),
            Protocol::Resp3 => self.line(b'(', &one_line(digits)),
        }
    }

    /// The head of a message that is no reply; `length` parts follow.
    pub(crate) fn push(&mut self, length: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(length),
            Protocol::Resp3 => self.header(b'>', length as i64),
        }
    }

    /// The head of what is said about the reply that comes after it; twice `pairs` parts follow.
    /// Only RESP3 has attributes.
    pub(crate) fn attribute(&mut self, pairs: usize) {
        self.header(b'|', pairs as i64);
    }

    /// Plain text, which RESP3 tells from data.
    pub(crate) fn verbatim(&mut self, text: &[u8]) {
        self.verbatim_as(*b"txt", text);
    }

    /// Text in a format of three letters.
    pub(crate) fn verbatim_as(&mut self, format: [u8; 3], text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.output.write(&format);
                self.output.write(b":");
                self.output.write(text);
                self.output.write(b"\r\n");
            }
        }
    }

    pub(crate) fn error(&mut self, error: &Error) {
        let mut text = error.wire();
        while text.pop_if(|byte| matches!(byte, b'\r' | b'\n')).is_some() {}
        self.line(b'-', &one_line(&text));
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.output.write(&[kind]);
        self.output.write(text);
        self.output.write(b"\r\n");
    }

    fn header(&mut self, kind: u8, number: i64) {
        if let Ok(number @ 0..100) = usize::try_from(number) {
            let [tens, ones] = number::digit_pair(number);
            if number < 10 {
                self.output.write(&[kind, ones, b'\r', b'\n']);
            } else {
                self.output.write(&[kind, tens, ones, b'\r', b'\n']);
            }
            return;
        }
        let mut digits = [0; 20];
        self.line(kind, number::format_integer(number, &mut digits));
    }
}

/// A text without what would end its line.
fn one_line(text: &[u8]) -> Cow<'_, [u8]> {
    let ends_line = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if !text.iter().any(ends_line) {
        return Cow::Borrowed(text);
    }
    text.iter().map(|byte| if ends_line(byte) { b' ' } else { *byte }).collect()
}

//! A request's arguments, and how handlers read them.

use bytes::Bytes;

use crate::error::Error;
use crate::value::number;

/// Where one argument lies: a range of the read buffer, or a large argument of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// Marks a span that is an index into the request's large arguments.
    const LARGE: u32 = u32::MAX;

    pub(crate) const fn inside(start: usize, length: usize) -> Self {
        Span { start: start as u32, length: length as u32 }
    }

    pub(crate) const fn large(index: usize) -> Self {
        Span { start: Self::LARGE, length: index as u32 }
    }

    /// Where it begins in the read buffer, if it lies there.
    pub(crate) fn start(self) -> Option<usize> {
        (!self.is_large()).then_some(self.start as usize)
    }

    pub(crate) const fn is_large(self) -> bool {
        self.start == Self::LARGE
    }

    /// Follows a large argument when so many before it are gone.
    pub(crate) fn renumber(&mut self, gone: usize) {
        if self.is_large() {
            self.length -= gone as u32;
        }
    }

    /// Follows its bytes when they move `by` towards the front of the buffer.
    pub(crate) fn shift(&mut self, by: usize) {
        if !self.is_large() {
            self.start -= by as u32;
        }
    }
}

/// A request that is kept or made by the server itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl Request {
    /// Forgets the arguments, and keeps room of a usual size for the next.
    pub(crate) fn clear(&mut self) {
        const USUAL: usize = 64 * 1024;
        if self.buffer.capacity() > USUAL || self.spans.capacity() > USUAL / size_of::<Span>() {
            *self = Request::default();
        }
        self.buffer.clear();
        self.spans.clear();
    }

    pub(crate) fn push(&mut self, argument: &[u8]) {
        self.spans.push(Span::inside(self.buffer.len(), argument.len()));
        self.buffer.extend_from_slice(argument);
    }

    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.buffer, &self.spans, &[])
    }
}

impl From<Args<'_>> for Request {
    fn from(args: Args<'_>) -> Self {
        let mut request = Request::default();
        args.iter().for_each(|argument| request.push(argument));
        request
    }
}

/// The arguments of one request, the command's name first. Cheap to copy; nothing is owned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
    large: &'a [Bytes],
}

impl<'a> Args<'a> {
    pub(crate) const fn new(buffer: &'a [u8], spans: &'a [Span], large: &'a [Bytes]) -> Self {
        Args { buffer, spans, large }
    }

    pub(crate) const fn len(&self) -> usize {
        self.spans.len()
    }

    /// The argument at `index`, which the command's arity or the caller has made sure of.
    pub(crate) fn at(&self, index: usize) -> &'a [u8] {
        let span = self.spans[index];
        if span.is_large() {
            &self.large[span.length as usize]
        } else {
            &self.buffer[span.start as usize..][..span.length as usize]
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The argument if it came in a buffer of its own, to be kept without copying.
    pub(crate) fn shared(&self, index: usize) -> Option<&'a Bytes> {
        let span = self.spans[index];
        span.is_large().then(|| &self.large[span.length as usize])
    }

    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        (0..self.len()).map(move |index| self.at(index))
    }

    /// The arguments from `index` on.
    pub(crate) fn from(self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        (index..self.len()).map(move |index| self.at(index))
    }

    /// The arguments from `index` on, each looked up only once.
    pub(crate) fn with_rest<R>(self, index: usize, act: impl FnOnce(&[&'a [u8]]) -> R) -> R {
        const FEW: usize = 16;
        let rest = self.from(index);
        let (mut few, count) = ([&[][..]; FEW], rest.len());
        if count > FEW {
            return act(&rest.collect::<Vec<_>>());
        }
        few.iter_mut().zip(rest).for_each(|(place, argument)| *place = argument);
        act(&few[..count])
    }

    pub(crate) fn integer(&self, index: usize) -> Result<i64, Error> {
        number::parse_integer(self.at(index)).ok_or(Error::NotInteger)
    }

    /// An integer that Redis keeps in 32 bits.
    pub(crate) fn small_integer(&self, index: usize) -> Result<i64, Error> {
        small(self.integer(index)?)
    }

    /// The options from `index` on, read one after the other.
    pub(crate) const fn options(self, index: usize) -> Options<'a> {
        Options { args: self, next: index }
    }
}

fn small(integer: i64) -> Result<i64, Error> {
    if i32::try_from(integer).is_ok() {
        return Ok(integer);
    }
    Err(Error::err("value is out of range, value must between -2147483648 and 2147483647"))
}

/// Reads options in whatever order they come.
pub(crate) struct Options<'a> {
    args: Args<'a>,
    next: usize,
}

impl<'a> Options<'a> {
    /// The next option's name in upper case.
    pub(crate) fn word(&mut self) -> Option<Word> {
        let argument = self.args.get(self.next)?;
        self.next += 1;
        Some(Word::new(argument))
    }

    /// An option's value; a missing one is a syntax error.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Error> {
        let value = self.args.get(self.next).ok_or(Error::Syntax)?;
        self.next += 1;
        Ok(value)
    }

    pub(crate) fn integer(&mut self) -> Result<i64, Error> {
        number::parse_integer(self.value()?).ok_or(Error::NotInteger)
    }

    pub(crate) fn small_integer(&mut self) -> Result<i64, Error> {
        small(self.integer()?)
    }

    /// How many arguments are still unread.
    pub(crate) const fn remaining(&self) -> usize {
        self.args.len() - self.next
    }
}

/// An argument in upper case, to match option names with: `match &*word { b"EX" => ... }`.
/// What is longer than any option is cut to nothing, which matches no name.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl Word {
    const LONGEST: usize = 24;

    pub(crate) fn new(argument: &[u8]) -> Self {
        let mut bytes = [0; Self::LONGEST];
        let length = if argument.len() <= Self::LONGEST { argument.len() } else { 0 };
        bytes[..length].copy_from_slice(&argument[..length]);
        bytes.make_ascii_uppercase();
        Word { bytes, length: length as u8 }
    }
}

impl std::ops::Deref for Word {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

//! Decoding requests: arrays of bulk strings, and inline commands.
//!
//! The decoder keeps its place between reads, so a request that arrives byte by byte is looked
//! at once. Arguments stay where they were read; a large one gets a buffer of its own, so that
//! it can become a value without being copied. Memory follows what has arrived, never what a
//! client announces.

use std::fmt;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::inline;
use crate::command::args::{Args, Span};
use crate::value::number;

/// How much is read at a time.
const READ_SIZE: usize = 16 * 1024;
/// From this size on an argument that is still arriving gets a buffer of its own.
const LARGE_ARGUMENT: usize = 16 * 1024;
/// Once this much of a large argument has arrived, room is made for all of it at once.
const TRUSTED_AFTER: usize = 64 * 1024;
/// The longest line: an inline command, or the head of an array or bulk string.
const LONGEST_LINE: usize = 64 * 1024;
const MOST_ARGUMENTS: i64 = i32::MAX as i64;
/// What a client may send before it has authenticated.
const MOST_ARGUMENTS_BEFORE_AUTH: i64 = 10;
const LONGEST_ARGUMENT_BEFORE_AUTH: i64 = 16 * 1024;

/// What a client is allowed to send at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) longest_bulk: i64,
    pub(crate) authenticated: bool,
}

/// Why a connection cannot go on; its `Display` follows `ERR ` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    InlineTooBig,
    UnbalancedQuotes,
    CountLineTooBig,
    InvalidCount,
    CountBeforeAuth,
    BulkLineTooBig,
    ExpectedBulk(u8),
    InvalidBulkLength,
    BulkBeforeAuth,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ProtocolError::InlineTooBig => "too big inline request",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::CountLineTooBig => "too big mbulk count string",
            ProtocolError::InvalidCount => "invalid multibulk length",
            ProtocolError::CountBeforeAuth => "unauthenticated multibulk length",
            ProtocolError::BulkLineTooBig => "too big bulk count string",
            ProtocolError::ExpectedBulk(got) => {
                return write!(f, "Protocol error: expected '$', got '{}'", char::from(*got));
            }
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::BulkBeforeAuth => "unauthenticated bulk length",
        };
        write!(f, "Protocol error: {text}")
    }
}

/// Takes bytes in and gives requests out, one at a time.
#[derive(Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// Up to here the buffer has been decoded.
    position: usize,
    spans: Vec<Span>,
    large: Vec<Bytes>,
    large_bytes: usize,
    state: State,
}

#[derive(Default)]
enum State {
    /// Nothing of the next request has been decoded.
    #[default]
    Start,
    /// So many arguments of an array are still to come.
    Arguments(usize),
    /// The next argument has this length.
    Bulk { length: usize, remaining: usize },
    /// The next argument arrives in its own buffer, line end included.
    Filling { argument: BytesMut, length: usize, remaining: usize },
    /// A whole request lies in `spans`, until `finish`.
    Complete,
}

impl Decoder {
    /// Where the next bytes are to be read into, and how many at most.
    pub(crate) fn target(&mut self) -> Limit<&mut BytesMut> {
        if !matches!(self.state, State::Filling { .. }) {
            self.make_room();
        }
        if let State::Filling { argument, length, .. } = &mut self.state {
            return large_target(argument, *length + 2);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        (&mut self.buffer).limit(room)
    }

    /// The bytes that are held for requests not yet executed.
    pub(crate) fn pending(&self) -> usize {
        let filling = match &self.state {
            State::Filling { argument, .. } => argument.len(),
            _ => 0,
        };
        self.buffer.len() - self.position.min(self.buffer.len()) + self.large_bytes + filling
    }

    /// Whether another whole request lies ready; then `args` has it until `finish`.
    pub(crate) fn advance(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        loop {
            let more = match &self.state {
                State::Start => self.start(limits)?,
                State::Arguments(0) => {
                    self.state = State::Complete;
                    true
                }
                State::Arguments(remaining) => {
                    let remaining = *remaining;
                    self.bulk_length(remaining, limits)?
                }
                &State::Bulk { length, remaining } => self.bulk(length, remaining),
                State::Filling { .. } => self.fill(),
                State::Complete => return Ok(true),
            };
            if !more {
                return Ok(false);
            }
        }
    }

    /// The request that `advance` found.
    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.buffer, &self.spans, &self.large)
    }

    /// Lets go of the request that `advance` found.
    pub(crate) fn finish(&mut self) {
        self.spans.clear();
        self.large.clear();
        self.large_bytes = 0;
        self.state = State::Start;
        if self.position == self.buffer.len() {
            self.buffer.clear();
            self.position = 0;
        }
    }

    /// Begins a request; false if more bytes are needed.
    fn start(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        match self.buffer.get(self.position) {
            None => Ok(false),
            Some(b'*') => self.array_length(limits),
            Some(_) => self.inline(),
        }
    }

    fn array_length(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        let Some((number, next)) = self.head(ProtocolError::CountLineTooBig)? else {
            return Ok(false);
        };
        let count = number.filter(|&count| count <= MOST_ARGUMENTS);
        let count = count.ok_or(ProtocolError::InvalidCount)?;
        if !limits.authenticated && count > MOST_ARGUMENTS_BEFORE_AUTH {
            return Err(ProtocolError::CountBeforeAuth);
        }
        self.position = next;
        if count > 0 {
            self.state = State::Arguments(count as usize);
        } else {
            self.finish();
        }
        Ok(true)
    }

    fn bulk_length(&mut self, remaining: usize, limits: Limits) -> Result<bool, ProtocolError> {
        match self.buffer.get(self.position) {
            None => return Ok(false),
            Some(b'$') => {}
            Some(&other) => {
                // Redis looks at the type only once it has the whole line.
                let Some(_) = self.head(ProtocolError::BulkLineTooBig)? else {
                    return Ok(false);
                };
                return Err(ProtocolError::ExpectedBulk(other));
            }
        }
        let Some((number, next)) = self.head(ProtocolError::BulkLineTooBig)? else {
            return Ok(false);
        };
        let length = number.filter(|length| (0..=limits.longest_bulk).contains(length));
        let length = length.ok_or(ProtocolError::InvalidBulkLength)?;
        if !limits.authenticated && length > LONGEST_ARGUMENT_BEFORE_AUTH {
            return Err(ProtocolError::BulkBeforeAuth);
        }
        self.position = next;
        self.state = State::Bulk { length: length as usize, remaining };
        Ok(true)
    }

    fn bulk(&mut self, length: usize, remaining: usize) -> bool {
        let available = self.buffer.len() - self.position;
        if available >= length + 2 {
            self.spans.push(Span::inside(self.position, length));
            self.position += length + 2;
            self.state = State::Arguments(remaining - 1);
            return true;
        }
        if length >= LARGE_ARGUMENT {
            let mut argument = BytesMut::with_capacity((length + 2).min(TRUSTED_AFTER));
            argument.extend_from_slice(&self.buffer[self.position..]);
            self.buffer.truncate(self.position);
            self.state = State::Filling { argument, length, remaining };
        }
        false
    }

    fn fill(&mut self) -> bool {
        let State::Filling { argument, length, remaining } = &mut self.state else {
            return true;
        };
        if argument.len() < *length + 2 {
            return false;
        }
        argument.truncate(*length);
        self.spans.push(Span::large(self.large.len()));
        self.large.push(std::mem::take(argument).freeze());
        self.large_bytes += *length;
        self.state = State::Arguments(*remaining - 1);
        true
    }

    fn inline(&mut self) -> Result<bool, ProtocolError> {
        let unread = &self.buffer[self.position..];
        let Some(end) = unread.iter().position(|&byte| byte == b'\n') else {
            return if unread.len() > LONGEST_LINE {
                Err(ProtocolError::InlineTooBig)
            } else {
                Ok(false)
            };
        };
        let line = unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]);
        let words = inline::split(line).map_err(|_| ProtocolError::UnbalancedQuotes)?;
        self.position += end + 1;
        if words.is_empty() {
            self.finish();
            return Ok(true);
        }
        for word in words {
            self.spans.push(Span::large(self.large.len()));
            self.large.push(Bytes::from(word));
        }
        self.state = State::Complete;
        Ok(true)
    }

    /// The number of a line such as `*3` and the position after it, once the line is whole.
    fn head(&self, too_big: ProtocolError) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
        let unread = &self.buffer[self.position..];
        match unread.iter().position(|&byte| byte == b'\r') {
            Some(end) if end + 1 < unread.len() => {
                let number = number::parse_integer(&unread[1..end]);
                Ok(Some((number, self.position + end + 2)))
            }
            None if unread.len() > LONGEST_LINE => Err(too_big),
            _ => Ok(None),
        }
    }

    /// Makes room for the next read: moves what is not yet executed to the front.
    fn make_room(&mut self) {
        let start = self.start_of_request();
        if start > 0 && start < self.buffer.len() {
            self.buffer.advance(start);
            self.position -= start;
            for span in &mut self.spans {
                span.shift(start);
            }
        }
        self.buffer.reserve(READ_SIZE);
    }

    /// Where the oldest byte lies that is still needed.
    fn start_of_request(&self) -> usize {
        self.spans.iter().copied().find_map(Span::start).unwrap_or(self.position)
    }
}

/// Where a large argument goes on arriving, of which `whole` bytes are to come in all.
fn large_target(argument: &mut BytesMut, whole: usize) -> Limit<&mut BytesMut> {
    if argument.len() == argument.capacity() {
        let mut grown = BytesMut::with_capacity(whole);
        grown.extend_from_slice(argument);
        *argument = grown;
    }
    let room = whole.min(argument.capacity()) - argument.len();
    argument.limit(room)
}

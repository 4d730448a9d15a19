//! Decoding requests: arrays of bulk strings, and inline commands.
//!
//! The decoder keeps its place between reads, so a request that arrives byte by byte is looked
//! at once. Arguments stay where they were read; a large one gets a buffer of its own, so that
//! it can become a value without being copied. Memory follows what has arrived, not what a
//! client announces; only the rest of a large argument is reserved once 64 KiB of it have come.

use std::collections::VecDeque;
use std::fmt;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::inline;
use crate::command::args::{Args, Span};
use crate::error::Error;
use crate::value::number;

/// How much is read at a time.
const READ_SIZE: usize = 16 * 1024;
/// What an idle connection keeps for its next request.
const KEPT_CAPACITY: usize = 64 * 1024;
const KEPT_ARGUMENTS: usize = 1024;
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

/// Why a connection cannot go on.
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

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::ExpectedBulk(got) => {
                Error::quoting_byte("Protocol error: expected '$', got '", got, "'")
            }
            other => Error::format(format_args!("{other}")),
        }
    }
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
    /// The arguments of the requests that lie ready, and of the one that is still arriving.
    spans: Vec<Span>,
    large: Vec<Bytes>,
    large_bytes: usize,
    /// Where the arguments of each request that lies ready end.
    ends: VecDeque<usize>,
    /// Where those of the first begin.
    front: usize,
    state: State,
    /// What is wrong with what follows the requests that lie ready.
    broken: Option<ProtocolError>,
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
}

impl Decoder {
    /// Where the next bytes are to be read into, and how many at most.
    pub(crate) fn target(&mut self) -> Limit<&mut BytesMut> {
        // A large argument may have become whole while nobody decodes, because the client waits.
        self.fill();
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
        let arguments = self.spans.len() * size_of::<Span>();
        self.buffer.len() - self.start_of_requests() + self.large_bytes + filling + arguments
    }

    /// Whether another whole request lies ready; then `args` has it until `finish`.
    pub(crate) fn advance(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        if !self.ends.is_empty() {
            return Ok(true);
        }
        match self.broken {
            Some(error) => Err(error),
            None => self.decode(limits),
        }
    }

    /// Decodes what has arrived already, up to so many requests, so that it can be looked at
    /// before it is executed.
    pub(crate) fn decode_ahead(&mut self, limits: Limits, most: usize) {
        while self.ends.len() < most && self.broken.is_none() {
            match self.decode(limits) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.broken = Some(error),
            }
        }
    }

    /// The requests that lie ready.
    pub(crate) fn ready(&self) -> impl ExactSizeIterator<Item = Args<'_>> + Clone {
        let mut start = self.front;
        self.ends.iter().map(move |&end| {
            let spans = &self.spans[std::mem::replace(&mut start, end)..end];
            Args::new(&self.buffer, spans, &self.large)
        })
    }

    /// The first request that lies ready.
    pub(crate) fn args(&self) -> Args<'_> {
        let end = self.ends.front().copied().unwrap_or(self.front);
        Args::new(&self.buffer, &self.spans[self.front..end], &self.large)
    }

    /// Lets go of the first request that lies ready.
    pub(crate) fn finish(&mut self) {
        self.front = self.ends.pop_front().unwrap_or(self.front);
        if self.ends.is_empty() {
            self.forget_finished();
        }
    }

    /// Makes the arguments of the request that is still arriving, if any, the only ones.
    fn forget_finished(&mut self) {
        let finished = self.spans.drain(..std::mem::take(&mut self.front));
        let large = finished.filter(|span| span.is_large()).count();
        self.large_bytes -= self.large.drain(..large).map(|bytes| bytes.len()).sum::<usize>();
        for span in &mut self.spans {
            span.renumber(large);
        }
        if self.spans.is_empty() && self.position == self.buffer.len() {
            self.position = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEPT_CAPACITY {
                self.buffer = BytesMut::new();
            }
            self.spans.shrink_to(KEPT_ARGUMENTS);
        }
    }

    /// Decodes one more request; false if more bytes are needed.
    fn decode(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        if limits.authenticated && self.decode_plain() {
            return Ok(true);
        }
        let ready = self.ends.len();
        while self.ends.len() == ready {
            let more = match self.state {
                State::Start => self.start(limits)?,
                State::Arguments(remaining) => self.bulk_length(remaining, limits)?,
                State::Bulk { length, remaining } => self.bulk(length, remaining),
                State::Filling { .. } => self.fill(),
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Decodes a request that has arrived whole and is as clients send most of them, in one go.
    /// Of any other nothing is decoded: it goes the long way, argument by argument.
    fn decode_plain(&mut self) -> bool {
        if !matches!(self.state, State::Start) {
            return false;
        }
        let before = self.spans.len();
        if let Some(end) = plain_arguments(&self.buffer, self.position, &mut self.spans) {
            self.position = end;
            self.ends.push_back(self.spans.len());
            return true;
        }
        self.spans.truncate(before);
        false
    }

    /// Goes on to the next of so many arguments; after the last the request lies ready.
    fn next_argument(&mut self, remaining: usize) {
        if remaining == 0 {
            self.ends.push_back(self.spans.len());
            self.state = State::Start;
        } else {
            self.state = State::Arguments(remaining);
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
            self.next_argument(remaining - 1);
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
        let (mut argument, length, remaining) = (std::mem::take(argument), *length, *remaining);
        argument.truncate(length);
        self.push_large(argument.freeze());
        self.next_argument(remaining - 1);
        true
    }

    fn inline(&mut self) -> Result<bool, ProtocolError> {
        let unread = &self.buffer[self.position..];
        let Some(end) = find_in_text(unread, b'\n') else {
            return if unread.len() > LONGEST_LINE {
                Err(ProtocolError::InlineTooBig)
            } else {
                Ok(false)
            };
        };
        let line = unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]);
        let words = inline::split(line).map_err(|_| ProtocolError::UnbalancedQuotes)?;
        self.position += end + 1;
        if !words.is_empty() {
            for word in words {
                self.push_large(word.into());
            }
            self.next_argument(0);
        }
        Ok(true)
    }

    fn push_large(&mut self, argument: Bytes) {
        self.spans.push(Span::large(self.large.len()));
        self.large_bytes += argument.len();
        self.large.push(argument);
    }

    /// The number of a line such as `*3` and the position after it, once the line is whole.
    fn head(&self, too_big: ProtocolError) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
        let unread = &self.buffer[self.position..];
        match find_in_text(unread, b'\r') {
            Some(end) if end + 1 < unread.len() => {
                let number = unread.get(1..end).and_then(number::parse_integer);
                Ok(Some((number, self.position + end + 2)))
            }
            None if unread.len() > LONGEST_LINE => Err(too_big),
            _ => Ok(None),
        }
    }

    /// Makes room for the next read: moves what is not yet executed to the front.
    fn make_room(&mut self) {
        let start = self.start_of_requests();
        if start > 0 {
            for span in &mut self.spans[self.front..] {
                span.shift(start);
            }
            self.buffer.advance(start);
            self.position -= start;
        }
        self.buffer.reserve(READ_SIZE);
    }

    /// Where the oldest byte lies that is still needed.
    fn start_of_requests(&self) -> usize {
        let live = self.spans[self.front..].iter().copied();
        live.into_iter().find_map(Span::start).unwrap_or(self.position)
    }
}

/// Adds the arguments of the request at this place, and gives the place after it; none unless all
/// of it is there and plain.
fn plain_arguments(buffer: &[u8], start: usize, spans: &mut Vec<Span>) -> Option<usize> {
    let (count, size) = plain_head(buffer.get(start..)?, b'*')?;
    let mut at = start + size;
    for _ in 0..count {
        let (length, size) = plain_head(buffer.get(at..)?, b'$')?;
        spans.push(Span::inside(at + size, length));
        at += size + length + 2;
    }
    (count > 0 && at <= buffer.len()).then_some(at)
}

/// The number of a head such as `*3` or `$16`, if it has three digits at most, and the head's size.
#[inline]
fn plain_head(bytes: &[u8], kind: u8) -> Option<(usize, usize)> {
    match bytes.first_chunk() {
        Some(word) => plain_head_in_word(u64::from_le_bytes(*word), kind),
        None => plain_head_in_rest(bytes, kind),
    }
}

/// The same where eight bytes are there, which are looked at all together.
#[inline]
fn plain_head_in_word(word: u64, kind: u8) -> Option<(usize, usize)> {
    const LINE_END: u64 = 0x0a0d;
    let kind = u64::from(kind);
    let digit = |at: u32| ((word >> (8 * at)) as u8).wrapping_sub(b'0');
    let [a, b, c] = [digit(1), digit(2), digit(3)];
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, &digit| sum * 10 + usize::from(digit));
    if word & 0xff_ff00_00ff == LINE_END << 24 | kind {
        ((1..=9).contains(&a) && b <= 9).then(|| (number(&[a, b]), 5))
    } else if word & 0xffff_00ff == LINE_END << 16 | kind {
        (a <= 9).then_some((usize::from(a), 4))
    } else if word & 0xffff_0000_00ff == LINE_END << 32 | kind {
        ((1..=9).contains(&a) && b <= 9 && c <= 9).then(|| (number(&[a, b, c]), 6))
    } else {
        None
    }
}

/// The same at the end of a buffer, where no text that has more than two bytes can follow.
fn plain_head_in_rest(bytes: &[u8], kind: u8) -> Option<(usize, usize)> {
    match *bytes {
        [first, digit @ b'0'..=b'9', b'\r', b'\n', ..] if first == kind => {
            Some((usize::from(digit - b'0'), 4))
        }
        _ => None,
    }
}

/// The place of a byte in a line. As in Redis a zero byte hides what comes after it, so that such
/// a line is never whole.
fn find_in_text(bytes: &[u8], wanted: u8) -> Option<usize> {
    let found = bytes.iter().position(|&byte| byte == wanted || byte == 0)?;
    (bytes[found] == wanted).then_some(found)
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

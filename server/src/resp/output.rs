//! What a connection has still to send.
//!
//! Small replies are copied into one buffer; large values are kept by reference and spliced in
//! where they belong, so that they are never copied on their way out.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Below this, copying a value costs less than keeping track of it.
const WORTH_SHARING: usize = 16 * 1024;
/// A buffer larger than this is given back once it has been sent.
const KEPT_CAPACITY: usize = 64 * 1024;

#[derive(Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// How much of `buffer` is already on its way.
    sent: usize,
    shared: VecDeque<Spliced>,
    shared_bytes: usize,
}

/// A value that stands in the output before `buffer[at..]`.
struct Spliced {
    at: usize,
    bytes: Bytes,
}

/// A place in the output to go back to.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    buffer: usize,
    shared: usize,
}

impl Output {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends bytes between others that are short. Room is made once for all of them.
    pub(crate) fn write_framed<const BEFORE: usize, const AFTER: usize>(
        &mut self,
        before: [u8; BEFORE],
        bytes: &[u8],
        after: [u8; AFTER],
    ) {
        self.buffer.reserve(BEFORE + bytes.len() + AFTER);
        self.buffer.extend_from_slice(&before);
        self.buffer.extend_from_slice(bytes);
        self.buffer.extend_from_slice(&after);
    }

    /// Appends a value, by reference if it is large.
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < WORTH_SHARING {
            return self.write(bytes);
        }
        self.shared_bytes += bytes.len();
        self.shared.push_back(Spliced { at: self.buffer.len(), bytes: bytes.clone() });
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.sent + self.shared_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { buffer: self.buffer.len(), shared: self.shared.len() }
    }

    /// How much has been copied since the mark.
    pub(crate) const fn written_since(&self, mark: Mark) -> usize {
        self.buffer.len() - mark.buffer
    }

    /// Takes back everything written since the mark; nothing may have been sent in between.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.buffer.truncate(mark.buffer);
        for spliced in self.shared.drain(mark.shared..) {
            self.shared_bytes -= spliced.bytes.len();
        }
    }

    /// Moves what has been written since a mark to an earlier one. Nothing of it is shared.
    pub(crate) fn move_to(&mut self, target: Mark, from: Mark) {
        let length = self.buffer.len() - from.buffer;
        self.buffer[target.buffer..].rotate_right(length);
        for spliced in self.shared.iter_mut().skip(target.shared) {
            spliced.at += length;
        }
    }

    /// Takes back what was written since the mark, to be written later. Nothing of it is shared.
    pub(crate) fn take_back(&mut self, mark: Mark) -> Bytes {
        self.buffer.split_off(mark.buffer).into()
    }

    /// The next pieces to send, as many as `slices` holds; says how many.
    pub(crate) fn pieces<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut count, mut from) = (0, self.sent);
        let mut add = |piece: &'a [u8], count: &mut usize| {
            if !piece.is_empty() && *count < slices.len() {
                slices[*count] = IoSlice::new(piece);
                *count += 1;
            }
        };
        for spliced in &self.shared {
            add(&self.buffer[from..spliced.at], &mut count);
            add(&spliced.bytes, &mut count);
            from = spliced.at;
        }
        add(&self.buffer[from..], &mut count);
        count
    }

    /// What is there, if no value is shared.
    pub(crate) fn in_one_piece(&self) -> Option<&[u8]> {
        self.shared.is_empty().then(|| &self.buffer[self.sent..])
    }

    /// Forgets what is there, and keeps a buffer of a usual size for what comes.
    pub(crate) fn clear(&mut self) {
        self.advance(self.len());
    }

    /// Everything that is there, in one piece.
    pub(crate) fn take(&mut self) -> Bytes {
        let all = std::mem::take(self);
        if all.shared.is_empty() {
            let mut bytes = Bytes::from(all.buffer);
            bytes.advance(all.sent);
            return bytes;
        }
        let mut whole = Vec::with_capacity(all.len());
        let mut from = all.sent;
        for spliced in &all.shared {
            whole.extend_from_slice(&all.buffer[from..spliced.at]);
            whole.extend_from_slice(&spliced.bytes);
            from = spliced.at;
        }
        whole.extend_from_slice(&all.buffer[from..]);
        whole.into()
    }

    /// Notes that the first `count` bytes have been sent.
    pub(crate) fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.shared.front_mut() {
            let before = (first.at - self.sent).min(count);
            self.sent += before;
            count -= before;
            let within = first.bytes.len().min(count);
            if self.sent < first.at || within < first.bytes.len() {
                first.bytes.advance(within);
                self.shared_bytes -= within;
                return self.compact();
            }
            self.shared_bytes -= within;
            count -= within;
            self.shared.pop_front();
        }
        self.sent += count;
        self.compact();
    }

    /// Gives back what has been sent, once it is the larger part of the buffer.
    fn compact(&mut self) {
        if self.shared.is_empty() && self.sent == self.buffer.len() {
            self.reset();
        } else if self.sent > KEPT_CAPACITY && self.sent > self.buffer.len() / 2 {
            self.buffer.drain(..self.sent);
            for spliced in &mut self.shared {
                spliced.at -= self.sent;
            }
            self.sent = 0;
        }
    }

    fn reset(&mut self) {
        self.sent = 0;
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        } else {
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(output: &mut Output, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = output.pieces(&mut slices);
            let flat: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = flat.len().min(step);
            all.extend_from_slice(&flat[..taken]);
            output.advance(taken);
        }
        all
    }

    #[test]
    fn large_values_stand_where_they_were_written_however_little_is_sent_at_a_time() {
        for step in [1, 7, 1000, 16 * 1024, 1 << 20] {
            let mut output = Output::default();
            let mut expected = Vec::new();
            for size in [3, 20_000, 16 * 1024, 5, 100_000] {
                let value = Bytes::from(vec![b'a' + (size % 26) as u8; size]);
                output.write(b"<");
                output.share(&value);
                output.write(b">");
                expected.push(b'<');
                expected.extend_from_slice(&value);
                expected.push(b'>');
            }
            assert_eq!(output.len(), expected.len());
            assert!(collect(&mut output, step) == expected, "in steps of {step}");
        }
    }

    #[test]
    fn rewinding_takes_back_copied_and_shared_bytes() {
        let mut output = Output::default();
        output.write(b"kept");
        let mark = output.mark();
        output.write(b"dropped");
        output.share(&Bytes::from(vec![0; WORTH_SHARING]));
        output.rewind(mark);
        assert_eq!(collect(&mut output, 100), b"kept");
    }

    #[test]
    fn a_buffer_that_never_drains_does_not_grow_with_what_was_sent() {
        let mut output = Output::default();
        output.write(b"first");
        for _ in 0..10_000 {
            output.write(&[0; 1024]);
            output.advance(1024);
        }
        assert!(output.buffer.len() < 4 * KEPT_CAPACITY);
    }

    #[test]
    fn nor_does_it_while_a_shared_value_is_always_pending() {
        let mut output = Output::default();
        let value = Bytes::from(vec![0; WORTH_SHARING]);
        output.share(&value);
        for _ in 0..1_000 {
            output.write(&[0; 1024]);
            output.share(&value);
            output.advance(1024 + WORTH_SHARING);
        }
        assert!(output.buffer.len() < 4 * KEPT_CAPACITY);
        assert_eq!(output.len(), WORTH_SHARING);
    }
}

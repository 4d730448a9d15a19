//! Where values are written to: all of a value into one buffer, or a long one through a buffer again and again.

/// Takes what is written piece by piece.
pub(crate) trait Output {
    /// Where the next piece goes, behind whatever of the earlier ones is still there.
    fn room(&mut self) -> &mut Vec<u8>;
}

impl Output for Vec<u8> {
    fn room(&mut self) -> &mut Vec<u8> {
        self
    }
}

/// A buffer that is emptied whenever it is full.
pub(crate) struct Drained<F> {
    buffer: Vec<u8>,
    empty: F,
}

const FULL: usize = 64 * 1024;

impl<F: FnMut(&[u8])> Drained<F> {
    pub(crate) const fn new(empty: F) -> Self {
        Drained { buffer: Vec::new(), empty }
    }

    pub(crate) fn end(mut self) {
        (self.empty)(&self.buffer);
    }
}

impl<F: FnMut(&[u8])> Output for Drained<F> {
    fn room(&mut self) -> &mut Vec<u8> {
        if self.buffer.len() >= FULL {
            (self.empty)(&self.buffer);
            self.buffer.clear();
        }
        &mut self.buffer
    }
}

//! Pieces of memory, all zeros at first.
//!
//! A large piece is mapped by itself and goes back to the system as soon as it is dropped. Only
//! small ones are the allocator's, which may keep them for later.

use std::sync::Arc;

use memmap2::MmapMut;

/// The unit in which processors move memory.
pub(crate) const LINE: usize = 64;
/// From so many bytes on a piece is worth a mapping of its own.
const MAPPED_FROM: usize = 4096;

#[derive(Debug)]
pub(crate) struct Memory {
    source: Source,
    /// Where the piece begins in its source.
    start: usize,
}

#[derive(Debug)]
enum Source {
    Heap(Box<[u8]>),
    Mapped(MmapMut),
}

impl Memory {
    pub(crate) fn bytes(length: usize) -> Self {
        Memory { source: Source::new(length), start: 0 }
    }

    /// So many lines, each of which lies in one of the processor's.
    pub(crate) fn lines(count: usize) -> Self {
        match Source::new(count * LINE) {
            Source::Heap(_) => {
                let roomy = vec![0; count * LINE + LINE - 1].into_boxed_slice();
                let start = roomy.as_ptr().align_offset(LINE).min(LINE - 1);
                Memory { source: Source::Heap(roomy), start }
            }
            mapped @ Source::Mapped(_) => Memory { source: mapped, start: 0 },
        }
    }

    pub(crate) fn get(&self, at: usize, length: usize) -> &[u8] {
        &self.source.all()[self.start + at..][..length]
    }

    pub(crate) fn get_mut(&mut self, at: usize, length: usize) -> &mut [u8] {
        &mut self.source.all_mut()[self.start + at..][..length]
    }

    pub(crate) fn line(&self, at: usize) -> &[u8; LINE] {
        self.source.all()[self.start + at * LINE..].first_chunk().expect(LINE_IS_THERE)
    }

    pub(crate) fn line_mut(&mut self, at: usize) -> &mut [u8; LINE] {
        self.source.all_mut()[self.start + at * LINE..].first_chunk_mut().expect(LINE_IS_THERE)
    }
}

impl Clone for Memory {
    /// A copy has memory of its own.
    fn clone(&self) -> Self {
        let mut source = Source::new(self.source.all().len());
        source.all_mut().copy_from_slice(self.source.all());
        Memory { source, start: self.start }
    }
}

/// What pages take their memory from.
pub(crate) trait Store {
    fn bytes(length: usize) -> Self;

    fn get(&self, at: usize, length: usize) -> &[u8];

    fn get_mut(&mut self, at: usize, length: usize) -> &mut [u8];
}

impl Store for Memory {
    fn bytes(length: usize) -> Self {
        Memory::bytes(length)
    }

    fn get(&self, at: usize, length: usize) -> &[u8] {
        self.get(at, length)
    }

    fn get_mut(&mut self, at: usize, length: usize) -> &mut [u8] {
        self.get_mut(at, length)
    }
}

/// Memory that is shared until one of those who have it changes it.
impl Store for Arc<Memory> {
    fn bytes(length: usize) -> Self {
        Arc::new(Memory::bytes(length))
    }

    fn get(&self, at: usize, length: usize) -> &[u8] {
        Memory::get(self, at, length)
    }

    fn get_mut(&mut self, at: usize, length: usize) -> &mut [u8] {
        Arc::make_mut(self).get_mut(at, length)
    }
}

const LINE_IS_THERE: &str = "nobody asks for a line behind the last";

impl Source {
    fn new(length: usize) -> Self {
        let is_mapped = length >= MAPPED_FROM && !cfg!(miri);
        match is_mapped.then(|| MmapMut::map_anon(length)) {
            Some(Ok(mapped)) => Source::Mapped(mapped),
            // The allocator may still have some where there cannot be more mappings.
            _ => Source::Heap(vec![0; length].into_boxed_slice()),
        }
    }

    fn all(&self) -> &[u8] {
        match self {
            Source::Heap(bytes) => bytes,
            Source::Mapped(bytes) => bytes,
        }
    }

    fn all_mut(&mut self) -> &mut [u8] {
        match self {
            Source::Heap(bytes) => bytes,
            Source::Mapped(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_where_the_processors_do_and_are_zero() {
        for count in [1, 3, 63, 64, 1000] {
            let mut memory = Memory::lines(count);
            for at in 0..count {
                assert!(memory.line(at).as_ptr().addr().is_multiple_of(LINE));
                assert_eq!(*memory.line(at), [0; LINE]);
                memory.line_mut(at).fill(at as u8);
            }
            assert!((0..count).all(|at| *memory.line(at) == [at as u8; LINE]));
        }
    }
}

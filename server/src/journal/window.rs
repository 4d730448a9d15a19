//! The part of a file that is being read: what has been read of it moves on, what is missing is fetched.

use std::io::{self, Read};

use super::crc64::crc64;

/// So much at least is fetched at a time.
const STEP: usize = 256 * 1024;

pub(crate) struct Window {
    file: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    /// What has been read of the bytes that are here.
    at: usize,
    /// Of these, what the checksum takes account of.
    checked: usize,
    /// Where in the file the bytes begin that are here.
    offset: u64,
    checksum: u64,
    has_ended: bool,
}

impl Window {
    pub(crate) fn new(file: Box<dyn Read + Send>) -> Self {
        Window {
            file,
            bytes: Vec::new(),
            at: 0,
            checked: 0,
            offset: 0,
            checksum: 0,
            has_ended: false,
        }
    }

    /// What is here and has not been read.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Whether nothing more can be fetched.
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Where in the file the rest begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// Says that so many bytes of the rest have been read.
    pub(crate) const fn consume(&mut self, count: usize) {
        self.at += count;
    }

    /// The checksum of everything that has been read.
    pub(crate) fn checksum(&mut self) -> u64 {
        self.checksum = crc64(self.checksum, &self.bytes[self.checked..self.at]);
        self.checked = self.at;
        self.checksum
    }

    /// Fetches more, the more the longer the rest is already: what is read only once it is all here is looked at
    /// anew a few times only.
    pub(crate) fn fetch(&mut self) -> io::Result<()> {
        self.checksum();
        self.bytes.drain(..self.at);
        self.offset += self.at as u64;
        (self.at, self.checked) = (0, 0);
        let wanted = STEP.max(self.bytes.len());
        self.bytes.reserve(wanted);
        let fetched = self.file.by_ref().take(wanted as u64).read_to_end(&mut self.bytes)?;
        self.has_ended = fetched < wanted;
        Ok(())
    }

    /// Makes sure that so many bytes are here, if the file has them.
    pub(crate) fn want(&mut self, count: usize) -> io::Result<bool> {
        while self.rest().len() < count && !self.has_ended {
            self.fetch()?;
        }
        Ok(self.rest().len() >= count)
    }
}

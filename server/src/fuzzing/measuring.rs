//! Doors for the benches: the loop of a connection, the decoder, the replies and the table of keys,
//! each alone.
//!
//! What is measured has to cost what it costs in a connection. So [`Connection`] is the same
//! conversation, over a stream that costs nothing.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Engine, LONGEST_BULK, LONGEST_RUN, fill};
use crate::conversation::Conversation;
use crate::keyspace::{Keyspace, Run, Scope, Uses};
use crate::random::Random;
use crate::resp::{Decoder, Limits, Output, Protocol, Reply};
use crate::value::Text;

const SLICES: usize = 16;

/// A connection whose stream is the caller: what it reads is given, what it sends is taken.
pub struct Connection(Conversation);

impl Connection {
    pub fn new(engine: &Engine) -> Self {
        let (engine, session) = engine.session();
        Connection(Conversation::new(engine, session))
    }

    /// Executes the requests in these bytes, and appends to `sent` what the client would get.
    ///
    /// # Panics
    /// Panics if the connection would not simply go on: that is not what is to be measured.
    pub fn serve(&mut self, mut bytes: &[u8], sent: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let before = bytes.len();
            fill(self.0.target(), &mut bytes);
            self.0.note_received(before - bytes.len());
            assert_eq!(self.0.execute_pending(), None, "the connection would have to wait");
            assert!(!self.0.is_over_limit(), "the connection would be dropped");
            self.send(sent);
        }
    }

    fn send(&mut self, sent: &mut Vec<u8>) {
        while self.0.has_unsent() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.0.pieces(&mut slices);
            let before = sent.len();
            slices[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
            self.0.note_sent(sent.len() - before);
        }
        self.0.engine.stats.writes.fetch_add(1, Ordering::Relaxed);
        self.0.note_unsent();
    }
}

/// The keys of a database in one shard, each with a value of 32 bytes.
pub struct Keys(Keyspace);

impl Keys {
    pub fn new(count: u32) -> Self {
        let keys = Keys(Keyspace::new(1, 1, &Random::seeded(1)));
        (0..count).for_each(|number| keys.put(number));
        keys
    }

    pub fn put(&self, number: u32) {
        let (key, text) = (Self::name(number), Text::Fixed(&[b'x'; 32]));
        Run::new(&self.0).lock_key(&key, Self::SCOPE).put(&key, text, None);
    }

    pub fn has(&self, number: u32) -> bool {
        let key = Self::name(number);
        Run::new(&self.0).lock_key(&key, Self::SCOPE).read(&key).is_some()
    }

    /// Whether the key was there.
    pub fn remove(&self, number: u32) -> bool {
        let key = Self::name(number);
        Run::new(&self.0).lock_key(&key, Self::SCOPE).remove(&key)
    }

    /// Visits the keys at a cursor and gives the next, 0 at the end; adds their number to `count`.
    pub fn scan(&self, cursor: u64, count: &mut usize) -> u64 {
        Run::new(&self.0).lock_all(Self::SCOPE).scan(cursor, |_| *count += 1)
    }

    const SCOPE: Scope = Scope { database: 0, now_ms: 0, uses: Uses::Noted };

    fn name(number: u32) -> [u8; 16] {
        let mut name = *b"key:000000000000";
        let mut rest = number;
        for digit in name.iter_mut().rev().take(10) {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        name
    }
}

/// Requests are decoded, and nothing is done with them.
#[derive(Default)]
pub struct RequestDecoder(Decoder);

impl RequestDecoder {
    /// How many requests have become whole with these bytes.
    ///
    /// # Panics
    /// Panics on bytes that no request can be made of.
    pub fn decode(&mut self, mut bytes: &[u8]) -> usize {
        let limits = Limits { longest_bulk: LONGEST_BULK, authenticated: true };
        let mut requests = 0;
        while !bytes.is_empty() {
            fill(self.0.target(), &mut bytes);
            self.0.decode_ahead(limits, LONGEST_RUN);
            while self.0.advance(limits).expect("only whole requests are measured") {
                std::hint::black_box(self.0.args());
                requests += 1;
                self.0.finish();
            }
        }
        requests
    }
}

/// Replies are written, and sent to nobody.
pub struct Replies {
    output: Output,
    protocol: Protocol,
}

impl Replies {
    pub fn resp2() -> Self {
        Replies { output: Output::default(), protocol: Protocol::Resp2 }
    }

    pub fn resp3() -> Self {
        Replies { output: Output::default(), protocol: Protocol::Resp3 }
    }

    pub fn ok(&mut self) {
        self.reply().ok();
    }

    pub fn null(&mut self) {
        self.reply().null();
    }

    pub fn integer(&mut self, value: i64) {
        self.reply().integer(value);
    }

    pub fn bulk(&mut self, bytes: &[u8]) {
        self.reply().bulk(bytes);
    }

    pub fn shared_bulk(&mut self, bytes: &Bytes) {
        self.reply().shared_bulk(bytes);
    }

    pub fn array(&mut self, length: usize) {
        self.reply().array(length);
    }

    /// Takes everything for sent; how many bytes it was.
    pub fn send(&mut self) -> usize {
        let count = self.output.len();
        self.output.advance(count);
        count
    }

    const fn reply(&mut self) -> Reply<'_> {
        Reply::new(&mut self.output, self.protocol)
    }
}

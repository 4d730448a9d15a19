//! Doors for the benches: the loop of a connection, the decoder and the replies, each alone.
//!
//! What is measured has to cost what it costs in a connection. So [`Connection`] takes the steps
//! of `connection.rs` in its order, and copies nothing that is not copied there.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Engine, LONGEST_BULK, LONGEST_RUN, Session, read};
use crate::clients::OverLimit;
use crate::clock::Moment;
use crate::config::{ClientClass, Param};
use crate::execute::{Flow, execute};
use crate::resp::{Decoder, Limits, Output, Protocol, Reply};

const SLICES: usize = 16;
/// From how many requests on a connection looks ahead at their keys.
const WORTH_WARMING: usize = 4;

/// A connection whose stream is the caller: what it reads is given, what it sends is taken.
pub struct Connection {
    session: Session,
    over_limit: OverLimit,
}

impl Connection {
    pub fn new(engine: &Engine) -> Self {
        Connection { session: engine.connect(), over_limit: OverLimit::default() }
    }

    /// Executes the requests in these bytes, and appends to `sent` what the client would get.
    ///
    /// # Panics
    /// Panics if the connection would not simply go on: that is not what is to be measured.
    pub fn serve(&mut self, mut bytes: &[u8], sent: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let before = bytes.len();
            read(&mut self.session.decoder, &mut bytes);
            self.note_received(before - bytes.len());
            self.execute_pending();
            assert!(!self.is_over_limit(), "the connection would be dropped");
            self.send(sent);
        }
    }

    fn note_received(&self, count: usize) {
        let (seen, stats) = (&self.session.inner.client.seen, &self.session.engine.stats);
        seen.received.fetch_add(count as u64, Ordering::Relaxed);
        stats.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
        stats.reads.fetch_add(1, Ordering::Relaxed);
    }

    fn execute_pending(&mut self) {
        let Session { engine, inner, decoder, output, .. } = &mut self.session;
        inner.moment = Moment::now(&engine.clock);
        let longest_bulk = engine.config.longest_string();
        loop {
            let limits = Limits { longest_bulk, authenticated: inner.authenticated };
            if limits.authenticated && decoder.ready().len() == 0 {
                decoder.decode_ahead(limits, LONGEST_RUN);
                let requests = decoder.ready();
                if requests.len() >= WORTH_WARMING {
                    let keys = requests.filter_map(|args| args.get(1));
                    engine.keyspace.warm(keys, inner.database());
                }
            }
            if !decoder.advance(limits).expect("only whole requests are measured") {
                break;
            }
            let flow = execute(engine, inner, decoder.args(), output);
            assert_eq!(flow, Flow::Continue, "the connection would not go on");
            decoder.finish();
        }
        let seen = &inner.client.seen;
        seen.last_used_ms.store(inner.moment.now_ms(), Ordering::Relaxed);
        seen.unread.store(decoder.pending(), Ordering::Relaxed);
        seen.unsent.store(output.len(), Ordering::Relaxed);
    }

    fn is_over_limit(&mut self) -> bool {
        let Session { engine, inner, decoder, output, .. } = &self.session;
        let config = &engine.config;
        let limit = config.output_limit(ClientClass::Normal);
        decoder.pending() as i64 > config.number(Param::ClientQueryBufferLimit)
            || !output.is_empty()
                && self.over_limit.check(limit, output.len(), inner.moment.now_ms())
    }

    fn send(&mut self, sent: &mut Vec<u8>) {
        let Session { engine, inner, output, .. } = &mut self.session;
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = output.pieces(&mut slices);
            let before = sent.len();
            slices[..count].iter().for_each(|slice| sent.extend_from_slice(slice));
            let count = sent.len() - before;
            output.advance(count);
            engine.stats.sent_bytes.fetch_add(count as u64, Ordering::Relaxed);
            inner.client.seen.sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        engine.stats.writes.fetch_add(1, Ordering::Relaxed);
        inner.client.seen.unsent.store(output.len(), Ordering::Relaxed);
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
            read(&mut self.0, &mut bytes);
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

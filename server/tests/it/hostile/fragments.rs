//! However a pipeline is cut into pieces, the same comes back.

use redlet::{Server, Value};

use crate::support::{Dice, Wire, encode};

/// Ends every pipeline, so that it is known when all replies are there.
const LAST: &[u8] = b"$8\r\nthe last\r\n";

/// Around arguments the pieces are as small as said; inside of large ones they need not be.
const NEAR: usize = 40;

/// Requests, and the ranges in them that lie inside of large arguments.
#[derive(Default)]
struct Pipeline {
    bytes: Vec<u8>,
    inner: Vec<(usize, usize)>,
}

impl Pipeline {
    /// Requests of all kinds and sizes.
    fn mixed() -> Self {
        let mut pipeline = Pipeline::default();
        let mut dice = Dice::new(42);
        for number in 0..180 {
            let length = dice.below(60);
            pipeline.add_small(number, &dice.bytes(length));
        }
        for length in [16_382, 16_383, 16_384, 16_385, 20_000, 65_533, 65_534, 65_535, 65_536] {
            pipeline.add(&[b"SET", b"large", &dice.bytes(length)]);
            pipeline.add(&[b"GET", b"large"]);
        }
        let (one, other) = (dice.bytes(100_000), dice.bytes(1024 * 1024));
        pipeline.add(&[b"MSET", b"a", &one, b"b", b"small", b"c", &other, b"d", b""]);
        pipeline.add(&[b"MGET", b"a", b"b", b"c", b"d", b"e"]);
        pipeline.add(&[b"FLUSHALL"]);
        pipeline.add(&[b"ECHO", b"the last"]);
        pipeline
    }

    fn add_small(&mut self, number: usize, value: &[u8]) {
        let key = format!("key:{}", number % 7).into_bytes();
        match number % 9 {
            0 => self.add(&[b"SET", &key, value]),
            1 => self.add(&[b"GET", &key]),
            2 => self.bytes.extend_from_slice(b"APPEND key:1 inline\r\n"),
            3 => self.bytes.extend_from_slice(b"SET 'key 2' \"a\\x00\\r\\n\\\"b\"\n"),
            4 => self.bytes.extend_from_slice(b"\r\n  \r\n*0\r\n*-1\r\nGET \"key 2\"\r\n"),
            5 => self.add(&[b"MGET", &key, b"key 2", b"", b"missing"]),
            6 => self.add(&[b"NOSUCH", value, value]),
            7 => self.add(&[b"SET", b"", value]),
            _ => self.add(&[b"GET"]),
        }
    }

    fn add(&mut self, words: &[&[u8]]) {
        let mut start = self.bytes.len();
        for word in words {
            // The argument lies somewhere behind this; its head is shorter than what is near.
            start += word.len();
            if word.len() > 4 * NEAR {
                self.inner.push((start - word.len() + 4 * NEAR, start - 4 * NEAR));
            }
        }
        self.bytes.extend_from_slice(&encode(words));
    }

    /// Where the piece ends that begins at `start` and should be `size` long.
    fn cut(&self, start: usize, size: usize) -> usize {
        const LONG: usize = 15_013;
        let inner = self.inner.iter().find(|(from, to)| (*from..*to).contains(&start));
        let end = inner.map_or(start + size, |(_, to)| (start + LONG).min(*to));
        end.min(self.bytes.len())
    }
}

/// What comes back for a pipeline that is sent in pieces.
async fn replies(server: &Server, pipeline: &Pipeline, mut size: impl FnMut() -> usize) -> Vec<u8> {
    let mut client = Wire::memory(server);
    let mut start = 0;
    while start < pipeline.bytes.len() {
        let end = pipeline.cut(start, size());
        client.send(&pipeline.bytes[start..end]).await;
        // The server runs on this very thread: it reads each piece before the next is sent.
        tokio::task::yield_now().await;
        start = end;
    }
    client.until(LAST).await
}

/// How often the server has read something from a client.
fn reads(server: &Server) -> usize {
    let Ok(Value::VerbatimString { data, .. }) = server.direct().call(&["INFO", "stats"]) else {
        panic!("INFO is a text")
    };
    let text = String::from_utf8_lossy(&data).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    line.and_then(|count| count.parse().ok()).expect("a count of reads")
}

#[tokio::test]
async fn a_pipeline_in_pieces_of_any_size_is_answered_as_in_one() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let pipeline = Pipeline::mixed();
    let whole = replies(&server, &pipeline, || usize::MAX / 2).await;
    assert!(whole.len() > 1_500_000, "the large values came back");
    let before = reads(&server);
    assert!(replies(&server, &pipeline, || 1).await == whole);
    let pieces = reads(&server) - before;
    assert!(pieces > 10_000, "the server got {pieces} pieces only");
    for size in 2..=64 {
        assert!(replies(&server, &pipeline, || size).await == whole, "in pieces of {size}");
    }
}

#[tokio::test]
async fn a_pipeline_in_random_pieces_is_answered_as_in_one() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let pipeline = Pipeline::mixed();
    let whole = replies(&server, &pipeline, || usize::MAX / 2).await;
    for seed in 0..30 {
        let mut dice = Dice::new(seed);
        let sizes = [3, 30, 300, 3000, 30_000];
        let size = || {
            let most = *dice.pick(&sizes);
            1 + dice.below(most)
        };
        assert!(replies(&server, &pipeline, size).await == whole, "with seed {seed}");
    }
}

#[tokio::test]
async fn clients_that_send_in_turns_do_not_mix() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut clients: Vec<_> = (0..20).map(|_| Wire::memory(&server)).collect();
    let text = |number: usize| format!("client {number} ").repeat(2000);
    let requests: Vec<_> = (0..20).map(|number| encode(&["ECHO", &text(number)])).collect();
    let longest = requests.iter().map(Vec::len).max().unwrap();
    for start in (0..longest).step_by(997) {
        for (client, request) in clients.iter_mut().zip(&requests) {
            let piece = &request[start.min(request.len())..(start + 997).min(request.len())];
            client.send(piece).await;
        }
        tokio::task::yield_now().await;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.reply().await, text(number));
    }
}

//! A client that checks what it hears: every reply can be decoded in the protocol it chose, and
//! every request gets one unless it asked for silence.

use redlet::Config;
use redlet::fuzzing::{Engine, Exchange, Session};

use super::replies;
use super::wire::encode;

/// Keys of every kind that there is when a client connects.
pub const FIRST_REQUESTS: &[&[&str]] = &[
    &["SET", "integer", "42"],
    &["SET", "short", "some text"],
    &["SET", "12", "-9223372036854775808"],
    &["SETRANGE", "long", "70000", "end"],
    &["SET", "expiring", "soon", "PX", "1500"],
    &["APPEND", "grown", "a text that grew"],
    &["APPEND", "grown", " in two steps"],
    &["SET", "", "the empty key"],
    &["SET", "float", "3.25"],
    &["RPUSH", "list", "one", "2", "three"],
    &["SADD", "set", "one", "2", "three"],
    &["XADD", "stream", "5-1", "field", "value"],
    &["XADD", "stream", "5-2", "field", "12", "other", ""],
    &["XADD", "stream", "1700000000000-0", "field", "value"],
    &["XGROUP", "CREATE", "stream", "group", "0"],
    &["XREADGROUP", "GROUP", "group", "consumer", "COUNT", "2", "STREAMS", "stream", ">"],
];

pub struct CheckedClient {
    engine: Engine,
    session: Session,
    hearing: Hearing,
    /// Whether the client may be told of keys at any time.
    tracks: bool,
    /// Somebody else, for commands about clients.
    _other: Session,
}

/// What the client asked for with `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    All,
    Nothing,
    /// Nothing about the next request.
    NotNext,
}

impl CheckedClient {
    /// A client of a server with small limits and a few keys.
    pub fn new() -> Self {
        Self::with_parameters(&[])
    }

    /// One that may also use commands for developers.
    pub fn with_debug() -> Self {
        Self::with_parameters(&[("enable-debug-command", "yes")])
    }

    fn with_parameters(parameters: &[(&str, &str)]) -> Self {
        let config = Config::new();
        // Values of half a gigabyte would only cost time.
        let small = [("proto-max-bulk-len", "1mb"), ("shards", "2"), ("databases", "4")];
        for (name, value) in small.iter().chain(parameters) {
            config.set_at_start(name, &[*value]).expect("the parameter is valid");
        }
        let mut client = Self::of(Engine::new(config));
        for request in FIRST_REQUESTS {
            client.call(request);
        }
        client
    }

    /// One of a server with whatever keys it has.
    pub fn of(engine: Engine) -> Self {
        let (session, other) = (engine.connect(), engine.connect());
        Self { engine, session, hearing: Hearing::All, tracks: false, _other: other }
    }

    /// Sends one request and gives what came back.
    pub fn call<Word: AsRef<[u8]>>(&mut self, request: &[Word]) -> Vec<u8> {
        let words: Vec<Vec<u8>> = request.iter().map(|word| word.as_ref().to_vec()).collect();
        let exchanges = self.send(&encode(&words));
        exchanges.into_iter().flat_map(|exchange| exchange.reply).collect()
    }

    /// Sends bytes, checks all replies, and connects again if that ended the connection.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<Exchange> {
        let exchanges = self.session.receive(bytes);
        // What a transaction said about replies, or to channels, is not followed here: afterwards another
        // client goes on.
        let is_exec = |exchange: &Exchange| {
            exchange.request.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec"))
        };
        let known = exchanges.iter().position(is_exec).unwrap_or(exchanges.len());
        for (index, exchange) in exchanges[..known].iter().enumerate() {
            let is_last = index + 1 == exchanges.len() && self.session.is_closed();
            self.check(exchange, is_last);
        }
        if self.session.is_closed() || known < exchanges.len() {
            self.session = self.engine.connect();
            (self.hearing, self.tracks) = (Hearing::All, false);
        }
        exchanges
    }

    pub fn advance_clock(&self, by: std::time::Duration) {
        self.engine.advance_clock(by);
    }

    fn check(&mut self, exchange: &Exchange, is_last: bool) {
        let counted = replies::count(&exchange.reply, exchange.is_resp3);
        let counted = counted.unwrap_or_else(|error| panic!("{error} to {}", show(exchange)));
        for message in &exchange.messages {
            let counted = replies::count(message, exchange.is_resp3);
            assert!(counted.is_ok_and(|counted| counted.replies + counted.pushes == 1));
        }
        let words: Vec<Vec<u8>> =
            exchange.request.iter().take(4).map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        if words.first().is_some_and(|name| name.ends_with(b"subscribe")) {
            // A message for each name, whatever the client wants to hear; or an error.
            let is_answered = counted.replies + counted.pushes > 0;
            assert!(is_answered || self.hearing != Hearing::All, "nothing to {}", show(exchange));
            self.hearing = self.hearing.after(&words, counted.replies);
            return;
        }
        let expected = match (self.hearing, &*words) {
            // Whoever monitors already hears nothing more about it, and whoever asked for silence
            // perhaps not even why the connection ends.
            (Hearing::All, [b"client", b"reply", b"off" | b"skip"] | [b"monitor"])
            | (Hearing::Nothing | Hearing::NotNext, [] | [b"client", b"reply", b"on"]) => {
                // What asks for replies again may wait for EXEC, unheard.
                counted.replies.min(1)
            }
            (Hearing::All, [b"shutdown" | b"post" | b"host:", ..]) if is_last => 0,
            (_, [b"client", b"reply", b"on"] | [b"reset"]) | (Hearing::All, _) => 1,
            (Hearing::Nothing | Hearing::NotNext, _) => 0,
        };
        self.hearing = self.hearing.after(&words, counted.replies);
        assert_eq!(counted.replies, expected, "replies to {}", show(exchange));
        let may_push =
            matches!(&*words, [b"debug", b"protocol", b"push"] | [b"publish" | b"spublish", ..]);
        self.tracks |= matches!(&*words, [b"client", b"tracking", ..]);
        assert!(counted.pushes == 0 || may_push || self.tracks, "pushes after {}", show(exchange));
    }
}

impl Hearing {
    /// After a request that got so many replies.
    fn after(self, words: &[&[u8]], replies: usize) -> Self {
        match (self, words) {
            (_, [b"client", b"reply", b"on"]) if replies > 0 => Hearing::All,
            (_, [b"reset"]) => Hearing::All,
            (_, [b"client", b"reply", b"off"]) if replies == 0 => Hearing::Nothing,
            (Hearing::Nothing, _) => Hearing::Nothing,
            (_, [b"client", b"reply", b"skip"]) if replies == 0 => Hearing::NotNext,
            (Hearing::All | Hearing::NotNext, _) => Hearing::All,
        }
    }
}

fn show(exchange: &Exchange) -> String {
    let words: Vec<String> =
        exchange.request.iter().map(|word| format!("\"{}\"", word.escape_ascii())).collect();
    format!("{}: {}", words.join(" "), exchange.reply.escape_ascii())
}

//! Thousands of requests that nobody would send on purpose, the same ones every time.

use redlet::{MemoryStream, Server};
use tokio::io::AsyncWriteExt;

use crate::support::{Dice, Wire, assert_serves, encode};

const ROUNDS: u64 = 20_000;

/// Arguments that are taken for something by one command or another. No offset among them makes
/// a value that is large and still allowed.
const WORDS: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"3.5",
    b"-0",
    b"1e400",
    b"nan",
    b"inf",
    b"text",
    b"a",
    b"b",
    b"key",
    b"*",
    b"[",
    b"\\",
    b"\xFF\xFE",
    b"\0",
    b"\r\n",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"4294967296",
    b"18446744073709551615",
    b"EX",
    b"PX",
    b"NX",
    b"XX",
    b"GT",
    b"LT",
    b"GET",
    b"KEEPTTL",
    b"PXAT",
    b"EXAT",
    b"PERSIST",
    b"COUNT",
    b"MATCH",
    b"TYPE",
    b"REPLACE",
    b"DB",
    b"ABSTTL",
    b"IDLETIME",
    b"FREQ",
    b"IDX",
    b"LEN",
    b"MINMATCHLEN",
    b"WITHMATCHLEN",
    b"LIST",
    b"INFO",
    b"ID",
    b"KILL",
    b"REPLY",
    b"ON",
    b"OFF",
    b"SKIP",
    b"HELP",
    b"SETNAME",
    b"SETINFO",
    b"AUTH",
    b"GETKEYS",
    b"USAGE",
    b"STATS",
    b"DOCTOR",
    b"ENCODING",
    b"RESET",
    b"HISTOGRAM",
    b"LATEST",
    b"ASYNC",
    b"SYNC",
    b"2",
    b"3",
];

/// What ends or holds back the server as it should, and is tested elsewhere.
const LEFT_OUT: &[&str] = &["shutdown", "config"];

struct Generator {
    dice: Dice,
    commands: Vec<String>,
}

impl Generator {
    /// One request, valid or not, or several.
    fn next(&mut self) -> Vec<u8> {
        let mut request = self.plausible();
        match self.dice.below(8) {
            0 => {
                let length = self.dice.below(200);
                self.dice.bytes(length)
            }
            1 => {
                request.extend_from_slice(&self.plausible());
                self.damage(&mut request);
                request
            }
            2 => self.headings(),
            3 => self.inline(),
            _ => request,
        }
    }

    fn words(&mut self) -> Vec<Vec<u8>> {
        let mut words = vec![self.dice.pick(&self.commands).clone().into_bytes()];
        for _ in 0..self.dice.below(6) {
            words.push(self.dice.pick(WORDS).to_vec());
        }
        words
    }

    fn plausible(&mut self) -> Vec<u8> {
        encode(&self.words())
    }

    fn inline(&mut self) -> Vec<u8> {
        let separator = *self.dice.pick(&[&b" "[..], b"\t", b" \"", b"' '", b"\"\\x0"]);
        let end = *self.dice.pick(&[&b"\r\n"[..], b"\n", b"\"\r\n", b"\0\r\n"]);
        [self.words().join(separator), end.to_vec()].concat()
    }

    /// Pieces of the protocol in no good order.
    fn headings(&mut self) -> Vec<u8> {
        let pieces = [
            &b"*"[..],
            b"$",
            b"\r\n",
            b"-1",
            b"1",
            b"3",
            b"PING",
            b":",
            b"+",
            b"*3\r\n",
            b"$4\r\n",
            b"\n",
            b"\r",
            b"99999999999",
            b"*-1\r\n",
            b"$0\r\n\r\n",
            b"~",
            b"%",
            b">",
            b"_\r\n",
        ];
        let count = self.dice.below(12);
        (0..count).flat_map(|_| self.dice.pick(&pieces).to_vec()).collect()
    }

    fn damage(&mut self, request: &mut Vec<u8>) {
        for _ in 0..=self.dice.below(4) {
            let at = self.dice.below(request.len().max(1)).min(request.len());
            match self.dice.below(3) {
                0 => request.truncate(at),
                1 => request.insert(at, self.dice.next() as u8),
                _ => request.get_mut(at).map_or((), |byte| *byte = self.dice.next() as u8),
            }
        }
    }
}

async fn commands(client: &mut Wire<MemoryStream>) -> Vec<String> {
    let list = client.call("COMMAND LIST").await;
    let names = list.trim_matches(['[', ']']).split(", ").map(str::to_owned);
    let names: Vec<_> = names.filter(|name| !LEFT_OUT.contains(&name.as_str())).collect();
    assert!(names.len() > 50, "{names:?}");
    names
}

#[tokio::test]
async fn thousands_of_senseless_requests_leave_the_server_well() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let commands = commands(&mut Wire::memory(&server)).await;
    for seed in 0..ROUNDS {
        let mut generator = Generator { dice: Dice::new(seed), commands: commands.clone() };
        let request = generator.next();
        let mut client = Wire::memory(&server);
        client.send(&request).await;
        // After its last request a client hears the rest, and then the end.
        client.stream.shutdown().await.expect("a pipe can be closed on one side");
        client.until_end().await;
        server.direct().call(&["CLIENT", "UNPAUSE"]).expect("a pause can be ended");
        let answer = Wire::memory(&server).call("PING").await;
        assert_eq!(answer, "PONG", "seed {seed}: {}", request.escape_ascii());
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn senseless_requests_one_after_the_other_leave_a_connection_in_step() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut client = Wire::memory(&server);
    // The others are answered once each, and leave the connection as it is.
    let quiet = ["client", "quit", "monitor", "hello", "reset", "debug", "multi"];
    let mut commands = commands(&mut client).await;
    commands.retain(|name| !quiet.contains(&name.as_str()) && !name.ends_with("subscribe"));
    let waiting = client.call("COMMAND LIST FILTERBY ACLCAT blocking").await;
    commands.retain(|name| !waiting.contains(name.as_str()));
    let mut generator = Generator { dice: Dice::new(99), commands };
    for number in 0..ROUNDS {
        let request = generator.plausible();
        client.send(&request).await;
        client.reply().await;
        let echo = client.request(&["ECHO", &number.to_string()]).await;
        assert_eq!(echo, number.to_string(), "{}", request.escape_ascii());
    }
    assert_serves(&server).await;
}

//! Values that come from elsewhere in the use of clients: whatever `RESTORE` takes stands every command.

use super::Choices;
use super::client::CheckedClient;
use super::payload::seal;

/// Requests about the key `restored`: `#` is a number, `?` a text.
const SHAPES: &[&str] = &[
    "APPEND restored ?",
    "SETRANGE restored # ?",
    "GETRANGE restored # #",
    "INCRBY restored #",
    "SETBIT restored # 1",
    "BITCOUNT restored # #",
    "LPUSH restored ? ?",
    "RPUSH restored ? #",
    "LPOP restored #",
    "RPOP restored",
    "LINSERT restored BEFORE ? ?",
    "LSET restored # ?",
    "LREM restored # ?",
    "LTRIM restored # #",
    "LRANGE restored # #",
    "LPOS restored ? RANK # MAXLEN #",
    "LMOVE restored restored LEFT RIGHT",
    "SADD restored ? # #",
    "SREM restored ? #",
    "SPOP restored #",
    "SRANDMEMBER restored #",
    "SMISMEMBER restored ? #",
    "SINTERSTORE restored restored set",
    "SUNIONSTORE restored restored set",
    "SMOVE restored set ?",
    "SSCAN restored 0 COUNT #",
    "SORT restored ALPHA LIMIT # #",
    "XADD restored * ? ?",
    "XTRIM restored MAXLEN #",
    "XRANGE restored - + COUNT #",
    "EXPIRE restored #",
    "PERSIST restored",
    "COPY restored copied REPLACE",
    "RENAME restored restored",
    "OBJECT ENCODING restored",
    "MEMORY USAGE restored",
];

const NUMBERS: &[i64] =
    &[0, 1, 2, 3, -1, -2, 7, 100, 127, 128, 4096, -32768, 65536, i64::MAX, i64::MIN];
const TEXTS: &[&str] = &["", "a", "two", "12", "-1", "some text", "9223372036854775807", "\u{e9}"];

fn request(choices: &mut impl Choices) -> Vec<Vec<u8>> {
    let shape: &&str = choices.pick(SHAPES);
    let word = |word: &str, choices: &mut _| match word {
        "#" => Choices::pick(choices, NUMBERS).to_string().into_bytes(),
        "?" if Choices::once_in(choices, 16) => vec![b'x'; 5000],
        "?" => Choices::pick(choices, TEXTS).as_bytes().to_vec(),
        word => word.as_bytes().to_vec(),
    };
    shape.split(' ').map(|part| word(part, choices)).collect()
}

/// Restores a value if it is one, uses it at random, and looks whether a copy of what is left is the same.
pub fn check(client: &mut CheckedClient, value: &[u8], choices: &mut impl Choices) {
    let payload = seal(value);
    client.call(&[&b"RESTORE"[..], b"restored", b"0", &payload, b"REPLACE"]);
    for _ in 0..8 {
        client.call(&request(choices));
    }
    let dumped = client.call(&["DUMP", "restored"]);
    let Some(begin) = dumped.iter().position(|&byte| byte == b'\n').filter(|_| dumped[1] != b'-')
    else {
        return;
    };
    let payload = &dumped[begin + 1..dumped.len() - 2];
    let reply = client.call(&[&b"RESTORE"[..], b"again", b"0", payload, b"REPLACE"]);
    assert_eq!(reply, b"+OK\r\n", "{}", payload.escape_ascii());
    client.call(&["PERSIST", "restored"]);
    let digests = ["restored", "again"].map(|key| client.call(&["DEBUG", "DIGEST-VALUE", key]));
    assert_eq!(digests[0], digests[1], "{}", payload.escape_ascii());
}

/// The keys that a client finds, as values without version and checksum.
pub fn values(client: &mut CheckedClient) -> Vec<Vec<u8>> {
    let keys = ["integer", "short", "long", "list", "set", "stream"];
    let dumps = keys.map(|key| client.call(&["DUMP", key]));
    let body = |dump: &Vec<u8>| {
        let begin = dump.iter().position(|&byte| byte == b'\n')? + 1;
        Some(dump[begin..dump.len() - 2 - FOOTER_BYTES].to_vec())
    };
    dumps.iter().filter_map(body).collect()
}

const FOOTER_BYTES: usize = 10;

//! Dumped values that have been tampered with: an error, or a valid key, whatever they hold.

use redlet::{Direct, Server, Value};

use crate::support::{Dice, alone_async, assert_serves, peak_bytes};

/// The checksum at the end of a dumped value, bit by bit.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| {
        (0..8)
            .fold(sum ^ u64::from(*byte), |sum, _| (sum >> 1) ^ (0x95AC_9329_AC4B_C9B5 * (sum & 1)))
    })
}

/// A payload with the version and checksum that belong to it.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut payload = [body, &[11, 0]].concat();
    let sum = checksum(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

fn dump(direct: &mut Direct, value: &[u8]) -> Vec<u8> {
    direct.set("original", value);
    match direct.call(&["DUMP", "original"]) {
        Ok(Value::BlobString { data, .. }) => data.to_vec(),
        other => panic!("a dump was expected, not {other:?}"),
    }
}

/// The dumped values that are tampered with, without version and checksum.
fn bodies(direct: &mut Direct) -> Vec<Vec<u8>> {
    let values =
        [&b"7"[..], b"-300", b"100000", b"hello", &[b'a'; 500], &b"abcdefgh".repeat(300), b""];
    let whole = values.map(|value| dump(direct, value));
    for payload in &whole {
        let (rest, sum) = payload.split_at(payload.len() - 8);
        assert_eq!(checksum(rest).to_le_bytes(), sum, "this is how payloads are sealed");
    }
    whole.map(|payload| payload[..payload.len() - 10].to_vec()).to_vec()
}

fn tamper(body: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(body.len() + 1);
        match dice.below(4) {
            0 => body.truncate(at),
            1 => body.insert(at, dice.next() as u8),
            2 if at < body.len() => drop(body.remove(at)),
            _ if at < body.len() => {
                body[at] = *dice.pick(&[0, 1, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xFF, b'x']);
            }
            _ => {}
        }
    }
}

/// Uses a key in every way there is for what it may hold.
fn use_key(direct: &mut Direct) {
    for line in [
        "TYPE key",
        "GET key",
        "STRLEN key",
        "GETRANGE key -3 -1",
        "OBJECT ENCODING key",
        "DEBUG OBJECT key",
        "DEBUG DIGEST-VALUE key",
        "MEMORY USAGE key",
        "DUMP key",
        "COPY key copy REPLACE",
        "INCR key",
        "INCRBYFLOAT key 1.5",
        "APPEND key more",
        "SETRANGE key 2 x",
        "LCS key copy LEN",
        "EXPIRE key 100",
        "RENAME key other",
        "GETDEL other",
        "DEL copy",
    ] {
        // An error is an answer, as where a text is no number.
        let _ = direct.call(&line.split(' ').collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn payloads_that_were_tampered_with_are_refused_or_make_valid_keys() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut direct = server.direct();
    let bodies = bodies(&mut direct);
    let mut dice = Dice::new(1);
    let mut accepted = 0;
    for round in 0..5000 {
        let mut body = dice.pick(&bodies).clone();
        tamper(&mut body, &mut dice);
        let payload = sealed(&body);
        match direct.call(&[b"RESTORE", &b"key"[..], b"0", &payload, b"REPLACE"]) {
            Ok(_) => {
                accepted += 1;
                use_key(&mut direct);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("ERR Bad data format"), "{round}, {body:?}: {text}");
                assert!(!direct.exists("key"), "{round}, {body:?}");
            }
        }
    }
    assert!((100..4900).contains(&accepted), "{accepted} of 5000 were accepted");
    assert_serves(&server).await;
}

#[tokio::test]
async fn payloads_with_a_wrong_seal_are_refused() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut direct = server.direct();
    let payload = dump(&mut direct, b"hello");
    for at in 0..payload.len() {
        let mut broken = payload.clone();
        broken[at] ^= 0x40;
        let error = direct.call(&[b"RESTORE", &b"key"[..], b"0", &broken]).unwrap_err();
        let expected = "ERR DUMP payload version or checksum are wrong";
        assert_eq!(error.to_string(), expected, "byte {at}");
    }
    for length in 0..payload.len() {
        let part = &payload[..length];
        assert!(direct.call(&[b"RESTORE", &b"key"[..], b"0", part]).is_err(), "{length} bytes");
    }
    assert_serves(&server).await;
}

#[test]
fn payloads_that_announce_much_take_no_memory() {
    alone_async(module_path!(), "payloads_that_announce_much_take_no_memory", async || {
        let server = Server::builder().no_socket().start().await.unwrap();
        let mut direct = server.direct();
        let before = peak_bytes();
        let half_gigabyte = [0x80, 0x1F, 0xFF, 0xFF, 0xFF];
        let long = [&[0x81][..], &u64::MAX.to_be_bytes()].concat();
        for body in [
            // A text of half a gigabyte, and one of 16 exabytes.
            [&[0][..], &half_gigabyte, b"x"].concat(),
            [&[0][..], &long, b"x"].concat(),
            // A compressed text that is to become as long.
            [&[0, 0xC3, 2][..], &half_gigabyte, &[0, b'x']].concat(),
            [&[0, 0xC3, 2][..], &long, &[0, b'x']].concat(),
            [&[0, 0xC3][..], &long, &long, &[0, b'x']].concat(),
            // Lists, sets, hashes and sorted sets of so many elements.
            [&[1][..], &long].concat(),
            [&[2][..], &long].concat(),
            [&[4][..], &long].concat(),
            [&[5][..], &long].concat(),
        ] {
            let payload = sealed(&body);
            let reply = direct.call(&[b"RESTORE", &b"key"[..], b"0", &payload]);
            assert!(reply.is_err(), "{body:?} was accepted");
        }
        let grown = peak_bytes() - before;
        assert!(grown < 8 * 1024 * 1024, "grown by {grown} bytes");
        assert_serves(&server).await;
    });
}

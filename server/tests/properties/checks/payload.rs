//! Payloads of `DUMP`: whatever is restored can be used like any other value.

use redlet::fuzzing;

use super::client::CheckedClient;

const VERSION: u16 = 11;
const STRING: u8 = 0;
const LZF: u8 = 0xc3;
const LENGTH_32_BITS: u8 = 0x80;
/// Of the checksum in the footer.
const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9;

/// A value with a footer that fits: refused, or restored to a key that works.
pub fn check_value(client: &mut CheckedClient, value: &[u8]) {
    let payload = seal(value);
    let reply = client.call(&[&b"RESTORE"[..], b"restored", b"0", &payload, b"REPLACE"]);
    let is_ok = reply == b"+OK\r\n";
    assert_eq!(fuzzing::is_restorable(&payload), is_ok, "{}", reply.escape_ascii());
    let Some(text) = fuzzing::restore_string(&payload) else {
        assert!(is_ok || reply.starts_with(b"-"));
        use_key(client);
        return;
    };
    assert_eq!(client.call(&["GET", "restored"]), bulk(&text), "the value is what was parsed");
    check_dump(&text);
    let dumped = fuzzing::dump_string(&text);
    assert_eq!(client.call(&["DUMP", "restored"]), bulk(&dumped), "DUMP writes the shortest form");
    use_key(client);
    assert_eq!(client.call(&["EXISTS", "restored"]), b":1\r\n");
    client.call(&["GETDEL", "restored"]);
}

/// A payload as it is, its footer too.
pub fn check_payload(client: &mut CheckedClient, payload: &[u8]) {
    let is_value = fuzzing::is_restorable(payload);
    let reply = client.call(&[&b"RESTORE"[..], b"restored", b"100", payload, b"REPLACE"]);
    assert_eq!(is_value, reply == b"+OK\r\n", "{}", reply.escape_ascii());
    use_key(client);
}

/// Text that is dumped comes back.
pub fn check_dump(text: &[u8]) {
    let restored = fuzzing::restore_string(&fuzzing::dump_string(text));
    assert!(restored.as_deref() == Some(text), "{}", text.escape_ascii());
}

/// What is compressed like this is refused, or has the length that was announced.
pub fn check_compressed(compressed: &[u8], announced: u16) {
    let lengths = [compressed.len() as u32, announced.into()];
    let mut value = vec![STRING, LZF];
    for length in lengths {
        value.push(LENGTH_32_BITS);
        value.extend(length.to_be_bytes());
    }
    value.extend_from_slice(compressed);
    if let Some(text) = fuzzing::restore_string(&seal(&value)) {
        assert_eq!(text.len(), usize::from(announced));
        check_dump(&text);
    }
}

/// A value with a footer that fits.
pub fn seal(value: &[u8]) -> Vec<u8> {
    let mut payload = [value, &VERSION.to_le_bytes()].concat();
    let checksum = payload.iter().fold(0u64, |checksum, byte| {
        (0..8).fold(checksum ^ u64::from(*byte), |checksum, _| {
            let shifted = checksum >> 1;
            if checksum & 1 == 1 { shifted ^ POLYNOMIAL.reverse_bits() } else { shifted }
        })
    });
    payload.extend(checksum.to_le_bytes());
    payload
}

/// Traffic of all kinds on the key.
fn use_key(client: &mut CheckedClient) {
    for request in [
        &["STRLEN", "restored"][..],
        &["OBJECT", "ENCODING", "restored"],
        &["MEMORY", "USAGE", "restored"],
        &["INCR", "restored"],
        &["INCRBYFLOAT", "restored", "0.5"],
        &["APPEND", "restored", "more"],
        &["SETRANGE", "restored", "3", "x"],
        &["GETRANGE", "restored", "-5", "-1"],
        &["LCS", "restored", "short"],
        &["COPY", "restored", "copied", "REPLACE"],
        &["RENAME", "copied", "restored"],
        &["TTL", "restored"],
        &["DUMP", "restored"],
    ] {
        client.call(request);
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

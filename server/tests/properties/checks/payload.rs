//! Payloads of `DUMP`: whatever is restored can be used like any other value.

use redlet::fuzzing;

use super::client::CheckedClient;

const VERSION: u16 = 11;

/// A value with a footer that fits: refused, or restored to a key that works.
pub fn check_value(client: &mut CheckedClient, value: &[u8]) {
    let payload = fuzzing::seal_payload(value, VERSION);
    let parsed = fuzzing::restore_string(&payload);
    let reply = client.call(&[&b"RESTORE"[..], b"restored", b"0", &payload, b"REPLACE"]);
    assert_eq!(parsed.is_some(), reply == b"+OK\r\n", "{}", reply.escape_ascii());
    let Some(text) = parsed else {
        assert!(reply.starts_with(b"-"));
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
    let parsed = fuzzing::restore_string(payload);
    let reply = client.call(&[&b"RESTORE"[..], b"restored", b"100", payload, b"REPLACE"]);
    assert_eq!(parsed.is_some(), reply == b"+OK\r\n", "{}", reply.escape_ascii());
    use_key(client);
}

/// Text that is dumped comes back.
pub fn check_dump(text: &[u8]) {
    let restored = fuzzing::restore_string(&fuzzing::dump_string(text));
    assert!(restored.as_deref() == Some(text), "{}", text.escape_ascii());
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

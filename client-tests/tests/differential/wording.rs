//! Errors that valkey words otherwise than redis, in one table.

use client_tests::{reply::Reply, text::contains};

/// What valkey says, and what redis says; each a part of a text.
const WORDING: &[(&str, &str)] = &[
    ("ERR Command 'multi' not allowed inside a transaction", "ERR MULTI calls can not be nested"),
    (
        "ERR Command 'watch' not allowed inside a transaction",
        "ERR WATCH inside MULTI is not allowed",
    ),
    ("Unknown command called from script", "Unknown Redis command called from script"),
    ("args calling command from script", "args calling Redis command from script"),
    ("ERR Command arguments must be", "ERR Lua redis lib command arguments must be"),
    ("argument for this call", "argument for this redis lib call"),
    ("This Valkey command is not", "This Redis command is not"),
    ("No matching script.", "No matching script. Please use EVAL."),
    ("an ID or '$' must be specified", "an ID, '+', or '$' must be specified"),
];

/// Between these redis has a script's SHA1, which valkey leaves out.
const BEFORE_DIGEST: &[u8] = b" script: ";
const AFTER_DIGEST: &[u8] = b", on @user_script:";
const NO_DIGEST: &[u8] = b"on @user_script:";

/// Whether two replies are the same, except that one is worded as valkey does, and the other as redis does.
pub(crate) fn is_all(left: &Reply, right: &Reply) -> bool {
    match (left, right) {
        (Reply::Array(left), Reply::Array(right)) | (Reply::Set(left), Reply::Set(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| is_all(left, right))
        }
        (Reply::Map(left), Reply::Map(right)) => {
            let mut pairs = left.iter().zip(right);
            left.len() == right.len()
                && pairs.all(|(left, right)| is_all(&left.0, &right.0) && is_all(&left.1, &right.1))
        }
        (Reply::Error(left), Reply::Error(right)) => {
            squeezed(as_redis(left)) == squeezed(as_redis(right))
        }
        // A script may return an error's text as a value, too.
        (Reply::Bulk(left), Reply::Bulk(right)) => as_redis(left) == as_redis(right),
        (left, right) => left == right,
    }
}

/// Of the line ends that an error begins with redis makes nothing, and valkey spaces.
fn squeezed(mut text: Vec<u8>) -> Vec<u8> {
    text.dedup_by(|next, before| *next == b' ' && *before == b' ');
    text
}

fn as_redis(text: &[u8]) -> Vec<u8> {
    let mut text = without_digests(text);
    for (valkey, redis) in WORDING {
        if !contains(&text, redis.as_bytes()) {
            text = replace(&text, valkey.as_bytes(), redis.as_bytes());
        }
    }
    text
}

fn without_digests(text: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, AFTER_DIGEST) {
        let is_digest = at >= 40 && rest[..at - 40].ends_with(BEFORE_DIGEST);
        result.extend(&rest[..if is_digest { at - 40 } else { at }]);
        result.extend(if is_digest { NO_DIGEST } else { AFTER_DIGEST });
        rest = &rest[at + AFTER_DIGEST.len()..];
    }
    result.extend(rest);
    result
}

fn replace(text: &[u8], part: &[u8], other: &[u8]) -> Vec<u8> {
    match find(text, part) {
        Some(at) => [&text[..at], other, &replace(&text[at + part.len()..], part, other)].concat(),
        None => text.to_vec(),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

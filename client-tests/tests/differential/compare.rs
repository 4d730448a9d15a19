//! When two replies agree: when they are the same, except where a reply is not determined by the commands.

use client_tests::reply::Reply;

use crate::{generate::Command, streams};

/// The servers are asked one after the other, so seconds may tick in between.
const TOLERANCE_SECONDS: u64 = 2;
const TOLERANCE_MS: u64 = 3000;
/// The default of `set-max-listpack-value`.
const LONGEST_PACKED_MEMBER: usize = 64;

pub(crate) fn agree(command: &Command, left: &Reply, right: &Reply) -> bool {
    if left == right || (is_nan(left) && is_nan(right)) {
        return true;
    }
    let name = command.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    let subcommand = command.get(1).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (name.as_slice(), subcommand.as_slice()) {
        (b"ttl" | b"expiretime", _) => near(left, right, TOLERANCE_SECONDS),
        (b"pttl" | b"pexpiretime", _) => near(left, right, TOLERANCE_MS),
        // Hash tables have no order.
        (b"keys" | b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"spop", _) => {
            left.elements().is_some() && sorted(left) == sorted(right)
        }
        // Where BY finds nothing, a set's own order shows, and a hash table has none. A set with such
        // a member is one.
        (b"sort" | b"sort_ro", _) if has_word(command, b"by") => {
            let is_table = |reply| longest_text(reply) > LONGEST_PACKED_MEMBER;
            same_size(left, right) && (is_table(left) || is_table(right))
        }
        // All members or none, or as many as it should be.
        (b"srandmember", _) => same_size(left, right),
        // Among all parameters are directories, ports and process titles.
        (b"config", b"get") if command.contains(&b"*".to_vec()) => same_kind(left, right),
        (b"config", b"get") => sorted_pairs(left) == sorted_pairs(right),
        // A cursor's bits and what one call visits depend on the table's layout.
        (b"scan", _) => scans_agree(command.get(1), left, right),
        (b"sscan", _) => scans_agree(command.get(2), left, right),
        // Any key will do, the clocks differ, a serialized value carries its writer's version, a key
        // whose time is over counts until somebody looks at it (the keys themselves are compared at
        // the end), and Redis shares small integers among keys, and their idle time with them.
        (b"randomkey" | b"time" | b"dump" | b"dbsize", _) | (b"object", b"idletime") => {
            same_kind(left, right)
        }
        // Whether a small integer is an object of its own is not told by the commands alone.
        (b"object", b"refcount") => same_kind(left, right),
        (b"xpending", _) => streams::pending_agrees(left, right),
        (b"xinfo", _) => streams::information_agrees(left, right),
        // How much memory a value takes is an implementation's own business, and one whose time is
        // over may take some or none.
        (b"memory", b"usage") => !left.is_error() && !right.is_error(),
        _ => false,
    }
}

fn has_word(command: &Command, word: &[u8]) -> bool {
    command.iter().any(|other| other.eq_ignore_ascii_case(word))
}

fn longest_text(reply: &Reply) -> usize {
    let texts = reply.elements().into_iter().flatten().filter_map(Reply::text);
    texts.map(|text| text.len()).max().unwrap_or_default()
}

fn is_nan(reply: &Reply) -> bool {
    matches!(reply, Reply::Double(number) if number.is_nan())
}

fn near(left: &Reply, right: &Reply, tolerance: u64) -> bool {
    match (left, right) {
        (Reply::Integer(left), Reply::Integer(right)) => {
            *left >= 0 && *right >= 0 && left.abs_diff(*right) <= tolerance
        }
        _ => false,
    }
}

fn sorted(reply: &Reply) -> Option<Vec<Option<Vec<u8>>>> {
    let mut texts: Vec<_> = reply.elements()?.into_iter().map(Reply::text).collect();
    texts.sort();
    Some(texts)
}

fn sorted_pairs(reply: &Reply) -> Option<Vec<Vec<Option<Vec<u8>>>>> {
    let texts: Vec<_> = reply.elements()?.into_iter().map(Reply::text).collect();
    let mut pairs: Vec<_> = texts.chunks(2).map(<[_]>::to_vec).collect();
    pairs.sort();
    Some(pairs)
}

/// Where both went through everything in one call, they must have seen the same keys.
fn scans_agree(cursor: Option<&Vec<u8>>, left: &Reply, right: &Reply) -> bool {
    let from_start = cursor.is_some_and(|cursor| cursor == b"0");
    let parts = |reply: &Reply| {
        let elements = reply.elements()?;
        let [cursor, keys] = elements[..] else { return None };
        Some((cursor.text()?, sorted(keys)?))
    };
    match (parts(left), parts(right)) {
        (Some((left_cursor, left_keys)), Some((right_cursor, right_keys))) => {
            !from_start || left_cursor != b"0" || right_cursor != b"0" || left_keys == right_keys
        }
        _ => false,
    }
}

fn same_size(left: &Reply, right: &Reply) -> bool {
    let size = |reply: &Reply| reply.elements().map(|elements| elements.len());
    same_kind(left, right) && size(left) == size(right)
}

fn same_kind(left: &Reply, right: &Reply) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right) && !left.is_error()
}

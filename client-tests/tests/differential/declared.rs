//! Differences that are known and right: between real servers, which differ from the redis 7.2 that redlet follows, and,
//! in a list of their own that should stay short, redlet's.

use client_tests::{
    reply::Reply,
    target::identity::{Identity, Product, Selector},
    text::contains,
};

use crate::{generate::Command, streams, wording};

/// A difference that the servers it names may show.
struct Declared {
    servers: &'static str,
    applies: fn(&Command, &Reply, &Reply) -> bool,
    reason: &'static str,
}

/// Where redlet differs from every real server, because of the reason given.
const REDLET_DIFFERS: &[RedletDiffers] = &[];

struct RedletDiffers {
    applies: fn(&Command, &Reply, &Reply) -> bool,
    because: &'static str,
}

const DECLARED: &[Declared] = &[
    Declared {
        servers: "valkey",
        applies: |_, left, right| wording::is_all(left, right),
        reason: "valkey has words of its own for errors of transactions and scripts",
    },
    Declared {
        servers: "redis, valkey",
        applies: |command, left, right| {
            let refused = "One or more scores can't be converted";
            sorts(command) && says(left, refused) != says(right, refused)
        },
        reason: "servers do not agree on what SORT takes for numbers, and redis 8.0 refuses all of them while it remembers that a number of an earlier command was out of range",
    },
    Declared {
        servers: "valkey",
        applies: |command, left, right| {
            is(command, "object", "encoding")
                && same_encoding(&text(left), &text(right), VALKEY_ENCODINGS)
        },
        reason: "valkey embeds longer strings, and integers that a script sets",
    },
    Declared {
        servers: "valkey",
        applies: |command, left, right| {
            is(command, "object", "refcount") && (is_shared(left) || is_shared(right))
        },
        reason: "valkey does not share small integers",
    },
    Declared {
        servers: "valkey",
        applies: |command, left, right| {
            let is_early = |reply| says(reply, "WRONGTYPE") || Reply::is_null(reply);
            is_named(command, "getex") && (is_early(left) || is_early(right))
        },
        reason: "valkey checks GETEX's time before it looks at the key",
    },
    Declared {
        servers: "valkey",
        applies: |command, left, right| {
            is_named(command, "scan")
                && (says(left, "unknown type name") || says(right, "unknown type name"))
        },
        reason: "valkey refuses unknown types in SCAN",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            (is_named(command, "scan") || is_named(command, "sscan"))
                && (says(left, "invalid cursor") || says(right, "invalid cursor"))
        },
        reason: "redis before 7.2 takes anything that starts like a number for a cursor",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            is(command, "object", "encoding") && same_encoding(&text(left), &text(right), &[])
        },
        reason: "redis before 7.2 packs neither lists nor sets",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            sorts(command)
                && command.iter().any(|word| word.eq_ignore_ascii_case(b"by"))
                && !left.is_error()
                && !right.is_error()
        },
        reason: "redis before 7.2 does not pack sets, and their order shows where SORT BY finds nothing",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            let refused = "value must between -9223372036854775807";
            (is_named(command, "lrem") || is_named(command, "lpos"))
                && (says(left, refused) || says(right, refused))
        },
        reason: "redis before 7.2 takes the lowest of all numbers in LREM and LPOS",
    },
    Declared {
        servers: "redis <7.2",
        applies: |_, left, right| {
            let (negative, far) = ("timeout is negative", "timeout is out of range");
            (says(left, negative) && says(right, far)) || (says(left, far) && says(right, negative))
        },
        reason: "redis before 7.2 lets a timeout that is much too long overflow",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            let zero = |text: &[u8]| text.contains(&0);
            (is(command, "client", "setname") && command.iter().any(|word| zero(word)))
                || (is(command, "client", "getname") && (zero(&text(left)) || zero(&text(right))))
        },
        reason: "redis before 7.2 looks at a client's name behind a zero byte, too",
    },
    Declared {
        servers: "valkey",
        applies: |command, left, right| {
            is_named(command, "xinfo")
                && streams::information_agrees_without(VALKEY_STREAMS, left, right)
        },
        reason: "valkey counts from ENTRIESREAD how far a group lags behind that is before the first entry",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            is_named(command, "xinfo")
                && streams::information_agrees_without(OLDER_STREAMS, left, right)
        },
        reason: "redis before 7.2 makes no consumer of who gets nothing, does not know when one last got something, and counts what groups have read in a way of its own",
    },
    Declared {
        servers: "redis <7.2",
        applies: |command, left, right| {
            let too_large = "Elements are too large to be stored";
            is_named(command, "xadd") && (says(left, too_large) || says(right, too_large))
        },
        reason: "redis before 7.2 says that elements are too large where a time has no more ids",
    },
    Declared {
        servers: "redis <7.2, valkey",
        applies: |_, left, right| says(left, "ERR Unbalanced") && says(right, "ERR Unbalanced"),
        reason: "redis before 7.2 and valkey complain in words of their own of a stream too many",
    },
];

/// What XINFO tells otherwise.
const VALKEY_STREAMS: &[&str] = &["lag"];
const OLDER_STREAMS: &[&str] = &["entries-read", "lag", "consumers", "inactive", "active-time"];

/// Why two replies may differ between these two servers, if they may.
pub(crate) fn reason(
    identities: [&Identity; 2],
    command: &Command,
    left: &Reply,
    right: &Reply,
) -> Option<&'static str> {
    let covers = |declared: &&Declared| {
        let selectors = Selector::parse_list(declared.servers).expect("the list names servers");
        identities
            .iter()
            .any(|identity| selectors.iter().any(|selector| selector.selects(identity)))
            && (declared.applies)(command, left, right)
    };
    let redlet = identities.iter().any(|identity| identity.product == Product::Redlet);
    let own =
        REDLET_DIFFERS.iter().find(|differs| redlet && (differs.applies)(command, left, right));
    let between_real = DECLARED.iter().find(covers).map(|declared| declared.reason);
    between_real.or(own.map(|differs| differs.because))
}

type Pairs = [[&'static [u8]; 2]];

/// What valkey does not always tell apart.
const VALKEY_ENCODINGS: &Pairs = &[[b"int", b"embstr"], [b"int", b"raw"]];

/// Whether two encodings may be those of the same value on two servers.
pub(crate) fn encodings_agree(identities: [&Identity; 2], left: &[u8], right: &[u8]) -> bool {
    let has_valkey = identities.iter().any(|identity| identity.product == Product::Valkey);
    same_encoding(left, right, if has_valkey { VALKEY_ENCODINGS } else { &[] })
}

/// Whether two replies to XINFO may be about the same stream on two servers.
pub(crate) fn streams_agree(identities: [&Identity; 2], left: &Reply, right: &Reply) -> bool {
    let older = Selector::parse("redis <7.2").expect("it is a selector");
    let ignored = if identities.iter().any(|identity| older.selects(identity)) {
        OLDER_STREAMS
    } else if identities.iter().any(|identity| identity.product == Product::Valkey) {
        VALKEY_STREAMS
    } else {
        &[]
    };
    streams::information_agrees_without(ignored, left, right)
}

/// Whether two encodings are the same but for where the bytes of a string lie, and what only newer servers pack.
fn same_encoding(left: &[u8], right: &[u8], more: &Pairs) -> bool {
    const SAME: &Pairs = &[
        [b"raw", b"embstr"],
        [b"listpack", b"quicklist"],
        [b"listpack", b"hashtable"],
        [b"listpack", b"intset"],
    ];
    let mut pairs = SAME.iter().chain(more);
    left == right || pairs.any(|pair| pair.contains(&left) && pair.contains(&right))
}

fn is(command: &Command, name: &str, subcommand: &str) -> bool {
    matches!(&command[..], [first, second, ..]
        if first.eq_ignore_ascii_case(name.as_bytes()) && second.eq_ignore_ascii_case(subcommand.as_bytes()))
}

fn is_named(command: &Command, name: &str) -> bool {
    command.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

fn sorts(command: &Command) -> bool {
    is_named(command, "sort") || is_named(command, "sort_ro")
}

fn is_shared(reply: &Reply) -> bool {
    *reply == Reply::Integer(i64::from(i32::MAX))
}

fn says(reply: &Reply, part: &str) -> bool {
    reply.is_error() && contains(&text(reply), part.as_bytes())
}

fn text(reply: &Reply) -> Vec<u8> {
    reply.text().unwrap_or_default()
}

//! The vocabulary of a command's row: flags, ACL categories, key specifications.
//!
//! Rows spell them as Redis does (`flags("write denyoom")`), checked when the crate compiles.

use bitflags::bitflags;

use super::Args;

bitflags! {
    /// What Redis calls a command's flags; the order of the bits is the order Redis prints.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct CommandFlags: u32 {
        const WRITE = 1;
        const READONLY = 1 << 1;
        const DENYOOM = 1 << 2;
        const ADMIN = 1 << 3;
        const PUBSUB = 1 << 4;
        const NOSCRIPT = 1 << 5;
        const BLOCKING = 1 << 6;
        const LOADING = 1 << 7;
        const STALE = 1 << 8;
        const SKIP_MONITOR = 1 << 9;
        const SKIP_SLOWLOG = 1 << 10;
        const ASKING = 1 << 11;
        const FAST = 1 << 12;
        const NO_AUTH = 1 << 13;
        const MAY_REPLICATE = 1 << 14;
        const NO_MANDATORY_KEYS = 1 << 15;
        const PROTECTED = 1 << 16;
        const NO_ASYNC_LOADING = 1 << 17;
        const NO_MULTI = 1 << 18;
        const MOVABLEKEYS = 1 << 19;
        const ALLOW_BUSY = 1 << 20;
    }

    /// ACL categories, in the order Redis prints them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Categories: u32 {
        const KEYSPACE = 1;
        const READ = 1 << 1;
        const WRITE = 1 << 2;
        const SET = 1 << 3;
        const SORTEDSET = 1 << 4;
        const LIST = 1 << 5;
        const HASH = 1 << 6;
        const STRING = 1 << 7;
        const BITMAP = 1 << 8;
        const HYPERLOGLOG = 1 << 9;
        const GEO = 1 << 10;
        const STREAM = 1 << 11;
        const PUBSUB = 1 << 12;
        const ADMIN = 1 << 13;
        const FAST = 1 << 14;
        const SLOW = 1 << 15;
        const BLOCKING = 1 << 16;
        const DANGEROUS = 1 << 17;
        const CONNECTION = 1 << 18;
        const TRANSACTION = 1 << 19;
        const SCRIPTING = 1 << 20;
    }

    /// What a command does with the keys of one specification.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct KeyFlags: u16 {
        const RO = 1;
        const RW = 1 << 1;
        const OW = 1 << 2;
        const RM = 1 << 3;
        const ACCESS = 1 << 4;
        const UPDATE = 1 << 5;
        const INSERT = 1 << 6;
        const DELETE = 1 << 7;
        const NOT_KEY = 1 << 8;
        const INCOMPLETE = 1 << 9;
        const VARIABLE_FLAGS = 1 << 10;
    }
}

/// The word Redis prints for each flag, by bit.
pub(crate) const COMMAND_FLAG_NAMES: &[&str] = &[
    "write",
    "readonly",
    "denyoom",
    "admin",
    "pubsub",
    "noscript",
    "blocking",
    "loading",
    "stale",
    "skip_monitor",
    "skip_slowlog",
    "asking",
    "fast",
    "no_auth",
    "may_replicate",
    "no_mandatory_keys",
    "protected",
    "no_async_loading",
    "no_multi",
    "movablekeys",
    "allow_busy",
];

/// The word Redis prints for each category (after an `@`), by bit.
pub(crate) const CATEGORY_NAMES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The word Redis prints for each key flag, by bit.
pub(crate) const KEY_FLAG_NAMES: &[&str] = &[
    "RO",
    "RW",
    "OW",
    "RM",
    "access",
    "update",
    "insert",
    "delete",
    "not_key",
    "incomplete",
    "variable_flags",
];

/// `flags("write denyoom")`.
pub(crate) const fn flags(words: &str) -> CommandFlags {
    CommandFlags::from_bits_retain(bits(words, COMMAND_FLAG_NAMES))
}

/// `categories("keyspace dangerous")`.
pub(crate) const fn categories(words: &str) -> Categories {
    Categories::from_bits_retain(bits(words, CATEGORY_NAMES))
}

/// The bits of the named words; an unknown word fails the build.
const fn bits(words: &str, names: &[&str]) -> u32 {
    let bytes = words.as_bytes();
    let (mut result, mut start) = (0, 0);
    while start < bytes.len() {
        let mut end = start;
        while end < bytes.len() && bytes[end] != b' ' {
            end += 1;
        }
        result |= 1 << position(bytes, start, end, names);
        start = end + 1;
    }
    result
}

const fn position(bytes: &[u8], start: usize, end: usize, names: &[&str]) -> usize {
    let mut index = 0;
    while index < names.len() {
        if is_word(bytes, start, end, names[index].as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("a row names a flag or category that does not exist")
}

const fn is_word(bytes: &[u8], start: usize, end: usize, word: &[u8]) -> bool {
    if word.len() != end - start {
        return false;
    }
    let mut index = 0;
    while index < word.len() {
        if word[index] != bytes[start + index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Where the keys of a command stand among its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    pub(crate) flags: KeyFlags,
    pub(crate) begin: Begin,
    pub(crate) find: Find,
}

#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the vocabulary is Redis's, and more families follow")]
pub(crate) enum Begin {
    Index(u16),
    /// After the word, looked for from an argument on; from the end backwards if negative.
    Keyword(&'static str, i16),
    /// The same for clients. The command itself can tell for certain, where the word may stand for
    /// something else.
    Option(&'static str, i16, fn(Args<'_>) -> Option<usize>),
    Unknown,
}

#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the vocabulary is Redis's, and more families follow")]
pub(crate) enum Find {
    /// `last` counts from the beginning, from the end if negative; `limit` 2 means that only
    /// the first half of what remains are keys.
    Range {
        last: i16,
        step: u16,
        limit: u16,
    },
    /// The argument `count` after the beginning says how many keys follow at `first`.
    Count {
        count: u16,
        first: u16,
        step: u16,
    },
    /// The one whose place the command itself can tell; for clients it is unknown.
    By(fn(Args<'_>) -> Option<usize>),
    Unknown,
}

impl KeySpec {
    /// One key at an argument position.
    pub(crate) const fn at(index: u16, flags: &str) -> Self {
        Self::range(index, 0, 1, flags)
    }

    /// Every `step`th argument from `index` to `last`, which counts from `index`, or from the
    /// end if negative.
    pub(crate) const fn range(index: u16, last: i16, step: u16, flags: &str) -> Self {
        let find = Find::Range { last, step, limit: 0 };
        KeySpec { flags: key_flags(flags), begin: Begin::Index(index), find }
    }

    /// The first half of what follows an option, which clients look for from an argument on.
    pub(crate) const fn behind(
        option: &'static str,
        from: i16,
        find: fn(Args<'_>) -> Option<usize>,
        flags: &str,
    ) -> Self {
        let begin = Begin::Option(option, from, find);
        let find = Find::Range { last: -1, step: 1, limit: 2 };
        KeySpec { flags: key_flags(flags), begin, find }
    }

    /// Keys that are not among the arguments.
    pub(crate) const fn unknown(flags: &str) -> Self {
        KeySpec { flags: key_flags(flags), begin: Begin::Unknown, find: Find::Unknown }
    }

    /// A key that only the command's own logic can find.
    pub(crate) const fn found_by(find: fn(Args<'_>) -> Option<usize>, flags: &str) -> Self {
        KeySpec { flags: key_flags(flags), begin: Begin::Unknown, find: Find::By(find) }
    }

    /// A count at `index` and the keys after it.
    pub(crate) const fn counted(index: u16, flags: &str) -> Self {
        let find = Find::Count { count: 0, first: 1, step: 1 };
        KeySpec { flags: key_flags(flags), begin: Begin::Index(index), find }
    }
}

const fn key_flags(words: &str) -> KeyFlags {
    KeyFlags::from_bits_retain(bits(words, KEY_FLAG_NAMES) as u16)
}

/// The families, as `COMMAND DOCS` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Cluster,
    Connection,
    Generic,
    List,
    Pubsub,
    Scripting,
    Server,
    Set,
    Stream,
    String,
    Transactions,
}

impl Group {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Group::Cluster => "cluster",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::List => "list",
            Group::Pubsub => "pubsub",
            Group::Scripting => "scripting",
            Group::Server => "server",
            Group::Set => "set",
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }
}

impl super::Command {
    /// All ACL categories: the row's own and those that follow from its flags.
    pub(crate) fn all_categories(&self) -> Categories {
        let has = |flag| self.flags.contains(flag);
        let mut all = self.categories;
        let reads = has(CommandFlags::READONLY) && !all.contains(Categories::SCRIPTING);
        for (implied, by) in [
            (Categories::WRITE, has(CommandFlags::WRITE)),
            (Categories::READ, reads),
            (Categories::ADMIN.union(Categories::DANGEROUS), has(CommandFlags::ADMIN)),
            (Categories::PUBSUB, has(CommandFlags::PUBSUB)),
            (Categories::BLOCKING, has(CommandFlags::BLOCKING)),
            (Categories::FAST, has(CommandFlags::FAST)),
            (Categories::SLOW, !has(CommandFlags::FAST)),
        ] {
            all |= if by { implied } else { Categories::empty() };
        }
        all
    }
}

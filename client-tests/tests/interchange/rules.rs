//! What need not be the same on two servers, and why: what a file cannot say, and what each server keeps as it likes.

use client_tests::{
    reply::Reply,
    target::{
        Parameter,
        identity::{Identity, Product, Selector},
    },
};

use crate::form::Form;

/// The first version of snapshots that says when a consumer last got something.
const VERSION_WITH_ACTIVE_TIMES: u32 = 11;

/// The first version of snapshots that knows packed sets.
const VERSION_WITH_PACKED_SETS: u32 = 11;

/// The newest version of a snapshot that a server reads.
struct Newest {
    servers: &'static str,
    version: u32,
}

const NEWEST: [Newest; 2] =
    [Newest { servers: "redis <7.2", version: 10 }, Newest { servers: "redis >=8.0", version: 12 }];

/// Why a server cannot be asked to load another one's snapshot of this version, if it cannot. redlet has to load every one, and
/// what it writes has to be loaded by every one.
pub(crate) fn cannot_load(from: &Identity, to: &Identity, version: u32) -> Option<String> {
    let newest = NEWEST.iter().find(|newest| selects(newest.servers, to))?;
    if from.product == Product::Redlet || version <= newest.version {
        return None;
    }
    Some(format!("{to} reads snapshots up to version {}, and this is {version}", newest.version))
}

/// What a server has to be told before it loads the files of others.
pub(crate) fn parameters(identity: &Identity) -> Vec<Parameter> {
    if identity.product == Product::Valkey {
        return vec![("rdb-version-check".to_owned(), "relaxed".to_owned())];
    }
    Vec::new()
}

/// Those of some parameters that a server has.
pub(crate) fn known_to(identity: &Identity, parameters: &[Parameter]) -> Vec<Parameter> {
    // Redis before 7.2 does not pack sets.
    let unknown = if is_older(identity) { "set-max-listpack-entries" } else { "" };
    parameters.iter().filter(|(name, _)| name != unknown).cloned().collect()
}

/// Where data comes from, where it went, and how.
pub(crate) struct Passage<'passage> {
    pub(crate) from: &'passage Identity,
    pub(crate) to: &'passage Identity,
    pub(crate) form: Form,
    pub(crate) snapshot_version: Option<u32>,
}

/// How a radix tree lies in memory is a server's own business.
const NEVER_COMPARED: [&str; 2] = ["radix-tree-keys", "radix-tree-nodes"];

impl Passage<'_> {
    /// A stream's information without what need not arrive.
    pub(crate) fn reduce(&self, information: &Reply) -> Reply {
        let mut ignored = NEVER_COMPARED.to_vec();
        // Commands do not say when a consumer was last seen.
        if self.form.is_journal() {
            ignored.push("seen-time");
        }
        if !self.keeps_active_times() {
            ignored.push("active-time");
        }
        // Redis before 7.2 neither writes nor replays what a group has read by then.
        if self.form.is_journal() && (is_older(self.from) || is_older(self.to)) {
            ignored.extend(["entries-read", "lag"]);
        }
        // It is no part of the data, but follows from it by rules that differ.
        if self.from != self.to {
            ignored.push("lag");
        }
        without(information, &ignored)
    }

    fn keeps_active_times(&self) -> bool {
        let said = self.snapshot_version.is_some_and(|it| it >= VERSION_WITH_ACTIVE_TIMES);
        !self.form.is_journal() && said && !is_older(self.from) && !is_older(self.to)
    }

    /// Whether a value that was kept in one way may be kept in the other after it was loaded.
    pub(crate) fn encodings_agree(&self, from: &str, to: &str) -> bool {
        from == to
            || (self.says_not_what_is_packed() && (from, to) == ("listpack", "hashtable"))
            || RELOADED.contains(&(from, to))
            || (self.differ_in("redis <7.2") && UNPACKED.contains(&(from, to)))
            || (self.differ_in("valkey") && EMBEDDED.contains(&(from, to)))
    }

    /// Whether a server has packed sets and writes a version that does not know them, so that they are loaded as any other
    /// set, whose integers may be too many to be kept as such.
    fn says_not_what_is_packed(&self) -> bool {
        let is_older =
            self.snapshot_version.is_some_and(|version| version < VERSION_WITH_PACKED_SETS);
        is_older && self.from.product == Product::Redlet
    }

    fn differ_in(&self, servers: &str) -> bool {
        selects(servers, self.from) != selects(servers, self.to)
    }
}

/// What has grown and shrunk, or was changed in place, is loaded as if it had never been otherwise.
const RELOADED: [(&str, &str); 7] = [
    ("raw", "embstr"),
    ("raw", "int"),
    ("embstr", "int"),
    ("quicklist", "listpack"),
    ("hashtable", "listpack"),
    ("hashtable", "intset"),
    ("listpack", "intset"),
];
/// Redis before 7.2 packs neither lists nor sets.
const UNPACKED: [(&str, &str); 3] =
    [("listpack", "quicklist"), ("listpack", "hashtable"), ("intset", "hashtable")];
/// Valkey embeds longer texts.
const EMBEDDED: [(&str, &str); 1] = [("embstr", "raw")];

/// A reply without the fields of these names, wherever they are in it.
fn without(reply: &Reply, ignored: &[&str]) -> Reply {
    let is_ignored = |name: &Reply| {
        name.text().is_some_and(|text| ignored.iter().any(|name| name.as_bytes() == text))
    };
    match reply {
        Reply::Map(pairs) => {
            let kept = pairs.iter().filter(|(name, _)| !is_ignored(name));
            Reply::Map(kept.map(|(name, value)| (name.clone(), without(value, ignored))).collect())
        }
        Reply::Array(items) => {
            Reply::Array(items.iter().map(|item| without(item, ignored)).collect())
        }
        other => other.clone(),
    }
}

fn is_older(identity: &Identity) -> bool {
    selects("redis <7.2", identity)
}

fn selects(servers: &str, identity: &Identity) -> bool {
    Selector::parse(servers).expect("the table names servers").selects(identity)
}

/// Whether the servers keep the same values in the same ways, once these are loaded.
pub(crate) fn encode_alike(one: &Identity, other: &Identity) -> bool {
    let is_valkey = |identity: &Identity| identity.product == Product::Valkey;
    is_older(one) == is_older(other) && is_valkey(one) == is_valkey(other)
}

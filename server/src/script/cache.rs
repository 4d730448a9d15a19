//! The scripts that the server remembers, by their digest and by their text.
//!
//! What EVAL has brought is forgotten when too much of it comes; what SCRIPT LOAD has brought stays.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use sha1::{Digest as _, Sha1};

use super::shebang::ScriptFlags;

/// How many scripts of EVAL are remembered, as Redis has it.
const MOST_EVALUATED: usize = 500;

/// What a digit stands for; 255 for what is none.
const DIGITS: [u8; 256] = {
    let (mut digits, mut value) = ([u8::MAX; 256], 0);
    while value < 16 {
        let letter = b"0123456789abcdef"[value as usize];
        digits[letter as usize] = value;
        digits[letter.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    digits
};

/// The SHA-1 digest of a script's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sha([u8; 20]);

impl Sha {
    /// How many digits it is written with.
    pub(crate) const DIGITS: usize = 40;

    pub(crate) fn of(source: &[u8]) -> Self {
        Sha(Sha1::digest(source).into())
    }

    /// From the digits in any case; nothing if they are no digest.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let digits: &[u8; Self::DIGITS] = text.try_into().ok()?;
        let (mut bytes, mut seen) = ([0; 20], 0);
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(|digit| DIGITS[usize::from(digit)]);
            *byte = high << 4 | low & 15;
            seen |= high | low;
        }
        (seen < 16).then_some(Sha(bytes))
    }

    /// In small letters.
    pub(crate) fn digits(&self) -> [u8; Self::DIGITS] {
        let mut digits = [0; Self::DIGITS];
        for (pair, byte) in digits.chunks_mut(2).zip(self.0) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        digits
    }
}

/// A script that compiled.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) sha: Sha,
    pub(crate) source: Arc<[u8]>,
    pub(crate) flags: ScriptFlags,
    pub(crate) function: mlua::Function,
    /// Whether it came with EVAL, so that it may be forgotten.
    pub(crate) is_evictable: bool,
    last_used: u64,
}

impl Script {
    pub(crate) const fn new(
        sha: Sha,
        source: Arc<[u8]>,
        flags: ScriptFlags,
        function: mlua::Function,
        is_evictable: bool,
    ) -> Self {
        Script { sha, source, flags, function, is_evictable, last_used: 0 }
    }

    /// What remembering it takes, without what Lua keeps.
    fn bytes(&self) -> usize {
        const KEYS: usize = size_of::<(Sha, usize)>() + size_of::<(Arc<[u8]>, usize)>();
        self.source.len() + size_of::<Option<Script>>() + KEYS
    }
}

#[derive(Debug)]
pub(crate) struct Cache {
    scripts: Vec<Option<Script>>,
    free: Vec<usize>,
    by_sha: HashMap<Sha, usize, RandomState>,
    by_source: HashMap<Arc<[u8]>, usize, RandomState>,
    evictable: usize,
    uses: u64,
    /// How many had to make room for others.
    pub(crate) evicted: u64,
    /// What remembering all of them takes.
    pub(crate) bytes: usize,
}

impl Cache {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Cache {
            scripts: Vec::new(),
            free: Vec::new(),
            by_sha: HashMap::with_hasher(hasher.clone()),
            by_source: HashMap::with_hasher(hasher.clone()),
            evictable: 0,
            uses: 0,
            evicted: 0,
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_sha.len()
    }

    pub(crate) fn at_sha(&self, sha: Sha) -> Option<usize> {
        self.by_sha.get(&sha).copied()
    }

    pub(crate) fn at_source(&self, source: &[u8]) -> Option<usize> {
        self.by_source.get(source).copied()
    }

    /// The script at a place that was just found, which counts as used.
    pub(crate) fn used(&mut self, at: usize) -> &Script {
        self.uses += 1;
        let script = self.scripts[at].as_mut().expect("the place was found");
        script.last_used = self.uses;
        script
    }

    pub(crate) fn get(&self, sha: Sha) -> Option<&Script> {
        self.scripts[self.at_sha(sha)?].as_ref()
    }

    /// Remembers a script that is not there, and gives its place.
    pub(crate) fn add(&mut self, script: Script) -> usize {
        if script.is_evictable {
            if self.evictable >= MOST_EVALUATED {
                self.evict();
            }
            self.evictable += 1;
        }
        let at = self.free.pop().unwrap_or(self.scripts.len());
        self.bytes += script.bytes();
        self.by_sha.insert(script.sha, at);
        self.by_source.insert(Arc::clone(&script.source), at);
        if at == self.scripts.len() {
            self.scripts.push(None);
        }
        self.scripts[at] = Some(script);
        at
    }

    /// Forgets the script of EVAL that was not used for longest.
    fn evict(&mut self) {
        let evictable = self.scripts.iter().enumerate().filter_map(|(at, script)| {
            let script = script.as_ref().filter(|script| script.is_evictable)?;
            Some((script.last_used, at))
        });
        let Some((_, at)) = evictable.min() else {
            return;
        };
        if let Some(script) = self.scripts[at].take() {
            self.by_sha.remove(&script.sha);
            self.by_source.remove(&script.source);
            self.bytes -= script.bytes();
            self.free.push(at);
            self.evictable -= 1;
            self.evicted += 1;
        }
    }
}

//! The first line of a script or library: `#!lua name=... flags=...`.

use bitflags::bitflags;

use crate::error::Error;
use crate::resp::inline;

/// What is said of names that are none.
pub(super) const NAMES: &str = "Library names can only contain letters, numbers, or underscores(_) and must \
                                be at least one character long";

bitflags! {
    /// What a script says of itself.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct ScriptFlags: u8 {
        const NO_WRITES = 1;
        const ALLOW_OOM = 1 << 1;
        const ALLOW_STALE = 1 << 2;
        const NO_CLUSTER = 1 << 3;
        const ALLOW_CROSS_SLOT_KEYS = 1 << 4;
        /// It has no first line, and may do anything.
        const UNDECLARED = 1 << 5;
    }
}

/// The flags' names, by bit, in the order in which Redis lists them.
pub(crate) const FLAG_NAMES: &[(&str, ScriptFlags)] = &[
    ("no-writes", ScriptFlags::NO_WRITES),
    ("allow-oom", ScriptFlags::ALLOW_OOM),
    ("allow-stale", ScriptFlags::ALLOW_STALE),
    ("no-cluster", ScriptFlags::NO_CLUSTER),
    ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT_KEYS),
];

impl ScriptFlags {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let mut names = FLAG_NAMES.iter();
        names.find(|(known, _)| known.as_bytes() == name).map(|(_, flag)| *flag)
    }
}

/// A script's flags, and its text without the first line's words, whose place stays, so that lines are
/// counted as they are.
pub(super) fn parse(source: &[u8]) -> Result<(ScriptFlags, &[u8]), Error> {
    if !source.starts_with(b"#!") {
        return Ok((ScriptFlags::UNDECLARED, source));
    }
    let end = source.iter().position(|&byte| byte == b'\n');
    let end = end.ok_or(Error::err("Invalid script shebang"))?;
    let mut words = words(&source[..end]);
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        return Err(Error::quoting("Unexpected engine in script shebang: ", engine, ""));
    }
    let mut flags = ScriptFlags::empty();
    for word in words {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(Error::quoting("Unknown lua shebang option: ", word, ""));
        };
        for name in list.split(|&byte| byte == b',').filter(|_| !list.is_empty()) {
            let flag = ScriptFlags::named(name);
            flags |= flag
                .ok_or_else(|| Error::quoting("Unexpected flag in script shebang: ", name, ""))?;
        }
    }
    Ok((flags, &source[end..]))
}

/// The words of a first line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The name that a library gives itself, and its text without the first line's words.
pub(super) fn library(code: &[u8]) -> Result<(Vec<u8>, &[u8]), Error> {
    let line = code.strip_prefix(b"#!").ok_or(Error::err("Missing library metadata"))?;
    let invalid = Error::err("Invalid library metadata");
    let end = line.iter().position(|&byte| byte == b'\n').ok_or(invalid.clone())?;
    let line = &line[..end];
    if line.contains(&0) {
        return Err(invalid);
    }
    let engine_is_empty = line.first().is_none_or(u8::is_ascii_whitespace);
    let words = inline::split(line).map_err(|_| invalid)?;
    let mut words = words.into_iter();
    let engine = if engine_is_empty { Vec::new() } else { words.next().unwrap_or_default() };
    let name = library_name(words)?;
    if !is_name(&name) {
        return Err(Error::err(NAMES));
    }
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(Error::quoting("Engine '", &engine, "' not found"));
    }
    Ok((name, &code[end + 2..]))
}

fn library_name(words: impl Iterator<Item = Vec<u8>>) -> Result<Vec<u8>, Error> {
    const KEY: &[u8] = b"name=";
    let mut name = None;
    for word in words {
        let (key, value) = word.split_at(KEY.len().min(word.len()));
        if !key.eq_ignore_ascii_case(KEY) {
            return Err(Error::quoting("Invalid metadata value given: ", &word, ""));
        }
        if name.replace(value.to_vec()).is_some() {
            let text = "Invalid metadata value, name argument was given multiple times";
            return Err(Error::err(text));
        }
    }
    name.ok_or(Error::err("Library name was not given"))
}

/// Whether libraries and functions may be called so.
pub(super) fn is_name(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(is_letter)
}

//! Configuration files: anything is accepted or refused with a sentence, and what was accepted
//! survives being written and read again.

use std::path::Path;

use redlet::{Config, fuzzing};

/// Loads the text, unless it would read other files.
pub fn check_text(text: &[u8]) -> Option<Config> {
    if includes(text) {
        return None;
    }
    let config = Config::new();
    if let Err(error) = config.load_text(text, "the file") {
        assert!(!error.to_string().is_empty());
        return None;
    }
    for parameter in config.parameters() {
        assert!(config.value(parameter.name).is_some(), "{}", parameter.name);
    }
    Some(config)
}

/// The same through a file, which is then brought up to date.
pub fn check_file(text: &[u8], path: &Path) {
    if check_text(text).is_none_or(|config| !is_plain(config.value("bind").as_deref())) {
        return;
    }
    std::fs::write(path, text).expect("the directory can be written to");
    let before = Config::new();
    before.load(path).expect("the same text was accepted before");
    fuzzing::rewrite_config(&before).expect("the directory can be written to");
    let after = Config::new();
    let loaded = after.load(path);
    let rewritten = std::fs::read(path).unwrap_or_default();
    assert!(loaded.is_ok(), "{loaded:?} after a rewrite: {}", rewritten.escape_ascii());
    for parameter in before.parameters() {
        let name = parameter.name;
        assert_eq!(before.value(name), after.value(name), "{name}: {}", rewritten.escape_ascii());
    }
}

/// Whether each word could be an address. They are written without quotes, and until a server
/// listens nobody looks at them.
fn is_plain(addresses: Option<&str>) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".:*-".contains(letter);
    let mut words = addresses.unwrap_or_default().split(' ');
    words.all(|word| !word.is_empty() && word.chars().all(is_plain))
}

/// Whether any line could name another file, however it is quoted.
fn includes(text: &[u8]) -> bool {
    let plain: Vec<u8> = text.iter().filter(|byte| **byte != b'\\').copied().collect();
    let hides = text.windows(2).any(|pair| pair == b"\\x");
    hides || plain.windows(7).any(|word| word.eq_ignore_ascii_case(b"include"))
}

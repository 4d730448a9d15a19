//! Reading redis.conf: lines, comments, quotes and includes.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::quoting;
use super::{Config, ConfigError, Param};
use crate::value::glob;

/// Files that include one another deeper than this surely do so in a circle.
const MOST_INCLUDES: usize = 16;

impl Config {
    /// Reads a redis.conf. `CONFIG REWRITE` will write to it.
    pub fn load(&self, path: &Path) -> Result<(), ConfigError> {
        self.load_file(path, 0)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.changing().file = Some(path);
        Ok(())
    }

    /// Reads what could stand in a redis.conf; `origin` tells people where it came from.
    pub fn load_text(&self, text: &[u8], origin: &str) -> Result<(), ConfigError> {
        self.load_lines(text, origin, 0)
    }

    fn load_file(&self, path: &Path, depth: usize) -> Result<(), ConfigError> {
        let text = fs::read(path).map_err(|error| unreadable(path, &error))?;
        self.load_lines(&text, &path.display().to_string(), depth)
    }

    fn load_lines(&self, text: &[u8], origin: &str, depth: usize) -> Result<(), ConfigError> {
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            self.load_line(line, depth).map_err(|advice| {
                let line = String::from_utf8_lossy(line);
                ConfigError::new(format!("{origin} line {}, '{line}': {advice}", index + 1))
            })?;
        }
        Ok(())
    }

    /// Does what one line says that is neither empty nor a comment.
    fn load_line(&self, line: &[u8], depth: usize) -> Result<(), String> {
        let words = quoting::split(line)
            .ok_or("a quote is not closed, or something other than a space follows it")?;
        let words: Result<Vec<String>, _> = words.into_iter().map(String::from_utf8).collect();
        let words = words.map_err(|_| "redlet reads UTF-8 only; save the file as UTF-8")?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((&name, values)) = words.split_first() else { return Ok(()) };
        self.obey(name, values, depth)
    }

    /// Sets a parameter, or includes files; what is wrong comes back as advice for people.
    pub(super) fn obey(&self, name: &str, values: &[&str], depth: usize) -> Result<(), String> {
        if !name.eq_ignore_ascii_case("include") {
            return self.assign(name, values);
        }
        match *values {
            [pattern] => self.include(pattern, depth),
            _ => Err("include takes one path".into()),
        }
    }

    /// Reads every file that a pattern names, or the one file of that name.
    fn include(&self, pattern: &str, depth: usize) -> Result<(), String> {
        if depth == MOST_INCLUDES {
            return Err(format!("files include one another more than {MOST_INCLUDES} deep"));
        }
        let pattern = PathBuf::from(&*self.text(Param::Dir)).join(pattern);
        let files = expand(&pattern);
        for file in files {
            self.load_file(&file, depth + 1).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    let path = path.display();
    ConfigError::new(format!(
        "cannot read the configuration file {path} ({error}); name one that can be read, or none"
    ))
}

/// The files that a path with wildcards names, in order; a path without any names itself, there or not.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        match component {
            Component::Normal(name) if has_wildcards(name.as_encoded_bytes()) => {
                let name = name.as_encoded_bytes();
                found = found.iter().flat_map(|directory| entries(directory, name)).collect();
            }
            other => found.iter_mut().for_each(|path| path.push(other)),
        }
    }
    if has_wildcards(pattern.as_os_str().as_encoded_bytes()) {
        found.retain(|path| path.exists());
    }
    found
}

fn has_wildcards(name: &[u8]) -> bool {
    name.iter().any(|byte| b"*?[".contains(byte))
}

/// What a directory holds under names that match, in order. A wildcard does not stand for a leading dot.
fn entries(directory: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(listing) = fs::read_dir(here) else { return Vec::new() };
    let names = listing.filter_map(Result::ok).map(|entry| entry.file_name());
    let matches = |name: &std::ffi::OsString| {
        let name = name.as_encoded_bytes();
        glob::matches(pattern, name) && (pattern.starts_with(b".") || !name.starts_with(b"."))
    };
    let mut paths: Vec<PathBuf> = names.filter(matches).map(|name| directory.join(name)).collect();
    paths.sort();
    paths
}

//! The counts that were checked in, and what they were made with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

const HEADING: &str = "\
# Instructions per request, depth by depth: `make instructions` compares with these counts, and
# `make instructions ARGS=--update` writes them anew. They were made with:
";
const MADE_WITH: &str = "#   ";

/// Row and depth of a count.
pub(crate) type Cell = (String, usize);

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// What a count depends on besides the code: compiler, C library, valgrind.
    pub(crate) made_with: Vec<String>,
    pub(crate) counts: BTreeMap<Cell, u64>,
}

impl Baseline {
    pub(crate) fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
    }

    /// The checked-in one; an empty one if there is none yet.
    pub(crate) fn load() -> Result<Self, String> {
        match fs::read_to_string(Self::path()) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", Self::path().display())),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut baseline = Self::default();
        for line in text.lines() {
            if let Some(tool) = line.strip_prefix(MADE_WITH) {
                baseline.made_with.push(tool.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (cell, count) = parse_line(line).ok_or_else(|| {
                    format!("'{line}' in the baseline is no row, depth and count")
                })?;
                baseline.counts.insert(cell, count);
            }
        }
        Ok(baseline)
    }

    /// The text of the file, its lines in this order.
    pub(crate) fn print(&self, order: &[Cell]) -> String {
        let mut text = HEADING.to_owned();
        for tool in &self.made_with {
            let _ = writeln!(text, "{MADE_WITH}{tool}");
        }
        for cell in order {
            let _ = writeln!(text, "{:<16} {:>5} {:>7}", cell.0, cell.1, self.counts[cell]);
        }
        text
    }
}

fn parse_line(line: &str) -> Option<(Cell, u64)> {
    let (rest, count) = line.rsplit_once(' ')?;
    let (row, depth) = rest.trim_end().rsplit_once(' ')?;
    Some(((row.trim_end().to_owned(), depth.parse().ok()?), count.parse().ok()?))
}

/// What counts are made with on this machine.
pub(crate) fn tools() -> Vec<String> {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let commands: [&[&str]; 3] =
        [&[&compiler, "--version"], &["getconf", "GNU_LIBC_VERSION"], &["valgrind", "--version"]];
    commands.iter().map(|command| first_line(command)).collect()
}

fn first_line(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(|| format!("no {}", command[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let order = [("SET EX NX, free".to_owned(), 16), ("PING".to_owned(), 1)];
        let counts = order.iter().cloned().zip([1234, 5]).collect();
        let made_with = vec!["a compiler 1.0".to_owned(), "a library".to_owned()];
        let baseline = Baseline { made_with, counts };
        assert_eq!(Baseline::parse(&baseline.print(&order)), Ok(baseline));
    }

    #[test]
    fn a_line_that_is_no_count_is_refused() {
        for line in ["PING", "PING 1", "PING one 5", "PING 1 many"] {
            assert!(Baseline::parse(line).is_err_and(|error| error.contains(line)), "{line}");
        }
    }
}

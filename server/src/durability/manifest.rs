//! Which files the log consists of: a base, and what has happened since in increments, in order.

use std::fmt::Write as _;

use crate::config::quoting;

/// The files of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) base: Option<Part>,
    pub(crate) increments: Vec<Part>,
    /// Files that are needed no more, and are to be removed.
    pub(crate) history: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) sequence: u64,
}

const LONGEST_LINE: usize = 1024;

impl Manifest {
    /// Reads a manifest as Redis and Valkey write it. The error says what is wrong, and in which line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut manifest = Manifest::default();
        if text.is_empty() {
            return Err("Found an empty AOF manifest".to_owned());
        }
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            manifest.add(line).map_err(|problem| format!("{problem} (in line {})", number + 1))?;
        }
        Ok(manifest)
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        const FORMAT: &str = "Invalid AOF manifest file format";
        if line.len() > LONGEST_LINE {
            return Err("The AOF manifest file contains too long line");
        }
        let words = quoting::split(line.as_bytes()).ok_or(FORMAT)?;
        let words: Result<Vec<String>, _> = words.into_iter().map(String::from_utf8).collect();
        let words = words.map_err(|_| FORMAT)?;
        let (pairs, rest) = words.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(FORMAT);
        }
        let value = |key: &str| {
            let pair = pairs.iter().find(|[name, _]| name.eq_ignore_ascii_case(key));
            pair.map(|[_, value]| value.clone())
        };
        let name = value("file").filter(|name| !name.is_empty()).ok_or(FORMAT)?;
        if name.contains('/') {
            return Err("File can't be a path, just a filename");
        }
        let sequence = value("seq").and_then(|sequence| sequence.parse().ok());
        let sequence = sequence.filter(|&sequence: &u64| sequence > 0).ok_or(FORMAT)?;
        let part = Part { name, sequence };
        match value("type").as_deref() {
            Some("b") if self.base.is_some() => {
                return Err("Found duplicate base file information");
            }
            Some("b") => self.base = Some(part),
            Some("h") => self.history.push(part),
            Some("i") => {
                if self.increments.last().is_some_and(|last| last.sequence >= sequence) {
                    return Err("Found a non-monotonic sequence number");
                }
                self.increments.push(part);
            }
            Some(_) => return Err("Unknown AOF file type"),
            None => return Err(FORMAT),
        }
        Ok(())
    }

    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        let all = [(self.base.as_slice(), 'b'), (&self.history, 'h'), (&self.increments, 'i')];
        for (parts, kind) in all {
            for Part { name, sequence } in parts {
                let name = quoting::quote_if_needed(name);
                let _ = writeln!(text, "file {name} seq {sequence} type {kind}");
            }
        }
        text
    }

    /// All files that hold data, in the order in which they are loaded.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.increments)
    }

    /// Puts a new base, and what follows it, in place of all that there was, which is history from now on, the newest
    /// first.
    pub(crate) fn supersede(&mut self, base: Part, increment: Option<Part>) {
        let newest_first = self.increments.drain(..).rev().chain(self.base.replace(base));
        self.history.splice(..0, newest_first);
        self.increments.extend(increment);
    }

    pub(crate) fn next_base(&self, name: &str, is_snapshot: bool) -> Part {
        let sequence = self.base.as_ref().map_or(0, |base| base.sequence) + 1;
        let ending = if is_snapshot { "rdb" } else { "aof" };
        Part { name: format!("{name}.{sequence}.base.{ending}"), sequence }
    }

    pub(crate) fn next_increment(&self, name: &str) -> Part {
        let sequence = self.increments.last().map_or(0, |last| last.sequence) + 1;
        Part { name: format!("{name}.{sequence}.incr.aof"), sequence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let part = |name: &str, sequence| Part { name: name.to_owned(), sequence };
        let manifest = Manifest {
            base: Some(part("a b\n.4.base.rdb", 4)),
            increments: vec![part("x.7.incr.aof", 7), part("x.9.incr.aof", 9)],
            history: vec![part("x.3.base.rdb", 3)],
        };
        assert_eq!(Manifest::parse(&manifest.print()), Ok(manifest.clone()));
        assert_eq!(manifest.next_base("x", true), part("x.5.base.rdb", 5));
        assert_eq!(manifest.next_increment("x"), part("x.10.incr.aof", 10));
    }

    #[test]
    fn manifests_of_other_servers_are_read() {
        let text = "# comment\nfile a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i startoffset 1\n";
        let manifest = Manifest::parse(text).unwrap();
        let names: Vec<_> = manifest.parts().map(|part| &*part.name).collect();
        assert_eq!(names, ["a.1.base.rdb", "a.1.incr.aof"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, problem) in [
            ("", "Found an empty AOF manifest"),
            ("nonsense\n", "Invalid AOF manifest file format (in line 1)"),
            ("\n", "Invalid AOF manifest file format (in line 1)"),
            ("file x seq 1 type q\n", "Unknown AOF file type (in line 1)"),
            ("file x seq 0 type b\n", "Invalid AOF manifest file format (in line 1)"),
            ("file ../x seq 1 type b\n", "File can't be a path, just a filename (in line 1)"),
            (
                "file x seq 1 type b\nfile y seq 2 type b\n",
                "Found duplicate base file information (in line 2)",
            ),
            (
                "file x seq 2 type i\nfile y seq 1 type i\n",
                "Found a non-monotonic sequence number (in line 2)",
            ),
        ] {
            assert_eq!(Manifest::parse(text), Err(problem.to_owned()), "{text:?}");
        }
        let long = format!("file {} seq 1 type b\n", "x".repeat(LONGEST_LINE));
        assert!(
            Manifest::parse(&long)
                .unwrap_err()
                .starts_with("The AOF manifest file contains too long")
        );
    }
}

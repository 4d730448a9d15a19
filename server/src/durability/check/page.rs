//! A report as a page for people.

use std::fmt::{self, Display, Formatter};

use super::contents::{Census, Contents};
use super::script::Script;
use super::{CheckReport, Examined, Role, Subject};
use crate::text::utc;

impl Display for CheckReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Snapshot => writeln!(f, "Start checking an RDB file")?,
            Subject::Log => writeln!(f, "Start checking Old-Style AOF")?,
            Subject::Manifest { .. } => writeln!(f, "Start checking Multi Part AOF")?,
        }
        for file in &self.files {
            write!(f, "{file}")?;
        }
        if let Subject::Manifest { path, problem } = &self.subject {
            match problem {
                Some(problem) => writeln!(f, "{} is not valid: {problem}", path.display())?,
                None if self.is_good() => writeln!(f, "All AOF files and manifest are valid")?,
                None => {}
            }
        }
        if self.is_good() {
            return Ok(());
        }
        match self.remedy() {
            Ok(remedy) => writeln!(f, "To repair it (--fix): {remedy}"),
            Err(because) => writeln!(f, "{because}"),
        }
    }
}

impl Display for Examined {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = match self.role {
            Role::Single => self.path.display().to_string(),
            Role::Base => format!("BASE AOF {}", self.name()),
            Role::Increment => format!("INCR AOF {}", self.name()),
        };
        writeln!(f, "{shown}: {}", count(self.bytes, "byte"))?;
        if let Some(contents) = &self.snapshot {
            write!(f, "{contents}")?;
        }
        if let Some(script) = &self.script {
            if self.snapshot.is_some() {
                writeln!(f, "  RDB preamble is OK, proceeding with AOF tail")?;
            }
            write!(f, "{script}")?;
        }
        if self.stray_bytes > 0 {
            writeln!(
                f,
                "  {} behind its end, which servers ignore",
                count(self.stray_bytes, "byte")
            )?;
        }
        match &self.damage {
            Some(damage) if damage.is_foreign => {
                writeln!(f, "{shown} is whole, but redlet cannot load it: {damage}")
            }
            Some(damage) => writeln!(f, "{shown} is not valid: {damage}"),
            None => writeln!(f, "{shown} is valid"),
        }
    }
}

impl Display for Contents {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(version) = self.version else { return Ok(()) };
        let origin = if version.is_valkey { "Valkey's version" } else { "version" };
        write!(f, "  RDB {origin} {}", version.number)?;
        for (name, value) in &self.remarks {
            match (&**name, value.parse()) {
                ("ctime", Ok(seconds)) => write!(f, ", made {}", utc(seconds))?,
                _ => write!(f, ", {name} {value}")?,
            }
        }
        writeln!(f)?;
        for (database, census) in &self.databases {
            writeln!(f, "  db{database}: {census}")?;
        }
        if self.libraries > 0 {
            writeln!(f, "  {} of functions", count_as(self.libraries, "library", "libraries"))?;
        }
        Ok(())
    }
}

impl Display for Census {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let types: Vec<String> =
            self.by_type.iter().map(|(name, keys)| count_as(*keys, name, &plural(name))).collect();
        write!(f, "{} ({})", count(self.keys(), "key"), types.join(", "))?;
        if self.volatile > 0 {
            write!(f, ", {} with a deadline", self.volatile)?;
        }
        if self.expired > 0 {
            write!(f, ", {} of them expired", self.expired)?;
        }
        Ok(())
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", count(self.commands, "command"))?;
        if self.transactions > 0 {
            write!(f, ", {}", count(self.transactions, "transaction"))?;
        }
        if let Some(seconds) = self.last_s {
            write!(f, ", the last time that is told is {}", utc(seconds))?;
        }
        let names: Vec<String> =
            self.by_name.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if names.is_empty() { writeln!(f) } else { writeln!(f, ": {}", names.join(", ")) }
    }
}

fn count(number: u64, what: &str) -> String {
    count_as(number, what, &plural(what))
}

fn plural(word: &str) -> String {
    if word.ends_with("sh") { format!("{word}es") } else { format!("{word}s") }
}

fn count_as(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

//! Examining files, and mending what can be mended: what `redlet check` does.
//!
//! A file is read as a server reads it at its start, but nothing is executed and nothing kept, so it may be larger than
//! memory. Which server it belongs to is not known here.

mod contents;
mod page;
mod repair;
mod script;

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use crate::clock::Clock;
use crate::journal::damage::Damage;
use crate::journal::window::Window;
use contents::Contents;
use script::Script;

/// What is in a snapshot or a log, and what is wrong with it.
///
/// Its `Display` is a page for people.
#[derive(Debug)]
pub struct CheckReport {
    subject: Subject,
    files: Vec<Examined>,
}

/// Why something cannot be examined or repaired, as a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError(String);

#[derive(Debug)]
enum Subject {
    Snapshot,
    /// One file of commands, which may have a snapshot in front.
    Log,
    Manifest {
        path: PathBuf,
        /// What is wrong with it, or with the files that it names.
        problem: Option<String>,
    },
}

/// A file, and what was found in it.
#[derive(Debug)]
struct Examined {
    path: PathBuf,
    role: Role,
    bytes: u64,
    snapshot: Option<Contents>,
    /// Nothing where what is wrong comes before it.
    script: Option<Script>,
    /// How many bytes there are behind the end of a snapshot that no server looks at.
    stray_bytes: u64,
    damage: Option<Damage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Single,
    Base,
    Increment,
}

/// Examines an RDB file, a log's manifest with all files that it names, or one file of a log.
///
/// The error is why it could not be examined; what is wrong with it is in the report.
pub fn check(path: impl AsRef<Path>) -> Result<CheckReport, CheckError> {
    let path = path.as_ref();
    if path.is_dir() {
        return Err(CheckError(format!(
            "{} is a directory; name a file in it: a snapshot, a manifest, or a file of a log",
            path.display()
        )));
    }
    let mut head = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    opened.map_err(trouble("read", path))?;
    if is_manifest(path, &head) {
        return CheckReport::of_manifest(path);
    }
    let file = Examined::read(path, Role::Single)?;
    let has_commands = file.script.is_some() || file.snapshot.is_none();
    let is_log = has_commands || file.snapshot.as_ref().is_some_and(Contents::is_base);
    let subject = if is_log { Subject::Log } else { Subject::Snapshot };
    Ok(CheckReport { subject, files: vec![file] })
}

const HEAD_BYTES: u64 = 16;

impl CheckReport {
    /// Whether a server loads all of it.
    pub fn is_good(&self) -> bool {
        let is_listed_well = !matches!(self.subject, Subject::Manifest { problem: Some(_), .. });
        is_listed_well && self.damaged().is_none()
    }

    /// The first file with which something is wrong.
    fn damaged(&self) -> Option<(&Examined, &Damage)> {
        self.files.iter().find_map(|file| Some((file, file.damage.as_ref()?)))
    }

    fn of_manifest(path: &Path) -> Result<Self, CheckError> {
        let text = std::fs::read(path).map_err(trouble("read", path))?;
        let listed = String::from_utf8(text)
            .map_err(|_| "Invalid AOF manifest file format: it is no text".to_owned())
            .and_then(|text| Manifest::parse(&text));
        let subject = |problem| Subject::Manifest { path: path.to_owned(), problem };
        let manifest = match listed {
            Ok(manifest) => manifest,
            Err(problem) => {
                return Ok(CheckReport { subject: subject(Some(problem)), files: vec![] });
            }
        };
        let (mut files, mut missing) = (Vec::new(), None);
        let bases = manifest.base.iter().map(|part| (part, Role::Base));
        for (part, role) in
            bases.chain(manifest.increments.iter().map(|part| (part, Role::Increment)))
        {
            let file = path.with_file_name(&part.name);
            match Examined::read(&file, role) {
                Ok(examined) => files.push(examined),
                Err(CheckError(problem)) => {
                    missing.get_or_insert(format!("it names {}, and: {problem}", part.name));
                }
            }
        }
        Ok(CheckReport { subject: subject(missing), files })
    }
}

impl Examined {
    fn read(path: &Path, role: Role) -> Result<Self, CheckError> {
        let file = File::open(path).map_err(trouble("read", path))?;
        let bytes = file.metadata().map_err(trouble("read", path))?.len();
        let mut examined = Examined {
            path: path.to_owned(),
            role,
            bytes,
            snapshot: None,
            script: None,
            stray_bytes: 0,
            damage: None,
        };
        examined.damage = examined.survey(&mut Window::new(Box::new(file))).err();
        Ok(examined)
    }

    fn survey(&mut self, window: &mut Window) -> Result<(), Damage> {
        window.want(HEAD_BYTES as usize).map_err(|error| Damage::unreadable(0, &error))?;
        let mut is_foreign = Ok(());
        if self.begins_with_snapshot(window.rest()) {
            let (contents, result) = Contents::survey(window, Clock::system().now_ms());
            let is_over = !self.goes_on(&contents, window)?;
            self.snapshot = Some(contents);
            match result {
                Err(damage) if damage.is_foreign && !is_over => is_foreign = Err(damage),
                result if is_over || result.is_err() => return result,
                _ => {}
            }
        }
        let (script, result) = Script::survey(window);
        self.script = Some(script);
        result.and(is_foreign)
    }

    /// As servers do it, which take everything for a snapshot that does not look like commands.
    fn begins_with_snapshot(&self, head: &[u8]) -> bool {
        let is_named_so = self.path.extension().is_some_and(|ending| ending == "rdb");
        match head.first() {
            Some(b'*' | b'#') => false,
            Some(_) => head.starts_with(b"REDIS") || head.starts_with(b"VALKEY") || is_named_so,
            None => is_named_so && self.role == Role::Single,
        }
    }

    /// Whether commands follow a snapshot.
    fn goes_on(&mut self, contents: &Contents, window: &mut Window) -> Result<bool, Damage> {
        let offset = window.offset();
        window.want(1).map_err(|error| Damage::unreadable(offset, &error))?;
        let is_log = self.role != Role::Single || contents.is_base();
        if is_log || matches!(window.rest().first(), Some(b'*' | b'#')) {
            return Ok(!window.rest().is_empty());
        }
        self.stray_bytes = self.bytes.saturating_sub(offset);
        Ok(false)
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How many commands begin behind this place, as far as that can be told where not all of them are whole.
    fn count_commands_from(&self, offset: u64) -> u64 {
        let count = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            repair::count_heads(file)
        });
        count.unwrap_or(0)
    }
}

fn is_manifest(path: &Path, head: &[u8]) -> bool {
    head.starts_with(b"file ") || path.extension().is_some_and(|ending| ending == "manifest")
}

fn trouble<'p>(what: &'p str, path: &'p Path) -> impl Fn(std::io::Error) -> CheckError + 'p {
    move |error| CheckError(super::saving::trouble(what, path)(error))
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CheckError {}

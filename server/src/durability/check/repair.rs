//! Mending files: a log loses its end, of which a copy is kept; of a snapshot another one is made.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::directory;
use super::super::manifest::Manifest;
use super::super::saving::{Draft, Manner};
use super::contents::Contents;
use super::{CheckError, CheckReport, Examined, Role, Subject, trouble};
use crate::journal::crc64::crc64;
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::rdb::trailer;

/// What can be done about what is wrong.
#[derive(Debug)]
pub(super) enum Remedy<'r> {
    Cut {
        file: &'r Examined,
        at: u64,
    },
    Copy {
        file: &'r Examined,
        contents: &'r Contents,
        target: PathBuf,
    },
    /// Why nothing can, and what to do.
    None(String),
}

impl CheckReport {
    /// What [`repair`](Self::repair) would do, as a sentence; the error says why it would do nothing.
    pub fn remedy(&self) -> Result<String, CheckError> {
        self.find_remedy().describe()
    }

    /// Mends what is wrong: says what was done, or why nothing was.
    ///
    /// Of a log, the end is cut off that cannot be loaded, after a copy of the file was made beside it. Of a snapshot,
    /// what can be read is written into a new file, and the old one stays.
    pub fn repair(&self) -> Result<String, CheckError> {
        match self.find_remedy() {
            Remedy::Cut { file, at } => cut(file, at),
            Remedy::Copy { file, contents, target } => copy(file, contents, &target),
            Remedy::None(because) => Err(CheckError(because)),
        }
    }

    pub(super) fn find_remedy(&self) -> Remedy<'_> {
        if let Subject::Manifest { path, problem: Some(problem) } = &self.subject {
            return Remedy::None(format!(
                "{}: {problem}. Mend it by hand, or put back a copy of the whole directory",
                path.display()
            ));
        }
        let Some((file, damage)) = self.damaged() else {
            return Remedy::None("There is nothing to repair".to_owned());
        };
        let is_last = self.files.last().is_some_and(|last| std::ptr::eq(last, file));
        match (&file.snapshot, &file.script) {
            (Some(contents), None) if file.role == Role::Single && contents.version.is_some() => {
                copy_of(file, contents)
            }
            _ if damage.is_foreign => Remedy::None(format!(
                "Nothing was found in {} that a repair could mend: it wants a server that has what is in it. There, delete \
                 what redlet does not have, and write the file anew",
                file.path.display()
            )),
            (Some(_), None) if file.role == Role::Single => {
                Remedy::None(format!("{} is no snapshot that could be read", file.path.display()))
            }
            (Some(_), None) => Remedy::None(format!(
                "{0} is what the rest of the log begins with. Put back a copy of the whole directory; 'redlet check --fix \
                 {0}' writes what can be read of it into a file of its own",
                file.path.display()
            )),
            _ if !is_last || is_before_others(&file.path) => Remedy::None(format!(
                "Failed to truncate AOF {} because it is not the last file: what follows it does not fit without what is \
                 missing. Put back a copy of the whole directory",
                file.path.display()
            )),
            _ if damage.offset == 0 && !damage.is_cut => Remedy::None(format!(
                "{} has nothing in it that could be kept: is it the right file?",
                file.path.display()
            )),
            _ => Remedy::Cut { file, at: damage.offset },
        }
    }
}

fn copy_of<'r>(file: &'r Examined, contents: &'r Contents) -> Remedy<'r> {
    let mut target = file.path.clone().into_os_string();
    target.push(".repaired");
    Remedy::Copy { file, contents, target: target.into() }
}

impl Remedy<'_> {
    fn describe(&self) -> Result<String, CheckError> {
        match self {
            Remedy::Cut { file, at } => Ok(format!(
                "{} is copied, and then cut at byte {at}: {}",
                file.path.display(),
                loss(file, *at)
            )),
            Remedy::Copy { contents, target, .. } => Ok(format!(
                "{} is written with the {} keys that can be read; {}",
                target.display(),
                contents.keys(),
                missing(contents)
            )),
            Remedy::None(because) => Err(CheckError(because.clone())),
        }
    }
}

/// What is lost when a log is cut here.
fn loss(file: &Examined, at: u64) -> String {
    let bytes = file.bytes - at;
    let commands = file.count_commands_from(at);
    format!("{bytes} bytes with {commands} commands are lost, of which the last may not be whole")
}

/// What a copy does not have.
fn missing(contents: &Contents) -> String {
    let foreign = contents.foreign.len() as u64;
    let lost = contents.announced.saturating_sub(contents.keys() + foreign);
    match (lost, foreign) {
        (0, 0) => {
            "no key is missing, but the checksum was wrong, so that a value may be too".to_owned()
        }
        (lost, 0) => format!("by the file's own account, {lost} are missing"),
        (0, foreign) => format!("{foreign} of types that redlet does not have are missing"),
        (lost, foreign) => format!(
            "{foreign} of types that redlet does not have are missing, and by the file's own account {lost} others"
        ),
    }
}

/// Whether a manifest beside this file names others that come after it.
fn is_before_others(path: &Path) -> bool {
    let (Some(name), Some(directory)) = (path.file_name(), path.parent()) else { return false };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let names = RealDisk.list(directory).unwrap_or_default();
    let manifests = names
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "manifest"));
    manifests.filter_map(|name| std::fs::read_to_string(directory.join(name)).ok()).any(|text| {
        let manifest = Manifest::parse(&text).unwrap_or_default();
        let mut parts = manifest.parts().skip_while(|part| *part.name != *name);
        parts.next().is_some() && parts.next().is_some()
    })
}

/// How many commands begin in what is read.
pub(super) fn count_heads(file: impl Read) -> io::Result<u64> {
    const LONGEST: u64 = 64 * 1024;
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let (mut count, mut is_after_head) = (0, false);
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(count + u64::from(is_after_head));
        }
        count += u64::from(is_after_head && line.starts_with(b"$"));
        is_after_head = is_head(&line);
    }
}

fn is_head(line: &[u8]) -> bool {
    let digits = line.trim_ascii_end().strip_prefix(b"*").unwrap_or_default();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Cuts off the end of a log, once a copy of the file is on the disk.
fn cut(file: &Examined, at: u64) -> Result<String, CheckError> {
    let path = &*file.path;
    let _lock = directory::hold_for_repair(path).map_err(CheckError)?;
    ensure_unchanged(file)?;
    let lost = loss(file, at);
    let (backup, all) = (free_name(path), 0..file.bytes);
    let copy = write(&backup, Source::of(path)?, std::slice::from_ref(&all))?;
    copy.publish(&backup).map_err(CheckError)?;
    let truncated = RealDisk.append(path).and_then(|mut file| {
        file.truncate(at)?;
        file.sync()
    });
    truncated.map_err(trouble("cut off the end of", path))?;
    Ok(format!(
        "Successfully truncated AOF {} at byte {at}: {lost}. What it was is in {}",
        path.display(),
        backup.display()
    ))
}

/// The first name for a copy that nothing has.
fn free_name(path: &Path) -> PathBuf {
    let mut number = 0_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".bak".to_owned() } else { format!(".bak{number}") });
        if !Path::new(&name).exists() {
            return name.into();
        }
        number += 1;
    }
}

/// A server that still writes would have its file cut under its hands.
fn ensure_unchanged(file: &Examined) -> Result<(), CheckError> {
    let length = RealDisk.length(&file.path).map_err(trouble("read", &file.path))?;
    if length == file.bytes {
        return Ok(());
    }
    Err(CheckError(format!(
        "{} is being written to: end the server that does it, and check the file again",
        file.path.display()
    )))
}

/// Writes what can be read of a snapshot into another.
fn copy(file: &Examined, contents: &Contents, target: &Path) -> Result<String, CheckError> {
    if target.exists() {
        return Err(CheckError(format!("{} is there already: move it away", target.display())));
    }
    ensure_unchanged(file)?;
    let mut draft = write(target, Source::of(&file.path)?, &kept(contents))?;
    let checksum = draft.checksum();
    let has_checksum = contents.checksum_bytes() > 0;
    let mut end = trailer(|end| crc64(checksum, end));
    if !has_checksum {
        end.truncate(1);
    }
    draft.write(&end).map_err(CheckError)?;
    draft.publish(target).map_err(CheckError)?;
    Ok(format!(
        "{} has the {} keys that could be read; {}. {} is as it was",
        target.display(),
        contents.keys(),
        missing(contents),
        file.path.display()
    ))
}

/// What of a snapshot goes into another, without its end.
fn kept(contents: &Contents) -> Vec<Range<u64>> {
    let (mut kept, mut at) = (Vec::new(), 0);
    for foreign in &contents.foreign {
        kept.push(at..foreign.start);
        at = foreign.end;
    }
    kept.push(at..contents.end);
    kept
}

/// A file that parts are copied from.
struct Source<'p> {
    path: &'p Path,
    file: File,
}

impl<'p> Source<'p> {
    fn of(path: &'p Path) -> Result<Self, CheckError> {
        Ok(Source { path, file: File::open(path).map_err(trouble("read", path))? })
    }

    fn read(
        &mut self,
        range: &Range<u64>,
        take: &mut dyn FnMut(&[u8]) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        const STEP: usize = 256 * 1024;
        self.file.seek(SeekFrom::Start(range.start)).map_err(trouble("read", self.path))?;
        let (mut buffer, mut left) = (vec![0; STEP], range.end - range.start);
        while left > 0 {
            let part = &mut buffer[..STEP.min(usize::try_from(left).unwrap_or(STEP))];
            self.file.read_exact(part).map_err(trouble("read", self.path))?;
            take(part)?;
            left -= part.len() as u64;
        }
        Ok(())
    }
}

/// Begins a file with parts of another; it has no name yet.
fn write(
    target: &Path,
    mut source: Source<'_>,
    ranges: &[Range<u64>],
) -> Result<Draft<'static>, CheckError> {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".temp-{}", std::process::id()));
    let manner = Manner { has_checksum: true, syncs_often: true };
    let mut draft = Draft::create(&RealDisk, name.into(), manner).map_err(CheckError)?;
    for range in ranges {
        source.read(range, &mut |bytes| draft.write(bytes).map_err(CheckError))?;
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_counted_by_how_they_begin() {
        for (text, expected) in [
            ("", 0),
            ("*1\r\n$4\r\nPING\r\n", 1),
            ("*1\r\n$4\r\nPING\r\n*1\r\n", 2),
            ("rest of a word\r\n*2\r\n$3\r\nGET\r\n$2\r\n*1\r\n*", 1),
            ("!!!", 0),
        ] {
            assert_eq!(count_heads(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
    }
}

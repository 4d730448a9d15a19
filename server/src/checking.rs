//! `redlet check`: what is in a file, what is wrong with it, and mending it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Usage: redlet check FILE [--fix]

Examines a snapshot (dump.rdb), the manifest of a log with all files that it names
(appendonlydir/appendonly.aof.manifest), or one file of a log. The status is 0 if a server loads all of it.

  --fix   Of a log, cuts off the end that cannot be loaded, once a copy of the file is beside it, as FILE.bak.
          Of a snapshot, writes what can be read into FILE.repaired, and leaves FILE as it is.
          On a terminal it asks first. No server may be running on the directory.
";

/// A file to be examined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checking {
    file: PathBuf,
    fixes: bool,
}

impl Checking {
    /// Reads what stands behind `check`; the error is a sentence, and nothing is somebody who wants help.
    pub(crate) fn parse(words: VecDeque<OsString>) -> Result<Option<Self>, String> {
        let (mut file, mut fixes) = (None, false);
        for word in words {
            match word.to_str() {
                Some("--help" | "-h") => return Ok(None),
                Some("--fix") => fixes = true,
                Some(option) if option.starts_with('-') => return Err(unexpected(option)),
                _ if file.is_some() => return Err(unexpected(&word.to_string_lossy())),
                _ => file = Some(PathBuf::from(word)),
            }
        }
        let file = file.ok_or("'check' needs a file; see 'redlet check --help'")?;
        Ok(Some(Checking { file, fixes }))
    }

    /// Prints what is found, and mends it if that is wanted. The error is why the file is not good.
    pub(crate) fn perform(&self) -> Result<(), String> {
        let report = redlet::check(&self.file).map_err(|error| error.to_string())?;
        crate::show(&report.to_string());
        let shown = self.file.display();
        if report.is_good() {
            return Ok(());
        }
        if !self.fixes {
            return Err(format!("not all of {shown} can be loaded"));
        }
        report
            .remedy()
            .map_err(|_| format!("not all of {shown} can be loaded, and --fix changes nothing"))?;
        if !is_agreed() {
            return Err(format!("{shown} was not changed"));
        }
        let done = report.repair().map_err(|error| error.to_string())?;
        crate::show(&format!("{done}\n"));
        Ok(())
    }
}

fn unexpected(word: &str) -> String {
    format!("'{word}' is not understood; see 'redlet check --help'")
}

/// Whether somebody who sits there wants it to be done. Who wrote it into a script does.
fn is_agreed() -> bool {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return true;
    }
    crate::show("Go on? [y/N] ");
    let _ = stdout().flush();
    let mut answer = String::new();
    let _ = stdin().read_line(&mut answer);
    answer.trim().eq_ignore_ascii_case("y")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Checking>, String> {
        Checking::parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn a_file_and_an_option_in_any_order() {
        let checking = |fixes| Ok(Some(Checking { file: "dump.rdb".into(), fixes }));
        assert_eq!(parse("dump.rdb"), checking(false));
        assert_eq!(parse("dump.rdb --fix"), checking(true));
        assert_eq!(parse("--fix dump.rdb"), checking(true));
        assert_eq!(parse("--help"), Ok(None));
        for line in ["", "--fix", "a b", "a --repair"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

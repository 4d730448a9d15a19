//! The forms in which a server leaves its data: a snapshot, or a journal with either kind of base.

use std::{fs, path::Path, time::Duration};

use client_tests::{
    program::{Home, caller::Caller},
    random::Random,
    target::Parameter,
};
use tokio::time::{Instant, sleep};

/// How long anything that goes on in the background may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Snapshot,
    /// A journal on top of a snapshot.
    MixedJournal,
    /// A journal of nothing but commands.
    PlainJournal,
}

pub(crate) const FORMS: [Form; 3] = [Form::Snapshot, Form::MixedJournal, Form::PlainJournal];

/// How values are packed and files are written; the first value of each is the default.
const PACKINGS: [(&str, &[&str]); 7] = [
    ("rdbcompression", &["yes", "no"]),
    ("rdbchecksum", &["yes", "no"]),
    ("list-max-listpack-size", &["-2", "4", "-1"]),
    ("list-compress-depth", &["0", "1"]),
    ("set-max-intset-entries", &["512", "8"]),
    ("set-max-listpack-entries", &["128", "8"]),
    ("stream-node-max-entries", &["100", "3"]),
];

/// Parameters that both servers of a chain get, if they know them: mostly the defaults.
pub(crate) fn packing(random: &mut Random) -> Vec<Parameter> {
    let parameter = |(name, values): &(&str, &[&str])| {
        let value = if random.once_in(2) { values[0] } else { random.pick(values) };
        ((*name).to_owned(), value.to_owned())
    };
    PACKINGS.iter().map(parameter).collect()
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "rdb",
            Self::MixedJournal => "aof-mixed",
            Self::PlainJournal => "aof-plain",
        }
    }

    pub(crate) fn is_journal(self) -> bool {
        self != Self::Snapshot
    }

    pub(crate) fn parameters(self) -> Vec<Parameter> {
        let preamble = if self == Self::MixedJournal { "yes" } else { "no" };
        let journal = if self.is_journal() { "yes" } else { "no" };
        [("save", ""), ("appendonly", journal), ("aof-use-rdb-preamble", preamble)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// The version of the snapshot in a directory, if there is one: what it is in follows from the form.
    pub(crate) fn snapshot_version(self, home: &Home) -> Result<Option<u32>, String> {
        let file = match self {
            Self::Snapshot => Some(home.data().join("dump.rdb")),
            Self::MixedJournal => base_file(&home.data().join("appendonlydir"))?,
            Self::PlainJournal => None,
        };
        file.map(|file| version_of(&file)).transpose()
    }
}

/// The snapshot below a journal.
fn base_file(directory: &Path) -> Result<Option<std::path::PathBuf>, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut files = fs::read_dir(directory).map_err(failed)?.filter_map(Result::ok);
    let is_base = |name: &str| name.ends_with(".base.rdb");
    Ok(files.find(|file| file.file_name().to_str().is_some_and(is_base)).map(|file| file.path()))
}

/// What follows the letters at the start of a snapshot, REDIS0011 or VALKEY080.
fn version_of(file: &Path) -> Result<u32, String> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(9)]).into_owned();
    let digits = start.trim_start_matches(|letter: char| letter.is_ascii_uppercase());
    digits.parse().map_err(|_| format!("{}: it starts with {start:?}", file.display()))
}

/// Writes the journal anew, and waits until that is done.
pub(crate) async fn rewrite(caller: &mut Caller) -> Result<(), String> {
    caller.demand_words(&["BGREWRITEAOF"]).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let information = caller.demand_words(&["INFO", "persistence"]).await?.text();
        let information = String::from_utf8_lossy(&information.unwrap_or_default()).into_owned();
        let says = |field: &str| information.lines().any(|line| line.trim() == field);
        if says("aof_rewrite_in_progress:0") && says("aof_rewrite_scheduled:0") {
            return if says("aof_last_bgrewrite_status:ok") {
                Ok(())
            } else {
                Err(format!("the journal was not written anew:\n{information}"))
            };
        }
        if Instant::now() > deadline {
            return Err("writing the journal anew does not come to an end".to_owned());
        }
        sleep(Duration::from_millis(2)).await;
    }
}

//! A disk in memory that fails when it is told to, and whose power can fail.
//!
//! Calls are counted, so that each of them can be the one that fails. What has not been brought to the disk is known
//! for each file and each name: [`FaultyDisk::without_power`] says what may be left of it. Nothing here knows what the
//! files are for.
#![cfg_attr(
    not(test),
    allow(dead_code, reason = "what uses it to load files has no need of faults")
)]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile, DiskLock};
use crate::random::Random;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no room for anything new.
    Full,
    /// The same, found out in the middle of a write.
    FullHalfway,
    /// Nothing works, and what was to be brought to the disk is lost.
    Broken,
}

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spell {
    Once,
    UntilHealed,
}

/// Which call is the first to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) call: usize,
    pub(crate) fault: Fault,
    pub(crate) spell: Spell,
}

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Look,
    Read,
    Create,
    Append,
    Write,
    Sync,
    Truncate,
    Rename,
    Remove,
    CreateDirectory,
    SyncDirectory,
}

impl Call {
    /// Whether it is one that this can happen to.
    pub(crate) const fn can_suffer(self, fault: Fault) -> bool {
        match fault {
            Fault::Full => matches!(
                self,
                Call::Create | Call::Write | Call::Sync | Call::Rename | Call::CreateDirectory
            ),
            Fault::FullHalfway => matches!(self, Call::Write),
            Fault::Broken => true,
        }
    }
}

/// A disk, as one process has it open; others may have the same. When it is taken away, that process is dead to it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
    owner: usize,
}

#[derive(Clone, Debug, Default)]
struct State {
    content: Content,
    calls: Vec<Call>,
    plan: Option<Plan>,
    /// The next write fails, after one that was done in part.
    is_halfway: bool,
    owner: usize,
    /// What there was before each call, where that is to be remembered.
    past: Option<Vec<Content>>,
}

/// What is on the disk, and what will be if nothing happens.
#[derive(Clone, Debug, Default)]
struct Content {
    files: Vec<Bytes>,
    names: Names,
    lasting_names: Names,
    /// Changes of names since their directories were last brought to the disk, in order.
    changes: Vec<Change>,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// Names that change as one.
type Change = Vec<(PathBuf, Option<Node>)>;

#[derive(Clone, Debug, Default)]
struct Bytes {
    present: Vec<u8>,
    lasting: Vec<u8>,
    /// How much of the present bytes is among the lasting ones.
    settled: usize,
    /// What the disk has taken and lost again.
    lost: Vec<Range<usize>>,
}

impl Bytes {
    fn truncate(&mut self, length: usize) {
        self.present.truncate(length);
        self.settled = self.settled.min(length);
        self.lost.retain(|range| range.start < length);
        self.lost.iter_mut().for_each(|range| range.end = range.end.min(length));
    }

    fn settle(&mut self) {
        self.lasting = self.image();
        self.settled = self.present.len();
    }

    fn lose(&mut self) {
        self.lost.push(self.settled..self.present.len());
    }

    /// What the disk would give if all of it was asked for.
    fn image(&self) -> Vec<u8> {
        let mut image = self.present.clone();
        self.lost.iter().for_each(|range| image[range.clone()].fill(0));
        image
    }

    fn without_power(&self, random: &Random) -> Self {
        let unsettled = self.present.len() - self.settled;
        let left = match random.below(4) {
            0 => self.lasting.clone(),
            1 => self.image(),
            _ => self.image()[..self.settled + random.below(unsettled + 1)].to_vec(),
        };
        Bytes { settled: left.len(), lasting: left.clone(), present: left, lost: Vec::new() }
    }
}

impl Content {
    fn node(&self, path: &Path) -> io::Result<Node> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.node(path)? {
            Node::File(number) => Ok(number),
            Node::Directory => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }

    fn sync_directory(&mut self, directory: &Path) {
        let is_inside = |change: &mut Change| {
            change.iter().any(|(path, _)| path.parent().is_some_and(|parent| parent == directory))
        };
        for change in self.changes.extract_if(.., is_inside) {
            apply(&mut self.lasting_names, &change);
        }
    }

    /// Of the changes that may not have reached the disk, either the first ones did, or some.
    fn without_power(&self, random: &Random) -> Self {
        let is_in_order = random.below(2) == 0;
        let count = random.below(self.changes.len() + 1);
        let mut names = self.lasting_names.clone();
        for (index, change) in self.changes.iter().enumerate() {
            let is_done = if is_in_order { index < count } else { random.below(2) == 0 };
            if is_done {
                apply(&mut names, change);
            }
        }
        let known = names.clone();
        names.retain(|path, _| path.parent().is_none_or(|parent| is_reached(&known, parent)));
        Content {
            files: self.files.iter().map(|bytes| bytes.without_power(random)).collect(),
            lasting_names: names.clone(),
            names,
            changes: Vec::new(),
        }
    }
}

fn apply(names: &mut Names, change: &Change) {
    for (path, node) in change {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}

/// Whether a directory and all that it is in are there.
fn is_reached(names: &Names, directory: &Path) -> bool {
    directory.ancestors().all(|path| path.parent().is_none() || names.contains_key(path))
}

impl State {
    /// Counts a call, and fails if it is to.
    fn begin(&mut self, owner: usize, call: Call) -> io::Result<()> {
        if owner != self.owner {
            return Err(io::Error::other("the process is dead"));
        }
        if let Some(past) = &mut self.past {
            past.push(self.content.clone());
        }
        self.calls.push(call);
        if std::mem::take(&mut self.is_halfway) && call == Call::Write {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.plan.filter(|plan| plan.is_due(self.calls.len() - 1, call)) {
            None => Ok(()),
            Some(Plan { fault: Fault::Broken, .. }) => Err(io::Error::from_raw_os_error(EIO)),
            Some(Plan { fault: Fault::FullHalfway, .. }) => {
                self.is_halfway = true;
                Ok(())
            }
            Some(Plan { fault: Fault::Full, .. }) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

const EIO: i32 = 5;

impl Plan {
    fn is_due(self, number: usize, call: Call) -> bool {
        let is_time = match self.spell {
            Spell::Once => number == self.call,
            Spell::UntilHealed => number >= self.call,
        };
        is_time && call.can_suffer(self.fault)
    }
}

impl FaultyDisk {
    /// An empty one with one directory.
    pub(crate) fn new(directory: &str) -> Self {
        let names = Names::from([(PathBuf::from(directory), Node::Directory)]);
        Self::with(Content { lasting_names: names.clone(), names, ..Content::default() })
    }

    fn with(content: Content) -> Self {
        let state = State { content, ..State::default() };
        FaultyDisk { state: Arc::new(Mutex::new(state)), owner: 0 }
    }

    pub(crate) fn plan(&self, plan: Plan) {
        self.state().plan = Some(plan);
    }

    pub(crate) fn heal(&self) {
        self.state().plan = None;
    }

    /// Remembers from now on what there is before each call.
    pub(crate) fn remember(&self) {
        self.state().past = Some(Vec::new());
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    pub(crate) fn count_calls(&self) -> usize {
        self.state().calls.len()
    }

    /// The process that has it is killed; the disk as the next one finds it. What a failed sync has lost is there
    /// again, as nobody could know of it any more.
    pub(crate) fn survive(&self) -> Self {
        let mut state = self.state();
        state.owner += 1;
        state.content.files.iter_mut().for_each(|bytes| bytes.lost.clear());
        FaultyDisk { state: Arc::clone(&self.state), owner: state.owner }
    }

    /// Another disk with the same on it.
    pub(crate) fn copy(&self) -> Self {
        Self::with(self.state().content.clone())
    }

    /// What may be left if the power fails now.
    pub(crate) fn without_power(&self, seed: u64) -> Self {
        Self::with(self.state().content.without_power(&Random::seeded(seed)))
    }

    /// What may be left if the power failed just before a call that is remembered.
    pub(crate) fn without_power_at(&self, call: usize, seed: u64) -> Self {
        let state = self.state();
        let past = state.past.as_ref().expect("it was told to remember");
        Self::with(past[call].without_power(&Random::seeded(seed)))
    }

    /// Puts a file there, as somebody else would.
    pub(crate) fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let content = &mut state.content;
        let file = Bytes {
            present: bytes.to_vec(),
            lasting: bytes.to_vec(),
            settled: bytes.len(),
            lost: Vec::new(),
        };
        content.files.push(file);
        let node = Some(Node::File(content.files.len() - 1));
        let change = vec![(path.as_ref().to_path_buf(), node)];
        apply(&mut content.lasting_names, &change);
        apply(&mut content.names, &change);
    }

    /// What a file has in it, if it is there.
    pub(crate) fn get(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let number = state.content.file(path.as_ref()).ok()?;
        Some(state.content.files[number].present.clone())
    }

    /// The names of all files and directories.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.state().content.names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the disk")
    }

    fn begin(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.begin(self.owner, call)?;
        Ok(state)
    }

    fn open(&self, number: usize) -> Box<dyn DiskFile> {
        Box::new(OpenFile { disk: self.clone(), number })
    }
}

/// Nobody else is on this disk.
#[derive(Debug)]
struct NoLock;

impl DiskLock for NoLock {}

impl Disk for FaultyDisk {
    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(Some(Box::new(NoLock)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.begin(Call::Create)?;
        let content = &mut state.content;
        path.parent().map_or(Ok(Node::Directory), |parent| content.node(parent))?;
        let number = if let Ok(number) = content.file(path) {
            content.files[number].truncate(0);
            number
        } else {
            content.files.push(Bytes::default());
            let number = content.files.len() - 1;
            content.change(vec![(path.to_path_buf(), Some(Node::File(number)))]);
            number
        };
        Ok(self.open(number))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self.begin(Call::Append)?.content.file(path)?;
        Ok(self.open(number))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let number = self.begin(Call::Read)?.content.file(path)?;
        Ok(Box::new(Reading { disk: self.clone(), number, at: 0 }))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let state = self.begin(Call::Look)?;
        let number = state.content.file(path)?;
        Ok(state.content.files[number].present.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = &mut self.begin(Call::Rename)?.content;
        let node = content.node(from)?;
        to.parent().map_or(Ok(Node::Directory), |parent| content.node(parent))?;
        content.change(vec![(from.to_path_buf(), None), (to.to_path_buf(), Some(node))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let content = &mut self.begin(Call::Remove)?.content;
        content.file(path)?;
        content.change(vec![(path.to_path_buf(), None)]);
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.begin(Call::Look)?;
        state.content.node(directory)?;
        let paths = state.content.names.keys();
        let inside = paths.filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let content = &mut self.begin(Call::CreateDirectory)?.content;
        if content.node(path).is_err() {
            content.change(vec![(path.to_path_buf(), Some(Node::Directory))]);
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let content = &mut self.begin(Call::SyncDirectory)?.content;
        content.node(path)?;
        content.sync_directory(path);
        Ok(())
    }
}

struct OpenFile {
    disk: FaultyDisk,
    number: usize,
}

impl DiskFile for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.begin(Call::Write)?;
        let count = if state.is_halfway { bytes.len() / 2 } else { bytes.len() };
        state.content.files[self.number].present.extend_from_slice(&bytes[..count]);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(count)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let begun = state.begin(self.disk.owner, Call::Sync);
        let is_dead = self.disk.owner != state.owner;
        let bytes = &mut state.content.files[self.number];
        match &begun {
            Ok(()) => bytes.settle(),
            Err(_) if is_dead => {}
            Err(_) => bytes.lose(),
        }
        begun
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.begin(Call::Truncate)?;
        state.content.files[self.number].truncate(length as usize);
        Ok(())
    }
}

struct Reading {
    disk: FaultyDisk,
    number: usize,
    at: usize,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.begin(Call::Read)?;
        let bytes = &state.content.files[self.number].present;
        let rest = bytes.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(name: &str) -> (FaultyDisk, Box<dyn DiskFile>) {
        let disk = FaultyDisk::new("/data");
        let file = disk.create(Path::new(name)).unwrap();
        (disk, file)
    }

    /// What the file may have in it after a loss of power.
    fn outcomes(disk: &FaultyDisk, name: &str) -> Vec<Option<Vec<u8>>> {
        let mut outcomes: Vec<_> =
            (0..200).map(|seed| disk.without_power(seed).get(name)).collect();
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }

    #[test]
    fn what_is_synced_outlasts_the_power() {
        let (disk, mut file) = disk_with("/data/file");
        file.write_all(b"ab").unwrap();
        file.sync().unwrap();
        assert!(outcomes(&disk, "/data/file").contains(&None));
        disk.sync_directory(Path::new("/data")).unwrap();
        assert_eq!(outcomes(&disk, "/data/file"), [Some(b"ab".to_vec())]);
        file.write_all(b"cd").unwrap();
        let torn = [&b"ab"[..], b"abc", b"abcd"].map(|bytes| Some(bytes.to_vec()));
        assert_eq!(outcomes(&disk, "/data/file"), torn);
    }

    #[test]
    fn a_name_changes_wholly_or_not_at_all() {
        let (disk, mut file) = disk_with("/data/new");
        file.write_all(b"new").unwrap();
        file.sync().unwrap();
        disk.put("/data/name", b"old");
        disk.sync_directory(Path::new("/data")).unwrap();
        disk.rename(Path::new("/data/new"), Path::new("/data/name")).unwrap();
        let either = [&b"new"[..], b"old"].map(|bytes| Some(bytes.to_vec()));
        assert_eq!(outcomes(&disk, "/data/name"), either);
    }

    #[test]
    fn what_a_failed_sync_loses_does_not_come_back() {
        let (disk, mut file) = disk_with("/data/file");
        disk.sync_directory(Path::new("/data")).unwrap();
        file.write_all(b"a").unwrap();
        disk.plan(Plan { call: disk.count_calls(), fault: Fault::Broken, spell: Spell::Once });
        assert!(file.sync().is_err());
        file.write_all(b"b").unwrap();
        file.sync().unwrap();
        assert_eq!(outcomes(&disk, "/data/file"), [Some(b"\0b".to_vec())]);
        assert_eq!(disk.get("/data/file").unwrap(), b"ab");
    }

    #[test]
    fn a_full_disk_takes_half_of_a_write() {
        let (disk, mut file) = disk_with("/data/file");
        disk.plan(Plan { call: 1, fault: Fault::FullHalfway, spell: Spell::Once });
        assert_eq!(file.write_all(b"abcd").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.get("/data/file").unwrap(), b"ab");
        file.write_all(b"ef").unwrap();
        assert_eq!(disk.calls()[1..], [Call::Write, Call::Write, Call::Write]);
    }

    #[test]
    fn the_dead_do_nothing_more() {
        let (disk, mut file) = disk_with("/data/file");
        let next = disk.survive();
        assert!(file.write_all(b"a").is_err());
        assert_eq!(next.length(Path::new("/data/file")).unwrap(), 0);
    }
}

//! Where servers keep their files: directories on a disk, and how long that disk takes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use std::{env, process};

use hdrhistogram::Histogram;

use crate::Result;
use crate::servers::root;

/// File systems that keep nothing on a disk.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// What is appended to a file before each sync.
const BLOCK: [u8; 4096] = [b'x'; 4096];

/// How many syncs tell how long one takes.
const SYNCS: usize = 200;

/// A directory that is empty at first, and gone with all its files when this is dropped.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(crate) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = place()?.join(format!("redlet-compare-{}-{number}", process::id()));
        fs::create_dir(&path)?;
        Ok(Directory { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed lies where the system tidies up.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The kind of file system that the directories are on.
pub(crate) fn file_system() -> Result<String> {
    let mounts = mounts()?;
    let kind = kind_of(&place()?, &mounts).unwrap_or("unknown");
    Ok(kind.to_owned())
}

/// How long it takes to sync a file to which 4 KiB were appended, in nanoseconds.
pub(crate) fn sync_times() -> Result<Histogram<u64>> {
    let directory = Directory::new()?;
    let mut file = File::create(directory.path().join("file"))?;
    let mut times = Histogram::new(3)?;
    for _ in 0..SYNCS {
        file.write_all(&BLOCK)?;
        let began = Instant::now();
        file.sync_data()?;
        times.record(began.elapsed().as_nanos() as u64)?;
    }
    Ok(times)
}

/// The first place for temporary files that is on a disk, or the usual one if none is.
fn place() -> Result<PathBuf> {
    let mounts = mounts()?;
    let is_on_disk = |place: &PathBuf| {
        let kind = place.canonicalize().ok().and_then(|path| kind_of(&path, &mounts));
        kind.is_some_and(|kind| !IN_MEMORY.contains(&kind))
    };
    let places = [env::temp_dir(), PathBuf::from("/var/tmp"), root().join("target")];
    let found = places.into_iter().find(is_on_disk).unwrap_or_else(env::temp_dir);
    Ok(found.canonicalize()?)
}

fn mounts() -> Result<String> {
    Ok(fs::read_to_string("/proc/self/mountinfo")?)
}

/// The kind of the file system with the longest mount point above a path; where several are mounted at the same point,
/// the last one covers the others.
fn kind_of<'mounts>(path: &Path, mounts: &'mounts str) -> Option<&'mounts str> {
    let above = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind)
}

/// Mount point and kind of file system: the fifth field, and the first one after a lone hyphen.
fn mount(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    Some((before.split(' ').nth(4)?, after.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
31 25 0:26 / /tmp rw,nosuid - tmpfs tmpfs rw,size=1k
32 25 254:1 / /var rw,relatime shared:2 master:1 - xfs /dev/data rw
33 25 254:2 / /tmp rw,relatime - btrfs /dev/other rw
";

    #[test]
    fn a_path_belongs_to_the_nearest_mount_point() {
        for (path, kind) in [
            ("/home/somebody", "ext4"),
            ("/var/tmp", "xfs"),
            ("/variety", "ext4"),
            ("/tmp/redlet", "btrfs"),
        ] {
            assert_eq!(kind_of(Path::new(path), MOUNTS), Some(kind), "{path}");
        }
        assert_eq!(kind_of(Path::new("/"), ""), None);
    }

    #[test]
    fn a_directory_ends_with_its_files() {
        let directory = Directory::new().unwrap();
        let path = directory.path().to_owned();
        fs::write(path.join("dump.rdb"), "some").unwrap();
        assert_ne!(Directory::new().unwrap().path(), path);
        drop(directory);
        assert!(!path.exists());
    }
}

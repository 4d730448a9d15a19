//! Where files are: on a disk, or on one that exists for a test and fails on demand.
//!
//! Everything that is written to last goes through here, so that what a full or failing disk does to
//! it can be shown. It knows names and bytes, and nothing of what they mean.

use std::fmt::Debug;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(crate) trait Disk: Debug + Send + Sync {
    /// An empty file of this name, whatever was there before.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file that is there, to be continued.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    fn length(&self, path: &Path) -> io::Result<u64>;

    /// Gives a file another name; one that had this name before is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Returns once the names in a directory are what they are even if the power fails.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Takes a lock for as long as what comes back is kept; nothing if somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// Whether there is a file of this name. A disk that does not answer has not said that there is none.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.length(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A lock that is taken.
pub(crate) trait DiskLock: Debug + Send + Sync {}

pub(crate) trait DiskFile: Send {
    /// Adds bytes at the end; how many is for the disk to say.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns once everything that was written is there even if the power fails.
    fn sync(&mut self) -> io::Result<()>;

    /// Takes away what is behind this length.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The machine's.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        // What is taken away at the end does not leave a hole before what is added next.
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(0)?;
        Ok(Box::new(file))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        fs::metadata(path).map(|metadata| metadata.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(directory)?;
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(LockFile::take(path)?.map(|lock| Box::new(lock) as Box<dyn DiskLock>))
    }
}

/// A file that is locked, and goes with its lock.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    _file: File,
}

impl DiskLock for LockFile {}

impl LockFile {
    fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let mut options = OpenOptions::new();
            let mut file =
                options.read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who had the lock may have removed the file before it came here.
            if fs::metadata(path).is_ok_and(|there| is_same(&there, &file)) {
                file.set_len(0)?;
                Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes())?;
                return Ok(Some(LockFile { path: path.to_owned(), _file: file }));
            }
        }
    }
}

fn is_same(there: &Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|here| (here.dev(), here.ino()) == (there.dev(), there.ino()))
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // The lock itself goes when the file is closed.
        let _ = fs::remove_file(&self.path);
    }
}

impl DiskFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        // What is written next would leave a hole otherwise.
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_truncation_is_written_where_that_was() {
        let name = format!("redlet-disk-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut created = RealDisk.create(&path).unwrap();
        created.write_all(b"whole half").unwrap();
        created.truncate(6).unwrap();
        created.write_all(b"again").unwrap();
        let mut continued = RealDisk.append(&path).unwrap();
        continued.truncate(8).unwrap();
        continued.write_all(b"!").unwrap();
        let found = fs::read(&path).unwrap();
        RealDisk.remove(&path).unwrap();
        assert_eq!(found, b"whole ag!");
        assert!(!RealDisk.exists(&path).unwrap());
    }
}

//! Holds the database's file open while this process has it open in SQLite.
//!
//! A process that closes any descriptor of a file loses all its POSIX locks on the file, including SQLite's. Another program that then closes
//! the database acts as the last user and deletes the WAL that is in use here: later commits are lost. So a database file that is read
//! without SQLite is closed only when no connection of this process is left (<https://www.sqlite.org/howtocorrupt.html>, 2.2).

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{InputError, open_regular};

/// Device and inode of a file; `None` on systems where closing a descriptor keeps the locks.
type Key = Option<(u64, u64)>;

/// A held file and its number of holders.
struct Held {
    key: (u64, u64),
    holders: usize,
    /// More than one if the path was swapped to another file and back while it was opened.
    files: Vec<File>,
}

/// Global, because POSIX locks belong to the process.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Holds the file until dropped. Whoever opens connections to it must keep it until they are closed.
#[derive(Debug)]
pub(super) struct HeldFile(Key);

impl HeldFile {
    /// Holds the file at `path` and returns its first bytes, at most `count`.
    pub fn open(path: &Path, count: u64) -> Result<(Self, Vec<u8>), InputError> {
        let failed = |source| InputError::Io { path: path.to_owned(), source };
        let mut all = lock();
        let known = std::fs::metadata(path).ok().as_ref().and_then(key);
        if let Some(held) = all.iter_mut().find(|held| known == Some(held.key))
            && let Some(file) = held.files.first()
        {
            let bytes = beginning(file, count).map_err(failed)?;
            held.holders += 1;
            return Ok((Self(known), bytes));
        }
        let (file, _) = open_regular(path)?;
        let key = file.metadata().ok().as_ref().and_then(key);
        let bytes = beginning(&file, count);
        let Some(number) = key else { return Ok((Self(None), bytes.map_err(failed)?)) };
        match all.iter_mut().find(|held| held.key == number) {
            Some(held) => {
                held.holders += 1;
                held.files.push(file);
            }
            None => all.push(Held { key: number, holders: 1, files: vec![file] }),
        }
        drop(all);
        let held = Self(key);
        Ok((held, bytes.map_err(failed)?))
    }
}

impl HeldFile {
    /// Copies the file at `path`, which is held, to a new file.
    pub fn copy(&self, path: &Path, to: &Path) -> io::Result<()> {
        let all = lock();
        let Some(mut file) = all.iter().find(|held| self.0 == Some(held.key)).and_then(|held| held.files.first())
        else {
            return std::fs::copy(path, to).map(|_| ());
        };
        file.rewind()?;
        io::copy(&mut file, &mut File::create_new(to)?).map(|_| ())
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        let mut all = lock();
        if let Some(held) = all.iter_mut().find(|held| self.0 == Some(held.key)) {
            held.holders -= 1;
        }
        // Closed under the mutex: a connection opened afterwards takes its locks later.
        all.retain(|held| held.holders > 0);
    }
}

fn lock() -> MutexGuard<'static, Vec<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no such number")]
fn key(metadata: &std::fs::Metadata) -> Key {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn key(_: &std::fs::Metadata) -> Key {
    None
}

/// Reads from the start of the file, regardless of the current position.
fn beginning(mut file: &File, count: u64) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(path: &Path) -> Option<(usize, usize)> {
        let key = key(&std::fs::metadata(path).unwrap());
        lock().iter().find(|held| key == Some(held.key)).map(|held| (held.holders, held.files.len()))
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_opened_once_and_closed_by_its_last_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        std::fs::write(&path, "some bytes").unwrap();
        let (first, bytes) = HeldFile::open(&path, 4).unwrap();
        let (second, again) = HeldFile::open(&path, 100).unwrap();
        assert_eq!((&bytes[..], &again[..], holders(&path)), (&b"some"[..], &b"some bytes"[..], Some((2, 1))));
        drop(first);
        // What is written later is read: it is the same file.
        std::fs::write(&path, "other").unwrap();
        let (third, bytes) = HeldFile::open(&path, 100).unwrap();
        assert_eq!((&bytes[..], holders(&path)), (&b"other"[..], Some((2, 1))));
        let copy = dir.path().join("copy.db");
        third.copy(&path, &copy).unwrap();
        assert_eq!((std::fs::read(&copy).unwrap(), holders(&path)), (b"other".to_vec(), Some((2, 1))));
        drop((second, third));
        assert_eq!(holders(&path), None);
        assert!(HeldFile::open(dir.path(), 4).is_err() && HeldFile::open(&dir.path().join("none"), 4).is_err());
    }
}

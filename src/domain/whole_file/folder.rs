//! Folders being made: each has a temporary name and holds a locked file, by which others see that its process lives. Those that a killed
//! process left are removed.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::domain::open_regular;

/// Names of files begin with `.quarry-` too: only folders with this longer prefix are ever removed.
const PREFIX: &str = ".quarry-export-";
/// The locked file in the folder.
const LOCK: &str = ".lock";
/// Age after which unlocked files and folders (from earlier versions, or on a file system without locks) count as abandoned.
pub(super) const ABANDONED_AFTER: Duration = Duration::from_hours(1);
/// Levels of folders in which a change shows that a folder without a lock is still being filled.
const LEVELS: usize = 3;

/// A folder that is being filled under a temporary name; removed on drop.
#[derive(Debug)]
pub struct UnfinishedFolder {
    folder: TempDir,
    /// Held until the folder has its name. Without lock support, the age decides.
    lock: File,
}

impl UnfinishedFolder {
    pub(super) fn new(parent: &Path) -> io::Result<Self> {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        loop {
            let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)?;
            let path = folder.path().join(LOCK);
            let lock = File::create_new(&path)?;
            let _ = lock.lock();
            // Another process may have removed it as abandoned before it was locked.
            if path.exists() {
                return Ok(Self { folder, lock });
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Renames the folder to its final name, which must be free.
    pub fn place(self, path: &Path) -> io::Result<()> {
        let Self { folder, lock } = self;
        fs::remove_file(folder.path().join(LOCK))?;
        // Windows renames no folder with an open file.
        #[cfg(not(unix))]
        drop(lock);
        fs::rename(folder.path(), path)?;
        #[cfg(unix)]
        drop(lock);
        // It was renamed: there is nothing left to remove.
        let _ = folder.keep();
        Ok(())
    }
}

/// Removes a folder that a killed process left. `name` is its last component; the folder itself must not be a link. Links in it are
/// removed and not followed.
pub(super) fn clear(folder: &Path, name: &str) {
    let Some(rest) = name.strip_prefix(PREFIX) else { return };
    // Earlier versions locked nothing, and their names have no process.
    let is_locking = rest.split_once('-').is_some_and(|(process, _)| process.parse::<u32>().is_ok());
    let lock = open_regular(&folder.join(LOCK)).ok().filter(|_| is_locking).map(|(file, _)| file);
    let is_abandoned = match lock.as_ref().map(File::try_lock) {
        Some(Ok(())) => true,
        Some(Err(TryLockError::WouldBlock)) => false,
        Some(Err(TryLockError::Error(_))) | None => is_old(folder),
    };
    if is_abandoned {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Whether nothing was added to the folder for long.
fn is_old(folder: &Path) -> bool {
    newest(folder, LEVELS).is_some_and(|changed| changed.elapsed().is_ok_and(|age| age > ABANDONED_AFTER))
}

/// Returns when an entry of the folder, or of a folder in it, last came or went; `None` if that cannot be told.
fn newest(folder: &Path, levels: usize) -> Option<SystemTime> {
    let mut newest = fs::symlink_metadata(folder).and_then(|found| found.modified()).ok()?;
    if levels == 0 {
        return Some(newest);
    }
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        if entry.file_type().ok()?.is_dir() {
            newest = newest.max(self::newest(&entry.path(), levels - 1)?);
        }
    }
    Some(newest)
}

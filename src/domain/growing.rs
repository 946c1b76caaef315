//! Opens a file that grows during a run and that the same run appends to after an interruption.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::input::open_regular_with;
use super::place::leads_to;

/// A growing file, locked until it is dropped.
#[derive(Debug)]
pub struct GrowingFile(File);

impl GrowingFile {
    pub fn file(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for GrowingFile {
    fn drop(&mut self) {
        // Closing the file would not release the lock while a process that was just forked still has a copy of the descriptor.
        let _ = self.0.unlock();
    }
}

/// Opens the file for reading and writing; creates it if missing. Returns `None` if another process holds its lock.
pub fn open_growing(path: &Path) -> io::Result<Option<GrowingFile>> {
    for _ in 0..ATTEMPTS {
        let (file, _) = open_regular_with(OpenOptions::new().read(true).write(true).create(true), path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Without file locks, concurrent access is not prevented.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let growing = GrowingFile(file);
        // A run that ended meanwhile has removed the file that was opened here: what is written to it would be lost.
        if leads_to(path, &growing.0) {
            return Ok(Some(growing));
        }
    }
    Ok(None)
}

/// More runs than this never end in the moment between opening and locking.
const ATTEMPTS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_file_is_free_though_a_forked_process_has_a_copy_of_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("found.txt.unfinished");
        let growing = open_growing(&path).unwrap().unwrap();
        let copy = growing.0.try_clone().unwrap();
        assert!(open_growing(&path).unwrap().is_none());
        drop(growing);
        drop(open_growing(&path).unwrap().unwrap());
        drop(copy);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_removed_before_it_was_locked_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("found.txt.unfinished");
        let (old, _) = open_regular_with(OpenOptions::new().write(true).create(true), &path).unwrap();
        assert!(leads_to(&path, &old));
        std::fs::remove_file(&path).unwrap();
        assert!(!leads_to(&path, &old));
        std::fs::write(&path, "of another run").unwrap();
        assert!(!leads_to(&path, &old));
    }
}

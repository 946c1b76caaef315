//! Opens a file that grows during a run and that the same run appends to after an interruption.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::input::open_regular_with;

/// Opens the file for reading and writing; creates it if missing. Returns `None` if another process holds its lock.
pub fn open_growing(path: &Path) -> io::Result<Option<File>> {
    let (file, _) = open_regular_with(OpenOptions::new().read(true).write(true).create(true), path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // Without file locks, concurrent access is not prevented.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

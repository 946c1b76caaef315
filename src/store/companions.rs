//! Names of the files that SQLite creates next to a database.

use std::path::{Path, PathBuf};

/// Returns the write-ahead log of a database.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    companion(path, "-wal")
}

pub(super) fn companion(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

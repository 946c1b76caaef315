//! The names of the files that SQLite keeps beside a database.

use std::path::{Path, PathBuf};

/// The write-ahead log beside a database.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

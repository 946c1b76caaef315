//! Lists the backups next to a database and finds the newest one that passes SQLite's check. `backup.rs` makes and restores them.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::integrity::check;

/// A backup of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    pub path: PathBuf,
    /// Increases over all backups of a project, so that their order does not depend on the clock.
    pub number: u64,
}

/// Returns the newest backup that passes SQLite's check.
pub(super) fn newest_good(database: &Path) -> Option<PathBuf> {
    list(database).into_iter().rev().map(|b| b.path).find(|path| {
        let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        opened.is_ok_and(|connection| check(&connection).is_ok())
    })
}

pub(super) fn list(database: &Path) -> Vec<BackupFile> {
    let Ok(entries) = std::fs::read_dir(folder(database)) else { return Vec::new() };
    let mut found: Vec<BackupFile> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let number = name.strip_suffix(".db")?.split_once('-')?.0.parse().ok()?;
            // SQLite would wait for the writer of a FIFO.
            path.is_file().then_some(BackupFile { path, number })
        })
        .collect();
    found.sort_by_key(|b| b.number);
    found
}

pub(super) fn folder(database: &Path) -> PathBuf {
    database.with_file_name("backups")
}

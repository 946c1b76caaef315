//! Rolling backups with SQLite's backup API, in the folder `backups` next to the database, and restoring one.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::backup_files::{BackupFile, folder, list};
use super::companions::companion;
use super::header::look;
use super::integrity::check;
use super::{Store, StoreError, rescue};
use crate::domain::{counted, finish_file, make_folder, open_regular, unfinished_file};

/// Maximum number of backups of each kind.
const KEPT: usize = 10;
/// Maximum total size of the backups of a kind, as long as [`KEPT_AT_LEAST`] remain.
const KEPT_BYTES: u64 = 4 << 30;
const KEPT_AT_LEAST: usize = 2;
const ROLLING: &str = "rolling";
const MIGRATION: &str = "before-migration";

/// The result of replacing a damaged database with a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    pub backup: PathBuf,
    /// New path of the damaged database; its WAL is next to it.
    pub damaged: PathBuf,
    /// Verdicts recovered from the damaged database that the backup lacked.
    pub rescued: u64,
    /// Rows of its log that could not be read.
    pub unreadable: u64,
    /// Why none of its verdicts could be read.
    pub nothing_readable: Option<String>,
}

impl Store {
    /// Writes a checked backup of the database and removes the oldest of more than ten.
    pub fn back_up(&self) -> Result<PathBuf, StoreError> {
        self.back_up_as(ROLLING)
    }

    /// [`Store::back_up`] if the newest backup is older than `interval` or there is none; `None` if none is due.
    pub fn back_up_if_due(&self, interval: Duration) -> Result<Option<PathBuf>, StoreError> {
        let newest = self.backups().pop().and_then(|b| std::fs::metadata(b.path).ok()?.modified().ok());
        let fresh = newest.is_some_and(|time| time.elapsed().is_ok_and(|age| age < interval));
        if fresh { Ok(None) } else { self.back_up().map(Some) }
    }

    /// Whether the project contains anything worth backing up.
    pub fn is_worth_a_backup(&self) -> Result<bool, StoreError> {
        self.read(|c| Ok(c.query_row("SELECT EXISTS (SELECT 1 FROM images)", [], |r| r.get(0))?))
    }

    /// Returns all backups, oldest first.
    pub fn backups(&self) -> Vec<BackupFile> {
        list(&self.path)
    }

    pub(super) fn back_up_before_migration(&self) -> Result<PathBuf, StoreError> {
        self.back_up_as(MIGRATION)
    }

    fn back_up_as(&self, kind: &str) -> Result<PathBuf, StoreError> {
        let folder = folder(&self.path);
        make_folder(&folder).map_err(|cause| StoreError::Io { path: folder.clone(), cause })?;
        let failed = |cause| StoreError::Io { path: folder.clone(), cause };
        let unfinished = unfinished_file(&folder).map_err(failed)?;
        self.copy_to(unfinished.path()).map_err(|error| match error.at(unfinished.path()) {
            // A backup is as intact as its source.
            StoreError::Corrupt { detail, .. } => {
                self.diagnosed(StoreError::Corrupt { path: self.path.clone(), detail, backup: None })
            }
            other => other,
        })?;
        // Other processes may have made backups in the meantime.
        let number = list(&self.path).last().map_or(0, |b| b.number).saturating_add(1);
        let target = folder.join(format!("{number:06}-{kind}.db"));
        finish_file(unfinished, &target).map_err(failed)?;
        self.drop_oldest(kind);
        Ok(target)
    }

    fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        let mut copy = Connection::open(target)?;
        // An unfinished backup is discarded: it needs no journal, which a kill would leave behind.
        copy.pragma_update(None, "journal_mode", "MEMORY")?;
        {
            let backup = rusqlite::backup::Backup::new(&self.connection, &mut copy)?;
            backup.run_to_completion(i32::MAX, Duration::from_millis(20), None)?;
        }
        // A backup has no writers: without WAL it is a single complete file.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        check(&copy)?;
        copy.close().map_err(|(_, e)| e.into())
    }

    fn drop_oldest(&self, kind: &str) {
        let suffix = format!("-{kind}.db");
        let of_kind = list(&self.path).into_iter().rev().filter(|b| b.path.to_string_lossy().ends_with(&suffix));
        let mut bytes = 0;
        for (newer, backup) in of_kind.enumerate() {
            bytes += std::fs::metadata(&backup.path).map_or(0, |m| m.len());
            if newer >= KEPT || (newer >= KEPT_AT_LEAST && bytes > KEPT_BYTES) {
                // An extra backup is harmless.
                let _ = std::fs::remove_file(&backup.path);
            }
        }
    }
}

impl std::fmt::Display for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { backup, damaged, rescued, unreadable, nothing_readable } = self;
        write!(f, "Restored {}. ", backup.display())?;
        match nothing_readable {
            Some(reason) => write!(f, "No newer verdicts could be read ({reason}). ")?,
            None => write!(f, "Recovered {}; {unreadable} could not be read. ", counted(*rescued, "newer verdict"))?,
        }
        write!(f, "The damaged database is now {}", damaged.display())
    }
}

/// Replaces a damaged database with a backup and recovers newer verdicts that are still readable. The damaged file is kept next to it with
/// its WAL. No connection may be open. The backup is checked first and kept.
pub fn restore_backup(database: &Path, backup: &Path) -> Result<Restored, StoreError> {
    // Another program's database, or a FIFO, is refused before anything is moved.
    let (_, held) = look(backup)?;
    let opened = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY);
    opened.map_err(StoreError::from).and_then(|c| check(&c)).map_err(|e| e.at(backup))?;
    drop(held);
    let damaged = exchange_files(database, backup)?;
    let mut restored = Restored { backup: backup.to_owned(), damaged, ..Restored::default() };
    let mut store = Store::open(database)?;
    match rescue::log_of(&restored.damaged, backup, &store.connection) {
        Ok(log) => {
            let (rescued, refused) = store.merge_rescued(&log.lines)?;
            (restored.rescued, restored.unreadable) = (rescued, log.unreadable + refused);
        }
        Err(error) => restored.nothing_readable = Some(error.to_string()),
    }
    Ok(restored)
}

/// Copies the backup to the database's path; returns the new path of the damaged file. The database's path always has a file.
fn exchange_files(database: &Path, backup: &Path) -> Result<PathBuf, StoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| StoreError::Io { path, cause }
    };
    let project = database.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut unfinished = unfinished_file(project).map_err(failed(database))?;
    let (mut bytes, _) = open_regular(backup).map_err(|error| failed(backup)(error.into()))?;
    std::io::copy(&mut bytes, unfinished.as_file_mut()).map_err(failed(database))?;
    unfinished.as_file().sync_all().map_err(failed(database))?;
    let aside = (1..u32::MAX).map(|n| database.with_file_name(format!("damaged-{n}.db"))).find(|path| !path.exists());
    let aside = aside.unwrap_or_else(|| database.with_file_name("damaged.db"));
    // The log and the journal belong to the damaged file and would corrupt the restored one.
    for ending in ["-wal", "-shm", "-journal"] {
        let log = companion(database, ending);
        if log.exists() {
            std::fs::rename(&log, companion(&aside, ending)).map_err(failed(&log))?;
        }
    }
    // Not every file system supports hard links.
    if std::fs::hard_link(database, &aside).is_err() {
        std::fs::rename(database, &aside).map_err(failed(database))?;
    }
    unfinished.persist(database).map_err(|error| failed(database)(error.error))?;
    Ok(aside)
}

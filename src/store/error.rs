//! Errors of the store. Each message names the file and what to do.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use super::companions::wal_of;
use crate::domain::{WRITE_ACCESS, in_project};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no project database at {}; make a project with `quarry new DIR`", .0.display())]
    NotFound(PathBuf),
    #[error("{} already exists; open it, or choose another folder", .0.display())]
    Exists(PathBuf),
    #[error("{} is not a Quarry database", .0.display())]
    NotAProject(PathBuf),
    #[error(
        "{} is marked as a Quarry project, but {what}. It was not changed. Use the project's own database, or a backup of it",
        path.display()
    )]
    Foreign { path: PathBuf, what: String },
    #[error("{}", copied_alone(.0, "it holds nothing yet"))]
    CopiedAlone(PathBuf),
    #[error(
        "{} was made by a newer version of Quarry (format {found}, this version knows up to {known}); update Quarry to open it",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is damaged ({detail}). It can still be opened read-only. {}", path.display(), backup_advice(backup.as_deref()))]
    Corrupt { path: PathBuf, detail: String, backup: Option<PathBuf> },
    #[error("{} is held by another program; close that, or wait until it is done, and try again", .0.display())]
    Busy(PathBuf),
    #[error("the disk is full: {} could not be written, and nothing of this step was saved. Free some space and try again", .0.display())]
    DiskFull(PathBuf),
    #[error("{} is open read-only: nothing can be saved{WRITE_ACCESS}", .0.display())]
    ReadOnly(PathBuf),
    #[error("{}: {why}. Nothing was saved", path.display())]
    NotWritable { path: PathBuf, why: String },
    #[error(
        "{} or its log was moved, replaced or removed while it was open: nothing of this step was saved. Open the project at its new path",
        .0.display()
    )]
    Moved(PathBuf),
    #[error(
        "{}: the system could not {doing} the database (SQLite: {detail}). The disk or the connection to it is failing, or the file was \
         cut short. Check the disk, then run the command again; `quarry verdicts export FILE` saves the verdicts that can be read",
        path.display()
    )]
    Disk { path: PathBuf, doing: &'static str, detail: String },
    #[error("no {what} {id} in this project")]
    Missing { what: &'static str, id: String },
    #[error("{0}")]
    Invalid(String),
    /// Refers to an input line by index, from 0.
    #[error("line {}: {reason}", index + 1)]
    Line { index: usize, reason: String },
    // `cause`, not `source`: the message already includes it, so that it is not printed twice.
    #[error("{}: {cause}{}", path.display(), in_project(cause))]
    Io { path: PathBuf, cause: std::io::Error },
    #[error("{}: {cause}", path.display())]
    Database { path: PathBuf, cause: rusqlite::Error },
    /// Within this layer only: every public method adds the file name.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Adds the file name and translates SQLite's error codes for the user.
    pub(super) fn at(self, path: &Path) -> Self {
        let Self::Sqlite(source) = self else { return self };
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(path),
            Some(ErrorCode::DiskFull) => Self::DiskFull(path),
            Some(ErrorCode::ReadOnly) => match source.sqlite_extended_error_code() {
                Some(ffi::SQLITE_READONLY_DBMOVED) => Self::Moved(path),
                Some(
                    ffi::SQLITE_READONLY_DIRECTORY | ffi::SQLITE_READONLY_RECOVERY | ffi::SQLITE_READONLY_CANTLOCK,
                ) => Self::not_writable(&path),
                _ => Self::ReadOnly(path),
            },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::not_writable(&path),
            Some(ErrorCode::SystemIoFailure) if is_full(&path) => Self::DiskFull(path),
            Some(ErrorCode::SystemIoFailure) => {
                let doing = doing(source.sqlite_extended_error_code().unwrap_or_default());
                Self::Disk { path, doing, detail: source.to_string() }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { detail: source.to_string(), backup: None, path }
            }
            _ => Self::Database { path, cause: source },
        }
    }

    /// Returns why files next to `path` cannot be written, as far as known.
    pub(super) fn not_writable(path: &Path) -> Self {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let why = match tempfile::Builder::new().prefix(".quarry-").tempfile_in(folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::StorageFull => return Self::DiskFull(path.to_owned()),
            Err(cause) => format!("the folder {} is not writable ({cause})", folder.display()),
            Ok(_) if std::fs::metadata(path).is_ok_and(|m| m.permissions().readonly()) => {
                "the file is write-protected".to_owned()
            }
            Ok(_) => "the file or one of its companions (-wal, -shm, -journal) cannot be opened".to_owned(),
        };
        let path = path.to_owned();
        Self::NotWritable {
            path,
            why: format!("{why}. Check its permissions, or copy the project to a writable folder"),
        }
    }

    pub(super) fn missing(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Missing { what, id: id.to_string() }
    }
}

/// Returns the operation during which a system call failed in SQLite.
fn doing(code: i32) -> &'static str {
    match code {
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => "read",
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => "write",
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => "flush",
        ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_UNLOCK | ffi::SQLITE_IOERR_SHMLOCK => "lock",
        _ => "reach",
    }
}

/// Whether the disk that contains `path` is full.
fn is_full(path: &Path) -> bool {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let tried = tempfile::Builder::new().prefix(".quarry-").tempfile_in(folder).and_then(|mut file| {
        std::io::Write::write_all(&mut file, &[0; 4096])?;
        file.as_file().sync_all()
    });
    tried.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
}

/// Formats the note for a database that was copied without its WAL.
pub(super) fn copied_alone(path: &Path, holds: &str) -> String {
    format!(
        "{}: this database was copied alone while Quarry had it open ({holds}): the newest work is in the file {} next to the original. \
         Close Quarry there and copy the project again, or copy that file too",
        path.display(),
        wal_of(path).file_name().unwrap_or_default().to_string_lossy()
    )
}

/// The same for an older format, whose databases look like this even when closed properly.
pub(super) fn perhaps_copied_alone(path: &Path, holds: &str) -> String {
    format!(
        "{}: this database was last open in an older Quarry ({holds}). If it was copied alone while it was open there, the newest work is in \
         the file {} next to the original: close Quarry there and copy the project again, or copy that file too, before you continue here",
        path.display(),
        wal_of(path).file_name().unwrap_or_default().to_string_lossy()
    )
}

fn backup_advice(backup: Option<&Path>) -> String {
    match backup {
        Some(file) => {
            format!(
                "The newest good backup is {}: `quarry restore --project DIR` restores it and every newer verdict that can still be read",
                file.display()
            )
        }
        None => {
            "There is no good backup of it; `quarry verdicts export FILE` saves the verdicts that can still be read"
                .to_owned()
        }
    }
}

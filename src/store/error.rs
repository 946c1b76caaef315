//! What can go wrong with the project's memory, said so that the reader knows which file it is and what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no project database at {}; make a project with `quarry new DIR`", .0.display())]
    NotFound(PathBuf),
    #[error("{} exists already; open it, or choose another folder", .0.display())]
    Exists(PathBuf),
    #[error("{} is a database, but not one of Quarry's", .0.display())]
    NotAProject(PathBuf),
    #[error(
        "{} was made by a newer version of Quarry (format {found}, this version knows up to {known}); update Quarry to open it",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is damaged ({detail}). It can still be opened read only. {}", path.display(), backup_advice(backup.as_deref()))]
    Corrupt { path: PathBuf, detail: String, backup: Option<PathBuf> },
    #[error("{} is held by another program; close that, or wait until it is done, and try again", .0.display())]
    Busy(PathBuf),
    #[error("there is no space left for {}: nothing of this step was saved; free some space and try again", .0.display())]
    DiskFull(PathBuf),
    #[error("{} was opened read only: nothing can be saved in it", .0.display())]
    ReadOnly(PathBuf),
    #[error("no {what} {id} in this project")]
    Missing { what: &'static str, id: String },
    #[error("{0}")]
    Invalid(String),
    // `cause`, not `source`: it stands in the message, and whoever prints the chain should not print it twice.
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: std::io::Error },
    #[error("{}: {cause}", path.display())]
    Database { path: PathBuf, cause: rusqlite::Error },
    /// Inside the room only: every public method says which file it was.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Names the file, and turns SQLite's codes into what they mean to the user.
    pub(super) fn at(self, path: &Path) -> Self {
        let Self::Sqlite(source) = self else { return self };
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(path),
            Some(ErrorCode::DiskFull) => Self::DiskFull(path),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { detail: source.to_string(), backup: None, path }
            }
            _ => Self::Database { path, cause: source },
        }
    }

    pub(super) fn missing(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Missing { what, id: id.to_string() }
    }
}

fn backup_advice(backup: Option<&Path>) -> String {
    match backup {
        Some(file) => {
            format!("The newest good backup is {}: copy it over the damaged file to go on from there", file.display())
        }
        None => "There is no good backup of it".to_owned(),
    }
}

//! Checks the first 100 bytes of an SQLite file before opening it. Source: the SQLite file format,
//! <https://www.sqlite.org/fileformat2.html#the_database_header>.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use super::held_file::HeldFile;
use super::{StoreError, backup_files};
use crate::domain::InputError;

/// `Qry1`: marks the file as a Quarry project.
pub(super) const APPLICATION_ID: i32 = 0x5172_7931;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The header's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The newest changes may be in the `-wal` file next to it.
    pub is_wal: bool,
}

/// Checks a project's database without opening it in SQLite, and holds its file, which must be kept while it is open in SQLite. A file that
/// is missing, damaged in its header or of another program is refused and left unchanged.
pub(super) fn look(path: &Path) -> Result<(Header, HeldFile), StoreError> {
    let (held, found) = hold(path)?;
    let bytes: [u8; 100] = match found.len() {
        0 => {
            // An empty file with a backup is a damaged project, not another program's file.
            let backup = backup_files::newest_good(path);
            return Err(match backup {
                Some(_) => corrupt(path, "the file is empty", backup),
                None => StoreError::NotAProject(path.to_owned()),
            });
        }
        _ if found.starts_with(MAGIC) => found.try_into().ok(),
        _ => None,
    }
    .ok_or_else(|| corrupt(path, "file is not a database", backup_files::newest_good(path)))?;
    let id = i32::from_be_bytes([bytes[68], bytes[69], bytes[70], bytes[71]]);
    if id != APPLICATION_ID {
        let backup = backup_files::newest_good(path);
        return Err(match backup {
            Some(_) => corrupt(path, "its header names another program", backup),
            None => StoreError::NotAProject(path.to_owned()),
        });
    }
    Ok((Header { is_wal: bytes[18] == 2 || bytes[19] == 2 }, held))
}

/// Holds the file and returns its first 100 bytes.
fn hold(path: &Path) -> Result<(HeldFile, Vec<u8>), StoreError> {
    HeldFile::open(path, 100).map_err(|error| match error {
        InputError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            StoreError::NotFound(path.to_owned())
        }
        InputError::Io { source, .. } => StoreError::Io { path: path.to_owned(), cause: source },
        other => StoreError::Invalid(other.to_string()),
    })
}

fn corrupt(path: &Path, detail: &str, backup: Option<PathBuf>) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), detail: detail.to_owned(), backup }
}

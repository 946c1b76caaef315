//! Temporary names of files being written, and the removal of those that a killed process left.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{self, TryLockError};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use super::folder::{self, ABANDONED_AFTER};
use crate::domain::open_regular;

/// Removes unfinished files and folders of killed processes from `folder`. Those of running processes stay, and errors are ignored: this
/// is only cleanup.
pub fn clear_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
        if kind.is_dir() {
            folder::clear(&path, name);
            continue;
        }
        let is_abandoned = || name.strip_prefix(PREFIX).is_some_and(|rest| is_abandoned(&path, rest));
        if (kind.is_file() || kind.is_symlink()) && is_abandoned() {
            let _ = fs::remove_file(&path);
        }
    }
}

const PREFIX: &str = ".quarry-";

fn is_abandoned(path: &Path, rest_of_name: &str) -> bool {
    let is_old = || {
        let changed = fs::symlink_metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > ABANDONED_AFTER))
    };
    // A link has no lock of its own.
    if path.is_symlink() {
        return is_old();
    }
    let is_locking = rest_of_name.split_once('-').is_some_and(|(process, _)| process.parse::<u32>().is_ok());
    match open_regular(path).map(|(file, _)| file.try_lock()) {
        Ok(Ok(())) if is_locking => true,
        Ok(Ok(()) | Err(TryLockError::Error(_))) => is_old(),
        Ok(Err(TryLockError::WouldBlock)) | Err(_) => false,
    }
}

/// Creates a file with a temporary name in `folder`, removed on drop, with default permissions (temporary files are private otherwise).
pub(super) fn unfinished_in(folder: &Path) -> io::Result<NamedTempFile> {
    clear_unfinished(folder);
    let prefix = temporary_prefix();
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    loop {
        let file = builder.tempfile_in(folder)?;
        // Without lock support, the age decides.
        let _ = cfg!(unix).then(|| file.as_file().lock());
        // Another process may have removed it as abandoned before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// The beginning of the temporary names of this process.
pub(super) fn temporary_prefix() -> String {
    format!("{PREFIX}{}-", std::process::id())
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

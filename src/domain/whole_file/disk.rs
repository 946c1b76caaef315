//! The disk operations of an atomic write. Tests replace them with a disk that loses power.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::passing::{folder_of, unfinished_in};
use crate::domain::open_regular;

/// The operations needed to write a file.
pub(super) trait Disk {
    /// A file with a temporary name, removed on drop.
    type File;
    /// The previous file at the path.
    type Before;

    fn unfinished(&self, folder: &Path) -> io::Result<Self::File>;

    fn content<'a>(&self, file: &'a mut Self::File) -> &'a mut dyn Write;

    /// Syncs the file: on return its content survives a power failure.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Renames the file into place; overwrites an existing file only with `replace`.
    fn place(&self, file: Self::File, path: &Path, replace: bool) -> io::Result<()>;

    /// Syncs the folder: on return its entries survive a power failure.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    fn before(&self, path: &Path) -> Self::Before;

    /// Restores the previous file.
    fn take_back(&self, path: &Path, before: Self::Before);
}

/// The computer's own disk.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    type File = NamedTempFile;
    type Before = Before;

    fn unfinished(&self, folder: &Path) -> io::Result<NamedTempFile> {
        unfinished_in(folder)
    }

    fn content<'a>(&self, file: &'a mut NamedTempFile) -> &'a mut dyn Write {
        file.as_file_mut()
    }

    fn sync(&self, file: &NamedTempFile) -> io::Result<()> {
        file.as_file().sync_all()
    }

    fn place(&self, file: NamedTempFile, path: &Path, replace: bool) -> io::Result<()> {
        if replace {
            return file.persist(path).map(drop).map_err(|e| e.error);
        }
        match file.persist_noclobber(path) {
            Ok(_) => Ok(()),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Err(failed.error),
            // Some file systems cannot do this atomically.
            Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(failed) => failed.file.persist(path).map(drop).map_err(|e| e.error),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "folders are synced, not read")]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Windows cannot open folders; a rename has to suffice there.
        if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
    }

    fn before(&self, path: &Path) -> Before {
        if path.symlink_metadata().is_err() {
            return Before::Nothing;
        }
        kept_aside(path).unwrap_or(Before::Unknown)
    }

    fn take_back(&self, path: &Path, before: Before) {
        // The caller reports the original error.
        match before {
            Before::Kept { aside, .. } => {
                if let Err(error) = aside.persist(path) {
                    // Better kept under a temporary name than lost.
                    drop(error.path.keep());
                }
            }
            Before::Nothing => drop(fs::remove_file(path)),
            Before::Unknown => {}
        }
    }
}

/// The previous file at the path.
pub(super) enum Before {
    Nothing,
    /// A hard link to the old file, locked like every unfinished file.
    Kept {
        aside: TempPath,
        _lock: File,
    },
    /// A file exists but cannot be hard-linked here.
    Unknown,
}

fn kept_aside(path: &Path) -> io::Result<Before> {
    let (old, _) = open_regular(path).map_err(|e| io::Error::from(e.kind()))?;
    let _ = old.try_lock();
    let aside = unfinished_in(folder_of(path))?.into_temp_path();
    fs::remove_file(&aside)?;
    fs::hard_link(path, &aside)?;
    Ok(Before::Kept { aside, _lock: old })
}

//! The disk operations of an atomic write. Tests replace them with a disk that loses power.

// Readers of outside bytes do not index: a file must not be able to panic them. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::passing::{folder_of, unfinished_in};
use crate::domain::open_regular;

/// What a file is written with.
pub(super) trait Disk {
    /// A file of a temporary name, which goes when it is dropped.
    type File;
    /// What was at a file's place before.
    type Before;

    fn unfinished(&self, folder: &Path) -> io::Result<Self::File>;

    fn content<'a>(&self, file: &'a mut Self::File) -> &'a mut dyn Write;

    /// When this returns the content outlasts a power cut.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives the file its own name, over one of that name only with `replace`.
    fn place(&self, file: Self::File, path: &Path, replace: bool) -> io::Result<()>;

    /// When this returns the names in the folder outlast a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    fn before(&self, path: &Path) -> Self::Before;

    /// Puts back what was there before.
    fn take_back(&self, path: &Path, before: Self::Before);
}

/// The computer's own.
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
            // Some file systems cannot do that in one step.
            Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(failed) => failed.file.persist(path).map(drop).map_err(|e| e.error),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "folders are synced, not read")]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Windows can't open folders; there a rename is all there is.
        if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
    }

    fn before(&self, path: &Path) -> Before {
        if path.symlink_metadata().is_err() {
            return Before::Nothing;
        }
        kept_aside(path).unwrap_or(Before::Unknown)
    }

    fn take_back(&self, path: &Path, before: Before) {
        // The error that led here is the one to tell.
        match before {
            Before::Kept { aside, .. } => {
                if let Err(error) = aside.persist(path) {
                    // Better under a temporary name than gone.
                    drop(error.path.keep());
                }
            }
            Before::Nothing => drop(fs::remove_file(path)),
            Before::Unknown => {}
        }
    }
}

/// What was at a file's place before.
pub(super) enum Before {
    Nothing,
    /// A second name of the old file, locked like everything that is not yet finished.
    Kept {
        aside: TempPath,
        _lock: File,
    },
    /// There was a file, and it cannot be given a second name here.
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

//! Watches a file or folder that a job depends on, so that the job notices when it is moved and does not recreate it at the old path.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// The file or folder was moved or removed.
#[derive(Debug, Error)]
#[error(
    "{} {} while Quarry worked in it. The work stopped; nothing was written to the old path, and what was written before is safe. Run the command again with the project's new path",
    was.display(),
    now.as_ref().map_or_else(|| "was moved or removed".to_owned(), |now| format!("was moved to {}", now.display()))
)]
pub struct Moved {
    pub was: PathBuf,
    /// Its new path, if the operating system reports one.
    pub now: Option<PathBuf>,
}

/// A file or folder that is held open: its identity survives renaming.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    held: File,
}

impl Place {
    /// Opens an existing file or folder.
    #[expect(clippy::disallowed_methods, reason = "a project's own lock file and folders are held, not read")]
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_path_buf(), held: File::open(path)? })
    }

    /// Returns an error if the path no longer leads to the open file.
    pub fn check(&self) -> Result<(), Moved> {
        if leads_to(&self.path, &self.held) {
            return Ok(());
        }
        Err(Moved { was: self.path.clone(), now: self.now() })
    }

    fn now(&self) -> Option<PathBuf> {
        let now = current_path(&self.held)?;
        (now != self.path && leads_to(&now, &self.held)).then_some(now)
    }
}

/// Whether the path still leads to the open file.
#[cfg(unix)]
pub(super) fn leads_to(path: &Path, held: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::metadata(path), held.metadata()) {
        (Ok(there), Ok(held)) => (there.dev(), there.ino()) == (held.dev(), held.ino()),
        (Err(error), _) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        // Any other disk error shows on the next write.
        _ => true,
    }
}

/// On Windows an open file cannot be moved.
#[cfg(not(unix))]
pub(super) fn leads_to(path: &Path, _: &File) -> bool {
    path.exists()
}

#[cfg(target_os = "linux")]
fn current_path(held: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd as _;
    fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).ok()
}

#[cfg(not(target_os = "linux"))]
fn current_path(_: &File) -> Option<PathBuf> {
    None
}

/// Whether a path joined to a folder stays inside it, ignoring symbolic links.
pub fn stays_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Creates a missing folder in an existing one. It never creates parent folders: nothing is recreated in a project that was moved away.
pub fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Calls [`make_folder`] for every folder from `base`, which must exist, down to `path`.
pub fn make_folders_below(base: &Path, path: &Path) -> io::Result<()> {
    let Ok(below) = path.strip_prefix(base) else { return make_folder(path) };
    let mut folder = base.to_path_buf();
    below.iter().try_for_each(|part| {
        folder.push(part);
        make_folder(&folder)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_moved_folder_is_noticed_also_when_another_one_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        fs::create_dir(&old).unwrap();
        let place = Place::open(&old).unwrap();
        place.check().unwrap();
        fs::rename(&old, &new).unwrap();
        let check = |now: Option<&Path>| {
            let moved = place.check().unwrap_err();
            assert_eq!(moved.was, old);
            if cfg!(target_os = "linux") {
                assert_eq!(moved.now.as_deref(), now);
            }
        };
        check(Some(&new));
        fs::create_dir(&old).unwrap();
        check(Some(&new));
        fs::remove_dir(&new).unwrap();
        check(None);
    }

    #[test]
    fn folders_are_made_in_what_is_there_only() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("one/two"));
        assert!(make_folder(&two).is_err() && make_folders_below(&one, &two).is_err());
        assert!(!one.exists());
        make_folder(&one).unwrap();
        make_folder(&one).unwrap();
        make_folders_below(&one, &two.join("three")).unwrap();
        assert!(two.join("three").is_dir());
        fs::write(one.join("file"), "x").unwrap();
        assert!(make_folder(&one.join("file")).is_err());
    }
}

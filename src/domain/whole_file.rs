//! Files that others rely on: written whole or not at all.
//!
//! While a file is written it has a passing name, `.quarry-<process>-<random>`, and is locked. A file of such a name that nobody holds
//! locked was left by a process that was killed, and is removed.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{NamedTempFile, TempPath};

use super::{Output, open_regular};

/// Whoever reads `path` sees the old file or the new one, whole, also after a power cut: a temporary file beside it, flushed to disk,
/// then renamed. It gets the rights of any new file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |error| error, |file| file.write_all(bytes))
}

/// [`write_whole`] for content that is made while it is written. After an error of `fill` the old file stays; `failed` turns the
/// file's own errors into the caller's.
pub fn write_whole_with<T, E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    write_output_with(&Output::new(path, true), failed, fill)
}

/// [`write_whole`] for a file that the user named: one that came to be there meanwhile is not replaced without leave, which is an
/// [`io::ErrorKind::AlreadyExists`].
pub fn write_output(out: &Output, bytes: &[u8]) -> io::Result<()> {
    write_output_with(out, |error| error, |file| file.write_all(bytes))
}

/// [`write_output`] for content that is made while it is written, as [`write_whole_with`].
pub fn write_output_with<T, E>(
    out: &Output,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let folder = folder_of(&out.path);
    let mut file = unfinished_in(folder).map_err(&failed)?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    let value = fill(&mut buffered)?;
    buffered.flush().map_err(&failed)?;
    drop(buffered);
    file.as_file().sync_all().map_err(&failed)?;
    place(file, &out.path, out.replace).map_err(&failed)?;
    sync_folder(folder).map_err(failed)?;
    Ok(value)
}

/// Writes several files into `folder`, which is made where it is missing: all are complete on the disk before the first takes its
/// place, and after an error the files of before are there again. The error names the file.
pub fn write_together(
    folder: &Path,
    contents: &[(impl AsRef<Path>, Vec<u8>)],
    replace: bool,
) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut ready = Vec::new();
    for (name, bytes) in contents {
        let path = folder.join(name);
        let mut file = unfinished_in(folder).map_err(at(&path))?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(at(&path))?;
        ready.push((file, path));
    }
    let mut placed = Vec::new();
    for (file, path) in ready {
        let before = Before::of(&path);
        match place(file, &path, replace) {
            Ok(()) => placed.push((path, before)),
            Err(error) => {
                take_back(placed);
                return Err((path, error));
            }
        }
    }
    sync_folder(folder).map_err(at(folder))
}

/// Fails where no file can be made in `folder`.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    unfinished_in(folder).map(drop)
}

/// Removes what killed processes left half written in `folder`. What a live process writes stays, and errors are passed over: it is
/// tidying up.
pub fn clear_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
        if rest.is_some_and(|rest| is_file() && is_abandoned(&entry.path(), rest)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

const PREFIX: &str = ".quarry-";

/// Files that nobody can have locked, of earlier versions or on a file system without locks, are left by a killed process after this.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

fn is_abandoned(path: &Path, rest_of_name: &str) -> bool {
    let is_old = || {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > ABANDONED_AFTER))
    };
    let is_locking = rest_of_name.split_once('-').is_some_and(|(process, _)| process.parse::<u32>().is_ok());
    match open_regular(path).map(|(file, _)| file.try_lock()) {
        Ok(Ok(())) if is_locking => true,
        Ok(Ok(()) | Err(TryLockError::Error(_))) => is_old(),
        Ok(Err(TryLockError::WouldBlock)) | Err(_) => false,
    }
}

/// A file of a passing name in `folder`, which goes when it is dropped (temporary files are private otherwise).
fn unfinished_in(folder: &Path) -> io::Result<NamedTempFile> {
    clear_unfinished(folder);
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    loop {
        let file = builder.tempfile_in(folder)?;
        // Where locks are not supported, age tells instead.
        let _ = cfg!(unix).then(|| file.as_file().lock());
        // Another process may have taken it for abandoned before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

fn place(file: NamedTempFile, path: &Path, replace: bool) -> io::Result<()> {
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

/// What was at a file's place before.
enum Before {
    Nothing,
    /// A second name of the old file, locked like everything that is not yet finished.
    Kept {
        aside: TempPath,
        _lock: File,
    },
    /// There was a file, and it cannot be given a second name here.
    Unknown,
}

impl Before {
    fn of(path: &Path) -> Self {
        if path.symlink_metadata().is_err() {
            return Self::Nothing;
        }
        Self::kept_aside(path).unwrap_or(Self::Unknown)
    }

    fn kept_aside(path: &Path) -> io::Result<Self> {
        let (old, _) = open_regular(path).map_err(|e| io::Error::from(e.kind()))?;
        let _ = old.try_lock();
        let aside = unfinished_in(folder_of(path))?.into_temp_path();
        fs::remove_file(&aside)?;
        fs::hard_link(path, &aside)?;
        Ok(Self::Kept { aside, _lock: old })
    }
}

fn take_back(placed: Vec<(PathBuf, Before)>) {
    for (path, before) in placed {
        // The error that led here is the one to tell.
        match before {
            Before::Kept { aside, .. } => {
                if let Err(error) = aside.persist(&path) {
                    // Better under a passing name than gone.
                    drop(error.path.keep());
                }
            }
            Before::Nothing => drop(fs::remove_file(&path)),
            Before::Unknown => {}
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[expect(clippy::disallowed_methods, reason = "folders are synced, not read")]
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows can't open folders; there a rename is all there is.
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_whole(&path, b"one").unwrap();
        let failed = write_whole_with(
            &path,
            |error| error.to_string(),
            |file| {
                file.write_all(b"tw").unwrap();
                Err::<(), String>("no more".to_owned())
            },
        );
        assert_eq!(failed.unwrap_err(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let kept = write_output(&Output::new(&path, false), b"three").unwrap_err();
        assert_eq!(kept.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["a.txt"], "nothing unfinished is left");
        assert!(write_whole(&dir.path().join("gone/a.txt"), b"x").is_err());
    }

    #[test]
    fn files_of_a_group_come_together() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let contents = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), b"x".to_vec())).collect::<Vec<_>>();
        write_together(&folder, &contents(&["a", "b"]), false).unwrap();
        assert_eq!(names(&folder), ["a", "b"]);
        fs::write(dir.path().join("a"), "old").unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        let (path, _) = write_together(dir.path(), &contents(&["a", "b", "c"]), true).unwrap_err();
        assert!(path.ends_with("c"), "a folder is in the way of the file");
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"old", "what was replaced is there again");
        assert_eq!(names(dir.path()), ["a", "c", "new"], "nothing unfinished is left");
    }

    #[test]
    fn what_a_killed_process_left_is_cleared_and_what_is_being_written_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let live = unfinished_in(dir.path()).unwrap();
        let live_name = live.path().file_name().unwrap().to_str().unwrap().to_owned();
        for name in [".quarry-4000000000-left", ".quarry-fresh", ".quarry-old", "quarry-1-x"] {
            fs::write(at(name), "half").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED_AFTER;
        File::options().write(true).open(at(".quarry-old")).unwrap().set_modified(long_ago).unwrap();
        write_whole(&at("a.txt"), b"x").unwrap();
        let mut expected = [".quarry-fresh", "a.txt", "quarry-1-x", live_name.as_str()];
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
    }
}

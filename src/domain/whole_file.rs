//! Atomic file writes: a file is written completely or not at all.
//!
//! A file being written has a temporary name, `.quarry-<process>-<random>`, and is locked. An unlocked file with such a name was left by a
//! killed process and is removed; so is a folder `.quarry-export-<process>-<random>`, which holds a locked file.

mod disk;
mod folder;
mod passing;
#[cfg(test)]
mod power_loss;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use self::disk::{Disk, RealDisk};
pub use self::folder::UnfinishedFolder;
pub use self::passing::clear_unfinished;
use self::passing::{folder_of, temporary_prefix, unfinished_in};
use super::Output;

/// Writes a file atomically: readers of `path` see the complete old or new file, even after a power failure. Writes a temporary file next
/// to it, syncs it to disk and renames it. The file gets default permissions.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |error| error, |file| file.write_all(bytes))
}

/// [`write_whole`] for streamed content. If `fill` fails, the old file stays; `failed` converts I/O errors to the caller's type.
pub fn write_whole_with<T, E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    write_output_with(&Output::new(path, true), failed, fill)
}

/// [`write_whole`] for a file that the user named. A file created there in the meantime is not replaced without permission:
/// [`io::ErrorKind::AlreadyExists`].
pub fn write_output(out: &Output, bytes: &[u8]) -> io::Result<()> {
    write_output_with(out, |error| error, |file| file.write_all(bytes))
}

/// [`write_output`] for streamed content, like [`write_whole_with`].
pub fn write_output_with<T, E>(
    out: &Output,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    write_on(&RealDisk, out, failed, fill)
}

fn write_on<D: Disk, T, E>(
    disk: &D,
    out: &Output,
    failed: impl Fn(io::Error) -> E,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let folder = folder_of(&out.path);
    let mut file = disk.unfinished(folder).map_err(&failed)?;
    let mut buffered = BufWriter::new(disk.content(&mut file));
    let value = fill(&mut buffered)?;
    buffered.flush().map_err(&failed)?;
    drop(buffered);
    disk.sync(&file).map_err(&failed)?;
    disk.place(file, &out.path, out.replace).map_err(&failed)?;
    disk.sync_folder(folder).map_err(failed)?;
    Ok(value)
}

/// Writes several files into `folder`, which is created if missing. All are synced to disk before the first is renamed into place; after an
/// error the previous files are restored. The error names the file. Names that lead elsewhere are refused: some come from other people's
/// files.
pub fn write_together(
    folder: &Path,
    contents: &[(impl AsRef<Path>, Vec<u8>)],
    replace: bool,
) -> Result<(), (PathBuf, io::Error)> {
    let is_name = |name: &Path| matches!(name.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    if let Some((name, _)) = contents.iter().find(|(name, _)| !is_name(name.as_ref())) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "this is not a file name, and nothing was written");
        return Err((name.as_ref().to_path_buf(), error));
    }
    fs::create_dir_all(folder).map_err(|error| (folder.to_path_buf(), error))?;
    write_together_on(&RealDisk, folder, contents, replace)
}

fn write_together_on<D: Disk>(
    disk: &D,
    folder: &Path,
    contents: &[(impl AsRef<Path>, Vec<u8>)],
    replace: bool,
) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    let mut ready = Vec::new();
    for (name, bytes) in contents {
        let path = folder.join(name);
        let mut file = disk.unfinished(folder).map_err(at(&path))?;
        disk.content(&mut file).write_all(bytes).and_then(|()| disk.sync(&file)).map_err(at(&path))?;
        ready.push((file, path));
    }
    let mut placed = Vec::new();
    for (file, path) in ready {
        let before = disk.before(&path);
        match disk.place(file, &path, replace) {
            Ok(()) => placed.push((path, before)),
            Err(error) => {
                for (path, before) in placed {
                    disk.take_back(&path, before);
                }
                return Err((path, error));
            }
        }
    }
    disk.sync_folder(folder).map_err(at(folder))
}

/// Creates a file with a temporary name in `folder` for a writer that needs a path. [`finish`] renames it; dropping it removes it. The
/// writer may create further files whose names extend the temporary one.
pub fn unfinished_file(folder: &Path) -> io::Result<NamedTempFile> {
    unfinished_in(folder)
}

/// Like [`unfinished_file`], for a link that `make` creates at the path that it is given.
pub fn unfinished_link(folder: &Path, make: impl FnMut(&Path) -> io::Result<()>) -> io::Result<TempPath> {
    let made = tempfile::Builder::new().prefix(&temporary_prefix()).make_in(folder, make)?;
    Ok(made.into_temp_path())
}

/// Creates a folder with a temporary name in `parent`, to be renamed when complete, and removes what killed processes left there.
pub fn unfinished_folder(parent: &Path) -> io::Result<UnfinishedFolder> {
    clear_unfinished(parent);
    UnfinishedFolder::new(parent)
}

/// Renames a complete, synced file to its final name, which must be free.
pub fn finish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    RealDisk.place(file, path, false)?;
    RealDisk.sync_folder(folder_of(path))
}

/// Returns an error if no file can be created in `folder`.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    unfinished_in(folder).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::folder::ABANDONED_AFTER;
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
        let elsewhere = dir.path().join("b").to_str().unwrap().to_owned();
        for name in ["../b", "x/../../b", "", ".", "..", "x/y", &elsewhere] {
            let (path, error) = write_together(&folder, &contents(&["d", name]), true).unwrap_err();
            assert_eq!((path, error.kind()), (PathBuf::from(name), io::ErrorKind::InvalidInput));
        }
        assert_eq!(names(&folder), ["a", "b"], "nothing was written");
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

    #[cfg(unix)]
    #[test]
    fn a_folder_that_a_killed_process_left_is_cleared_and_one_being_filled_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let live = unfinished_folder(dir.path()).unwrap();
        let live_name = live.path().file_name().unwrap().to_str().unwrap().to_owned();
        fs::create_dir(at("kept")).unwrap();
        fs::write(at("kept/image.jpg"), "x").unwrap();
        let left = [".quarry-export-4000000000-left", ".quarry-export-busy", ".quarry-export-earlier", ".quarry-own"];
        for name in left {
            fs::create_dir_all(at(name).join("images/train")).unwrap();
            fs::write(at(name).join("images/train/1.jpg"), "copied").unwrap();
        }
        fs::write(at(left[0]).join(".lock"), "").unwrap();
        for link in [at(left[0]).join("images/link"), at(".quarry-export-4000000001-link")] {
            std::os::unix::fs::symlink(at("kept"), link).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED_AFTER;
        for name in [".quarry-export-busy", ".quarry-export-earlier/images/train", ".quarry-export-earlier/images"] {
            File::open(at(name)).unwrap().set_modified(long_ago).unwrap();
        }
        for name in [".quarry-export-earlier", ".quarry-own/images/train", ".quarry-own/images", ".quarry-own"] {
            File::open(at(name)).unwrap().set_modified(long_ago).unwrap();
        }
        drop(unfinished_folder(dir.path()).unwrap());
        let link = ".quarry-export-4000000001-link";
        let mut expected = [link, ".quarry-export-busy", ".quarry-own", "kept", live_name.as_str()];
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
        assert!(at("kept/image.jpg").is_file(), "links are not followed");
        live.place(&at("done")).unwrap();
        assert_eq!(names(&at("done")), [""; 0], "the lock is gone");
    }
}

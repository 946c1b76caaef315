//! Files that others rely on: written whole or not at all. Must not know what is in them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

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
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = unfinished_in(folder).map_err(&failed)?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    let value = fill(&mut buffered)?;
    buffered.flush().map_err(&failed)?;
    drop(buffered);
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    sync_folder(folder).map_err(failed)?;
    Ok(value)
}

/// Writes several files into `folder`, which is made where it is missing: all are complete on the disk before the first takes its
/// place. The error names the file.
pub fn write_together(folder: &Path, contents: &[(String, Vec<u8>)]) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let mut ready = Vec::new();
    for (name, bytes) in contents {
        let path = folder.join(name);
        let mut file = unfinished_in(folder).map_err(at(&path))?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(at(&path))?;
        ready.push((file, path));
    }
    for (file, path) in ready {
        file.persist(&path).map_err(|e| (path, e.error))?;
    }
    sync_folder(folder).map_err(at(folder))
}

/// A file of a passing name in `folder`, which goes when it is dropped (temporary files are private otherwise).
fn unfinished_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".quarry-");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows can't open folders; there a rename is all there is.
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_whole(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished is left");
        assert!(write_whole(&dir.path().join("gone/a.txt"), b"x").is_err());
    }

    #[test]
    fn files_of_a_group_come_together() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let contents = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), b"x".to_vec())).collect::<Vec<_>>();
        write_together(&folder, &contents(&["a", "b"])).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        std::fs::create_dir(dir.path().join("c")).unwrap();
        let (path, _) = write_together(dir.path(), &contents(&["c"])).unwrap_err();
        assert!(path.ends_with("c"), "a folder is in the way of the file");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing unfinished is left");
    }
}

//! Decides where results may be written: never over an input, into a dataset or over a project's own file; over another file only with
//! permission. The caller supplies the protected paths.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::input::kind_of;
use super::mounts::all_names;
use super::printable::printable_path;

/// A file or folder that the user named for results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub path: PathBuf,
    /// Whether the user allowed existing files to be replaced.
    pub replace: bool,
}

impl Output {
    /// Refuses to replace existing files unless `replace` is set.
    pub fn new(path: impl Into<PathBuf>, replace: bool) -> Self {
        Self { path: path.into(), replace }
    }

    /// Returns the file `name` in this folder.
    #[must_use]
    pub fn file(&self, name: &str) -> Self {
        Self { path: self.path.join(name), replace: self.replace }
    }
}

impl From<&Path> for Output {
    fn from(path: &Path) -> Self {
        Self::new(path, false)
    }
}

impl From<&PathBuf> for Output {
    fn from(path: &PathBuf) -> Self {
        Self::new(path, false)
    }
}

impl From<PathBuf> for Output {
    fn from(path: PathBuf) -> Self {
        Self::new(path, false)
    }
}

/// Why nothing was written. Every message names the output and the file at risk.
#[derive(Debug, Error)]
pub enum OutputError {
    #[error(
        "{}: this is the same file as {}, which is an input. Name another file to write.",
        printable_path(out),
        printable_path(input)
    )]
    Input { out: PathBuf, input: PathBuf },
    #[error(
        "{}: this is inside {}, {what}, which Quarry only reads. Choose a path outside of it.",
        printable_path(out),
        printable_path(folder)
    )]
    ReadOnlyFolder { out: PathBuf, folder: PathBuf, what: &'static str },
    #[error(
        "{}: this path belongs to the Quarry project {}, which keeps its own files there. Choose another path.",
        printable_path(out),
        printable_path(project)
    )]
    Project { out: PathBuf, project: PathBuf },
    #[error(
        "{}: cannot create a project here: {} is in the way. Choose another folder.",
        printable_path(out),
        printable_path(there)
    )]
    InTheWay { out: PathBuf, there: PathBuf },
    #[error("{}: the file exists. Use --force to replace it, or name another file.", printable_path(.0))]
    Exists(PathBuf),
    #[error(
        "{}: this is a link to {}. Name the file itself, or another file to write.",
        printable_path(out),
        printable_path(target)
    )]
    Link { out: PathBuf, target: PathBuf },
    #[error("{}: {what}. Name a file to write, such as {}.", printable_path(out), printable_path(example))]
    NotAFile { out: PathBuf, what: &'static str, example: PathBuf },
    // `cause`, not `source`: the message already includes it.
    #[error("{}: {}. Choose a path in an existing, writable folder.", printable_path(out), plain_cause(cause))]
    Io { out: PathBuf, cause: io::Error },
}

/// The system's error without the path of a temporary file, which `tempfile` appends and the user does not know.
fn plain_cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" at path \"").next().unwrap_or_default().to_owned()
}

/// A folder below which nothing is written.
#[derive(Debug, Clone)]
struct ReadOnlyFolder {
    /// As the user named it.
    path: PathBuf,
    real: PathBuf,
    /// Identifies it under other spellings, on file systems that ignore case, and through mounts.
    id: Option<FolderId>,
    what: &'static str,
}

/// Device and inode.
type FolderId = (u64, u64);

/// Paths that a command reads and must not write to.
#[derive(Debug, Clone, Default)]
pub struct ReadOnly {
    files: Vec<PathBuf>,
    folders: Vec<ReadOnlyFolder>,
    /// Target of each symbolic link to an image -> the link.
    linked: HashMap<PathBuf, PathBuf>,
}

impl ReadOnly {
    /// Adds a file that the command reads, or a folder of such files.
    pub fn input(&mut self, path: &Path) {
        if path.is_dir() {
            self.folder(path, "a folder of inputs");
        } else {
            self.files.push(path.to_path_buf());
        }
    }

    /// Adds the targets of symbolic links in `folder`, which is an input.
    pub fn links_in(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for link in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink())) {
            if let Ok(real) = fs::canonicalize(link.path())
                && !real.is_dir()
            {
                self.linked.insert(real, link.path());
            }
        }
    }

    /// Adds everything below `path`, which need not exist.
    pub fn folder(&mut self, path: &Path, what: &'static str) {
        // A folder whose path cannot be resolved cannot be written to either.
        if let Ok(real) = real_place(&path.join("x")) {
            let real = real.parent().map(Path::to_path_buf).unwrap_or_default();
            let id = folder_id(&real);
            self.folders.push(ReadOnlyFolder { path: path.to_path_buf(), real, id, what });
        }
    }

    /// Refuses a file that must not be written: anything that exists and is not a regular file, an input under any name, a path below a
    /// read-only folder, and an existing file without permission to replace it. Changes nothing on disk.
    pub fn check(&self, out: &Output) -> Result<(), OutputError> {
        let path = &out.path;
        let there = existing(path)?;
        let real = real_place(path).map_err(|cause| OutputError::Io { out: path.clone(), cause })?;
        let input = there.as_ref().and_then(|there| self.files.iter().find(|input| is_same(input, &real, there)));
        let names = all_names(&real);
        let input = input.or_else(|| names.iter().find_map(|name| self.linked.get(name)));
        if let Some(input) = input {
            return Err(OutputError::Input { out: path.clone(), input: input.clone() });
        }
        self.check_folders(path, &names)?;
        if there.is_none() || out.replace { Ok(()) } else { Err(OutputError::Exists(path.clone())) }
    }

    /// [`ReadOnly::check`] for a symbolic link that is replaced as such, not what it leads to: only the link's folder matters.
    pub fn check_link(&self, path: &Path) -> Result<(), OutputError> {
        let names = real_places(path).map_err(|cause| OutputError::Io { out: path.to_path_buf(), cause })?;
        self.check_folders(path, &names)
    }

    fn check_folders(&self, path: &Path, names: &[PathBuf]) -> Result<(), OutputError> {
        self.folder_with(names).map_or(Ok(()), |ReadOnlyFolder { path: folder, what, .. }| {
            Err(OutputError::ReadOnlyFolder { out: path.to_path_buf(), folder: folder.clone(), what })
        })
    }

    /// The read-only folder that contains the file with these names.
    fn folder_with(&self, names: &[PathBuf]) -> Option<&ReadOnlyFolder> {
        if self.folders.is_empty() {
            return None;
        }
        let ids: Vec<FolderId> = names.iter().flat_map(|name| name.ancestors().skip(1)).filter_map(folder_id).collect();
        let contains = |folder: &&ReadOnlyFolder| {
            let by_path = names.iter().any(|name| name.starts_with(&folder.real));
            by_path || folder.id.is_some_and(|id| ids.contains(&id))
        };
        self.folders.iter().find(contains)
    }
}

/// `None` for a missing folder, and on systems without such numbers.
fn folder_id(folder: &Path) -> Option<FolderId> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(folder).ok().map(|found| (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Returns the metadata of `path` if it is a regular file, `None` if it does not exist; anything else is refused.
fn existing(path: &Path) -> Result<Option<Metadata>, OutputError> {
    let out = || path.to_path_buf();
    let refused = |what, example| Err(OutputError::NotAFile { out: out(), what, example });
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => return Ok(None),
        Err(cause) => return Err(OutputError::Io { out: out(), cause }),
    };
    if there.is_symlink() {
        let target = fs::canonicalize(path).or_else(|_| fs::read_link(path)).unwrap_or_default();
        return Err(OutputError::Link { out: out(), target });
    }
    if there.is_dir() {
        return refused(kind_of(&there), path.join("results.txt"));
    }
    if there.is_file() { Ok(Some(there)) } else { refused(kind_of(&there), PathBuf::from("results.txt")) }
}

/// Returns every name of the place that [`real_place`] returns: with bind mounts there are several.
pub fn real_places(path: &Path) -> io::Result<Vec<PathBuf>> {
    real_place(path).map(|real| all_names(&real))
}

/// Resolves where a file at `path` is or would be: symbolic links in its folder are followed, its own name is not. Missing components are
/// kept as written.
pub fn real_place(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let folder = whole.parent().unwrap_or(&whole);
    let mut real = real_folder(folder)?;
    real.extend(whole.file_name());
    Ok(real)
}

fn real_folder(folder: &Path) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    for ancestor in folder.ancestors() {
        match fs::canonicalize(ancestor) {
            Ok(mut real) => {
                for part in missing.iter().rev() {
                    match part {
                        Component::ParentDir => {
                            real.pop();
                        }
                        part => real.push(part),
                    }
                }
                return Ok(real);
            }
            // A broken symbolic link exists, but nothing can be written through it.
            Err(error) if error.kind() != io::ErrorKind::NotFound || fs::symlink_metadata(ancestor).is_ok() => {
                return Err(error);
            }
            Err(_) => missing.extend(ancestor.components().next_back()),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Whether an input is the file at `real`: by path or as a hard link to the same content.
fn is_same(input: &Path, real: &Path, there: &Metadata) -> bool {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(input) {
        use std::os::unix::fs::MetadataExt as _;
        return (found.dev(), found.ino()) == (there.dev(), there.ino());
    }
    let _ = there;
    fs::canonicalize(input).is_ok_and(|input| input == real)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with an input `in.txt`, a folder `photos`, and another file `old.txt`.
    fn scene() -> (tempfile::TempDir, ReadOnly) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["in.txt", "old.txt"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("photos")).unwrap();
        let mut guarded = ReadOnly::default();
        guarded.input(&dir.path().join("in.txt"));
        guarded.folder(&dir.path().join("photos"), "the dataset `drawn`");
        (dir, guarded)
    }

    #[test]
    fn inputs_and_what_lies_below_a_dataset_are_refused_also_with_force() {
        let (dir, guarded) = scene();
        let check = |path: &str, expected: &str| {
            for replace in [false, true] {
                let found = guarded.check(&Output::new(dir.path().join(path), replace));
                let message = found.map_or_else(|e| e.to_string(), |()| String::new());
                assert!(message.contains(expected), "{path}: {message}");
                assert_eq!(message.is_empty(), expected.is_empty(), "{path}: {message}");
            }
        };
        check("in.txt", "which is an input");
        check("photos/../in.txt", "which is an input");
        check("photos/new.txt", "the dataset `drawn`");
        check("photos/new/deep/a.txt", "the dataset `drawn`");
        check("gone/../photos/a.txt", "the dataset `drawn`");
        check("photos", "this is a folder");
        check("new.txt", "");
        check("photos2/a.txt", "");
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            let at = |name: &str| dir.path().join(name);
            symlink(at("photos"), at("link")).unwrap();
            symlink(at("in.txt"), at("link.txt")).unwrap();
            symlink(at("gone"), at("broken")).unwrap();
            fs::hard_link(at("in.txt"), at("hard.txt")).unwrap();
            check("link/new.txt", "the dataset `drawn`");
            check("link.txt", "in.txt");
            check("broken", "this is a link to");
            check("broken/a.txt", "No such file");
            check("hard.txt", "which is an input");
            let mut through_a_link = ReadOnly::default();
            through_a_link.folder(&at("link"), "a folder of inputs");
            assert!(through_a_link.check(&at("photos/a.txt").into()).is_err());
            assert!(guarded.check(&Path::new("/dev/null").into()).unwrap_err().to_string().contains("device"));
        }
    }

    #[test]
    fn another_file_is_replaced_only_when_asked_for() {
        let (dir, guarded) = scene();
        let out = dir.path().join("old.txt");
        assert!(matches!(guarded.check(&Output::new(&out, false)), Err(OutputError::Exists(path)) if path == out));
        guarded.check(&Output::new(&out, true)).unwrap();
        assert!(guarded.check(&Output::new("", true)).is_err());
        let cause = tempfile::NamedTempFile::new_in(dir.path().join("gone")).unwrap_err();
        let message = OutputError::Io { out: out.clone(), cause }.to_string();
        assert!(message.contains("old.txt: No such file") && !message.contains("gone"), "{message}");
    }
}

//! Finds the image that an annotation names: only below the dataset's root, whatever the name contains and wherever links lead.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::dataset::ImageFinder;
use crate::domain::printable;

/// The result of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Located {
    /// Relative to the root.
    Found(PathBuf),
    /// No such file; the expected path relative to the root.
    Missing(PathBuf),
}

/// Finds images below one root.
#[derive(Debug)]
pub(super) struct ImageFiles {
    root: PathBuf,
    finder: ImageFinder,
    /// Folders relative to the root to which names may be relative, most likely first.
    bases: Vec<PathBuf>,
    /// The index of the base where the last name was found.
    last: usize,
    /// Folder -> whether its real path is below the root.
    inside: HashMap<PathBuf, bool>,
}

impl ImageFiles {
    /// `root` is absolute with links resolved. Bases that are not folders are skipped.
    pub fn new(root: &Path, bases: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut kept: Vec<PathBuf> = Vec::new();
        for base in bases {
            if !kept.contains(&base) && root.join(&base).is_dir() {
                kept.push(base);
            }
        }
        if kept.is_empty() {
            kept.push(PathBuf::new());
        }
        Self { root: root.to_path_buf(), finder: ImageFinder::new(root), bases: kept, last: 0, inside: HashMap::new() }
    }

    /// Finds the image for an annotation's `name`, with `/` or `\` separators, with its extension in any case or without it. An error says
    /// what is wrong with the name.
    pub fn locate(&mut self, name: &str) -> Result<Located, String> {
        let order = std::iter::once(self.last).chain((0..self.bases.len()).filter(|&k| k != self.last));
        let order: Vec<usize> = order.collect();
        let mut first_path = None;
        let mut problem = None;
        for k in order {
            let Some(base) = self.bases.get(k) else { continue };
            match below_root(&self.root, base, name) {
                Err(error) => problem = Some(error),
                Ok(path) => match self.on_disk(&path) {
                    Some(found) => {
                        self.last = k;
                        return self.check_inside(found, name);
                    }
                    None => {
                        first_path.get_or_insert(path);
                    }
                },
            }
        }
        match (first_path, problem) {
            (Some(path), _) => Ok(Located::Missing(path)),
            (None, problem) => match self.by_its_end(name) {
                Some(found) => self.check_inside(found, name),
                None => Err(problem.unwrap_or_else(|| leaves_root(name))),
            },
        }
    }

    /// Finds the image for an absolute name from a former location of the dataset, often on another computer: by the longest suffix of the
    /// name that exists here.
    fn by_its_end(&self, name: &str) -> Option<PathBuf> {
        let root = PathBuf::new();
        ends_of_absolute(name).find_map(|end| {
            let mut bases = std::iter::once(&root).chain(&self.bases);
            bases.find_map(|base| self.on_disk(&below_root(&self.root, base, end).ok()?))
        })
    }

    fn on_disk(&self, path: &Path) -> Option<PathBuf> {
        let found = self.finder.find(path.to_str()?)?;
        found.strip_prefix(&self.root).ok().map(Path::to_path_buf)
    }

    fn check_inside(&mut self, path: PathBuf, name: &str) -> Result<Located, String> {
        let full = self.root.join(&path);
        let is_link = std::fs::symlink_metadata(&full).is_ok_and(|file| file.file_type().is_symlink());
        let is_inside = if is_link { self.really_below(&full) } else { self.folder_is_inside(&path) };
        if is_inside {
            return Ok(Located::Found(path));
        }
        Err(format!(
            "'{}' is a link that leaves {}: name the folder that it leads to with --images DIR",
            shortened(name),
            self.root.display()
        ))
    }

    fn folder_is_inside(&mut self, path: &Path) -> bool {
        let Some(folder) = path.parent() else { return true };
        if let Some(&known) = self.inside.get(folder) {
            return known;
        }
        let is_inside = self.really_below(&self.root.join(folder));
        self.inside.insert(folder.to_path_buf(), is_inside);
        is_inside
    }

    fn really_below(&self, full: &Path) -> bool {
        full.canonicalize().is_ok_and(|real| real.starts_with(&self.root))
    }
}

/// Returns `name`, relative to the folder `base` of `root` or absolute, as a path relative to `root`, with `..` and `.` resolved lexically.
/// Fails if it leads outside.
pub(super) fn below_root(root: &Path, base: &Path, name: &str) -> Result<PathBuf, String> {
    if name.trim().is_empty() {
        return Err("the name of the image is empty".to_owned());
    }
    if name.contains('\0') {
        return Err(format!("'{}' holds a NUL character: correct the name", shortened(name)));
    }
    // On Unix a backslash may be part of a name; otherwise it came from Windows.
    let windows = name.contains('\\') && !root.join(base).join(name).exists();
    let name = if windows { name.replace('\\', "/") } else { name.to_owned() };
    let relative = match Path::new(&name).strip_prefix(root) {
        Ok(inside) => inside.to_path_buf(),
        Err(_) if is_absolute(&name) => return Err(leaves_root(&name)),
        Err(_) => base.join(&name),
    };
    resolved(&relative).ok_or_else(|| leaves_root(&name))
}

/// Returns the suffixes of an absolute name, longest first; empty for a relative name.
pub(super) fn ends_of_absolute(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.char_indices().filter(|(_, letter)| is_absolute(name) && matches!(letter, '/' | '\\'));
    ends.filter_map(|(at, _)| name.get(at + 1..)).filter(|end| !end.is_empty() && !is_absolute(end))
}

/// On this system or on Windows.
fn is_absolute(name: &str) -> bool {
    let has_drive = matches!(name.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    has_drive || name.starts_with(['/', '\\']) || Path::new(name).is_absolute()
}

/// Resolves `.` and `..`; `None` if the path leads above its start.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir if parts.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts)
}

fn leaves_root(name: &str) -> String {
    format!(
        "'{}' leaves the dataset's folder: write it relative to that folder, or name the folder of the images with --images DIR",
        shortened(name)
    )
}

/// Returns a name escaped and truncated for messages.
pub(super) fn shortened(name: &str) -> String {
    printable(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_root() {
        let root = Path::new("/data/set");
        let check = |base: &str, name: &str, expected: &str| {
            assert_eq!(below_root(root, Path::new(base), name), Ok(PathBuf::from(expected)), "{name}");
        };
        check("", "a b/#1 %20.jpg", "a b/#1 %20.jpg");
        check("images", "./a.jpg", "images/a.jpg");
        check("labels", "../images/a.jpg", "images/a.jpg");
        check("", r"train\a.jpg", "train/a.jpg");
        check("images", "/data/set/val/a.jpg", "val/a.jpg");
        for name in
            ["", " ", "a\0b", "../a.jpg", "x/../../a.jpg", "/etc/passwd", r"C:\a.jpg", "c:/a.jpg", r"..\..\a.jpg"]
        {
            assert!(below_root(root, Path::new("images/.."), name).is_err(), "{name:?}");
        }
        assert!(shortened(&"x".repeat(100_000)).len() < 300);
    }

    #[test]
    fn images_are_found_in_any_case_and_below_the_first_base_that_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["images/train", "images/val"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("a.JPG"), b"x").unwrap();
        }
        let mut files = ImageFiles::new(&root, ["gone", "images/val", "images/train"].map(PathBuf::from));
        let found = |path: &str| Ok(Located::Found(path.into()));
        assert_eq!(files.locate("a.jpg"), found("images/val/a.JPG"));
        assert_eq!(files.locate("a"), found("images/val/a.JPG"));
        assert_eq!(files.locate("b.jpg"), Ok(Located::Missing("images/val/b.jpg".into())));
        assert!(files.locate("../../../b.jpg").is_err());
        // Absolute names from another computer.
        for (name, path) in [
            ("/home/u/set/images/train/a.jpg", "images/train/a.JPG"),
            (r"C:\data\images\val\a.jpg", "images/val/a.JPG"),
            ("C:/elsewhere/a.jpg", "images/val/a.JPG"),
            (r"\\server\share\train\a.jpg", "images/val/a.JPG"),
        ] {
            assert_eq!(files.locate(name), found(path), "{name}");
        }
        for name in ["/home/u/b.jpg", r"C:\data\b.jpg", "/etc/passwd", "/", "C:/", "/a/../../../a/b.jpg"] {
            assert!(files.locate(name).is_err(), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_that_leave_the_root_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for folder in ["set/in", "out"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
            std::fs::write(dir.join(folder).join("a.jpg"), b"x").unwrap();
        }
        std::os::unix::fs::symlink(dir.join("out"), dir.join("set/link")).unwrap();
        std::os::unix::fs::symlink(dir.join("out/a.jpg"), dir.join("set/in/out.jpg")).unwrap();
        std::os::unix::fs::symlink(dir.join("set/in/a.jpg"), dir.join("set/in/same.jpg")).unwrap();
        let mut files = ImageFiles::new(&dir.join("set"), [PathBuf::new()]);
        assert!(files.locate("in/same.jpg").is_ok() && files.locate("in/a.jpg").is_ok());
        for name in ["link/a.jpg", "in/out.jpg"] {
            assert!(files.locate(name).unwrap_err().contains("--images"), "{name}");
        }
    }
}

//! Checks that the image folders of long-running work are still available. Work stops if a whole dataset is missing and continues if a
//! single file is broken.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::open_regular;

impl Away {
    /// Returns why the images of a dataset with this folder cannot be there, without opening one: the folder is missing, or empty like the
    /// mount point of an unmounted disk. `None` if they may be there.
    pub fn of_folder(root: &Path) -> Option<Self> {
        let what = match std::fs::read_dir(root) {
            Ok(mut entries) => entries.next().is_none().then_some(EMPTY),
            Err(_) => (!root.is_dir()).then_some(MISSING),
        };
        what.map(|what| Self { root: root.to_path_buf(), what: what.to_owned() })
    }

    /// For a dataset of which no image was found in its folder.
    pub fn without_images(root: &Path) -> Self {
        Self::of_folder(root).unwrap_or_else(|| Self {
            root: root.to_path_buf(),
            what: "none of the dataset's images is here".to_owned(),
        })
    }
}

const MISSING: &str = "the dataset's folder does not exist";
const EMPTY: &str = "the dataset's folder is empty";

/// Number of a dataset's files that are probed after one could not be read.
const TRIED: usize = 64;

/// A dataset's images are unavailable: its folder is missing, unmounted or unreadable.
#[derive(Debug, Error)]
#[error("{}: {what}. {ADVICE}", root.display())]
pub struct Away {
    pub root: PathBuf,
    what: String,
}

const ADVICE: &str = "Mount or restore it, or set its new folder with `quarry dataset move NAME FOLDER`; then run the command again. \
                      Nothing is lost: the project keeps its data";

/// Datasets with the files that a job reads from them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

#[derive(Debug, Clone)]
struct Source {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Sources {
    /// `roots` are dataset roots; a file belongs to the deepest root above it. Files below no root are not watched.
    pub fn new<'a>(roots: impl IntoIterator<Item = PathBuf>, files: impl IntoIterator<Item = &'a Path>) -> Self {
        let sources = roots.into_iter().map(|root| Source { root, files: Vec::new() });
        let mut all = Self { sources: sources.collect() };
        // Deepest first.
        all.sources.sort_by_key(|source| std::cmp::Reverse(source.root.components().count()));
        for file in files {
            if let Some(source) = all.sources.iter_mut().find(|source| file.starts_with(&source.root)) {
                source.files.push(file.to_path_buf());
            }
        }
        all
    }

    /// Returns an error if a dataset is missing.
    pub fn check(&self) -> Result<(), Away> {
        self.sources.iter().filter(|source| !source.files.is_empty()).try_for_each(Source::check)
    }

    /// Call after `file` could not be read: returns an error if its whole dataset is missing, `Ok` if other files of it are readable.
    pub fn check_around(&self, file: &Path) -> Result<(), Away> {
        let source = self.sources.iter().find(|source| file.starts_with(&source.root));
        source.map_or(Ok(()), Source::check)
    }
}

impl Source {
    /// A dataset is missing if its folder is missing, or if more than half of an evenly spaced sample of files cannot be opened.
    fn check(&self) -> Result<(), Away> {
        let away = |what: String| Err(Away { root: self.root.clone(), what });
        // The parent of a bare file name in the working directory is an empty path.
        if !(self.root.as_os_str().is_empty() || self.root.is_dir()) {
            return away(MISSING.to_owned());
        }
        let step = self.files.len().div_ceil(TRIED).max(1);
        let tried: Vec<&PathBuf> = self.files.iter().step_by(step).collect();
        let missing: Vec<&&PathBuf> = tried.iter().filter(|file| open_regular(file).is_err()).collect();
        match missing.first() {
            Some(first) if missing.len() * 2 > tried.len() => away(format!(
                "cannot open {} of {} files of this dataset that were tried; the first is {}",
                missing.len(),
                tried.len(),
                first.display()
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_told_apart_from_a_dataset_that_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let (big, small) = (dir.path().join("big"), dir.path().join("big/small"));
        std::fs::create_dir_all(&small).unwrap();
        let files: Vec<PathBuf> = (0..200)
            .map(|k| big.join(format!("{k}.png")))
            .chain((0..2).map(|k| small.join(format!("{k}.png"))))
            .collect();
        for file in &files {
            std::fs::write(file, "x").unwrap();
        }
        let sources = Sources::new([big.clone(), small.clone()], files.iter().map(PathBuf::as_path));
        sources.check().unwrap();
        for file in [&files[3], &files[200]] {
            std::fs::remove_file(file).unwrap();
            sources.check_around(file).unwrap();
        }
        std::fs::rename(&small, dir.path().join("elsewhere")).unwrap();
        sources.check_around(&files[0]).unwrap();
        let message = sources.check_around(&files[201]).unwrap_err().to_string();
        assert!(message.contains("small: the dataset's folder does not exist. Mount or restore it"), "{message}");
        assert!(
            message.contains("`quarry dataset move NAME FOLDER`") && message.contains("Nothing is lost"),
            "{message}"
        );
        assert!(sources.check().is_err());
        let found = |folder: &Path| Away::of_folder(folder).map(|away| away.to_string()).unwrap_or_default();
        assert!(found(&small).contains("does not exist") && found(&big).is_empty());
        // An unmounted drive leaves an empty mount point.
        std::fs::create_dir(&small).unwrap();
        assert!(found(&small).contains("is empty. Mount or restore it"), "{}", found(&small));
        let message = sources.check_around(&files[200]).unwrap_err().to_string();
        assert!(message.contains("2 of 2 files") && message.contains("0.png"), "{message}");
        sources.check_around(Path::new("/not/watched.png")).unwrap();
        Sources::default().check().unwrap();
        // A list in the working directory, named without a folder.
        let here = Path::new("list.txt").parent().map(Path::to_path_buf);
        Sources::new(here, [Path::new("Cargo.toml")]).check().unwrap();
        assert!(Sources::new([PathBuf::new()], [Path::new("no.png")]).check().is_err());
    }
}

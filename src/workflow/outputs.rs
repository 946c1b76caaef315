//! The policy for all files written outside a project: the inputs, datasets and project files that must not be overwritten. Checked before
//! the work starts.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::WorkflowError;
use crate::dataset::fddb::FOLDS_FOLDER;
use crate::domain::{
    Output, OutputError, ReadOnly, check_writable, limits, list_problem, printable, read_text, real_place, real_places,
    write_output, write_together,
};
use crate::store::Store;

/// The paths that a command must not write to. Build it from everything that the command reads, then check each output.
#[derive(Debug, Clone, Default)]
pub struct OutputPolicy {
    read_only: ReadOnly,
}

impl OutputPolicy {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that the command reads, or a folder of such files: nothing is written below a folder, while results may be next to a
    /// file. A list in FDDB's own folder of lists protects that folder.
    #[must_use]
    pub fn input(mut self, path: &Path) -> Self {
        self.read_only.input(path);
        let real = real_place(path).unwrap_or_else(|_| path.to_path_buf());
        let folders = [path.parent(), real.parent()];
        if let Some(folder) =
            folders.into_iter().flatten().find(|folder| folder.file_name().is_some_and(|name| name == FOLDS_FOLDER))
        {
            self.read_only.folder(folder, "FDDB's folder of lists");
        }
        self
    }

    #[must_use]
    pub fn inputs(self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        paths.into_iter().fold(self, |policy, path| policy.input(path.as_ref()))
    }

    /// Adds listed images: nothing is written over them or below their folders.
    #[must_use]
    pub fn listed_images(mut self, files: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let mut folders = BTreeSet::new();
        for file in files {
            let file = file.as_ref();
            self.read_only.input(file);
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !folders.contains(folder) {
                folders.insert(folder.to_path_buf());
            }
        }
        folders.iter().fold(self, |policy, folder| policy.images(folder))
    }

    /// Adds a folder of images.
    #[must_use]
    pub fn images(mut self, root: &Path) -> Self {
        self.read_only.folder(root, "a folder of images");
        self
    }

    /// Adds the project's datasets, and the targets of links in them.
    pub fn datasets(mut self, store: &Store) -> Result<Self, WorkflowError> {
        for dataset in store.datasets()? {
            self.read_only.folder(&dataset.root, "the folder of a dataset of the project");
            let Ok(root) = fs::canonicalize(&dataset.root) else { continue };
            let mut elsewhere: Vec<PathBuf> = Vec::new();
            for folder in store.image_folders(dataset.id)? {
                let folder = root.join(folder);
                let Ok(real) = fs::canonicalize(&folder) else { continue };
                self.read_only.links_in(&real);
                if !real.starts_with(&root) && !elsewhere.iter().any(|known| real.starts_with(known)) {
                    self.read_only.folder(&folder, "a folder of images of the project, reached by a link in a dataset");
                    elsewhere.push(real);
                }
            }
        }
        Ok(self)
    }

    /// Adds the datasets of the project that contains `path`, if any: a checkpoint's, for example. A project that cannot be read does not
    /// prevent work that does not need it.
    #[must_use]
    pub fn project_around(self, path: &Path) -> Self {
        let places = real_places(path).unwrap_or_default();
        let database = places.iter().find_map(|real| project_holding(real)).map(|dir| dir.join(DATABASE));
        let store = database.and_then(|database| Store::open_read_only(&database).ok());
        store.and_then(|store| self.clone().datasets(&store).ok()).unwrap_or(self)
    }

    /// Refuses `out` if it must not be written; see [`ReadOnly::check`]. Its folder may be missing.
    pub fn check(&self, out: &Output) -> Result<(), OutputError> {
        check_owner(out)?;
        self.read_only.check(out)
    }

    /// [`OutputPolicy::check`] where a symbolic link of an earlier export may be replaced with permission, but not what it leads to.
    pub fn check_or_link(&self, out: &Output) -> Result<(), OutputError> {
        match self.check(out) {
            Err(OutputError::Link { .. }) if out.replace => self.read_only.check_link(&out.path),
            Err(OutputError::Link { .. }) => Err(OutputError::Exists(out.path.clone())),
            checked => checked,
        }
    }

    /// [`OutputPolicy::check`] for a file whose folder must exist, so that hours of work do not end in a file that cannot be written.
    pub fn check_file(&self, out: &Output) -> Result<(), OutputError> {
        self.check(out)?;
        let folder = out.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        check_writable(folder).map_err(|source| io(out, source))
    }

    /// [`OutputPolicy::check`] for files with these names in the folder `out`, which is created if missing.
    pub fn check_folder<'a>(&self, out: &Output, names: impl IntoIterator<Item = &'a str>) -> Result<(), OutputError> {
        let path = &out.path;
        if path.exists() && !path.is_dir() {
            let (what, example) = ("expected a folder, found a file", PathBuf::from("results/"));
            return Err(OutputError::NotAFile { out: path.clone(), what, example });
        }
        names.into_iter().try_for_each(|name| self.check(&out.file(name)))?;
        let there = path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        check_writable(there).map_err(|source| io(out, source))
    }
}

/// [`write_output`] with the policy's error messages.
pub fn write(out: &Output, bytes: &[u8]) -> Result<(), OutputError> {
    write_output(out, bytes).map_err(|error| not_written(out, error))
}

/// [`write_together`] with the policy's error messages.
pub fn write_folder(out: &Output, contents: &[(impl AsRef<Path>, Vec<u8>)]) -> Result<(), OutputError> {
    let failed = |(path, error)| not_written(&Output::new(path, out.replace), error);
    write_together(&out.path, contents, out.replace).map_err(failed)
}

/// Error for a failed write to `out`; a file created there meanwhile is reported like an existing one.
pub(super) fn not_written(out: &Output, error: std::io::Error) -> OutputError {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return OutputError::Exists(out.path.clone());
    }
    io(out, error)
}

/// Refuses names that cannot be written one per line and read back unchanged, as FDDB's format requires.
pub(super) fn check_list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), WorkflowError> {
    let bad = names.into_iter().find_map(|name| Some((name, list_problem(name)?)));
    bad.map_or(Ok(()), |(name, problem)| {
        let name = printable(name);
        let advice = "Take `--format coco`, or rename the file.";
        Err(WorkflowError::Refused(format!(
            "image `{name}` cannot be named in FDDB's format, one name per line: {problem}. {advice}"
        )))
    })
}

/// Checks that a new project may be created in `dir`: not inside a dataset of another project or among its files, and without foreign files
/// in the way.
pub(super) fn check_new_project(dir: &Path) -> Result<(), OutputError> {
    let out = Output::new(dir.join(DATABASE), false);
    OutputPolicy::new().project_around(dir).check(&out)?;
    for name in ["project.toml", "quarry.db-wal", "quarry.db-shm"] {
        let place = dir.join(name);
        let is_ours =
            name == "project.toml" && read_text(&place, limits::SETTINGS).is_ok_and(|text| text.contains("made_by"));
        if place.symlink_metadata().is_ok() && !is_ours {
            return Err(in_the_way(dir, place));
        }
    }
    let runs = dir.join("runs");
    let is_empty = fs::read_dir(&runs).is_ok_and(|mut entries| entries.next().is_none());
    if runs.symlink_metadata().is_ok() && !is_empty { Err(in_the_way(dir, runs)) } else { Ok(()) }
}

fn in_the_way(dir: &Path, there: PathBuf) -> OutputError {
    OutputError::InTheWay { out: dir.to_path_buf(), there }
}

const DATABASE: &str = "quarry.db";

fn check_owner(out: &Output) -> Result<(), OutputError> {
    let project = owner(&out.path).map_err(|source| io(out, source))?;
    project.map_or(Ok(()), |project| Err(OutputError::Project { out: out.path.clone(), project }))
}

/// Returns the project whose own file `path` is or would be.
fn owner(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let project = |real: PathBuf| {
        let project = project_holding(&real)?;
        let first = real.strip_prefix(&project).ok().and_then(|inside| inside.iter().next());
        let name = first.map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        is_own_name(&name).then_some(project)
    };
    Ok(real_places(path)?.into_iter().find_map(project))
}

/// Returns the nearest project folder that contains `real`. A fold of a cross-validation is a project too.
fn project_holding(real: &Path) -> Option<PathBuf> {
    real.ancestors().skip(1).find(|dir| dir.join(DATABASE).is_file()).map(Path::to_path_buf)
}

/// The names that Quarry uses directly in a project's folder: the database with its logs and damaged copies, settings, and folders.
fn is_own_name(name: &str) -> bool {
    let is_database = name.starts_with(DATABASE) || (name.starts_with("damaged") && name.contains(".db"));
    is_database
        || matches!(name, "project.toml" | "runs" | "curves" | "backups" | "sample" | "messages.txt" | "messages.1.txt")
}

fn io(out: &Output, cause: std::io::Error) -> OutputError {
    OutputError::Io { out: out.path.clone(), cause }
}

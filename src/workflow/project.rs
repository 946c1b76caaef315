//! A project on disk: a folder with `quarry.db`, `runs/<round>/` and `project.toml`.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::WorkflowError;
use super::outputs::check_new_project;
use crate::dataset::raise_max_megapixels;
use crate::domain::{WorkLock, clear_unfinished, limits, read_text, write_together, write_whole};
use crate::store::{Store, StoreError};
use crate::training::LOCK_FILE;

/// `project.toml`: project data outside its database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectFile {
    pub name: String,
    /// The Quarry version that created the project.
    pub made_by: String,
}

/// The setting that allows larger images than the default.
const MAX_MEGAPIXELS: &str = "max_megapixels";

/// An existing project folder. Cheap to clone: it only holds paths; every caller opens its own store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    dir: PathBuf,
}

impl Project {
    /// Creates a project in `dir`, which may exist but must not contain a project yet.
    ///
    /// Refused below a dataset's folder, among another project's own files, and where files are in the way.
    pub fn create(dir: &Path) -> Result<Self, WorkflowError> {
        if dir.join("quarry.db").exists() {
            return Err(WorkflowError::ProjectExists(dir.to_path_buf()));
        }
        check_new_project(dir)?;
        Self::create_own(dir)
    }

    /// [`Project::create`] in a folder that is Quarry's own: a fold of a cross-validation is a project too.
    fn create_own(dir: &Path) -> Result<Self, WorkflowError> {
        let advice = "Choose a writable folder.";
        fs::create_dir_all(dir.join("runs")).map_err(WorkflowError::io(dir, advice))?;
        let dir = dir.canonicalize().map_err(WorkflowError::io(dir, advice))?;
        let name = dir.file_name().map_or_else(|| "project".to_owned(), |n| n.to_string_lossy().into_owned());
        let file = ProjectFile { name, made_by: env!("CARGO_PKG_VERSION").to_owned() };
        let text = toml::to_string(&file)
            .map_err(|e| WorkflowError::BadFile { path: dir.join("project.toml"), reason: e.to_string() })?;
        write_atomically(&dir.join("project.toml"), text.as_bytes())?;
        Store::create(&dir.join("quarry.db"))?;
        Ok(Self { dir })
    }

    /// Opens the project in `dir`. The database is opened by `open_store`, not here.
    pub fn open(dir: &Path) -> Result<Self, WorkflowError> {
        let project = Self::open_to_read(dir)?;
        project.clear_unfinished();
        Ok(project)
    }

    /// [`Self::open`] for read-only work: nothing is cleaned up, as the folder may be another computer's.
    pub fn open_to_read(dir: &Path) -> Result<Self, WorkflowError> {
        if !dir.join("quarry.db").is_file() {
            return Err(WorkflowError::NoProject(dir.to_path_buf()));
        }
        let dir = dir.canonicalize().map_err(WorkflowError::io(dir, "Check the path."))?;
        Ok(Self { dir })
    }

    /// Removes unfinished files of killed processes from the project's own folders.
    fn clear_unfinished(&self) {
        let runs = fs::read_dir(self.runs_dir()).into_iter().flatten().flatten().map(|entry| entry.path());
        let own = [self.dir.clone(), self.runs_dir(), self.dir.join("curves"), self.dir.join("backups")];
        own.into_iter().chain(runs).for_each(|folder| clear_unfinished(&folder));
    }

    /// Returns the project that a database belongs to.
    pub fn of_database(database: &Path) -> Result<Self, WorkflowError> {
        Self::open(database.parent().unwrap_or(Path::new(".")))
    }

    pub fn open_or_create(dir: &Path) -> Result<Self, WorkflowError> {
        if dir.join("quarry.db").is_file() { Self::open(dir) } else { Self::create(dir) }
    }

    /// Opens or creates a fold's project, inside the project's own folder.
    #[cfg(feature = "torch")]
    pub(super) fn open_or_create_own(dir: &Path) -> Result<Self, WorkflowError> {
        if dir.join("quarry.db").is_file() { Self::open(dir) } else { Self::create_own(dir) }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("quarry.db")
    }

    /// Returns `runs/`: a folder for each round, and the training lock.
    pub fn runs_dir(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// Returns `runs/<round>/`: checkpoints, detections, curves, log.
    pub fn run_dir(&self, round: u32) -> PathBuf {
        self.runs_dir().join(round.to_string())
    }

    /// Returns the name in `project.toml`, or the folder's name if that file is missing or invalid.
    pub fn name(&self) -> String {
        let folder = || self.dir.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let text = read_text(&self.dir.join("project.toml"), limits::SETTINGS).ok();
        text.and_then(|t| toml::from_str::<ProjectFile>(&t).ok()).map_or_else(folder, |f| f.name)
    }

    /// Opens a connection for the caller, migrated to this version, with a daily backup. A migration needs exclusive access.
    pub fn open_store(&self) -> Result<Store, WorkflowError> {
        let store = self.open_store_now()?;
        self.back_up_daily(&store)?;
        Ok(store)
    }

    /// [`Self::open_store`] without a backup: for the window, which makes backups on its own thread.
    pub fn open_store_now(&self) -> Result<Store, WorkflowError> {
        let database = self.database();
        let _lock = if Store::needs_migration(&database)? { Some(self.lock_for("migration")?) } else { None };
        Self::opened(Store::open(&database)?)
    }

    /// Logs the database's notes for the user, and applies the project's image size limit.
    fn opened(store: Store) -> Result<Store, WorkflowError> {
        for note in store.notes() {
            tracing::warn!("{note}");
        }
        if let Some(megapixels) = store.setting(MAX_MEGAPIXELS)?.and_then(|text| text.parse().ok()) {
            raise_max_megapixels(megapixels);
        }
        Ok(store)
    }

    /// Stores the image size limit of this project, in megapixels.
    pub fn keep_max_megapixels(&self, megapixels: u32) -> Result<(), WorkflowError> {
        Ok(self.open_store()?.set_setting(MAX_MEGAPIXELS, &megapixels.to_string())?)
    }

    /// For read-only commands: writes nothing, so that a read-only folder or a full disk suffices.
    pub fn open_store_to_read(&self) -> Result<Store, WorkflowError> {
        Self::opened(Store::open_to_read(&self.database())?)
    }

    /// Acquires the project's exclusive lock for training, mining and imports. The error names the holder.
    pub fn lock(&self, what: &str) -> Result<WorkLock, WorkflowError> {
        Ok(WorkLock::take(&self.lock_file()?, what)?)
    }

    /// Like [`Self::lock`], but this process may hold it already.
    fn lock_for(&self, what: &str) -> Result<WorkLock, WorkflowError> {
        Ok(WorkLock::take_or_share(&self.lock_file()?, what)?)
    }

    fn lock_file(&self) -> Result<PathBuf, WorkflowError> {
        let runs = self.runs_dir();
        // A project that was copied without its runs has no such folder.
        match fs::create_dir(&runs) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(WorkflowError::io(&runs, WRITE_ADVICE)(error))
            }
            _ => Ok(runs.join(LOCK_FILE)),
        }
    }

    fn back_up_daily(&self, store: &Store) -> Result<(), WorkflowError> {
        if !store.is_worth_a_backup()? {
            return Ok(());
        }
        match store.back_up_if_due(BACKUP_INTERVAL) {
            Ok(_) => Ok(()),
            Err(damage @ StoreError::Corrupt { .. }) => Err(damage.into()),
            Err(error) => {
                // The work itself does not depend on it.
                tracing::warn!("no backup of {} was made: {error}", self.database().display());
                Ok(())
            }
        }
    }
}

/// A project used only by commands is backed up when one opens it for writing and the newest backup is this old.
const BACKUP_INTERVAL: Duration = Duration::from_hours(24);

const WRITE_ADVICE: &str = "Check that the folder is writable.";

/// [`write_whole`] with advice on failure.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WorkflowError> {
    write_whole(path, bytes).map_err(WorkflowError::io(path, WRITE_ADVICE))
}

/// [`write_together`] for Quarry's own files, with advice on failure.
pub fn write_all_or_none(folder: &Path, contents: &[(String, Vec<u8>)]) -> Result<(), WorkflowError> {
    write_together(folder, contents, true).map_err(|(path, cause)| WorkflowError::io(&path, WRITE_ADVICE)(cause))
}

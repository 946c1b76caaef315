//! Deletes a dataset or a round: a preview, then, after a database backup, the deletion itself. The dataset's files are kept; a round's
//! folder in `runs/` is deleted.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::{Project, WorkflowError};
use crate::domain::{RoundRecord, RoundState, counted, printable, shown_path_if_any};
use crate::store::{Dataset, Deletion, DeletionCounts, Store};

/// What a deletion removes or has removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeletionReport {
    /// `dataset faces`, `round 3`.
    pub what: String,
    #[serde(flatten)]
    pub counts: DeletionCounts,
    /// The round's folder, if it exists.
    #[serde(serialize_with = "shown_path_if_any")]
    pub folder: Option<PathBuf>,
    pub folder_bytes: u64,
    /// Complete sentences.
    pub warnings: Vec<String>,
    /// The database backup made before; `None` in a preview.
    #[serde(serialize_with = "shown_path_if_any")]
    pub backup: Option<PathBuf>,
}

/// What to delete.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Dataset(Dataset),
    Round(RoundRecord),
}

impl Target {
    /// Returns round `number` of the project.
    pub fn round(store: &Store, number: u32) -> Result<Self, WorkflowError> {
        let found = store.round_by_number(number)?;
        let missing = || WorkflowError::Refused(format!("there is no round {number}; see `quarry status`."));
        Ok(Self::Round(found.ok_or_else(missing)?))
    }

    fn deletion(&self) -> Deletion {
        match self {
            Self::Dataset(dataset) => Deletion::Dataset(dataset.id),
            Self::Round(round) => Deletion::Round(round.id),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Dataset(dataset) => format!("dataset `{}`", printable(&dataset.name)),
            Self::Round(round) => printable(&round.title().to_lowercase()).into_owned(),
        }
    }
}

/// Returns what the deletion would remove, without changing anything.
pub fn preview(project: &Project, store: &Store, target: &Target) -> Result<DeletionReport, WorkflowError> {
    let counts = store.preview_deletion(target.deletion())?;
    let mut warnings = Vec::new();
    if counts.verdicts > 0 {
        let (are, their) = if counts.decided == 1 { ("is", "Its") } else { ("are", "Their") };
        let (stay, come, them) = if counts.verdicts == 1 { ("stays", "comes", "it") } else { ("stay", "come", "them") };
        warnings.push(format!(
            "{} {are} decided. {their} {} {stay} in the database and {come} back when the same images are imported and mined again; \
             `quarry verdicts export` writes {them}.",
            counted(counts.decided, "candidate"),
            counted(counts.verdicts, "verdict")
        ));
    }
    if counts.found_objects > 0 {
        warnings.push(format!(
            "{} that annotators found or corrected {} too.",
            counted(counts.found_objects, "object"),
            if counts.found_objects == 1 { "goes" } else { "go" }
        ));
    }
    if counts.image_marks > 0 {
        warnings.push(match counts.image_marks {
            1 => "1 mark of an image as complete goes too.".to_owned(),
            marks => format!("{marks} marks of images as complete go too."),
        });
    }
    let open = store.rounds()?.into_iter().filter(|round| {
        matches!(round.state, RoundState::Running | RoundState::Stopped) && round.is_own() && !is_it(target, round)
    });
    if matches!(target, Target::Dataset(_)) {
        for round in open {
            warnings.push(format!(
                "Round {} is not finished. If it trains on these images it cannot be resumed.",
                round.number
            ));
        }
    }
    let folder = match target {
        Target::Round(round) => Some(project.run_dir(round.number)).filter(|folder| folder.is_dir()),
        Target::Dataset(_) => None,
    };
    let folder_bytes = folder.as_deref().map_or(0, bytes_below);
    Ok(DeletionReport { what: target.text(), counts, folder, folder_bytes, warnings, backup: None })
}

fn is_it(target: &Target, round: &RoundRecord) -> bool {
    matches!(target, Target::Round(own) if own.id == round.id)
}

/// Makes a backup and deletes; `compact` returns freed space to the disk, which requires that nobody else has the database open.
pub fn delete(project: &Project, target: &Target, compact: bool) -> Result<DeletionReport, WorkflowError> {
    let _lock = project.lock("deletion")?;
    let mut store = project.open_store()?;
    let mut report = preview(project, &store, target)?;
    report.backup = Some(store.back_up()?);
    report.counts = store.delete(target.deletion())?;
    if let Some(folder) = &report.folder {
        // The round is deleted from the project; its folder is all that is left.
        fs::remove_dir_all(folder)
            .map_err(WorkflowError::io(folder, "The round is deleted; delete its folder yourself."))?;
    }
    if compact {
        store.give_back_free_pages();
    }
    Ok(report)
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |data| data.len()),
        _ => 0,
    };
    entries.map(size).sum()
}

impl std::fmt::Display for DeletionReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DeletionCounts { images, objects, detections, candidates, about_bytes, .. } = &self.counts;
        write!(f, "{}: ", self.what)?;
        if *images > 0 {
            write!(f, "{} with {}, ", counted(*images, "image"), counted(*objects, "object"))?;
        }
        write!(f, "{}, {}", counted(*detections, "detection"), counted(*candidates, "candidate"))?;
        for warning in &self.warnings {
            write!(f, "\n{warning}")?;
        }
        match &self.folder {
            Some(folder) => write!(f, "\n{} ({})", folder.display(), in_words(self.folder_bytes))?,
            None if *images > 0 => write!(f, "\nThe image and annotation files themselves stay where they are.")?,
            None => {}
        }
        write!(f, "\nFrees about {} of disk.", in_words(about_bytes + self.folder_bytes))?;
        match &self.backup {
            Some(backup) => write!(f, "\nThe database as it was before is {}.", backup.display()),
            None => Ok(()),
        }
    }
}

fn in_words(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

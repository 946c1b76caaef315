//! Commands of the dataset windows: imports, exports, moves, deletions.

use std::path::PathBuf;

use crate::domain::DatasetId;
use crate::workflow::training_export::TrainingFormat;

/// A command of the window.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetCommand {
    /// Imports the previewed dataset.
    TakeImport,
    ShowReport(DatasetId),
    Check(DatasetId),
    MoveTo(DatasetId, PathBuf),
    AskDelete(DatasetId),
    Delete(DatasetId),
    /// The same for a round, by number.
    AskDeleteRound(u32),
    DeleteRound(u32),
    /// Exports the project as a training folder for other programs.
    ExportTraining(TrainingFormat, PathBuf),
    /// Previews a detector's results; nothing is imported yet.
    OpenDetections(PathBuf),
    /// Edits of the preview's form.
    SetModelName(String),
    SetClass(i64, String),
    PreviewDetections,
    /// Previews a third-party model before it is run.
    OpenModel(PathBuf),
    SetModelDevice(String),
    /// Maps a class of the model to a class of the project; `None` excludes it.
    SetModelClass(String, Option<String>),
    TakeModel,
    TakeDetections,
    Close,
}

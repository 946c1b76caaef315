//! What the dataset windows ask for: imports, exports, moves, deletions.

use std::path::PathBuf;

use crate::domain::DatasetId;
use crate::workflow::training_export::TrainingFormat;

/// What the window asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetCommand {
    /// Imports the previewed dataset.
    TakeImport,
    ShowReport(DatasetId),
    Check(DatasetId),
    MoveTo(DatasetId, PathBuf),
    AskDelete(DatasetId),
    Delete(DatasetId),
    /// The same of a round, by its number.
    AskDeleteRound(u32),
    DeleteRound(u32),
    /// Writes the project as a folder that other programs train from.
    ExportTraining(TrainingFormat, PathBuf),
    /// Previews a detector's results; nothing is imported yet.
    OpenDetections(PathBuf),
    /// Edits of the preview's form.
    SetModelName(String),
    SetClass(i64, String),
    PreviewDetections,
    /// Shows a third-party model, before it is run.
    OpenModel(PathBuf),
    SetModelDevice(String),
    /// Which class of the project a class of the model is; `None` leaves it out.
    SetModelClass(String, Option<String>),
    TakeModel,
    TakeDetections,
    Close,
}

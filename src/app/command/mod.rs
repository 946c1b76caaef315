//! Commands. Screens push them; only `apply.rs` executes them. One file per screen with its commands and their values: screens import this
//! folder, it imports no screen.

mod curve_key;
mod curves;
mod datasets;
mod images;
mod palette;
mod review;
mod review_filter;
mod settings;
mod train;

pub use curve_key::CurveKey;
pub use curves::{CurvesCommand, ExportFormat};
pub use datasets::DatasetCommand;
pub use images::{ImagesCommand, Layers, Pick, Tool};
pub use palette::{Choice, PaletteCommand};
pub use review::{Picked, ReviewCommand};
pub use review_filter::{Condition, Order, ReviewFilter, SIZE_MAX, ShownTrace, ShownVerdicts, kind_text, verdict_text};
pub use settings::SettingsCommand;
pub use train::{Cross, Form, TrainCommand};

use std::path::PathBuf;

use super::action::Action;
use super::keys::Typed;
pub use super::screen::Screen;
use crate::domain::{ClassId, DatasetId, GroundTruthId, ImageId, ObjectChange, Shape};
use crate::workflow::training_export::TrainingFormat;

/// The purpose of a folder dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FolderPurpose {
    Open,
    New,
    ImportDataset,
    ImportFolder,
    ImportDetections,
    /// An ONNX or TorchScript file.
    Model,
    /// The new folder of a dataset.
    Locate(DatasetId),
    /// An export for training.
    ExportTraining(TrainingFormat),
    Sample,
}

/// What to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// Any format; it is detected.
    Dataset,
    /// Images without objects.
    Folder,
}

/// The answer to the question whether to stop a running round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeavingCommand {
    GoOn,
    Stay,
    /// Closes the window.
    Quit,
}

/// Commands for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageCommand {
    /// Opens or closes the log.
    ToggleLog,
    /// Dismisses the shown error.
    Dismiss,
    CopyError,
    CopyLog,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A key press, interpreted when it is handled.
    Key(Typed),
    Do(Action),
    Show(Screen),
    ChooseFolder(FolderPurpose),
    Open(PathBuf),
    New(PathBuf),
    Sample {
        dir: PathBuf,
        auto_review: bool,
    },
    /// Reads and previews a dataset; nothing is written yet.
    Import(ImportKind, PathBuf),
    Dataset(DatasetCommand),
    /// Files and folders dropped onto the window.
    Dropped(Vec<PathBuf>),
    ForgetRecent(PathBuf),
    SetAnnotator(String),
    /// Stops running jobs; asks first if a round runs.
    StopJobs,
    Leaving(LeavingCommand),
    Message(MessageCommand),
    /// Toggles the current annotator's mark that the image is completely annotated.
    ToggleImageComplete(ImageId),
    /// Restores the newest good backup of the damaged database and reopens the project.
    RestoreBackup,
    CloseKeys,
    /// Corrects ground truth objects as one gesture, from any screen. Queued with the review's decisions and undone like a verdict, with
    /// `Do(Action::Undo)`. Objects have the ids of `Store::objects_of_image` and `ground_truth`.
    Correct {
        objects: Vec<GroundTruthId>,
        change: ObjectChange,
    },
    /// Adds a drawn object, like `Correct`.
    AddObject {
        image: ImageId,
        shape: Shape,
        class: ClassId,
    },
    /// The notes on the database have been read.
    DismissNotes,
    CopyCrashReport,
    DismissCrashReports,
    Review(ReviewCommand),
    Train(TrainCommand),
    Curves(CurvesCommand),
    Images(ImagesCommand),
    Settings(SettingsCommand),
    Palette(PaletteCommand),
}

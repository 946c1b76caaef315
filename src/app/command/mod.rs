//! What a screen asks for. Screens push commands; `apply.rs` alone carries them out. One file for each screen's own commands, with the
//! values that they carry: screens import this folder, it imports none of them.

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
    /// Where a dataset lies now.
    Locate(DatasetId),
    /// An export for training.
    ExportTraining(TrainingFormat),
    Sample,
}

/// What the window imports.
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
    /// Closes the window as its own button does.
    Quit,
}

/// What is done with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageCommand {
    /// Opens the log, or closes it.
    ToggleLog,
    /// The error that is shown was read.
    Dismiss,
    CopyError,
    CopyLog,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A key press; it is interpreted when it is handled.
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
    /// Reads a dataset and shows what is in it; nothing is written yet.
    Import(ImportKind, PathBuf),
    Dataset(DatasetCommand),
    /// Files and folders that were dropped onto the window.
    Dropped(Vec<PathBuf>),
    ForgetRecent(PathBuf),
    SetAnnotator(String),
    /// Stops running jobs; asks first if a round runs.
    StopJobs,
    Leaving(LeavingCommand),
    Message(MessageCommand),
    /// Marks the image as complete (its annotation misses no object) for the current annotator, or removes that mark.
    ToggleImageComplete(ImageId),
    /// Restores the newest good backup of the damaged database and reopens the project.
    RestoreBackup,
    CloseKeys,
    /// Corrects objects of the ground truth as one gesture, from whichever screen. It is queued with the review's decisions and is
    /// undone like a verdict, with `Do(Action::Undo)`. Objects are named as `Store::objects_of_image` and `ground_truth` do.
    Correct {
        objects: Vec<GroundTruthId>,
        change: ObjectChange,
    },
    /// Adds an object that was drawn, as `Correct` corrects one.
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

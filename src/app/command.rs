//! What a screen asks for. Screens push commands; `apply.rs` alone carries them out.

use std::path::PathBuf;

use super::action::Action;
use super::keys::Typed;
use super::views::curves::CurvesCommand;
use super::views::review::ReviewCommand;
use super::views::train::TrainCommand;

/// The screens, in the order of the top bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    #[default]
    Project,
    Review,
    Train,
    Curves,
}

impl Screen {
    pub const ALL: [(Self, Action); 4] = [
        (Self::Project, Action::ShowProject),
        (Self::Review, Action::ShowReview),
        (Self::Train, Action::ShowTrain),
        (Self::Curves, Action::ShowCurves),
    ];
}

/// What a folder is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FolderPurpose {
    Open,
    New,
    ImportDataset,
    ImportFolder,
    Sample,
}

/// What the window imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// In any format that Quarry finds out.
    Dataset,
    /// Images without objects.
    Folder,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Keys get their meaning when their turn comes.
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
    Import(ImportKind, PathBuf),
    ForgetRecent(PathBuf),
    SetAnnotator(String),
    StopJobs,
    /// Puts the newest good backup in the place of the damaged database and opens the project again.
    RestoreBackup,
    CloseKeys,
    Review(ReviewCommand),
    Train(TrainCommand),
    Curves(CurvesCommand),
}

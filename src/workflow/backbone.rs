//! Finds the pretrained backbone for a detector.

use std::path::{Path, PathBuf};

use super::weights::converted_backbone;
use super::{Observer, WorkEvent, WorkflowError};
use crate::detector::Architecture;
use crate::domain::data_folder;
use crate::training::RoundConfig;

/// Returns the folders that may contain weights, by precedence: `$QUARRY_MODELS`, `models/` in the working directory, next to the binary or
/// above it, in the user's data folder, and in the source tree that it was built from.
fn folders() -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::env::var_os("QUARRY_MODELS").map(PathBuf::from).into_iter().collect();
    out.push(PathBuf::from("models"));
    if let Ok(binary) = std::env::current_exe() {
        out.extend(binary.ancestors().skip(1).take(4).map(|dir| dir.join("models")));
    }
    out.extend(data_folder().map(|dir| dir.join("models")));
    out.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    out
}

/// Returns the file names, best first, of a backbone for this architecture.
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

/// Returns the backbone's file, or `None` with a log message if the detector has to start from random weights. Refused if some of them
/// would never be trained; the sample's rounds are short and small enough to be tried anyway.
pub fn find(round: &RoundConfig, observer: &mut Observer) -> Result<Option<PathBuf>, WorkflowError> {
    let config = &round.detector;
    let names = file_names(config.architecture);
    let found = folders().into_iter().flat_map(|dir| names.iter().map(move |n| dir.join(n))).find(|p| p.is_file());
    if let Some(file) = found {
        return Ok(Some(converted_backbone(&file, backbone_name(config.architecture))?));
    }
    let missing = format!("No pretrained backbone for {} was found ({} in models/)", config.architecture, names[0]);
    if config.frozen_stages > 0 && round.preset != "sample" {
        return Err(WorkflowError::Refused(format!(
            "{missing}, and its first {} stages do not learn (`detector.frozen_stages`): they would stay random. {}; or set \
             `detector.frozen_stages = 0` to train all of it from random weights.",
            config.frozen_stages,
            way(config.architecture)
        )));
    }
    observer(WorkEvent::Log(format!(
        "{missing}: starting from random weights, which needs many more steps. {}",
        way(config.architecture)
    )));
    Ok(None)
}

/// Explains how to get an architecture's backbone.
fn way(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => {
            "`quarry setup` (in a checkout `make setup`) fetches it; where you have its file: `quarry weights import open-nsfw.onnx --as resnet50-half`"
        }
        Architecture::ResNet50C4 | Architecture::ResNet50Fpn => {
            "Get resnet50-0676ba61.pth (models/README.md says where), then `quarry weights import resnet50-0676ba61.pth --as resnet50 \
             --licence BSD-3-Clause`"
        }
        Architecture::Vgg16 => {
            "Get vgg16-397923af.pth (models/README.md says where), then `quarry weights import vgg16-397923af.pth --as vgg16 \
             --licence BSD-3-Clause`"
        }
        Architecture::ResNet18Fpn => {
            "Get resnet18-f37072fd.pth (models/README.md says where), then `quarry weights import resnet18-f37072fd.pth --as resnet18 \
             --licence BSD-3-Clause`"
        }
    }
}

/// Returns the backbone's name for `quarry weights import --as`.
fn backbone_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => "resnet50-half",
        Architecture::ResNet50C4 | Architecture::ResNet50Fpn => "resnet50",
        Architecture::Vgg16 => "vgg16",
        Architecture::ResNet18Fpn => "resnet18",
    }
}

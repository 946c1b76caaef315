//! Errors of importing and exporting weights.

use std::path::PathBuf;

use crate::detector::DetectorError;
use crate::detector::weights::WeightError;
use crate::domain::{OutputError, printable_path};

/// Errors of importing and exporting weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsTaskError {
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Detector(#[from] DetectorError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("unknown backbone or detector `{name}`; backbones are {backbones}; detectors are {detectors}")]
    UnknownTarget { name: String, backbones: String, detectors: String },
    #[error(
        "{}: no checkpoint in this folder; name a round's folder (PROJECT/runs/1) that has one, or the file itself",
        .0.display()
    )]
    NoCheckpoint(PathBuf),
    #[error("{}: there is no such file. Check the path", printable_path(.0))]
    NoFile(PathBuf),
    #[error("--{option} applies to whole detectors only, and `{backbone}` is a backbone; remove it")]
    NotForBackbones { option: &'static str, backbone: String },
    #[error("this quarry was built without libtorch (feature `torch`), which importing a whole detector needs")]
    NeedsTorch,
}

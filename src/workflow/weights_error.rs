//! Why weights could not be imported or exported.

use std::path::PathBuf;

use crate::detector::DetectorError;
use crate::detector::weights::WeightError;
use crate::domain::OutputError;

/// Why weights could not be imported or exported.
#[derive(Debug, thiserror::Error)]
pub enum WeightsTaskError {
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Detector(#[from] DetectorError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(
        "there is neither a backbone nor a detector `{name}`; backbones are {backbones}; detectors are {detectors}"
    )]
    UnknownTarget { name: String, backbones: String, detectors: String },
    #[error(
        "{}: there is no checkpoint in this folder; give a round's folder (PROJECT/runs/1), once it has a checkpoint, or the file itself",
        .0.display()
    )]
    NoCheckpoint(PathBuf),
    #[error("--{option} belongs to a whole detector, and `{backbone}` is a backbone; leave it out")]
    NotForBackbones { option: &'static str, backbone: String },
    #[error("this quarry was built without libtorch (feature `torch`), which importing a whole detector needs")]
    NeedsTorch,
}

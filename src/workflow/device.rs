//! Selects the device of a use case, with a log message if a GPU is unused.

use std::path::Path;

use super::{Observer, WorkEvent, WorkflowError};
use crate::detector::{Detector, DetectorConfig, DetectorError};
use crate::training::{choose_device, unused_gpu};

/// Loads a checkpoint on the given device (see [`choose_device`]).
pub(super) fn load_detector(
    checkpoint: &Path,
    device: &str,
    observer: &mut Observer,
) -> Result<Detector, WorkflowError> {
    let chosen = choose_device(device)?;
    if let Some(text) = unused_gpu(device, chosen) {
        observer(WorkEvent::Log(format!("Warning: {text}")));
    }
    Ok(Detector::load(checkpoint, chosen)?)
}

/// Builds a detector with a backbone file's weights on the given device; its other weights are new.
pub(super) fn with_backbone(config: &DetectorConfig, backbone: &Path, device: &str) -> Result<Detector, WorkflowError> {
    let mut detector = Detector::new(config, choose_device(device)?, 0)?;
    detector.load_backbone(backbone)?;
    Ok(detector)
}

/// Refuses a missing device before anything is read or written.
pub(super) fn check_device(device: &str) -> Result<(), DetectorError> {
    choose_device(device).map(|_| ())
}

//! The device of a use case, with a word in the log where a GPU stays unused.

use std::path::Path;

use super::{Observer, WorkEvent, WorkflowError};
use crate::detector::{Detector, DetectorError};
use crate::training::{choose_device, unused_gpu};

/// Loads a checkpoint on the device for a word (see [`choose_device`]).
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

/// Refuses a device that is not there, before anything is read or written.
pub(super) fn check_device(device: &str) -> Result<(), DetectorError> {
    choose_device(device).map(|_| ())
}

//! The identity of detections: the checkpoint's bytes and how it is used.

// Readers of outside bytes do not index: a file must not be able to panic them. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::Path;

use crate::detector::{DetectorConfig, DetectorError};
use crate::domain::{limits, read_bytes};
use crate::workflow::WorkflowError;

/// Changes when what is detected may change by more than rounding: with the weights, the settings, the precision. Not with the device
/// and the number of threads.
pub(in crate::workflow) fn identity(checkpoint: &Path, settings: &DetectorConfig) -> Result<String, WorkflowError> {
    let bytes = read_bytes(checkpoint, limits::WEIGHTS)?;
    let settings = serde_json::to_string(settings)
        .map_err(|e| DetectorError::file(checkpoint, format!("its settings cannot be written: {e}"), "report this"))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"quarry detections 1\n");
    hasher.update(blake3::hash(&bytes).as_bytes());
    hasher.update(settings.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

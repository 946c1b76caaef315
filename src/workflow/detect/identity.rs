//! Identifies detections by the checkpoint's bytes and settings.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::Path;

use crate::detector::{DetectorConfig, DetectorError};
use crate::domain::read_weights;
use crate::workflow::WorkflowError;

/// Changes with everything that affects detections by more than rounding: weights, settings, precision. Independent of the device and the
/// number of threads.
pub(in crate::workflow) fn identity(checkpoint: &Path, settings: &DetectorConfig) -> Result<String, WorkflowError> {
    let bytes = read_weights(checkpoint)?;
    let settings = serde_json::to_string(settings)
        .map_err(|e| DetectorError::file(checkpoint, format!("its settings cannot be written: {e}"), "report this"))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"quarry detections 1\n");
    hasher.update(blake3::hash(&bytes).as_bytes());
    hasher.update(settings.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

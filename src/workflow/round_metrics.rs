//! `metrics.json` in the folders of rounds and of a cross-validation's pooled rounds: the box evaluators' results on the last evaluation,
//! for the curves screen. They belong to a checkpoint at a step and are never recomputed for display.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::WorkflowError;
use crate::domain::{limits, read_text};
use crate::evaluation::{EvaluationSet, Suite};

/// The file name in the folder.
pub const METRICS_FILE: &str = "metrics.json";

const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundMetrics {
    pub format: u32,
    /// The tested step of the round; 0 for an imported model and a cross-validation.
    pub step: u64,
    /// Identifies the images with their ground truth: only metrics on the same data are comparable.
    pub data: String,
    pub images: usize,
    /// Test images that could not be read: their objects count as missed.
    pub unreadable: usize,
    /// Number of counted objects, without ignored ones.
    pub objects: usize,
    pub detections: usize,
    /// Whether FDDB's curves are the main result: objects are ellipses, or only faces.
    pub is_for_fddb: bool,
    pub suite: Suite,
}

/// Information about the test other than its objects and detections.
#[derive(Debug, Clone, Default)]
pub(super) struct Tested {
    pub step: u64,
    pub data: String,
    pub unreadable: usize,
    pub is_for_fddb: bool,
}

impl RoundMetrics {
    pub(super) fn new(set: &EvaluationSet, tested: Tested) -> Self {
        let Tested { step, data, unreadable, is_for_fddb } = tested;
        Self {
            format: FORMAT,
            step,
            data,
            images: set.images.len(),
            unreadable,
            objects: set.images.iter().flat_map(|i| &i.objects).filter(|o| !o.ignored()).count(),
            detections: set.images.iter().map(|i| i.detections.len()).sum(),
            is_for_fddb,
            suite: Suite::evaluate(set).thinned(),
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, WorkflowError> {
        serde_json::to_vec(self)
            .map_err(|e| WorkflowError::Refused(format!("the metrics cannot be written as JSON: {e}")))
    }

    /// Reads the file `path`.
    pub fn read(path: &Path) -> Result<Self, WorkflowError> {
        let bad = |reason: String| WorkflowError::BadFile {
            path: path.to_path_buf(),
            reason: format!("{reason}. Evaluate the round again to rewrite the file"),
        };
        let metrics: Self = serde_json::from_str(&read_text(path, limits::TEXT)?).map_err(|e| bad(e.to_string()))?;
        if metrics.format != FORMAT {
            return Err(bad(format!("this is format {}; this Quarry reads format {FORMAT}", metrics.format)));
        }
        Ok(metrics)
    }

    /// Returns the path in a round's folder.
    pub fn file(run_dir: &Path) -> PathBuf {
        run_dir.join(METRICS_FILE)
    }
}

//! Mining settings.

use crate::domain::{BACKGROUND_MAX_IOU, CANDIDATE_MAX_IOU};

/// Mining thresholds; the defaults are the paper's and TIDE's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MiningConfig {
    /// A detection whose IoU with an object of its class is at least this covers it and is not a candidate.
    pub max_iou: f64,
    /// A candidate with IoU up to this is background; above it, a localisation error.
    pub background_iou: f64,
    /// Detections below this score are not mined.
    pub min_score: f32,
}

impl Default for MiningConfig {
    fn default() -> Self {
        Self { max_iou: CANDIDATE_MAX_IOU, background_iou: BACKGROUND_MAX_IOU, min_score: 0.05 }
    }
}

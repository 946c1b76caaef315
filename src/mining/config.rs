//! Settings of mining.

use crate::domain::{BACKGROUND_MAX_IOU, CANDIDATE_MAX_IOU};

/// The numbers of mining; the defaults are the paper's and TIDE's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MiningConfig {
    /// A detection with this IoU to an object of its class, or more, holds it and is not a candidate.
    pub max_iou: f64,
    /// Up to this IoU a candidate is background, above it a badly placed object.
    pub background_iou: f64,
    /// Detections below this score are not mined.
    pub min_score: f32,
}

impl Default for MiningConfig {
    fn default() -> Self {
        Self { max_iou: CANDIDATE_MAX_IOU, background_iou: BACKGROUND_MAX_IOU, min_score: 0.05 }
    }
}

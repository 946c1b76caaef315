//! Selects the assignment and computes an image's counts at one threshold.

use serde::{Deserialize, Serialize};

/// The assignment of detections to faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The official program's solver, not always optimal; every published FDDB curve was made with it.
    #[default]
    Official,
    /// The maximum IoU sum, to show the difference.
    Optimal,
}

/// An image's counts with every detection of score >= `threshold` kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub threshold: f64,
    /// Pairs with IoU > 0.5.
    pub true_positives: u64,
    /// Kept detections that are not true positives.
    pub false_positives: u64,
    /// Sum of IoU over all pairs.
    pub continuous: f64,
}

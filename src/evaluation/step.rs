//! The choice of the assignment, and the counts of an image at one threshold.

use serde::{Deserialize, Serialize};

/// The assignment of detections to faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The official program's solver, which is not always optimal; what every published FDDB curve was made with.
    #[default]
    Official,
    /// The largest sum of IoU, to show the difference.
    Optimal,
}

/// An image's counts when every detection with a score of at least `threshold` is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub threshold: f64,
    /// Pairs with IoU > 0.5.
    pub true_positives: u64,
    /// Kept detections that are no true positive.
    pub false_positives: u64,
    /// Sum of IoU over all pairs.
    pub continuous: f64,
}

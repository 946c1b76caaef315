//! Matches anchors or proposals to ground truth, equal to torchvision's `Matcher`.
//!
//! Shapes: G ground truths, N anchors or proposals; overlaps `[G, N]`, matches `[N]` (i64).

use tch::{Kind, Tensor};

/// The best overlap is below the low threshold: background.
pub const BELOW_LOW: i64 = -1;
/// The best overlap is between the thresholds: neither foreground nor background.
pub const BETWEEN: i64 = -2;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matcher {
    /// Minimum IoU of a foreground match.
    pub high: f64,
    /// Below this IoU a match is background.
    pub low: f64,
    /// Each ground truth also gets the anchors with its largest overlap (all on ties), however small.
    pub allow_low_quality: bool,
}

impl Matcher {
    /// Returns the ground truth index for each of N, or [`BELOW_LOW`], or [`BETWEEN`]. Without ground truth all are [`BELOW_LOW`].
    #[expect(clippy::panic, reason = "only this crate creates the tensor; a wrong shape is a bug, as in tch itself")]
    pub fn matches(&self, iou: &Tensor) -> Tensor {
        let [g, n] = iou.size()[..] else { panic!("overlaps have shape [G, N], got {:?}", iou.size()) };
        if g == 0 || n == 0 {
            return Tensor::full([n], BELOW_LOW, (Kind::Int64, iou.device()));
        }
        let (best_overlap, best) = iou.max_dim(0, false);
        let matches = best
            .masked_fill(&best_overlap.lt(self.low), BELOW_LOW)
            .masked_fill(&best_overlap.ge(self.low).logical_and(&best_overlap.lt(self.high)), BETWEEN);
        if !self.allow_low_quality {
            return matches;
        }
        let best_of_truth = iou.amax([1_i64], true);
        let rescued = iou.eq_tensor(&best_of_truth).any_dim(0, false);
        best.where_self(&rescued, &matches)
    }
}

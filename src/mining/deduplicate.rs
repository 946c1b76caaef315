//! Merges the hard negatives of several rounds: a region found in several rounds is listed once.

use crate::geometry::BoundingBox;

/// Two hard negatives of an image with this IoU or more count as the same. Source: the RPN's own NMS threshold (Ren et al. 2015).
pub const SAME_HARD_NEGATIVE_IOU: f64 = 0.7;

/// Keeps the highest-scored box (the first on ties) among boxes that overlap it by [`SAME_HARD_NEGATIVE_IOU`] or more. `negatives` belong
/// to one image and class, in any order; the result is sorted by descending score.
pub fn deduplicate(mut negatives: Vec<(BoundingBox, f32)>) -> Vec<(BoundingBox, f32)> {
    negatives.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut kept: Vec<(BoundingBox, f32)> = Vec::with_capacity(negatives.len());
    for (bbox, score) in negatives {
        if kept.iter().all(|(other, _)| bbox.iou(other) < SAME_HARD_NEGATIVE_IOU) {
            kept.push((bbox, score));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, score: f32) -> (BoundingBox, f32) {
        (BoundingBox::new(x, 0.0, x + 100.0, 100.0), score)
    }

    #[test]
    fn the_same_region_stands_once_with_its_highest_score() {
        // IoU of boxes 10 apart: 90/110 = 0.82; 30 apart: 70/130 = 0.54.
        let check = |given: &[(BoundingBox, f32)], expected: &[(BoundingBox, f32)]| {
            assert_eq!(deduplicate(given.to_vec()), expected);
        };
        check(&[], &[]);
        check(&[at(0.0, 0.4), at(10.0, 0.9)], &[at(10.0, 0.9)]);
        check(&[at(0.0, 0.4), at(30.0, 0.9)], &[at(30.0, 0.9), at(0.0, 0.4)]);
        check(&[at(0.0, 0.5), at(0.0, 0.5), at(0.0, 0.5)], &[at(0.0, 0.5)]);
        // Not transitive: the third overlaps the removed second, but not the first.
        check(&[at(0.0, 0.9), at(15.0, 0.8), at(30.0, 0.7)], &[at(0.0, 0.9), at(30.0, 0.7)]);
    }
}

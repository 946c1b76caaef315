//! Decides when two boxes are the same candidate. A detector on another device, or with another number of threads, finds the same boxes
//! with coordinates that differ in the last bits; verdicts must still match them.

use std::collections::HashMap;

use crate::geometry::BoundingBox;

/// Minimum IoU for a box of the same image, class and round to be the same candidate.
pub(super) const SAME_IOU: f64 = 0.9;

/// Minimum IoU of two candidates of one image and class to be on the same region. Source: the RPN's own NMS threshold (Ren et al. 2015).
pub const TWIN_IOU: f64 = 0.7;

/// A box to match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    /// Only boxes with the same place are compared, e.g. image and class.
    pub place: (i64, i64),
    pub bbox: BoundingBox,
}

impl Spot {
    fn bits(&self) -> ((i64, i64), [u64; 4]) {
        let b = &self.bbox;
        // Adding zero turns -0.0 into 0.0, so that both compare equal.
        (self.place, [b.x1, b.y1, b.x2, b.y2].map(|v| (v + 0.0).to_bits()))
    }
}

/// Returns for each of `new` the index of the same box in `stored`: equal boxes first, then by descending IoU. Each is used at most once.
pub(super) fn same(stored: &[Spot], new: &[Spot]) -> Vec<Option<usize>> {
    let mut equal: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, spot) in stored.iter().enumerate().rev() {
        equal.entry(spot.bits()).or_default().push(at);
    }
    let mut found: Vec<Option<usize>> = new.iter().map(|spot| equal.get_mut(&spot.bits()).and_then(Vec::pop)).collect();
    let mut left: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
    for at in equal.into_values().flatten() {
        left.entry(stored[at].place).or_default().push(at);
    }
    let mut pairs = Vec::new();
    for (k, spot) in new.iter().enumerate().filter(|(k, _)| found[*k].is_none()) {
        let near = left.get(&spot.place).into_iter().flatten();
        pairs.extend(near.map(|at| (spot.bbox.iou(&stored[*at].bbox), *at, k)).filter(|(iou, ..)| *iou >= SAME_IOU));
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut is_taken = vec![false; stored.len()];
    for (_, at, k) in pairs {
        if !is_taken[at] && found[k].is_none() {
            (is_taken[at], found[k]) = (true, Some(at));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(image: i64, class: i64, x: f64) -> Spot {
        Spot { place: (image, class), bbox: BoundingBox::from_xywh(x, 0.0, 100.0, 100.0) }
    }

    #[test]
    fn boxes_are_the_same_from_an_iou_of_0_9_one_to_one_best_first() {
        let check = |stored: &[Spot], new: &[Spot], expected: &[Option<usize>]| {
            assert_eq!(same(stored, new), expected, "{stored:?} {new:?}");
        };
        let at = |x| spot(1, 1, x);
        check(&[at(0.0)], &[at(1e-9)], &[Some(0)]);
        check(&[at(0.0)], &[at(5.0)], &[Some(0)]);
        check(&[at(0.0)], &[at(6.0)], &[None]);
        check(&[at(0.0)], &[spot(2, 1, 0.0), spot(1, 2, 0.0)], &[None, None]);
        check(&[at(0.0)], &[at(3.0), at(1.0)], &[None, Some(0)]);
        check(&[at(0.0), at(2.0)], &[at(1.0), at(2.0)], &[Some(0), Some(1)]);
        check(&[at(0.0), at(0.0)], &[at(0.0), at(0.0), at(0.0)], &[Some(0), Some(1), None]);
        check(&[at(4.0), at(0.0)], &[at(1.0), at(3.5)], &[Some(1), Some(0)]);
        check(&[], &[at(0.0)], &[None]);
    }
}

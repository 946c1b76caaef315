//! Exact search for boxes that miss their objects in the same way, or as its mirror image: boxes in the object's frame, listed by the
//! logarithms of their sides.

use std::collections::HashMap;

use crate::geometry::{BoundingBox, ObjectFrame};

/// A box in the frame of the object that it overlaps.
pub(super) type Placement = BoundingBox<ObjectFrame>;

/// Returns the larger IoU of `a` with `b` and with its mirror image about the object's middle.
pub(super) fn likeness(a: &Placement, b: &Placement) -> f64 {
    a.iou(b).max(a.iou(&b.mirrored_at(MIDDLE)))
}

/// The middle of an object in its own frame.
const MIDDLE: f64 = 0.5;

/// Two boxes with at least this IoU have sides whose ratios lie between it and its inverse, so that their cells are neighbours.
pub(super) struct PlacementIndex {
    least_iou: f64,
    /// By the sides' logarithms in units of that of the smallest ratio.
    cells: HashMap<(i32, i32), Vec<(Placement, u32)>>,
}

impl PlacementIndex {
    /// `least_iou` is above 0 and below 1.
    pub fn new(least_iou: f64) -> Self {
        Self { least_iou, cells: HashMap::new() }
    }

    pub fn insert(&mut self, placement: &Placement, number: u32) {
        self.cells.entry(self.cell(placement)).or_default().push((*placement, number));
    }

    /// Removes an inserted box.
    pub fn remove(&mut self, placement: &Placement, number: u32) {
        let cell = self.cell(placement);
        if let Some(listed) = self.cells.get_mut(&cell) {
            listed.retain(|known| known.1 != number);
        }
    }

    /// Calls `found` with the number and [`likeness`] of each box that lies alike.
    pub fn near(&self, placement: &Placement, mut found: impl FnMut(u32, f64)) {
        let (column, row) = self.cell(placement);
        for at in (-1..=1).flat_map(|x| (-1..=1).map(move |y| (column.saturating_add(x), row.saturating_add(y)))) {
            for (other, number) in self.cells.get(&at).into_iter().flatten() {
                let likeness = likeness(other, placement);
                if likeness >= self.least_iou {
                    found(*number, likeness);
                }
            }
        }
    }

    fn cell(&self, placement: &Placement) -> (i32, i32) {
        let unit = -self.least_iou.ln();
        let place = |side: f64| (side.ln() / unit).floor() as i32;
        (place(placement.width()), place(placement.height()))
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn all_that_lie_alike_are_found_and_nothing_else() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut placement = || {
            let (x, y): (f64, f64) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            Placement::from_xywh(x, y, rng.random_range(0.2..3.0), rng.random_range(0.2..3.0))
        };
        let placements: Vec<Placement> = (0..3000).map(|_| placement()).collect();
        for least in [0.5, 0.75, 0.9] {
            let mut index = PlacementIndex::new(least);
            placements.iter().zip(0..).for_each(|(placement, number)| index.insert(placement, number));
            index.remove(&placements[7], 7);
            let mut pairs = 0;
            for at in (0..placements.len()).step_by(7) {
                let mut found = Vec::new();
                index.near(&placements[at], |number, found_likeness| {
                    assert_eq!(found_likeness, likeness(&placements[number as usize], &placements[at]));
                    found.push(number as usize);
                });
                found.sort_unstable();
                let alike = |k: &usize| *k != 7 && likeness(&placements[*k], &placements[at]) >= least;
                let expected: Vec<usize> = (0..placements.len()).filter(alike).collect();
                pairs += expected.len();
                assert_eq!(found, expected, "{least}");
            }
            assert!(pairs > 400, "{pairs} at {least}: the test shows nothing");
        }
    }

    #[test]
    fn boxes_without_an_area_are_like_nothing() {
        let mut index = PlacementIndex::new(0.75);
        let flat = Placement::new(0.0, 0.0, 0.0, 1.0);
        index.insert(&flat, 0);
        index.near(&flat, |_, _| panic!("it has no IoU"));
    }

    #[test]
    fn a_mirror_image_lies_alike() {
        let left = Placement::new(-0.5, 0.0, 0.5, 1.0);
        assert_eq!(likeness(&left, &Placement::new(0.5, 0.0, 1.5, 1.0)), 1.0);
        assert_eq!(likeness(&left, &Placement::new(0.5, 1.0, 1.5, 2.0)), 0.0);
    }
}

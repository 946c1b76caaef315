//! Pairwise overlaps of plain boxes: bit-identical to [`super::boxes::iou`], without its `[N, M]` tensors. A crowded image has thousands of
//! objects and over a hundred thousand anchors; memory here grows with their sum.
//!
//! Shapes: boxes `[x1, y1, x2, y2]` in pixels of the network's image.

use super::matcher::{BELOW_LOW, BETWEEN, Matcher};

/// A box given by its two corners.
pub type Corners = [f32; 4];

/// Intersection over union; 0 if undefined.
pub fn iou(a: &Corners, b: &Corners) -> f32 {
    let intersection = intersection(a, b);
    defined(intersection / (area(a) + area(b) - intersection))
}

/// Returns the fraction of `a` inside `b`; 0 for an empty `a`.
pub fn share_inside(a: &Corners, b: &Corners) -> f32 {
    defined(intersection(a, b) / area(a))
}

/// Returns for each of `boxes` the object with the largest IoU (the first on ties) and that IoU; `(0, 0.0)` without objects.
pub fn best_objects(boxes: &[Corners], objects: &[Corners]) -> Vec<(usize, f32)> {
    let best_of = |b: &Corners| {
        let mut best = (0, objects.first().map_or(0.0, |first| iou(first, b)));
        for (k, object) in objects.iter().enumerate().skip(1) {
            let overlap = iou(object, b);
            if overlap > best.1 {
                best = (k, overlap);
            }
        }
        best
    };
    boxes.iter().map(best_of).collect()
}

impl Matcher {
    /// [`Matcher::matches`] of `objects` and `boxes` without their table of overlaps.
    pub fn match_boxes(&self, objects: &[Corners], boxes: &[Corners]) -> Vec<i64> {
        if objects.is_empty() {
            return vec![BELOW_LOW; boxes.len()];
        }
        // Thresholds are compared in the overlaps' precision, as in libtorch.
        let (low, high) = (self.low as f32, self.high as f32);
        let mut best_of_objects = vec![BestBoxes::default(); objects.len()];
        let mut matches = Vec::with_capacity(boxes.len());
        let mut best_of_boxes = Vec::with_capacity(boxes.len());
        for (at, b) in boxes.iter().enumerate() {
            let (mut best, mut largest) = (0, f32::MIN);
            for (k, (object, best_boxes)) in objects.iter().zip(&mut best_of_objects).enumerate() {
                let overlap = iou(object, b);
                if overlap > largest {
                    (best, largest) = (k, overlap);
                }
                best_boxes.offer(at, overlap);
            }
            best_of_boxes.push(best as i64);
            matches.push(match largest {
                overlap if overlap < low => BELOW_LOW,
                overlap if overlap < high => BETWEEN,
                _ => best as i64,
            });
        }
        if self.allow_low_quality {
            if best_of_objects.iter().any(|best| best.overlap == 0.0) {
                // Exactly torchvision's rule: an object that no box touches has overlap 0 with all, which is its largest.
                return best_of_boxes;
            }
            for at in best_of_objects.iter().flat_map(|best| &best.boxes) {
                matches[*at as usize] = best_of_boxes[*at as usize];
            }
        }
        matches
    }
}

/// The boxes with the largest overlap of an object.
#[derive(Debug, Clone, Default)]
struct BestBoxes {
    overlap: f32,
    /// Empty while the overlap is 0.
    boxes: Vec<u32>,
}

impl BestBoxes {
    fn offer(&mut self, at: usize, overlap: f32) {
        if overlap > self.overlap {
            self.overlap = overlap;
            self.boxes.clear();
        }
        if overlap > 0.0 && overlap == self.overlap {
            self.boxes.push(at as u32);
        }
    }
}

fn area(b: &Corners) -> f32 {
    (b[2] - b[0]) * (b[3] - b[1])
}

fn intersection(a: &Corners, b: &Corners) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    width * height
}

fn defined(ratio: f32) -> f32 {
    if ratio.is_finite() { ratio } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::Tensor;

    use super::*;
    use crate::detector::ops::boxes;

    /// Corners on a coarse grid, so that ties, touching and empty boxes are common.
    fn corners() -> impl Strategy<Value = Corners> {
        (0..40_u8, 0..40_u8, 0..20_u8, 0..20_u8, 0..3_u8).prop_map(|(x, y, w, h, fine)| {
            let shift = f32::from(fine) * 0.3;
            let (x, y) = (f32::from(x) + shift, f32::from(y) - shift);
            [x, y, x + f32::from(w), y + f32::from(h)]
        })
    }

    fn tensor(boxes: &[Corners]) -> Tensor {
        Tensor::from_slice(boxes.as_flattened()).reshape([-1, 4])
    }

    fn values(tensor: &Tensor) -> Vec<i64> {
        Vec::try_from(tensor).unwrap()
    }

    proptest! {
        #[test]
        fn the_plain_loop_equals_the_tensors_bit_for_bit(
            objects in prop::collection::vec(corners(), 1..12), all in prop::collection::vec(corners(), 1..60), low_quality: bool
        ) {
            let table = boxes::iou(&tensor(&objects), &tensor(&all));
            let of_tensors: Vec<f32> = Vec::try_from(table.flatten(0, 1)).unwrap();
            let plain: Vec<f32> = objects.iter().flat_map(|o| all.iter().map(|b| iou(o, b))).collect();
            prop_assert_eq!(plain, of_tensors);
            let shares: Vec<f32> =
                Vec::try_from(boxes::share_inside(&tensor(&all), &tensor(&objects)).flatten(0, 1)).unwrap();
            let plain: Vec<f32> = all.iter().flat_map(|b| objects.iter().map(|o| share_inside(b, o))).collect();
            prop_assert_eq!(plain, shares);
            for (high, low) in [(0.7, 0.3), (0.5, 0.5)] {
                let matcher = Matcher { high, low, allow_low_quality: low_quality };
                prop_assert_eq!(matcher.match_boxes(&objects, &all), values(&matcher.matches(&table)));
            }
            let (overlap, object) = table.max_dim(0, false);
            let best: Vec<(i64, f32)> =
                values(&object).into_iter().zip(Vec::<f32>::try_from(overlap).unwrap()).collect();
            let plain: Vec<(i64, f32)> = best_objects(&all, &objects).into_iter().map(|(k, v)| (k as i64, v)).collect();
            prop_assert_eq!(plain, best);
        }
    }

    #[test]
    fn without_objects_everything_is_background() {
        let all = [[0.0, 0.0, 4.0, 4.0]; 3];
        let matcher = Matcher { high: 0.7, low: 0.3, allow_low_quality: true };
        assert_eq!(matcher.match_boxes(&[], &all), [BELOW_LOW; 3]);
        assert_eq!(best_objects(&all, &[]), [(0, 0.0); 3]);
        assert!(matcher.match_boxes(&all, &[]).is_empty());
    }
}

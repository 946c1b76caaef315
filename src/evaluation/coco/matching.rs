//! `COCOeval.evaluateImg`: matches the detections of one image at ten IoU thresholds and four area ranges at once.

use super::super::set::{SetDetection, SetImage, SetObject, best_first};

/// numpy's `linspace(.5, .95, 10)`, bit-exact.
#[allow(clippy::excessive_precision, reason = "the eighth is not 0.9")]
pub(super) const IOU_THRESHOLDS: [f64; 10] =
    [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.899_999_999_999_999_9, 0.95];

/// In square pixels, both ends inclusive: all, small, medium, large.
pub(super) const AREAS: [(f64, f64); 4] =
    [(0.0, 1e10), (0.0, 32.0 * 32.0), (32.0 * 32.0, 96.0 * 96.0), (96.0 * 96.0, 1e10)];

/// Maximum number of detections per image and class, best first.
pub(super) const MOST_DETECTIONS: usize = 100;

/// The bit of an area range and IoU threshold in [`Outcome`].
pub(super) fn bit(area: usize, threshold: usize) -> u64 {
    1 << (area * IOU_THRESHOLDS.len() + threshold)
}

/// A detection after matching.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub score: f64,
    /// Rank among the detections of its image and class, from 0.
    pub rank: u32,
    /// Bits where it matches an object.
    pub hits: u64,
    /// Bits where it counts neither as a hit nor as a false positive.
    pub ignored: u64,
}

/// The matching result of one class in one image.
#[derive(Debug)]
pub(super) struct ImageClass {
    pub class: usize,
    /// Number of counted objects by area range.
    pub objects: [usize; 4],
    /// Best first.
    pub outcomes: Vec<Outcome>,
}

/// Returns the classes of `image` that have objects or detections, ascending.
pub(super) fn match_image(image: &SetImage) -> Vec<ImageClass> {
    let mut objects: Vec<&SetObject> = image.objects.iter().collect();
    objects.sort_by_key(|o| o.class);
    let mut found: Vec<&SetDetection> = image.detections.iter().collect();
    found.sort_by(|a, b| a.class.cmp(&b.class).then_with(|| best_first(a.score, b.score)));
    let (mut objects, mut found) = (objects.as_slice(), found.as_slice());
    let mut classes = Vec::new();
    while let Some(class) =
        [objects.first().map(|o| o.class), found.first().map(|d| d.class)].into_iter().flatten().min()
    {
        let (of_class, others) = objects.split_at(objects.partition_point(|o| o.class == class));
        let (found_of_class, found_others) = found.split_at(found.partition_point(|d| d.class == class));
        (objects, found) = (others, found_others);
        classes.push(match_class(class, of_class, &found_of_class[..found_of_class.len().min(MOST_DETECTIONS)]));
    }
    classes
}

fn outside(area: f64, (low, high): (f64, f64)) -> bool {
    area < low || area > high
}

fn match_class(class: usize, objects: &[&SetObject], found: &[&SetDetection]) -> ImageClass {
    let ignored = |object: &SetObject, range: usize| object.crowd || outside(object.area, AREAS[range]);
    let mut taken = vec![0_u64; objects.len()];
    let mut outcomes = Vec::with_capacity(found.len());
    for (rank, detection) in found.iter().enumerate() {
        let overlaps = overlaps(detection, objects);
        let mut outcome = Outcome { score: detection.score, rank: rank as u32, hits: 0, ignored: 0 };
        for (range, &sizes) in AREAS.iter().enumerate() {
            let too_small_or_large = outside(detection.bbox.area(), sizes);
            for (k, threshold) in IOU_THRESHOLDS.into_iter().enumerate() {
                let here = bit(range, k);
                let free = |g: usize| taken[g] & here == 0 || objects[g].crowd;
                match best(&overlaps, threshold, free, |g| ignored(objects[g], range)) {
                    Some(g) => {
                        taken[g] |= here;
                        outcome.hits |= here;
                        outcome.ignored |= if ignored(objects[g], range) { here } else { 0 };
                    }
                    None => outcome.ignored |= if too_small_or_large { here } else { 0 },
                }
            }
        }
        outcomes.push(outcome);
    }
    let counted = |range: usize| objects.iter().filter(|o| !ignored(o, range)).count();
    ImageClass { class, objects: [0, 1, 2, 3].map(counted), outcomes }
}

/// Returns the objects whose IoU with the detection reaches the lowest threshold, in annotation order.
fn overlaps(detection: &SetDetection, objects: &[&SetObject]) -> Vec<(usize, f64)> {
    let overlap = |object: &SetObject| {
        if object.crowd { detection.bbox.share_inside(&object.bbox) } else { detection.bbox.iou(&object.bbox) }
    };
    let each = objects.iter().enumerate().map(|(g, object)| (g, overlap(object)));
    each.filter(|(_, iou)| *iou >= IOU_THRESHOLDS[0]).collect()
}

/// Returns the unmatched object with the largest overlap of at least `threshold`, the last one among ties. A counted object is preferred to
/// an ignored one.
pub(in super::super) fn best(
    overlaps: &[(usize, f64)],
    threshold: f64,
    free: impl Fn(usize) -> bool,
    ignored: impl Fn(usize) -> bool,
) -> Option<usize> {
    for of_ignored in [false, true] {
        let mut best = (threshold.min(1.0 - 1e-10), None);
        for &(g, iou) in overlaps {
            if iou >= best.0 && ignored(g) == of_ignored && free(g) {
                best = (iou, Some(g));
            }
        }
        if best.1.is_some() {
            return best.1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::super::set::fixtures::{found, object};
    use super::*;

    #[test]
    fn at_a_threshold_the_decision_is_pycocotools() {
        for t in IOU_THRESHOLDS {
            let cases = [
                (t, true),
                (t.next_up(), true),
                (t.next_down(), false),
                (t + 1e-10, true),
                (t - 1e-10, false),
                (t + 2e-9, true),
                (t - 2e-9, false),
            ];
            for (iou, expected) in cases {
                assert_eq!(best(&[(0, iou)], t, |_| true, |_| false).is_some(), expected, "IoU {iou:?} at {t:?}");
            }
        }
    }

    /// The purpose of pycocotools' `min([t, 1 - 1e-10])`: a threshold of 1.
    #[test]
    fn a_threshold_of_one_leaves_room_for_rounding() {
        let at_one = |iou: f64| best(&[(0, iou)], 1.0, |_| true, |_| false).is_some();
        let limit: f64 = 1.0 - 1e-10;
        for (iou, expected) in
            [(1.0, true), (limit, true), (limit.next_up(), true), (limit.next_down(), false), (1.0 - 2e-9, false)]
        {
            assert_eq!(at_one(iou), expected, "{iou:?}");
        }
    }

    /// Overlaps of exactly .5 and .75.
    #[test]
    fn a_box_at_a_threshold_passes_it() {
        for (height, thresholds) in [(5.0, 1), (7.5, 6), (7.0, 5)] {
            let image = SetImage {
                id: 1,
                objects: vec![object(0.0, 10.0)],
                detections: vec![found(0, 0.0, 10.0, height, 0.5)],
            };
            let hits = match_image(&image)[0].outcomes[0].hits;
            assert_eq!((0..10).filter(|&k| hits & bit(0, k) != 0).count(), thresholds, "{height}");
        }
    }

    #[test]
    fn of_equal_overlaps_the_last_is_taken_and_ignored_ones_come_last() {
        let free = |_| true;
        assert_eq!(best(&[(0, 0.7), (1, 0.7)], 0.5, free, |_| false), Some(1));
        assert_eq!(best(&[(0, 0.6), (1, 0.9)], 0.5, free, |g| g == 1), Some(0));
        assert_eq!(best(&[(0, 0.6), (1, 0.9)], 0.5, |g| g != 0, |g| g == 1), Some(1));
        assert_eq!(best(&[(0, 0.6)], 0.65, free, |_| false), None);
    }
}

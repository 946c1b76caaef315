//! Exact repetitions in a list of detections, as two joined copies of a file have them: each candidate would be reviewed twice.

use std::collections::HashSet;

use super::Scene;
use crate::domain::{Detection, ImageId, counted_as};

/// Keeps the first of several equal detections of an image, and returns notes on them. On test images all of them stay: evaluation programs
/// count a repetition as a false positive.
pub(super) fn count_once(found: &mut [Vec<Detection>], scene: &Scene) -> Vec<String> {
    let test: HashSet<ImageId> = scene.split.test.iter().map(|image| image.id).collect();
    let (mut once, mut kept) = (0, 0);
    for (image, found) in scene.images.iter().zip(found) {
        let mut seen = HashSet::new();
        let all = found.len();
        if test.contains(&image.id) {
            kept += found.iter().filter(|detection| !seen.insert(key(detection))).count();
        } else {
            found.retain(|detection| seen.insert(key(detection)));
            once += all - found.len();
        }
    }
    let mut notes = Vec::new();
    if once > 0 {
        notes.push(format!(
            "{} once",
            counted_as(
                once,
                "detection repeats an earlier one exactly (image, class, shape, score) and counts",
                "detections repeat an earlier one exactly (image, class, shape, score) and count"
            )
        ));
    }
    if kept > 0 {
        notes.push(format!(
            "{} in the file, as false positives",
            counted_as(
                kept,
                "detection on test images repeats an earlier one exactly: it is evaluated as it is",
                "detections on test images repeat an earlier one exactly: they are evaluated as they are"
            )
        ));
    }
    notes
}

/// Equal for equal detections only.
fn key(detection: &Detection) -> (i64, u32, [u64; 4], Option<[u64; 5]>) {
    let Detection { class, bbox: b, ellipse, score } = detection;
    let ellipse = ellipse.map(|e| [e.ra, e.rb, e.theta, e.cx, e.cy].map(f64::to_bits));
    (class.0, score.to_bits(), [b.x1, b.y1, b.x2, b.y2].map(f64::to_bits), ellipse)
}

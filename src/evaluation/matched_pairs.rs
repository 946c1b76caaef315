//! Which detection matches which face at one threshold by the official assignment: the pairs behind a point of FDDB's curve.

use super::official_assignment::{Cover, Overlaps, solve};
use super::overlap::touching_with_places;
use super::region::EvaluatedImage;

/// Returns the index pairs `(face, detection)` with IoU > 0.5 when every detection with a score of at least `threshold` is kept. Their
/// number equals the true positives of [`match_image`](super::match_image) at that threshold.
pub fn matched_at(image: &EvaluatedImage, threshold: f64) -> Vec<(usize, usize)> {
    let kept: Vec<usize> =
        (0..image.detections.len()).filter(|&place| image.detections[place].score >= threshold).collect();
    let detections = kept.iter().map(|&place| image.detections[place]).collect();
    let touching = touching_with_places(&EvaluatedImage { detections, ..image.clone() });
    let mut faces: Vec<u32> = touching.iter().flat_map(|(_, t)| t.faces.iter().map(|(face, _)| *face)).collect();
    faces.sort_unstable();
    faces.dedup();
    // The official program assigns a column to every row, so the smaller side becomes the rows.
    let detections_are_rows = touching.len() < faces.len();
    let (rows, columns) =
        if detections_are_rows { (touching.len(), faces.len()) } else { (faces.len(), touching.len()) };
    let mut overlaps = Overlaps { rows, columns, values: vec![0.0; rows * columns] };
    for (d, (_, detection)) in touching.iter().enumerate() {
        for (face, iou) in &detection.faces {
            let Ok(f) = faces.binary_search(face) else { continue };
            let (row, column) = if detections_are_rows { (d, f) } else { (f, d) };
            overlaps.values[row * columns + column] = *iou;
        }
    }
    let assignment = solve(&overlaps, Cover::of(&overlaps));
    let assigned = assignment.column_of_row.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?)));
    let matched = assigned.filter(|(row, column)| overlaps.at(*row, *column) > 0.5);
    let places = |(row, column): (usize, usize)| {
        let (d, f) = if detections_are_rows { (row, column) } else { (column, row) };
        (faces[f] as usize, kept[touching[d].0])
    };
    matched.map(places).collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::evaluation::{Matching, Region, ScoredRegion, match_image};

    /// Crowds of boxes where many cover several faces: at every threshold the number of pairs equals the curve's count.
    #[test]
    fn there_are_as_many_pairs_as_true_positives_of_the_curve() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for (faces, detections) in [(0, 3), (3, 0), (1, 4), (4, 2), (9, 14), (6, 40)] {
            let mut region = || {
                let (x, y) = (random.random_range(0..30), random.random_range(0..30));
                Region::Rectangle { x: f64::from(x), y: f64::from(y), w: 20.0, h: 24.0 }
            };
            let faces: Vec<Region> = (0..faces).map(|_| region()).collect();
            let regions: Vec<Region> = (0..detections).map(|_| region()).collect();
            // Some scores are tied.
            let scored = regions.into_iter().enumerate();
            let detections = scored.map(|(k, region)| ScoredRegion { region, score: (k / 2) as f64 / 50.0 }).collect();
            let image = EvaluatedImage { name: String::new(), width: 64, height: 64, faces, detections };
            for step in match_image(&image, Matching::Official).steps {
                let pairs = matched_at(&image, step.threshold);
                assert_eq!(pairs.len() as u64, step.true_positives, "{image:?} at {}", step.threshold);
                let mut found: Vec<usize> = pairs.iter().map(|(_, detection)| *detection).collect();
                found.sort_unstable();
                found.dedup();
                assert_eq!(found.len(), pairs.len(), "a detection holds one face");
                assert!(pairs.iter().all(|(_, d)| image.detections[*d].score >= step.threshold));
            }
        }
    }
}

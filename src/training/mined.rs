//! Hard negatives that a round mines itself: which images are drawn, and the lists that replace their own.

use std::collections::BTreeMap;

use rand::seq::index::sample;
use serde::{Deserialize, Serialize};

use super::config::RoundConfig;
use super::loader::TrainingImage;
use super::order::mining_rng;
use crate::geometry::BoundingBox;

/// The hard negatives of one image, from before the round and from the last time that the round mined it. The lists are those of
/// [`TrainingImage`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct MinedNegatives {
    pub hard_negatives: Vec<(BoundingBox, f32)>,
    pub hard_negative_labels: Vec<i64>,
    pub misclassified: Vec<BoundingBox>,
}

/// [`MinedNegatives`] in a file: `[x1, y1, x2, y2]`, with the score.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    hard_negatives: Vec<([f64; 4], f32)>,
    hard_negative_labels: Vec<i64>,
    misclassified: Vec<[f64; 4]>,
}

impl From<Stored> for MinedNegatives {
    fn from(stored: Stored) -> Self {
        let bounding_box = |[x1, y1, x2, y2]: [f64; 4]| BoundingBox::new(x1, y1, x2, y2);
        Self {
            hard_negatives: stored.hard_negatives.into_iter().map(|(b, score)| (bounding_box(b), score)).collect(),
            hard_negative_labels: stored.hard_negative_labels,
            misclassified: stored.misclassified.into_iter().map(bounding_box).collect(),
        }
    }
}

impl From<MinedNegatives> for Stored {
    fn from(mined: MinedNegatives) -> Self {
        let corners = |b: BoundingBox| [b.x1, b.y1, b.x2, b.y2];
        Self {
            hard_negatives: mined.hard_negatives.into_iter().map(|(b, score)| (corners(b), score)).collect(),
            hard_negative_labels: mined.hard_negative_labels,
            misclassified: mined.misclassified.into_iter().map(corners).collect(),
        }
    }
}

/// By index of the image.
pub(super) type MinedImages = BTreeMap<usize, MinedNegatives>;

/// Whether the round mines after `step` steps. Nothing is left to learn from it after the last.
pub(super) fn is_due(config: &RoundConfig, step: u64) -> bool {
    config.mine_every > 0 && step > 0 && step < config.iterations && step.is_multiple_of(config.mine_every)
}

/// Draws the images that are mined after `step` steps, ascending; `left_out` are not among them.
pub(super) fn drawn(config: &RoundConfig, step: u64, images: usize, left_out: impl Fn(usize) -> bool) -> Vec<usize> {
    let count = usize::try_from(config.mine_images).unwrap_or(images).min(images);
    let mut drawn = sample(&mut mining_rng(config.seed, step), images, count).into_vec();
    drawn.sort_unstable();
    drawn.retain(|&image| !left_out(image));
    drawn
}

/// Returns the images with their mined lists.
pub(super) fn with_mined(images: &[TrainingImage], mined: &MinedImages) -> Vec<TrainingImage> {
    let mut images = images.to_vec();
    for (at, negatives) in mined {
        if let Some(image) = images.get_mut(*at) {
            let MinedNegatives { hard_negatives, hard_negative_labels, misclassified } = negatives.clone();
            image.hard_negatives = hard_negatives;
            image.hard_negative_labels = hard_negative_labels;
            image.misclassified = misclassified;
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(mine_every: u64, mine_images: u64) -> RoundConfig {
        RoundConfig { mine_every, mine_images, iterations: 10, ..RoundConfig::default() }
    }

    #[test]
    fn mining_is_due_between_the_first_and_the_last_step() {
        let due = |every| (0..=10).filter(|&step| is_due(&config(every, 1), step)).collect::<Vec<_>>();
        assert_eq!(due(5), [5]);
        assert_eq!(due(3), [3, 6, 9]);
        assert!(due(0).is_empty());
    }

    #[test]
    fn a_file_gives_back_the_same_lists_to_the_bit() {
        let mined = MinedNegatives {
            hard_negatives: vec![(BoundingBox::new(0.1 + 0.2, 1.0 / 3.0, 1e2, 7.000_000_000_1), 0.1_f32 + 0.2)],
            hard_negative_labels: vec![3],
            misclassified: vec![BoundingBox::new(-1.5, 0.0, 1e-7, 2.0)],
        };
        let all = MinedImages::from([(7, mined)]);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<MinedImages>(&text).unwrap(), all, "{text}");
    }

    #[test]
    fn draws_depend_on_seed_and_step_and_leave_out_what_they_should() {
        let draw = |seed, step| drawn(&RoundConfig { seed, ..config(5, 20) }, step, 100, |_| false);
        assert_eq!(draw(1, 5), draw(1, 5));
        assert_ne!(draw(1, 5), draw(1, 10));
        assert_ne!(draw(1, 5), draw(2, 5));
        let one = draw(1, 5);
        assert!(one.len() == 20 && one.is_sorted() && one.iter().all(|&k| k < 100), "{one:?}");
        let even: Vec<usize> = one.iter().copied().filter(|k| k % 2 == 0).collect();
        assert_eq!(drawn(&RoundConfig { seed: 1, ..config(5, 20) }, 5, 100, |k| k % 2 == 1), even);
        assert_eq!(drawn(&config(5, 200), 5, 3, |_| false), [0, 1, 2]);
    }
}

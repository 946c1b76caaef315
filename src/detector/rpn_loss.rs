//! The RPN's loss: matching, the mini-batch of anchors with hard negatives first, two losses.
//!
//! Shapes: as in [`super::rpn`]; S anchors sampled over the batch.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tch::{Reduction, Tensor};

use super::device::upload;
use super::ops::box_coder::BoxCoder;
use super::ops::matcher::{BELOW_LOW, BETWEEN, Matcher};
use super::ops::overlap::{Corners, best_objects, iou};
use super::rpn::RpnOutput;
use super::sampler_config::count_labels;
use super::sampling::{Draw, Pools, Role, count_ignored, draw};
use super::truth::{IgnoredRegions, Truth, index_tensor, plain};
use super::{SMOOTH_L1_BETA, SamplerConfig, SamplerCounts};

/// An anchor with at least this IoU with a hard negative is on it.
const ON_HARD_NEGATIVE: f32 = 0.5;

/// Returns `(loss_objectness, loss_rpn_box_reg)`, zeros if no anchor was sampled. `at` returns logits and codes of the batch's anchors of
/// given numbers, with gradient.
pub(super) fn rpn_loss(
    output: &RpnOutput,
    truths: &[Truth],
    config: &SamplerConfig,
    counts: &mut SamplerCounts,
    rng: &mut ChaCha8Rng,
    at: impl FnOnce(&[usize]) -> (Tensor, Tensor),
) -> (Tensor, Tensor) {
    let corners = &output.anchors.corners;
    let per_image = corners.len();
    let scenes: Vec<Scene> = truths.iter().map(Scene::of).collect();
    // Sampling is sequential with one generator; the steps before it run in parallel.
    let sorted: Vec<Sorted> = scenes.par_iter().map(|scene| Sorted::of(corners, scene, config)).collect();
    let (mut foreground, mut background, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (image, (truth, sorted)) in truths.iter().zip(sorted).enumerate() {
        let (drawn, faces) = sorted.draw(truth, config, counts, rng);
        if !drawn.foreground.is_empty() {
            let anchors = output.anchors.boxes.index_select(0, &index_tensor(&drawn.foreground));
            targets.push(BoxCoder::RPN.encode(&truth.faces_at(&faces), &anchors));
        }
        foreground.extend(drawn.foreground.iter().map(|k| image * per_image + k));
        background.extend(drawn.background.iter().map(|k| image * per_image + k));
    }
    let count = foreground.len() + background.len();
    if count == 0 {
        return (output.logits.sum(output.logits.kind()) * 0.0, output.codes.sum(output.codes.kind()) * 0.0);
    }
    let device = output.logits.device();
    let labels: Vec<f32> = (0..count).map(|k| if k < foreground.len() { 1.0 } else { 0.0 }).collect();
    let labels = upload(&Tensor::from_slice(&labels), device);
    let (logits, codes) = at(&[&foreground[..], &background[..]].concat());
    let objectness = logits.binary_cross_entropy_with_logits(&labels, None::<Tensor>, None::<Tensor>, Reduction::Mean);
    if targets.is_empty() {
        // No box targets, but the autograd graph stays connected.
        return (objectness, codes.sum(codes.kind()) * 0.0);
    }
    let codes = codes.narrow(0, 0, foreground.len() as i64);
    let targets = upload(&Tensor::cat(&targets, 0), device);
    (objectness, codes.smooth_l1_loss(&targets, Reduction::Sum, SMOOTH_L1_BETA) / count as f64)
}

/// An image's targets as plain values that can be sent between threads.
struct Scene {
    /// Width and height.
    size: (u32, u32),
    faces: Vec<Corners>,
    hard_negatives: Vec<Corners>,
    ignored: IgnoredRegions,
}

impl Scene {
    fn of(truth: &Truth) -> Self {
        Self {
            size: truth.size,
            faces: plain(&truth.face_boxes),
            hard_negatives: plain(&truth.hard_negatives),
            ignored: truth.ignored_regions(),
        }
    }
}

/// The role of each anchor in an image.
struct Sorted {
    /// The object of each anchor, or the matcher's special values.
    matches: Vec<i64>,
    roles: Vec<Role>,
    pools: Pools,
    /// Background to sample first, in order of priority.
    forced: Vec<usize>,
    /// Number of anchors excluded by an ignored region.
    ignored: u64,
}

impl Sorted {
    fn of(anchors: &[Corners], scene: &Scene, config: &SamplerConfig) -> Self {
        let takes_part = |anchor: &Corners| !config.rpn_inside_only || is_inside(anchor, scene.size);
        let matches = matches(anchors, &scene.faces, config, takes_part);
        let ignored = scene.ignored.cover(anchors);
        let role = |(&matched, &ignored): (&i64, &bool)| match matched {
            // An object stays one even if an ignored region overlaps it.
            0.. => Role::Foreground,
            _ if ignored => Role::Neither,
            BELOW_LOW => Role::Background,
            _ => Role::Neither,
        };
        let roles: Vec<Role> = matches.iter().zip(&ignored).map(role).collect();
        let forced = on_hard_negatives(anchors, scene, config)
            .into_iter()
            .filter(|&k| !ignored[k] && takes_part(&anchors[k]))
            .collect();
        let ignored = count_ignored(&roles, &ignored);
        Self { matches, pools: Pools::of(&roles), roles, forced, ignored }
    }

    /// Returns the sampled anchors, and the object of each foreground anchor.
    fn draw(
        self,
        truth: &Truth,
        config: &SamplerConfig,
        counts: &mut SamplerCounts,
        rng: &mut ChaCha8Rng,
    ) -> (Draw, Vec<usize>) {
        let drawn = draw(&self.roles, self.pools, &self.forced, config.rpn_quota(), rng);
        counts.rpn_foreground += drawn.foreground.len() as u64;
        counts.rpn_background += drawn.background.len() as u64;
        counts.rpn_forced += drawn.forced as u64;
        counts.rpn_ignored += self.ignored;
        let faces: Vec<usize> = drawn.foreground.iter().map(|&k| self.matches[k] as usize).collect();
        count_labels(&mut counts.rpn_foreground_of, faces.iter().map(|&face| truth.labels[face]));
        (drawn, faces)
    }
}

/// Returns the object of each anchor, or the matcher's special values. Without objects every anchor is background. Excluded anchors are
/// [`BETWEEN`].
fn matches(
    anchors: &[Corners],
    faces: &[Corners],
    config: &SamplerConfig,
    takes_part: impl Fn(&Corners) -> bool,
) -> Vec<i64> {
    let matcher = Matcher { high: config.rpn_fg_iou, low: config.rpn_bg_iou, allow_low_quality: true };
    let (rows, inside): (Vec<usize>, Vec<Corners>) =
        anchors.iter().enumerate().filter(|(_, anchor)| takes_part(anchor)).map(|(k, anchor)| (k, *anchor)).unzip();
    let mut all = vec![BETWEEN; anchors.len()];
    for (row, matched) in rows.into_iter().zip(matcher.match_boxes(faces, &inside)) {
        all[row] = matched;
    }
    all
}

/// Whether the anchor is inside an image of this width and height.
fn is_inside(anchor: &Corners, (width, height): (u32, u32)) -> bool {
    anchor[0] >= 0.0 && anchor[1] >= 0.0 && anchor[2] <= width as f32 && anchor[3] <= height as f32
}

/// Returns the anchors on hard negatives: first the best of each, in order of priority, then all others by descending overlap. Anchors with
/// IoU >= `rpn_forced_below` with an object are excluded: the RPN itself does not call them background.
fn on_hard_negatives(anchors: &[Corners], scene: &Scene, config: &SamplerConfig) -> Vec<usize> {
    if scene.hard_negatives.is_empty() {
        return Vec::new();
    }
    let mut largest = vec![0.0_f32; anchors.len()];
    let mut first = Vec::new();
    for negative in &scene.hard_negatives {
        let mut best = None;
        for (k, anchor) in anchors.iter().enumerate() {
            let overlap = iou(negative, anchor);
            if overlap > 0.0 && best.is_none_or(|(_, most)| overlap >= most) {
                best = Some((k, overlap));
            }
            largest[k] = largest[k].max(overlap);
        }
        first.extend(best.map(|(k, _)| k));
    }
    let on = largest.iter().enumerate().filter(|&(_, &overlap)| overlap >= ON_HARD_NEGATIVE);
    let mut others: Vec<(usize, f32)> = on.map(|(k, &overlap)| (k, overlap)).collect();
    others.sort_by(|a, b| b.1.total_cmp(&a.1));
    first.extend(others.into_iter().map(|(k, _)| k));
    let chosen: Vec<Corners> = first.iter().map(|&k| anchors[k]).collect();
    let clear = |overlap: f32| f64::from(overlap) < config.rpn_forced_below;
    let overlaps = best_objects(&chosen, &scene.faces);
    first.into_iter().zip(overlaps).filter_map(|(k, (_, overlap))| clear(overlap).then_some(k)).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::detector::{NetworkImage, TrainingSample};
    use crate::geometry::{BoundingBox, Fit};

    /// Anchors of 20 pixels every 2 pixels across a 100 x 100 image and beyond its border, an object at (10, 10), and a hard negative whose
    /// anchors have IoUs from 0 to 0.5 with the object.
    fn scene() -> (Tensor, Truth) {
        let at = |x: f64, y: f64| BoundingBox::new(x, y, x + 20.0, y + 20.0);
        let corners: Vec<f32> = (-5..50)
            .flat_map(|y| (-5..50).map(move |x| (2.0 * x as f32, 2.0 * y as f32)))
            .flat_map(|(x, y)| [x, y, x + 20.0, y + 20.0])
            .collect();
        let image = NetworkImage {
            width: 100,
            height: 100,
            pixels: vec![0.0; 30_000],
            source: None,
            fit: Fit::new(1.0, 1.0, 0.0, 0.0),
        };
        let sample = TrainingSample {
            labels: vec![],
            misclassified: vec![],
            image,
            faces: vec![at(10.0, 10.0)],
            ellipses: vec![None],
            hard_negatives: vec![at(22.0, 10.0), at(60.0, 60.0)],
            hard_negative_labels: vec![],
            ignored: vec![],
        };
        (Tensor::from_slice(&corners).reshape([-1, 4]), Truth::of(&sample))
    }

    fn drawn(change: impl Fn(&mut SamplerConfig)) -> (Draw, Vec<f32>) {
        let (anchors, truth) = scene();
        let mut config = SamplerConfig { rpn_batch_per_image: 64, ..SamplerConfig::default() };
        change(&mut config);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let corners = plain(&anchors);
        let sorted = Sorted::of(&corners, &Scene::of(&truth), &config);
        let (draw, _) = sorted.draw(&truth, &config, &mut SamplerCounts::default(), &mut rng);
        let faces = plain(&truth.face_boxes);
        let overlaps = draw.background[..draw.forced].iter().map(|&k| iou(&corners[k], &faces[0])).collect();
        (draw, overlaps)
    }

    #[test]
    fn anchors_near_an_object_are_not_forced_as_background() {
        let largest = |overlaps: &[f32]| overlaps.iter().copied().fold(0.0, f32::max);
        let (draw, overlaps) = drawn(|c| c.rpn_forced_fraction = 1.0);
        assert!(draw.forced > 16 && largest(&overlaps) < 0.3, "{}: {}", draw.forced, largest(&overlaps));
        let (_, overlaps) = drawn(|c| (c.rpn_forced_below, c.rpn_forced_fraction) = (0.5, 1.0));
        assert!((0.3..0.5).contains(&largest(&overlaps)), "the old rule: {}", largest(&overlaps));
    }

    #[test]
    fn forced_anchors_keep_to_their_share_best_of_each_hard_negative_first() {
        for (share, most) in [(0.0, 0), (0.125, 8), (0.25, 16)] {
            let (draw, _) = drawn(|c| c.rpn_forced_fraction = share);
            assert_eq!(draw.forced, most, "{share}");
            assert_eq!(draw.foreground.len() + draw.background.len(), 64);
        }
        let (anchors, _) = scene();
        let (draw, _) = drawn(|c| c.rpn_forced_fraction = 2.0 / 64.0);
        let corners = plain(&anchors);
        let first: Vec<Corners> = draw.background[..2].iter().map(|&k| corners[k]).collect();
        assert_eq!(first, [[22.0, 10.0, 42.0, 30.0], [60.0, 60.0, 80.0, 80.0]]);
    }

    #[test]
    fn anchors_over_the_border_take_no_part_where_that_is_set() {
        let (anchors, _) = scene();
        let corners = plain(&anchors);
        let outside = |draw: &Draw| {
            let all = draw.foreground.iter().chain(&draw.background);
            all.filter(|&&k| !is_inside(&corners[k], (100, 100))).count()
        };
        assert!(outside(&drawn(|_| {}).0) > 0);
        assert_eq!(outside(&drawn(|c| c.rpn_inside_only = true).0), 0);
    }
}

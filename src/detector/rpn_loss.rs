//! What the RPN learns from: matching, the mini-batch of anchors with hard negatives first, two losses. Must not know RoIs.
//!
//! Shapes: as in [`super::rpn`]; S anchors drawn over the batch.

use rand_chacha::ChaCha8Rng;
use tch::{Reduction, Tensor};

use super::ops::box_coder::BoxCoder;
use super::ops::boxes;
use super::ops::losses::SMOOTH_L1_BETA;
use super::ops::matcher::{BELOW_LOW, Matcher};
use super::rpn::RpnOutput;
use super::sampling::{Draw, Role, count_ignored, draw};
use super::truth::{Truth, floats, index_tensor};
use super::{SamplerConfig, SamplerCounts};

/// An anchor with at least this IoU with a hard negative lies on it.
const ON_HARD_NEGATIVE: f32 = 0.5;

/// `(loss_objectness, loss_rpn_box_reg)`, zeros if no anchor was drawn.
pub(super) fn rpn_loss(
    output: &RpnOutput,
    truths: &[Truth],
    config: &SamplerConfig,
    counts: &mut SamplerCounts,
    rng: &mut ChaCha8Rng,
) -> (Tensor, Tensor) {
    let per_image = output.anchors.size()[0] as usize;
    let (mut foreground, mut background, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (image, truth) in truths.iter().enumerate() {
        let (drawn, faces) = draw_anchors(&output.anchors, truth, config, counts, rng);
        if !drawn.foreground.is_empty() {
            let anchors = output.anchors.index_select(0, &index_tensor(&drawn.foreground));
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
    let labels = Tensor::from_slice(&labels).to_device(device);
    let drawn = index_tensor(&[&foreground[..], &background[..]].concat()).to_device(device);
    let logits = output.logits.flatten(0, 1).index_select(0, &drawn);
    let objectness = logits.binary_cross_entropy_with_logits(&labels, None::<Tensor>, None::<Tensor>, Reduction::Mean);
    if targets.is_empty() {
        // Nothing to learn about boxes, but the graph stays whole.
        return (objectness, output.codes.narrow(1, 0, 1).sum(output.codes.kind()) * 0.0);
    }
    let codes = output.codes.flatten(0, 1).index_select(0, &index_tensor(&foreground).to_device(device));
    let targets = Tensor::cat(&targets, 0).to_device(device);
    (objectness, codes.smooth_l1_loss(&targets, Reduction::Sum, SMOOTH_L1_BETA) / count as f64)
}

/// The drawn anchors of an image, and the face of each foreground anchor.
fn draw_anchors(
    anchors: &Tensor,
    truth: &Truth,
    config: &SamplerConfig,
    counts: &mut SamplerCounts,
    rng: &mut ChaCha8Rng,
) -> (Draw, Vec<usize>) {
    let matches = matches(anchors, truth, config);
    let ignored = truth.ignores(anchors);
    let role = |(&matched, &ignored): (&i64, &bool)| match matched {
        // A face stays one where an ignored region hangs over it.
        0.. => Role::Foreground,
        _ if ignored => Role::Neither,
        BELOW_LOW => Role::Background,
        _ => Role::Neither,
    };
    let roles: Vec<Role> = matches.iter().zip(&ignored).map(role).collect();
    let forced: Vec<usize> = on_hard_negatives(anchors, truth, config).into_iter().filter(|&k| !ignored[k]).collect();
    let drawn = draw(&roles, &forced, config.rpn_quota(), rng);
    counts.rpn_foreground += drawn.foreground.len() as u64;
    counts.rpn_background += drawn.background.len() as u64;
    counts.rpn_forced += drawn.forced as u64;
    counts.rpn_ignored += count_ignored(&roles, &ignored);
    let faces = drawn.foreground.iter().map(|&k| matches[k] as usize).collect();
    (drawn, faces)
}

/// The face of each anchor, or the matcher's marks. Without faces every anchor is background.
fn matches(anchors: &Tensor, truth: &Truth, config: &SamplerConfig) -> Vec<i64> {
    let matcher = Matcher { high: config.rpn_fg_iou, low: config.rpn_bg_iou, allow_low_quality: true };
    let matches = matcher.matches(&boxes::iou(&truth.face_boxes, anchors));
    let mut out = vec![BELOW_LOW; matches.numel()];
    // Invariant: as many places as values, so the copy cannot fail.
    matches.copy_data(&mut out, matches.numel());
    out
}

/// Anchors on hard negatives: first the best of each, in order of priority, then all others by their overlap. An anchor that
/// could be half a face is left out.
fn on_hard_negatives(anchors: &Tensor, truth: &Truth, config: &SamplerConfig) -> Vec<usize> {
    let count = truth.hard_negatives.size()[0] as usize;
    if count == 0 {
        return Vec::new();
    }
    let overlaps = floats(&boxes::iou(&truth.hard_negatives, anchors));
    let n = anchors.size()[0] as usize;
    let best = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(k, &overlap)| (k, overlap));
    let mut first: Vec<usize> =
        overlaps.chunks_exact(n).filter_map(best).filter(|&(_, overlap)| 0.0 < overlap).map(|(k, _)| k).collect();
    let largest = |k: usize| (0..count).map(|row| overlaps[row * n + k]).fold(0.0, f32::max);
    let mut others: Vec<(usize, f32)> =
        (0..n).map(|k| (k, largest(k))).filter(|&(_, overlap)| ON_HARD_NEGATIVE <= overlap).collect();
    others.sort_by(|a, b| b.1.total_cmp(&a.1));
    first.extend(others.into_iter().map(|(k, _)| k));
    let chosen = anchors.index_select(0, &index_tensor(&first));
    let faces = truth.best_faces(&chosen);
    let clear = |(k, (_, overlap)): (usize, (usize, f32))| (f64::from(overlap) < config.fg_iou).then_some(k);
    first.into_iter().zip(faces).filter_map(clear).collect()
}

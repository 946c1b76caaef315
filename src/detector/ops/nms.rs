//! Non-maximum suppression.
//!
//! Shapes: N boxes `[N, 4]`, scores `[N]`, K kept indices (i64) in stable descending order of score, as in torchvision. Boxes from every
//! device are processed in plain Rust on the CPU: the table of all pairs of 12,000 boxes would take over a gigabyte of device memory.
//! Groups that do not suppress each other are processed on all cores.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// No limit on the number of boxes.
pub const NO_LIMIT: usize = usize::MAX;

/// Kept boxes are stored in blocks of this size, so that the overlap loop has no branch inside and vectorises.
const BLOCK: usize = 16;

/// Returns the indices of boxes that no better box overlaps by more than `iou_threshold`.
pub fn nms(boxes: &Tensor, scores: &Tensor, iou_threshold: f64) -> Tensor {
    nms_limited(boxes, scores, iou_threshold, NO_LIMIT)
}

/// Returns the first `limit` indices of [`nms`] and stops there.
pub fn nms_limited(boxes: &Tensor, scores: &Tensor, iou_threshold: f64, limit: usize) -> Tensor {
    assert_sizes(boxes, scores);
    // A single copy, because each one waits for the device.
    let values = floats(&Tensor::cat(&[boxes, &scores.unsqueeze(1)], 1));
    let (boxes_read, scores_read): (Vec<[f32; 4]>, Vec<f32>) =
        values.as_chunks::<5>().0.iter().map(|&[x1, y1, x2, y2, score]| ([x1, y1, x2, y2], score)).unzip();
    let kept = nms_of_classes(&boxes_read, &scores_read, None, iou_threshold, limit);
    let kept: Vec<i64> = kept.into_iter().map(|k| k as i64).collect();
    Tensor::from_slice(&kept).to_device(boxes.device())
}

/// Returns the first `limit` indices of [`nms_of_classes`], where class k is the index range `groups[k]`.
pub fn grouped_nms(
    boxes: &[[f32; 4]],
    scores: &[f32],
    groups: &[std::ops::Range<usize>],
    iou_threshold: f64,
    limit: usize,
) -> Vec<usize> {
    let of_group = |group: &std::ops::Range<usize>| -> Vec<usize> {
        let (boxes, scores) = (&boxes[group.clone()], &scores[group.clone()]);
        nms_of_classes(boxes, scores, None, iou_threshold, limit).into_iter().map(|k| group.start + k).collect()
    };
    let mut kept: Vec<usize> = groups.par_iter().flat_map_iter(of_group).collect();
    // On ties the lower index comes first, as in one pass over all boxes.
    kept.sort_unstable_by(|&a, &b| by_score(scores, a, b).then(a.cmp(&b)));
    kept.truncate(limit);
    kept
}

/// Descending. Adding 0 makes -0 equal to 0, as in torch.
fn by_score(scores: &[f32], a: usize, b: usize) -> std::cmp::Ordering {
    (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0))
}

/// Returns the first `limit` indices of NMS within each class: boxes of different `classes` never suppress each other (torchvision
/// `batched_nms`); without `classes` all boxes are of one. Compares each box only with the boxes kept before it; f32 arithmetic in
/// torchvision's order of operations.
pub fn nms_of_classes(
    boxes: &[[f32; 4]],
    scores: &[f32],
    classes: Option<&[i64]>,
    threshold: f64,
    limit: usize,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| by_score(scores, a, b));
    let mut kept = Vec::new();
    let mut by_class: std::collections::HashMap<i64, Vec<Block>> = std::collections::HashMap::new();
    for index in order {
        if kept.len() == limit {
            break;
        }
        let blocks = by_class.entry(classes.map_or(0, |c| c[index])).or_default();
        let candidate = boxes[index];
        if blocks.iter().any(|block| block.overlaps(candidate, threshold)) {
            continue;
        }
        match blocks.last_mut() {
            Some(block) if block.len < BLOCK => block.push(candidate),
            _ => blocks.push(Block::of(candidate)),
        }
        kept.push(index);
    }
    kept
}

/// Up to [`BLOCK`] kept boxes, by column. Invariant: unused slots contain empty boxes far away, which overlap nothing.
struct Block {
    x1: [f32; BLOCK],
    y1: [f32; BLOCK],
    x2: [f32; BLOCK],
    y2: [f32; BLOCK],
    area: [f32; BLOCK],
    len: usize,
}

impl Block {
    fn of(first: [f32; 4]) -> Self {
        let far = [f32::MAX; BLOCK];
        let mut block = Self { x1: far, y1: far, x2: far, y2: far, area: [0.0; BLOCK], len: 0 };
        block.push(first);
        block
    }

    fn push(&mut self, [x1, y1, x2, y2]: [f32; 4]) {
        let k = self.len;
        (self.x1[k], self.y1[k], self.x2[k], self.y2[k]) = (x1, y1, x2, y2);
        self.area[k] = (x2 - x1) * (y2 - y1);
        self.len += 1;
    }

    fn overlaps(&self, [x1, y1, x2, y2]: [f32; 4], threshold: f64) -> bool {
        let area = (x2 - x1) * (y2 - y1);
        let mut overlap = [0.0_f32; BLOCK];
        for (k, overlap) in overlap.iter_mut().enumerate() {
            let w = (self.x2[k].min(x2) - self.x1[k].max(x1)).max(0.0);
            let h = (self.y2[k].min(y2) - self.y1[k].max(y1)).max(0.0);
            let intersection = w * h;
            *overlap = intersection / (self.area[k] + area - intersection);
        }
        // NaN (two empty boxes) compares false: such a box is kept, as in torchvision.
        overlap.iter().any(|&o| f64::from(o) > threshold)
    }
}

/// Invariant: the shape was checked, so a copy of `numel` floats cannot fail.
fn floats(values: &Tensor) -> Vec<f32> {
    let values = values.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut out = vec![0.0; values.numel()];
    values.copy_data(&mut out, values.numel());
    out
}

fn assert_sizes(boxes: &Tensor, scores: &Tensor) {
    let n = boxes.size().first().copied().unwrap_or(0);
    assert!(boxes.size() == [n, 4] && scores.size() == [n], "{:?} boxes, {:?} scores", boxes.size(), scores.size());
}

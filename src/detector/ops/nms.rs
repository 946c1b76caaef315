//! Non-maximum suppression. Must not know anchors, classes' meaning or networks.
//!
//! Shapes: N boxes `[N, 4]`, scores `[N]`, K kept indices (i64) in stable descending order of score, as torchvision's.
//! Two paths with one result: plain Rust on the CPU, tensor operations elsewhere.

use tch::{Device, Kind, Tensor};

use super::boxes;

/// No box is left out for being too many.
pub const NO_LIMIT: usize = usize::MAX;

/// Kept boxes are held in blocks of this many, so that the overlap loop has no branch inside and vectorises.
const BLOCK: usize = 16;

/// Indices of the boxes that no better box overlaps by more than `iou_threshold`.
pub fn nms(boxes: &Tensor, scores: &Tensor, iou_threshold: f64) -> Tensor {
    nms_limited(boxes, scores, iou_threshold, NO_LIMIT)
}

/// The first `limit` indices of [`nms`]: the sweep stops there instead of sorting out boxes that nobody will use.
pub fn nms_limited(boxes: &Tensor, scores: &Tensor, iou_threshold: f64, limit: usize) -> Tensor {
    assert_sizes(boxes, scores);
    if boxes.device() == Device::Cpu {
        let kept = nms_rust(&corners(boxes), &floats(scores), None, iou_threshold, limit);
        return Tensor::from_slice(&kept);
    }
    first(&nms_tensor(boxes, scores, iou_threshold), limit)
}

/// NMS inside each class alone: boxes of different classes `[N]` (i64) never suppress each other (torchvision `batched_nms`).
pub fn batched_nms(boxes: &Tensor, scores: &Tensor, classes: &Tensor, iou_threshold: f64, limit: usize) -> Tensor {
    assert_sizes(boxes, scores);
    assert_eq!(classes.size(), scores.size(), "one class a box");
    if boxes.device() == Device::Cpu {
        let classes: Vec<i64> = classes.try_into().unwrap_or_default();
        let kept = nms_rust(&corners(boxes), &floats(scores), Some(&classes), iou_threshold, limit);
        return Tensor::from_slice(&kept);
    }
    if boxes.size()[0] == 0 {
        return Tensor::zeros([0], (Kind::Int64, boxes.device()));
    }
    // Classes are moved apart by more than the picture's extent, so that their boxes cannot meet.
    let span = boxes.max() - boxes.min() + 1.0;
    let moved = boxes + (classes.to_kind(boxes.kind()) * span).unsqueeze(1);
    first(&nms_tensor(&moved, scores, iou_threshold), limit)
}

/// The tensor path, on any device: a box is kept if no kept better box overlaps it, iterated to the (one) fixed point.
pub fn nms_tensor(boxes: &Tensor, scores: &Tensor, iou_threshold: f64) -> Tensor {
    assert_sizes(boxes, scores);
    let order = scores.argsort_stable(true, 0, true);
    if boxes.size()[0] == 0 {
        return order;
    }
    let sorted = boxes.index_select(0, &order);
    let kills = boxes::iou(&sorted, &sorted).gt(iou_threshold).triu(1).to_kind(Kind::Float);
    let mut keep = Tensor::ones([boxes.size()[0]], (Kind::Float, boxes.device()));
    loop {
        let next = keep.unsqueeze(0).matmul(&kills).squeeze_dim(0).eq(0.0).to_kind(Kind::Float);
        if next.equal(&keep) {
            return order.index_select(0, &keep.nonzero().squeeze_dim(1));
        }
        keep = next;
    }
}

/// The CPU path. Each box meets only the boxes kept before it; arithmetic in f32 in torchvision's order of operations.
fn nms_rust(boxes: &[[f32; 4]], scores: &[f32], classes: Option<&[i64]>, threshold: f64, limit: usize) -> Vec<i64> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    // Adding 0 makes -0 equal to 0, as torch has it.
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
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
        kept.push(index as i64);
    }
    kept
}

/// Up to [`BLOCK`] kept boxes, column by column. Invariant: unused places hold empty boxes far away, which overlap nothing.
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

fn corners(boxes: &Tensor) -> Vec<[f32; 4]> {
    floats(&boxes.reshape([-1])).chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]).collect()
}

/// Invariant: the shape was checked, so a copy of `numel` floats cannot fail.
fn floats(values: &Tensor) -> Vec<f32> {
    let values = values.detach().to_kind(Kind::Float).contiguous();
    let mut out = vec![0.0; values.numel()];
    values.copy_data(&mut out, values.numel());
    out
}

fn first(kept: &Tensor, limit: usize) -> Tensor {
    let count = kept.size()[0];
    kept.narrow(0, 0, count.min(i64::try_from(limit).unwrap_or(i64::MAX)))
}

fn assert_sizes(boxes: &Tensor, scores: &Tensor) {
    let n = boxes.size().first().copied().unwrap_or(0);
    assert!(boxes.size() == [n, 4] && scores.size() == [n], "{:?} boxes, {:?} scores", boxes.size(), scores.size());
}

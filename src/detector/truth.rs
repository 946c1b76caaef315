//! A training image's targets as CPU tensors: boxes of objects, hard negatives and ignored regions.
//!
//! Shapes: G objects, M hard negatives, W misclassified, I ignored regions: boxes `[.., 4]` (f32, network pixels). Box computations stay on
//! the CPU.

use tch::{Device, Kind, Tensor};

use super::TrainingSample;
use super::ops::overlap::{self, Corners};
use crate::geometry::{BoundingBox, Ellipse, NetworkPx};

/// A region counts as ignored if its IoU with an ignored one is at least this ..
const IGNORED_IOU: f32 = 0.5;
/// .. or if at least this fraction of its area is inside.
const IGNORED_SHARE: f32 = 0.8;
/// Boxes with a shorter side (network pixels) are excluded from training.
const MIN_SIDE: f64 = 1e-2;

#[derive(Debug)]
pub(super) struct Truth {
    /// Width and height of the image, without padding.
    pub size: (u32, u32),
    pub faces: Vec<BoundingBox<NetworkPx>>,
    /// The label of each object, from 1.
    pub labels: Vec<i64>,
    pub ellipses: Vec<Option<Ellipse<NetworkPx>>>,
    /// `[G, 4]`.
    pub face_boxes: Tensor,
    /// `[M, 4]` in order of priority.
    pub hard_negatives: Tensor,
    /// The predicted label of each hard negative, from 1.
    pub hard_negative_labels: Vec<i64>,
    /// `[W, 4]`: on objects that a detector misclassified.
    pub misclassified: Tensor,
    /// `[I, 4]`.
    pub ignored: Tensor,
}

impl Truth {
    /// Drops degenerate boxes (empty, NaN).
    pub fn of(sample: &TrainingSample) -> Self {
        let kept: Vec<usize> = (0..sample.faces.len()).filter(|&k| has_area(&sample.faces[k])).collect();
        let faces: Vec<_> = kept.iter().map(|&k| sample.faces[k]).collect();
        let labels = kept.iter().map(|&k| sample.labels.get(k).copied().unwrap_or(1)).collect();
        let hard = sample.hard_negatives.iter().enumerate().filter(|(_, b)| has_area(b));
        let hard_negative_labels = hard.map(|(k, _)| sample.hard_negative_labels.get(k).copied().unwrap_or(1));
        let ellipses = kept.iter().map(|&k| sample.ellipses.get(k).copied().flatten()).collect();
        Self {
            size: (sample.image.width, sample.image.height),
            face_boxes: tensor(&faces),
            faces,
            labels,
            ellipses,
            hard_negatives: tensor(&sample.hard_negatives),
            hard_negative_labels: hard_negative_labels.collect(),
            misclassified: tensor(&sample.misclassified),
            ignored: tensor(&sample.ignored),
        }
    }

    /// Whether each of `candidates` `[N, 4]` is on an ignored region.
    pub fn ignores(&self, candidates: &Tensor) -> Vec<bool> {
        self.ignored_regions().cover(&plain(candidates))
    }

    pub fn ignored_regions(&self) -> IgnoredRegions {
        IgnoredRegions(plain(&self.ignored))
    }

    /// Returns the best object and its IoU for each of `candidates` `[N, 4]`; `(0, 0.0)` without objects.
    pub fn best_faces(&self, candidates: &Tensor) -> Vec<(usize, f32)> {
        overlap::best_objects(&plain(candidates), &plain(&self.face_boxes))
    }

    /// Returns the objects `[K, 4]` at these indices.
    pub fn faces_at(&self, at: &[usize]) -> Tensor {
        self.face_boxes.index_select(0, &index_tensor(at))
    }
}

/// The ignored regions of an image.
#[derive(Debug)]
pub(super) struct IgnoredRegions(Vec<Corners>);

impl IgnoredRegions {
    /// Whether each candidate is on any of them.
    pub fn cover(&self, candidates: &[Corners]) -> Vec<bool> {
        let on = |candidate: &Corners| {
            self.0.iter().any(|region| {
                overlap::iou(candidate, region) >= IGNORED_IOU
                    || overlap::share_inside(candidate, region) >= IGNORED_SHARE
            })
        };
        candidates.iter().map(on).collect()
    }
}

/// Returns non-empty boxes as `[N, 4]` (f32); `[0, 4]` if there are none.
fn tensor(boxes: &[BoundingBox<NetworkPx>]) -> Tensor {
    let values: Vec<f32> = boxes
        .iter()
        .filter(|b| has_area(b))
        .flat_map(|b| [b.x1 as f32, b.y1 as f32, b.x2 as f32, b.y2 as f32])
        .collect();
    Tensor::from_slice(&values).reshape([values.len() as i64 / 4, 4])
}

fn has_area(b: &BoundingBox<NetworkPx>) -> bool {
    b.is_finite() && b.width() >= MIN_SIDE && b.height() >= MIN_SIDE
}

pub(super) fn index_tensor(indices: &[usize]) -> Tensor {
    Tensor::from_slice(&indices.iter().map(|&k| k as i64).collect::<Vec<_>>())
}

/// Invariant: the buffer has the tensor's length, so the copy cannot fail.
pub(super) fn indices(values: &Tensor) -> Vec<usize> {
    let values = values.to_device(Device::Cpu).to_kind(Kind::Int64).contiguous();
    let mut out = vec![0_i64; values.numel()];
    values.copy_data(&mut out, values.numel());
    out.into_iter().map(|v| v as usize).collect()
}

/// Invariant: as for [`indices`].
pub(super) fn floats(values: &Tensor) -> Vec<f32> {
    let values = values.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut out = vec![0.0; values.numel()];
    values.copy_data(&mut out, values.numel());
    out
}

/// Returns boxes `[N, 4]` as corners.
pub(super) fn plain(boxes: &Tensor) -> Vec<Corners> {
    floats(boxes).as_chunks::<4>().0.to_vec()
}

/// Returns boxes `[N, 4]` as plain values.
pub(super) fn bounding_boxes(boxes: &Tensor) -> Vec<BoundingBox<NetworkPx>> {
    floats(boxes).chunks_exact(4).map(|c| corners([c[0], c[1], c[2], c[3]])).collect()
}

pub(super) fn corners(c: [f32; 4]) -> BoundingBox<NetworkPx> {
    let [x1, y1, x2, y2] = c.map(f64::from);
    BoundingBox::new(x1, y1, x2, y2)
}

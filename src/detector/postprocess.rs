//! Converts the second stage's outputs to detections in image pixels.
//!
//! Shapes: R proposals of all images, image by image, K classes; logits `[R, K]`, codes `[R, K * 4]`, ellipses `[R, 6]`.

use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::NetworkImage;
use super::config::DetectionConfig;
use super::device::upload;
use super::ellipse_coder::{self, CODES};
use super::ops::box_coder::BoxCoder;
use super::ops::nms;
use super::ops::overlap::Corners;
use super::roi_head::RoiOutput;
use super::truth::{corners, floats, plain};
use crate::domain::{ClassId, Detection};

/// Detections with a shorter side (network pixels) are dropped, as in torchvision.
const MIN_SIDE: f32 = 1e-2;

/// A detection with its label: 1 is the detector's first class. The detection's class is the same number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledDetection {
    pub detection: Detection,
    pub label: i64,
}

/// Returns the detections of each image, best first, each with the index of its proposal: score above the threshold, NMS per class, at
/// most the configured number.
pub(super) fn detections(
    output: &RoiOutput,
    proposals: &[Tensor],
    images: &[&NetworkImage],
    config: &DetectionConfig,
) -> Vec<Vec<(LabelledDetection, usize)>> {
    let proposals: Vec<Vec<Corners>> = proposals.iter().map(plain).collect();
    let rows = Rows::read(output, &proposals, images);
    let mut rest = rows.values.as_slice();
    let mut parts = Vec::with_capacity(images.len());
    for (proposals, image) in proposals.iter().zip(images) {
        let (own, others) = rest.split_at(proposals.len() * rows.width);
        rest = others;
        parts.push((own, proposals, *image));
    }
    parts.into_par_iter().map(|(own, proposals, image)| rows.detections(own, proposals, image, config)).collect()
}

/// What the second stage says of each proposal, in CPU memory: a row has K scores, K boxes and, with an ellipse head, an ellipse's codes.
struct Rows {
    values: Vec<f32>,
    width: usize,
    classes: usize,
}

impl Rows {
    /// Computes scores and boxes, clipped to their image, on the network's device and reads them in one copy: each one waits for the device.
    fn read(output: &RoiOutput, proposals: &[Vec<Corners>], images: &[&NetworkImage]) -> Self {
        let classes = output.logits.size()[1];
        // Each proposal with the size of its image.
        let of_image = |(proposals, image): (&Vec<Corners>, &&NetworkImage)| -> Vec<f32> {
            let (width, height) = (image.width as f32, image.height as f32);
            proposals.iter().flat_map(|&[x1, y1, x2, y2]| [x1, y1, x2, y2, width, height]).collect()
        };
        let placed: Vec<f32> = proposals.iter().zip(images).flat_map(of_image).collect();
        let count = placed.len() as i64 / 6;
        let placed = upload(&Tensor::from_slice(&placed).reshape([count, 6]), output.logits.device());
        let codes = output.codes.detach().to_kind(Kind::Float);
        let limits = placed.narrow(1, 4, 2).repeat([1, 2]).unsqueeze(1);
        let boxes = BoxCoder::ROI.decode(&codes, &placed.narrow(1, 0, 4)).clamp_min(0.0).minimum(&limits);
        let scores = output.logits.detach().to_kind(Kind::Float).softmax(-1, Kind::Float);
        let mut parts = vec![scores, boxes.reshape([count, classes * 4])];
        parts.extend(output.ellipses.as_ref().map(|codes| codes.detach().to_kind(Kind::Float)));
        let rows = Tensor::cat(&parts, 1);
        Self { values: floats(&rows), width: rows.size()[1] as usize, classes: classes as usize }
    }

    /// Returns the detections of an image with these rows of [`Rows::values`].
    fn detections(
        &self,
        rows: &[f32],
        proposals: &[Corners],
        image: &NetworkImage,
        config: &DetectionConfig,
    ) -> Vec<(LabelledDetection, usize)> {
        let first_ellipse = self.classes * 5;
        let mut found = Found::default();
        for (proposal, row) in rows.chunks_exact(self.width).enumerate() {
            let (scores, rest) = row.split_at(self.classes);
            // Label 0 is the background.
            for (label, (&score, corners)) in scores.iter().zip(rest.as_chunks::<4>().0).enumerate().skip(1) {
                let usable = corners.iter().all(|v| v.is_finite())
                    && corners[2] - corners[0] >= MIN_SIDE
                    && corners[3] - corners[1] >= MIN_SIDE;
                if config.score_threshold < f64::from(score) && usable {
                    found.push(proposal, label as i64, score, *corners);
                }
            }
        }
        let to_image = image.fit.inverse();
        let detection = |k: usize| {
            let (proposal, label) = (found.proposals[k], found.labels[k]);
            let codes = rows[proposal * self.width..(proposal + 1) * self.width].get(first_ellipse..);
            let ellipse = codes.filter(|codes| codes.len() == CODES).map(|codes| {
                let codes = std::array::from_fn(|c| f64::from(codes[c]));
                ellipse_coder::decode(codes, &corners(proposals[proposal]))
            });
            let detection = Detection {
                class: ClassId(label),
                bbox: to_image.bounding_box(&corners(found.boxes[k])),
                ellipse: ellipse.map(|e| to_image.ellipse(&e)),
                score: found.scores[k],
            };
            (LabelledDetection { detection, label }, proposal)
        };
        found.best(config).into_iter().map(detection).collect()
    }
}

/// Detections before NMS, by column.
#[derive(Default)]
struct Found {
    proposals: Vec<usize>,
    labels: Vec<i64>,
    scores: Vec<f32>,
    boxes: Vec<Corners>,
}

impl Found {
    fn push(&mut self, proposal: usize, label: i64, score: f32, corners: Corners) {
        self.proposals.push(proposal);
        self.labels.push(label);
        self.scores.push(score);
        self.boxes.push(corners);
    }

    fn best(&self, config: &DetectionConfig) -> Vec<usize> {
        nms::nms_of_classes(&self.boxes, &self.scores, Some(&self.labels), config.nms_iou, config.max_detections)
    }
}

//! Converts the second stage's outputs to detections in image pixels.
//!
//! Shapes: P proposals per image, K classes; logits `[P, K]`, codes `[P, K * 4]`, ellipses `[P, 6]`.

use tch::{Device, Kind, Tensor};

use super::NetworkImage;
use super::config::DetectionConfig;
use super::ellipse_coder::{self, CODES};
use super::ops::box_coder::BoxCoder;
use super::ops::{boxes, nms};
use super::roi_head::RoiOutput;
use super::truth::{bounding_boxes, corners, floats};
use crate::domain::{ClassId, Detection};

/// Detections with a shorter side (network pixels) are dropped, as in torchvision.
const MIN_SIDE: f32 = 1e-2;

/// A detection with its label: 1 is the detector's first class. The detection's class is the same number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledDetection {
    pub detection: Detection,
    pub label: i64,
}

/// Returns the detections of one image, best first, each with the index of its proposal: score above the threshold, NMS per class, at most
/// the configured number.
pub(super) fn detections(
    output: &RoiOutput,
    proposals: &Tensor,
    image: &NetworkImage,
    config: &DetectionConfig,
) -> Vec<(LabelledDetection, usize)> {
    if proposals.size()[0] == 0 {
        return Vec::new();
    }
    let cpu = |t: &Tensor| t.detach().to_device(Device::Cpu).to_kind(Kind::Float);
    let classes = output.logits.size()[1] as usize;
    let scores = floats(&cpu(&output.logits).softmax(-1, Kind::Float));
    let decoded = BoxCoder::ROI.decode(&cpu(&output.codes), proposals).reshape([-1, 4]);
    let decoded = floats(&boxes::clip(&decoded, f64::from(image.width), f64::from(image.height)));
    let mut found = Found::default();
    for (row, (&score, corners)) in scores.iter().zip(decoded.chunks_exact(4)).enumerate() {
        let usable = corners.iter().all(|v| v.is_finite())
            && corners[2] - corners[0] >= MIN_SIDE
            && corners[3] - corners[1] >= MIN_SIDE;
        if row % classes != 0 && config.score_threshold < f64::from(score) && usable {
            found.push(row / classes, (row % classes) as i64, score, corners);
        }
    }
    let ellipses = output.ellipses.as_ref().map(|e| floats(&cpu(e)));
    let proposals = bounding_boxes(proposals);
    let to_image = image.fit.inverse();
    let detection = |k: usize| {
        let code = |e: &Vec<f32>| std::array::from_fn(|c| f64::from(e[found.proposals[k] * CODES + c]));
        let ellipse = ellipses.as_ref().map(|e| ellipse_coder::decode(code(e), &proposals[found.proposals[k]]));
        let corners = corners(std::array::from_fn(|c| found.boxes[k * 4 + c]));
        let detection = Detection {
            class: ClassId(found.labels[k]),
            bbox: to_image.bounding_box(&corners),
            ellipse: ellipse.map(|e| to_image.ellipse(&e)),
            score: found.scores[k],
        };
        (LabelledDetection { detection, label: found.labels[k] }, found.proposals[k])
    };
    found.best(config).into_iter().map(detection).collect()
}

/// Detections before NMS, by column.
#[derive(Default)]
struct Found {
    proposals: Vec<usize>,
    labels: Vec<i64>,
    scores: Vec<f32>,
    boxes: Vec<f32>,
}

impl Found {
    fn push(&mut self, proposal: usize, label: i64, score: f32, corners: &[f32]) {
        self.proposals.push(proposal);
        self.labels.push(label);
        self.scores.push(score);
        self.boxes.extend_from_slice(corners);
    }

    fn best(&self, config: &DetectionConfig) -> Vec<usize> {
        let boxes = Tensor::from_slice(&self.boxes).reshape([self.scores.len() as i64, 4]);
        let (scores, labels) = (Tensor::from_slice(&self.scores), Tensor::from_slice(&self.labels));
        let kept = nms::batched_nms(&boxes, &scores, &labels, config.nms_iou, config.max_detections);
        super::truth::indices(&kept)
    }
}

//! `model.toml`: describes a network's input and how to decode its output. Omitted values come from the model's file or default to those of
//! common exporters.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ModelError;
use crate::domain::{limits, read_text};

/// The arrangement of a network's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// torchvision's detection export: `boxes [N, 4]` (corners), `labels [N]` from 1, `scores [N]`.
    Torchvision,
    /// `[B, N, 5 + K]`: centre, size, objectness, K class scores.
    Yolov5,
    /// `[B, 4 + K, N]` or `[B, N, 4 + K]`: centre, size, K class scores (YOLOv8, YOLO11).
    Yolov8,
    /// With built-in NMS: `[B, N, 6]` (corners, score, class), `[N, 7]` (image, corners, class, score), or the four outputs `num_dets`,
    /// boxes, scores, classes.
    Nms,
    /// `logits [B, Q, K(+ 1)]` and `pred_boxes [B, Q, 4]`: centre and size as fractions.
    Detr,
}

/// How a DETR's logits become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Over all classes; the last one is "no object" (DETR).
    Softmax,
    /// Each class independently (Deformable DETR, RT-DETR).
    Sigmoid,
}

/// How an image is resized to the network's input size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Same scale for both axes; the rest is padded.
    Letterbox,
    /// Separate scale for each axis.
    Stretch,
    /// Padded to the input's aspect ratio at its original size, then resized: exactly the same scale for both axes.
    Pad,
}

/// Position of a letterboxed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    Centre,
    TopLeft,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Rgb,
    Bgr,
}

/// How boxes are encoded; each layout has its own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxForm {
    /// Corners: `x1 y1 x2 y2`.
    Xyxy,
    /// Centre and size: `cx cy w h`.
    Cxcywh,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputSettings {
    /// Width and height in pixels.
    pub size: Option<[u32; 2]>,
    pub resize: Resize,
    pub anchor: Anchor,
    /// Padding value of a letterbox, 0 to 255.
    pub pad: u8,
    pub colour: Colour,
    /// The network receives `(pixel * scale - mean) / std` per channel in the order of `colour`.
    pub scale: f64,
    pub mean: [f64; 3],
    pub std: [f64; 3],
    /// Maximum batch size.
    pub batch: Option<usize>,
}

impl Default for InputSettings {
    fn default() -> Self {
        Self {
            size: None,
            resize: Resize::Letterbox,
            anchor: Anchor::Centre,
            pad: 114,
            colour: Colour::Rgb,
            scale: 1.0 / 255.0,
            mean: [0.0; 3],
            std: [1.0; 3],
            batch: None,
        }
    }
}

impl InputSettings {
    /// A description stored with the round.
    pub fn text(&self, (width, height): (u32, u32)) -> String {
        let resize = match (self.resize, self.anchor) {
            (Resize::Stretch, _) => "stretched to".to_owned(),
            (Resize::Pad, Anchor::Centre) => format!("padded (centred, with {}) and resized to", self.pad),
            (Resize::Pad, Anchor::TopLeft) => format!("padded (top left, with {}) and resized to", self.pad),
            (Resize::Letterbox, Anchor::Centre) => format!("letterboxed (centred, filled with {}) to", self.pad),
            (Resize::Letterbox, Anchor::TopLeft) => format!("letterboxed (top left, filled with {}) to", self.pad),
        };
        format!("{resize} {width} x {height}")
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputSettings {
    /// Minimum score of a detection, 0 to 1.
    pub score_threshold: f32,
    /// IoU above which the lower-scored of two boxes of a class is removed; for layouts without built-in NMS.
    pub nms_iou: f64,
    /// Maximum number of detections per image.
    pub max_detections: usize,
    pub boxes: Option<BoxForm>,
    /// Boxes are fractions of the input's size.
    pub normalised: Option<bool>,
    pub activation: Option<Activation>,
    /// The number of the first class; 1 if 0 is the background. Default: 1 for torchvision, otherwise 0.
    pub first_class: Option<i64>,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            score_threshold: 0.05,
            nms_iou: 0.7,
            max_detections: 300,
            boxes: None,
            normalised: None,
            activation: None,
            first_class: None,
        }
    }
}

/// A whole `model.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelDescription {
    /// Inferred from the outputs if omitted.
    pub layout: Option<Layout>,
    /// Names in the order of the network's class numbers; if omitted, those in the file's metadata.
    pub classes: Vec<String>,
    pub input: InputSettings,
    pub output: OutputSettings,
}

/// Larger sides need more memory for a batch than a workstation has.
const LARGEST_SIDE: u32 = 8192;

/// Maximum memory of one batch of images in bytes.
const MOST_BATCH_BYTES: u64 = 4 << 30;

/// Refuses an input that no workstation can hold, whether it comes from the model's file or from its description.
pub(super) fn check_input((width, height): (u32, u32), batch: usize) -> Result<(), String> {
    if let Some(side) = [width, height].into_iter().find(|side| !(1..=LARGEST_SIDE).contains(side)) {
        return Err(format!("its input is {width} x {height} pixels; a side is 1 to {LARGEST_SIDE}, not {side}"));
    }
    let bytes = u128::from(width) * u128::from(height) * 3 * 4 * batch as u128;
    if bytes > u128::from(MOST_BATCH_BYTES) {
        return Err(format!(
            "a batch of {batch} images of {width} x {height} pixels takes {} GB, more than {}",
            bytes.div_ceil(1 << 30),
            MOST_BATCH_BYTES >> 30
        ));
    }
    Ok(())
}

impl ModelDescription {
    /// Reads the description next to a model: `NAME.toml`, else `model.toml`, else the defaults.
    pub fn of_model(model: &Path) -> Result<Self, ModelError> {
        let candidates = [model.with_extension("toml"), model.with_file_name("model.toml")];
        match candidates.iter().find(|path| path.exists()) {
            Some(path) => Self::read(path),
            None => Ok(Self::default()),
        }
    }

    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = read_text(path, limits::SETTINGS)
            .map_err(|error| ModelError::file(path, std::io::Error::from(error), "check the path"))?;
        let advice = "correct it; docs/models.md lists the keys";
        let description: Self = toml::from_str(&text).map_err(|error| ModelError::file(path, error, advice))?;
        description.check().map_err(|problem| ModelError::file(path, problem, advice))?;
        Ok(description)
    }

    fn check(&self) -> Result<(), String> {
        let InputSettings { size, scale, mean, std, batch, .. } = &self.input;
        if let Some(side) = size.iter().flatten().find(|side| !(1..=LARGEST_SIDE).contains(*side)) {
            return Err(format!("input.size has {side}; a side is 1 to {LARGEST_SIDE} pixels"));
        }
        if !scale.is_finite() || *scale <= 0.0 {
            return Err(format!("input.scale is {scale}; it is a finite number above 0"));
        }
        if mean.iter().any(|value| !value.is_finite()) {
            return Err("input.mean has a number that is not finite".to_owned());
        }
        if std.iter().any(|value| !value.is_finite() || *value <= 0.0) {
            return Err("input.std has a number that is not above 0".to_owned());
        }
        if let Some(batch) = batch.filter(|batch| !(1..=256).contains(batch)) {
            return Err(format!("input.batch is {batch}; it is 1 to 256"));
        }
        let OutputSettings { score_threshold, nms_iou, max_detections, .. } = &self.output;
        if !(0.0..=1.0).contains(score_threshold) {
            return Err(format!("output.score_threshold is {score_threshold}; it is 0 to 1"));
        }
        if !(0.0..=1.0).contains(nms_iou) {
            return Err(format!("output.nms_iou is {nms_iou}; it is 0 to 1"));
        }
        if !(1..=100_000).contains(max_detections) {
            return Err(format!("output.max_detections is {max_detections}; it is 1 to 100000"));
        }
        let mut names: Vec<&str> = self.classes.iter().map(|name| name.trim()).collect();
        if names.iter().any(|name| name.is_empty()) {
            return Err("a name in `classes` is empty".to_owned());
        }
        names.sort_unstable();
        match names.iter().zip(names.iter().skip(1)).find(|(name, next)| name == next) {
            Some((name, _)) => Err(format!("`classes` has the name {name:?} twice")),
            None => Ok(()),
        }
    }

    /// Returns the path where a description is looked for.
    pub fn place(model: &Path) -> PathBuf {
        model.with_extension("toml")
    }
}

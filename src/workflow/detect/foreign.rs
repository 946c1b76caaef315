//! A third-party model (ONNX, TorchScript) as a source of detections, like Quarry's checkpoints.

#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::cell::RefCell;
use std::path::Path;
use std::thread::available_parallelism;

use image::RgbImage;

use crate::detector::LabelledDetection;
use crate::domain::{ClassId, Detection, read_weights};
use crate::models::{Model, ModelDetection, ModelFormat, Prepared};
use crate::workflow::WorkflowError;
use crate::workflow::detection_source::DetectionSource;

/// A loaded model. It runs on the thread that created it.
pub(in crate::workflow) struct ForeignModel(RefCell<Model>);

impl ForeignModel {
    /// Returns `None` if `path` is not a third-party model but Quarry's own checkpoint or a round's folder.
    pub fn at(path: &Path, device: &str) -> Result<Option<Self>, WorkflowError> {
        if path.is_dir() || ModelFormat::of(path).is_none() {
            return Ok(None);
        }
        let threads = available_parallelism().map_or(1, usize::from);
        Ok(Some(Self(RefCell::new(Model::load(path, device, threads)?))))
    }

    /// In the order of [`ModelDetection::class`]; only certain after the first detection.
    pub fn classes(&self) -> Vec<String> {
        self.0.borrow().classes().to_vec()
    }

    /// Runs the network on an empty image: fails if it does not accept its input or its outputs fit no layout. If the outputs determine the
    /// number of classes, it is known from then on.
    pub fn probe(&self) -> Result<(), WorkflowError> {
        const SIDE: u32 = 64;
        let empty = RgbImage::new(SIDE, SIDE);
        let ready = self.preparer()(&empty)?;
        self.detect(&[&ready]).map(drop)
    }

    /// Changes with the file's bytes and its description.
    pub fn identity(&self, path: &Path) -> Result<String, WorkflowError> {
        let bytes = read_weights(path)?;
        Ok(format!("{} {}", blake3::hash(&bytes).to_hex(), self.0.borrow().settings_text()))
    }

    /// Describes how images are fed to the network.
    pub fn input_text(&self) -> String {
        self.0.borrow().input_text()
    }
}

impl DetectionSource for ForeignModel {
    type Ready = Prepared;
    type Found = ModelDetection;

    fn preparer(&self) -> impl Fn(&RgbImage) -> Result<Prepared, WorkflowError> + Send + Sync {
        let model = self.0.borrow();
        let prepare = model.preparer();
        move |image: &RgbImage| Ok(prepare(image)?)
    }

    fn bytes(ready: &Prepared) -> u64 {
        (ready.values.len() * size_of::<f32>()) as u64
    }

    fn shape(ready: &Prepared) -> (u32, u32) {
        (ready.width as u32, ready.height as u32)
    }

    fn batch_images(&self) -> usize {
        self.0.borrow().batch()
    }

    fn batches_at_once(&self) -> usize {
        1
    }

    fn detect(&self, images: &[&Prepared]) -> Result<Vec<Vec<ModelDetection>>, WorkflowError> {
        Ok(self.0.borrow_mut().detect(images)?)
    }
}

/// Uses labels from 1, like checkpoints. The caller sets the class.
pub(in crate::workflow) fn labelled(found: &ModelDetection) -> LabelledDetection {
    let detection = Detection { class: ClassId::ONLY, bbox: found.bbox, ellipse: None, score: found.score };
    LabelledDetection { detection, label: found.class as i64 + 1 }
}

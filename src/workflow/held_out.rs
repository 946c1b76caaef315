//! Detections on the held-out images -> both ROC curves. Ground truth is the dataset's own annotation: faces that annotators
//! promoted count in training, never in a published number. Must not know how detections came to be.

use std::collections::HashMap;

use crate::domain::{Annotation, AnnotationSource, Detection, ImageId, ImageRecord};
use crate::evaluation::{EvaluatedImage, FoldCurves, Matching, Region, ScoredRegion, match_images};
use crate::training::RoundConfig;

/// The images of a round's test folds with their imported ground truth, in import order (which is FDDB's list order).
#[derive(Debug, Clone)]
pub struct HeldOut {
    pub images: Vec<ImageRecord>,
    faces: Vec<Vec<Region>>,
}

/// Which shape of a detection is compared with the ground truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputShape {
    Rectangle,
    Ellipse,
}

impl OutputShape {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rectangle => "rectangle",
            Self::Ellipse => "ellipse",
        }
    }
}

impl HeldOut {
    pub fn new(images: &[ImageRecord], truth: &HashMap<ImageId, Vec<Annotation>>, config: &RoundConfig) -> Self {
        let held_out = |i: &&ImageRecord| config.tests_on(i.fold);
        let images: Vec<ImageRecord> = images.iter().filter(held_out).cloned().collect();
        let faces = images.iter().map(|image| {
            let annotations = truth.get(&image.id).map_or(&[][..], Vec::as_slice);
            let imported = annotations.iter().filter(|a| a.source == AnnotationSource::Imported && !a.ignored);
            imported.map(|a| Region::from(&a.shape)).collect()
        });
        let faces = faces.collect();
        Self { images, faces }
    }

    pub fn face_count(&self) -> usize {
        self.faces.iter().map(Vec::len).sum()
    }

    /// The curves of `detections`, one list for each of `images`, in their order: pooled, and of each fold.
    pub fn curves(&self, detections: &[Vec<Detection>], shape: OutputShape) -> FoldCurves {
        let evaluated: Vec<EvaluatedImage> = self
            .images
            .iter()
            .zip(&self.faces)
            .zip(detections)
            .map(|((image, faces), found)| EvaluatedImage {
                name: image.name.clone(),
                width: image.width,
                height: image.height,
                faces: faces.clone(),
                detections: found.iter().map(|d| scored_region(d, shape)).collect(),
            })
            .collect();
        let folds: Vec<Option<u8>> = self.images.iter().map(|image| image.fold).collect();
        FoldCurves::new(&match_images(&evaluated, Matching::Official), &folds)
    }
}

fn scored_region(detection: &Detection, shape: OutputShape) -> ScoredRegion {
    let region = match (shape, &detection.ellipse) {
        (OutputShape::Ellipse, Some(ellipse)) => Region::from(*ellipse),
        _ => Region::from(detection.bbox),
    };
    ScoredRegion { region, score: f64::from(detection.score) }
}

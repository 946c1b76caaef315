//! Detections on the held-out images -> both ROC curves, and files that FDDB's own program reads. Ground truth is the dataset's own
//! annotation: objects that annotators promoted or corrected count in training, never in a published number.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{WorkflowError, write_atomically};
use crate::dataset::formats::write::fddb_detections as fddb_text;
#[cfg(feature = "torch")]
use crate::detector::DetectorConfig;
use crate::domain::{Annotation, AnnotationSource, ClassId, Detection, ImageId, ImageRecord};
use crate::evaluation::average_precision::AveragePrecision;
use crate::evaluation::coco::Coco;
use crate::evaluation::{
    EvaluatedImage, EvaluationSet, Evaluator as _, FoldCurves, Matching, Region, ScoredRegion, match_images,
};

/// The images that a round is tested on with their imported ground truth, in import order (which is FDDB's list order).
#[derive(Debug, Clone)]
pub struct HeldOut {
    pub images: Vec<ImageRecord>,
    /// Imported, those to ignore included.
    annotations: Vec<Vec<Annotation>>,
    /// Those that count, with their classes.
    faces: Vec<Vec<(ClassId, Region)>>,
    /// Of the annotations, each once.
    classes: Vec<ClassId>,
}

/// Which shape of a detection is compared with the ground truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputShape {
    Rectangle,
    Ellipse,
}

impl OutputShape {
    /// What a detector gives out: boxes, and ellipses where it has a head for them.
    #[cfg(feature = "torch")]
    pub fn of(config: &DetectorConfig) -> Vec<Self> {
        if config.ellipse_head { vec![Self::Rectangle, Self::Ellipse] } else { vec![Self::Rectangle] }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rectangle => "rectangle",
            Self::Ellipse => "ellipse",
        }
    }

    /// The file in a round's folder with the detections of its last evaluation, in FDDB's format.
    pub fn detections_file(self, run_dir: &Path) -> PathBuf {
        run_dir.join(format!("held-out-{}.txt", self.as_str()))
    }
}

impl HeldOut {
    /// `truth` is the datasets' own ([`Store::own_ground_truth`](crate::store::Store::own_ground_truth)).
    pub fn new(images: Vec<ImageRecord>, truth: &HashMap<ImageId, Vec<Annotation>>) -> Self {
        let imported = images.iter().map(|image| {
            let annotations = truth.get(&image.id).map_or(&[][..], Vec::as_slice);
            annotations.iter().filter(|a| a.source == AnnotationSource::Imported).copied().collect()
        });
        let annotations: Vec<Vec<Annotation>> = imported.collect();
        let region = |a: &Annotation| (a.class, Region::from(&a.shape));
        let faces = annotations.iter().map(|of_image| of_image.iter().filter(|a| !a.ignored).map(region).collect());
        let faces = faces.collect();
        let classes: BTreeSet<ClassId> = annotations.iter().flatten().map(|a| a.class).collect();
        Self { images, annotations, faces, classes: classes.into_iter().collect() }
    }

    pub fn face_count(&self) -> usize {
        self.faces.iter().map(Vec::len).sum()
    }

    /// COCO's average precision of the boxes of `detections`, one list for each of `images`, in their order: the mean over the classes
    /// that are annotated.
    pub fn average_precision(&self, detections: &[Vec<Detection>]) -> AveragePrecision {
        let images = self.annotations.iter().map(Vec::as_slice).zip(detections.iter().map(Vec::as_slice));
        Coco.evaluate(&EvaluationSet::of_images(images)).overall.into()
    }

    /// The curves of `detections`, one list for each of `images`, in their order: pooled, and of each fold. A detection finds objects of
    /// its class alone: an image counts once for each class.
    pub fn curves(&self, detections: &[Vec<Detection>], shape: OutputShape) -> FoldCurves {
        let with_class = |d: &Detection| (d.class, scored_region(d, shape));
        let regions: Vec<Vec<(ClassId, ScoredRegion)>> =
            detections.iter().map(|found| found.iter().map(with_class).collect()).collect();
        let found = regions.iter().flatten().map(|(class, _)| *class);
        let classes: BTreeSet<ClassId> = self.classes.iter().copied().chain(found).collect();
        let (mut evaluated, mut folds) = (Vec::new(), Vec::new());
        for class in classes {
            let of_class = regions.iter().map(|of_image| of_one(of_image, class));
            evaluated.extend(self.evaluated(Some(class), of_class));
            folds.extend(self.images.iter().map(ImageRecord::fold));
        }
        FoldCurves::new(&match_images(&evaluated, Matching::Official), &folds)
    }

    /// [`Self::curves`] of regions that a file held, whatever their classes.
    #[cfg(feature = "torch")]
    pub fn curves_of(&self, detections: impl Iterator<Item = Vec<ScoredRegion>>) -> FoldCurves {
        let folds: Vec<Option<u8>> = self.images.iter().map(ImageRecord::fold).collect();
        FoldCurves::new(&match_images(&self.evaluated(None, detections), Matching::Official), &folds)
    }

    /// Says in each curve how many of its images could not be read; `is_unread` is parallel to `images`.
    #[cfg(feature = "torch")]
    pub fn mark_unreadable(&self, curves: &mut FoldCurves, is_unread: &[bool]) {
        for (image, _) in self.images.iter().zip(is_unread).filter(|(_, is_unread)| **is_unread) {
            curves.pooled.unreadable += 1;
            if let Some(curve) = image.fold().and_then(|fold| curves.folds.get_mut(&fold)) {
                curve.unreadable += 1;
            }
        }
    }

    /// What FDDB's evaluation compares, of one class or of all as one: `detections` holds one list for each of `images`, in their order.
    fn evaluated(
        &self,
        class: Option<ClassId>,
        detections: impl Iterator<Item = Vec<ScoredRegion>>,
    ) -> Vec<EvaluatedImage> {
        let images = self.images.iter().zip(&self.faces).zip(detections);
        images
            .map(|((image, faces), detections)| EvaluatedImage {
                name: image.name.clone(),
                width: image.width,
                height: image.height,
                faces: faces.iter().filter(|(of, _)| class.is_none_or(|c| c == *of)).map(|(_, r)| *r).collect(),
                detections,
            })
            .collect()
    }

    /// Writes the detections into the round's folder, a file for each shape. A file of an earlier evaluation is replaced.
    pub fn write(
        &self,
        run_dir: &Path,
        detections: &[Vec<Detection>],
        shapes: &[OutputShape],
    ) -> Result<(), WorkflowError> {
        let names: Vec<&str> = self.images.iter().map(|image| image.name.as_str()).collect();
        for shape in shapes {
            let text = fddb_text(&names, detections, *shape == OutputShape::Ellipse);
            write_atomically(&shape.detections_file(run_dir), text.as_bytes())?;
        }
        Ok(())
    }
}

fn of_one(regions: &[(ClassId, ScoredRegion)], class: ClassId) -> Vec<ScoredRegion> {
    regions.iter().filter(|(of, _)| *of == class).map(|(_, region)| *region).collect()
}

fn scored_region(detection: &Detection, shape: OutputShape) -> ScoredRegion {
    let region = match (shape, &detection.ellipse) {
        (OutputShape::Ellipse, Some(ellipse)) => Region::from(*ellipse),
        _ => Region::from(detection.bbox),
    };
    ScoredRegion { region, score: f64::from(detection.score) }
}

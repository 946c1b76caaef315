//! Evaluates detections on the held-out images: both ROC curves, and files that FDDB's own program reads. The ground truth is the dataset's
//! own annotation: objects that annotators promoted or corrected are used in training, never in a published figure.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::held_out_file::{HELD_OUT_FILE, HeldOutDetections, HeldOutImage};
use super::round_metrics::{METRICS_FILE, RoundMetrics, Tested};
use super::{WorkflowError, write_all_or_none};
use crate::dataset::formats::write::fddb_detections as fddb_text;
#[cfg(feature = "torch")]
use crate::detector::DetectorConfig;
use crate::domain::{Annotation, AnnotationSource, Class, ClassId, Detection, ImageId, ImageRecord, Shape};
use crate::evaluation::average_precision::AveragePrecision;
use crate::evaluation::{EvaluatedImage, EvaluationSet, FoldCurves, Matching, Region, ScoredRegion, match_images};

/// The test images of a round with their imported ground truth, in import order (which is FDDB's list order).
#[derive(Debug, Clone)]
pub struct HeldOut {
    pub images: Vec<ImageRecord>,
    /// Including ignored ones.
    annotations: Vec<Vec<Annotation>>,
    /// Counted objects with their classes.
    faces: Vec<Vec<(ClassId, Region)>>,
    /// The distinct classes of the annotations.
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
    /// Returns a detector's output shapes: boxes, and ellipses if it has a head for them.
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

    /// Returns the file in a round's folder with its last evaluation's detections in FDDB's format.
    pub fn detections_file(self, run_dir: &Path) -> PathBuf {
        run_dir.join(self.file_name())
    }

    fn file_name(self) -> String {
        format!("held-out-{}.txt", self.as_str())
    }
}

impl HeldOut {
    /// `truth` contains the datasets' own objects ([`Store::own_ground_truth`](crate::store::Store::own_ground_truth)).
    pub fn new(images: Vec<ImageRecord>, truth: &HashMap<ImageId, Vec<Annotation>>) -> Self {
        Self::with(images, truth, |a| a.source == AnnotationSource::Imported)
    }

    /// Uses every object in `truth`, including annotators' corrections and additions. Never for a published figure.
    pub fn corrected(images: Vec<ImageRecord>, truth: &HashMap<ImageId, Vec<Annotation>>) -> Self {
        Self::with(images, truth, |_| true)
    }

    fn with(
        images: Vec<ImageRecord>,
        truth: &HashMap<ImageId, Vec<Annotation>>,
        counts: impl Fn(&Annotation) -> bool,
    ) -> Self {
        let annotations = images.iter().map(|image| {
            let annotations = truth.get(&image.id).map_or(&[][..], Vec::as_slice);
            annotations.iter().filter(|a| counts(a)).copied().collect()
        });
        let annotations: Vec<Vec<Annotation>> = annotations.collect();
        let region = |a: &Annotation| (a.class, Region::from(&a.shape));
        let faces = annotations.iter().map(|of_image| of_image.iter().filter(|a| !a.ignored).map(region).collect());
        let faces = faces.collect();
        let classes: BTreeSet<ClassId> = annotations.iter().flatten().map(|a| a.class).collect();
        Self { images, annotations, faces, classes: classes.into_iter().collect() }
    }

    /// Whether the same objects are annotated on the same images.
    pub fn has_objects_of(&self, other: &Self) -> bool {
        self.annotations == other.annotations
    }

    pub fn face_count(&self) -> usize {
        self.faces.iter().map(Vec::len).sum()
    }

    /// Converts the boxes in `found` and the objects to the input of every evaluator but FDDB's.
    pub fn evaluation_set(&self, found: &Found<'_>) -> EvaluationSet {
        let images = self.annotations.iter().map(Vec::as_slice).zip(found.detections.iter().map(Vec::as_slice));
        let name = |id: i64| found.classes.iter().find(|class| class.id.0 == id).map(|class| class.name.clone());
        EvaluationSet::of_images(images).named(name)
    }

    /// Runs every box evaluator on `found`.
    pub fn metrics(&self, found: &Found<'_>) -> RoundMetrics {
        let tested = Tested {
            step: found.step,
            data: self.fingerprint(found.classes),
            unreadable: found.is_unread.iter().filter(|is_unread| **is_unread).count(),
            is_for_fddb: self.is_for_fddb(found.classes),
        };
        RoundMetrics::new(&self.evaluation_set(found), tested)
    }

    fn is_for_fddb(&self, classes: &[Class]) -> bool {
        let is_face = |id: &ClassId| classes.iter().any(|class| class.id == *id && class.name == "face");
        let only_faces = !self.classes.is_empty() && self.classes.iter().all(is_face);
        only_faces || self.annotations.iter().flatten().any(|a| matches!(a.shape, Shape::Ellipse(_)))
    }

    /// Hashes the images' contents and annotations in order with blake3.
    fn fingerprint(&self, classes: &[Class]) -> String {
        let mut hasher = blake3::Hasher::new();
        for (image, annotations) in self.images.iter().zip(&self.annotations) {
            hasher.update(format!("{}\n", image.content_hash).as_bytes());
            for a in annotations {
                let name = classes.iter().find(|class| class.id == a.class).map(|class| class.name.as_str());
                hasher.update(format!("{name:?} {:?} {}\n", a.shape, a.ignored).as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Computes the pooled and per-fold curves of `detections`, one list for each of `images` in order. A detection only matches objects of
    /// its class: an image is evaluated once per class.
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

    /// [`Self::curves`] of regions from a file, ignoring classes.
    #[cfg(feature = "torch")]
    pub fn curves_of(&self, detections: impl Iterator<Item = Vec<ScoredRegion>>) -> FoldCurves {
        let folds: Vec<Option<u8>> = self.images.iter().map(ImageRecord::fold).collect();
        FoldCurves::new(&match_images(&self.evaluated(None, detections), Matching::Official), &folds)
    }

    /// Records in each curve how many of its images could not be read; `is_unread` is parallel to `images`.
    #[cfg(feature = "torch")]
    pub fn mark_unreadable(&self, curves: &mut FoldCurves, is_unread: &[bool]) {
        for (image, _) in self.images.iter().zip(is_unread).filter(|(_, is_unread)| **is_unread) {
            curves.pooled.unreadable += 1;
            if let Some(curve) = image.fold().and_then(|fold| curves.folds.get_mut(&fold)) {
                curve.unreadable += 1;
            }
        }
    }

    /// Builds the input of FDDB's evaluation, for one class or for all as one: `detections` has one list for each of `images` in order.
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

    /// Writes an evaluation to the round's folder: the detections with classes, in FDDB's text one file per shape, and the box evaluators'
    /// results. Files of an earlier evaluation are replaced, all or none.
    pub fn write(
        &self,
        run_dir: &Path,
        found: &Found<'_>,
        shapes: &[OutputShape],
    ) -> Result<AveragePrecision, WorkflowError> {
        let names: Vec<&str> = self.images.iter().map(|image| image.name.as_str()).collect();
        let text = |shape: &OutputShape| {
            let text = fddb_text(&names, found.detections, *shape == OutputShape::Ellipse);
            (shape.file_name(), text.into_bytes())
        };
        let metrics = self.metrics(found);
        let mut contents: Vec<(String, Vec<u8>)> = shapes.iter().map(text).collect();
        contents.push((HELD_OUT_FILE.to_owned(), self.with_classes(found).to_text()?.into_bytes()));
        contents.push((METRICS_FILE.to_owned(), metrics.to_json()?));
        // If the project was moved meanwhile, nothing is recreated at its old path.
        std::fs::metadata(run_dir).map_err(WorkflowError::io(run_dir, "Was the project moved?"))?;
        write_all_or_none(run_dir, &contents)?;
        Ok(metrics.suite.coco.overall.into())
    }

    fn with_classes(&self, found: &Found<'_>) -> HeldOutDetections {
        let image = |(k, image): (usize, &ImageRecord)| HeldOutImage {
            name: image.name.clone(),
            content_hash: image.content_hash.clone(),
            unreadable: found.is_unread.get(k).copied().unwrap_or(false),
            detections: found.detections.get(k).cloned().unwrap_or_default(),
        };
        HeldOutDetections {
            step: found.step,
            classes: found.classes.iter().map(|class| (class.id, class.name.clone())).collect(),
            images: self.images.iter().enumerate().map(image).collect(),
        }
    }
}

/// The detections of an evaluation on the held-out images.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// 0 for an imported model.
    pub step: u64,
    /// One list per image, in order.
    pub detections: &'a [Vec<Detection>],
    /// Which images could not be read; empty if all could.
    pub is_unread: &'a [bool],
    /// The project's classes.
    pub classes: &'a [Class],
}

fn of_one(regions: &[(ClassId, ScoredRegion)], class: ClassId) -> Vec<ScoredRegion> {
    regions.iter().filter(|(of, _)| *of == class).map(|(_, region)| *region).collect()
}

/// Returns the shape of a detection that this evaluation compares.
pub fn scored_region(detection: &Detection, shape: OutputShape) -> ScoredRegion {
    let region = match (shape, &detection.ellipse) {
        (OutputShape::Ellipse, Some(ellipse)) => Region::from(*ellipse),
        _ => Region::from(detection.bbox),
    };
    ScoredRegion { region, score: f64::from(detection.score) }
}

//! The use cases "evaluate detection files": FDDB's text files to curves, figures and a summary (here); COCO's files to the metrics of any
//! evaluator (`metrics.rs`); a round of a project to the metrics of every evaluator (`round.rs`).

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod average_precision;
mod coco_images;
mod coco_json;
mod coco_set;
mod image_sizes;
mod metrics;
mod output;
mod report;
mod round;

use std::path::{Path, PathBuf};

use super::WorkEvent;
use crate::domain::{Cancel, Output, OutputError, Progress, printable, printable_path};
use crate::evaluation::fddb_text::{
    FddbTextError, Order, Shape, UnreadableScores, join, read_annotations, read_detections, read_list, read_sizes,
};
use crate::evaluation::figure::{FigureError, FigureFormat};
use crate::evaluation::{EvaluatedImage, FoldCurves, Matching, match_images_watched, most_seconds};

pub use average_precision::{ApEvaluation, ApReport, evaluate_ap};
pub use coco_set::CocoFiles;
pub use metrics::{CocoEvaluation, MetricReport, evaluate_coco_files};
pub use report::{EvaluationReport, RateRow};
pub use round::{RoundEvaluation, RoundEvaluationReport, RoundMetric, evaluate_round};

/// The source of image sizes; pixels are never needed.
#[derive(Debug, Clone)]
pub enum SizeSource {
    /// Image headers below this folder: the image's name plus `.jpg` (or another extension).
    Images(PathBuf),
    /// A table `name width height`.
    Table(PathBuf),
}

/// What to evaluate and what to write.
#[derive(Debug, Clone)]
pub struct FddbEvaluation {
    /// Ellipse lists; several are treated as folds.
    pub annotations: Vec<PathBuf>,
    pub detections: Vec<PathBuf>,
    /// Image lists, in the annotations' order; empty: use the annotations as the list.
    pub lists: Vec<PathBuf>,
    pub sizes: SizeSource,
    pub shape: Shape,
    pub matching: Matching,
    pub order: Order,
    pub unreadable_scores: UnreadableScores,
    /// Folder for the results; created if missing.
    pub out: Output,
    pub figures: Vec<FigureFormat>,
    /// Draw figures with a logarithmic axis.
    pub logarithmic: bool,
    /// Start the rate axis of figures at 0 instead of a round number below the lowest curve.
    pub from_zero: bool,
    /// Show the published reference points in figures.
    pub published: bool,
    /// Refuse an image whose matching may take longer than this many core hours: the time grows with up to the fourth power of a crowd, and
    /// a malicious file can contain one of any size. The most crowded image of WIDER FACE takes a tenth of an hour.
    pub most_hours: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Text(#[from] FddbTextError),
    #[error(transparent)]
    Figure(#[from] FigureError),
    #[error("cannot read the size of image `{name}` below {}: {problem}", root.display())]
    ImageSize { name: String, root: PathBuf, problem: String },
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(
        "image `{}` has {faces} faces and {detections} detections: FDDB's matching may take {hours:.1} hours of one core. Leave out \
         detections of low score, evaluate with `quarry evaluate coco`, or allow it with --most-hours",
        printable(name)
    )]
    Crowd { name: String, faces: usize, detections: usize, hours: f64 },
    #[error("the summary cannot be written as JSON: {0}")]
    Summary(serde_json::Error),
    #[error("stopped; nothing was written")]
    Cancelled,
}

/// Evaluates and writes `DiscROC.txt`, `ContROC.txt`, `curves.csv`, `summary.json` and figures into `config.out`. Each file is written
/// atomically, and none before everything has been computed.
pub fn evaluate_fddb(
    config: &FddbEvaluation,
    observer: &mut super::Observer,
    cancel: &Cancel,
) -> Result<EvaluationReport, EvaluateError> {
    output::check(config)?;
    let mut step = |what: &str, done: u64| {
        observer(WorkEvent::Progress(Progress { what: what.to_owned(), done, total: 3 }));
        if cancel.is_cancelled() { Err(EvaluateError::Cancelled) } else { Ok(()) }
    };
    step("Reading annotations and detections", 0)?;
    let (images, folds) = read(config)?;
    refuse_endless(config, &images)?;
    step("Matching detections to faces", 1)?;
    let mut tell = |done: u64, total: u64| {
        observer(WorkEvent::Progress(Progress { what: "Matching detections to faces".to_owned(), done, total }));
    };
    let outcomes = match_images_watched(&images, config.matching, &mut tell, cancel).ok_or(EvaluateError::Cancelled)?;
    let curves = FoldCurves::new(&outcomes, &folds);
    observer(WorkEvent::Progress(Progress { what: "Writing curves".to_owned(), done: 2, total: 3 }));
    if cancel.is_cancelled() {
        return Err(EvaluateError::Cancelled);
    }
    let mut report = EvaluationReport::new(config, &images, curves);
    report.files = output::write_all(config, &report)?;
    observer(WorkEvent::Progress(Progress { what: "Evaluated".to_owned(), done: 3, total: 3 }));
    Ok(report)
}

/// Fails at the first image that may take too long.
fn refuse_endless(config: &FddbEvaluation, images: &[EvaluatedImage]) -> Result<(), EvaluateError> {
    images.iter().filter(|_| config.matching == Matching::Official).try_for_each(|image| {
        let (faces, detections) = (image.faces.len(), image.detections.len());
        let hours = most_seconds(faces, detections) / 3600.0;
        if hours > config.most_hours {
            return Err(EvaluateError::Crowd { name: image.name.clone(), faces, detections, hours });
        }
        Ok(())
    })
}

type Images = (Vec<EvaluatedImage>, Vec<Option<u8>>);

fn read(config: &FddbEvaluation) -> Result<Images, EvaluateError> {
    let detections = || read_detections(&config.detections, config.shape, config.unreadable_scores);
    let (annotations, detections) = rayon::join(|| read_folds(config), detections);
    let ((annotations, mut folds), detections) = (annotations?, detections?);
    let mut list = Vec::new();
    for path in &config.lists {
        list.extend(read_list(path)?);
    }
    if let (Some(first), true) = (config.lists.first(), list.is_empty()) {
        let message = format!("{} names no image: is it the right list?", printable_path(first));
        return Err(FddbTextError::Files(message).into());
    }
    let list = (!config.lists.is_empty()).then_some(list.as_slice());
    let sizes = match &config.sizes {
        SizeSource::Table(path) => read_sizes(path)?,
        SizeSource::Images(root) => {
            let listed = list.map_or(annotations.len(), <[_]>::len).min(annotations.len());
            image_sizes::read_headers(root, annotations.iter().take(listed).map(|a| a.name.as_str()))?
        }
    };
    let images = join(list, &annotations, &detections, config.order, |name| sizes.get(name).copied())?;
    folds.truncate(images.len());
    Ok((images, folds))
}

type Annotations = (Vec<crate::evaluation::fddb_text::AnnotatedImage>, Vec<Option<u8>>);

/// Returns all annotated images with their folds: several files are folds.
fn read_folds(config: &FddbEvaluation) -> Result<Annotations, FddbTextError> {
    let (mut annotations, mut folds) = (Vec::new(), Vec::new());
    for (k, path) in config.annotations.iter().enumerate() {
        let file = read_annotations(path)?;
        let fold = (config.annotations.len() > 1).then(|| fold_of(path).unwrap_or(k as u8 + 1));
        folds.extend(std::iter::repeat_n(fold, file.len()));
        annotations.extend(file);
    }
    Ok((annotations, folds))
}

/// Returns the number in `FDDB-fold-07-ellipseList.txt`.
fn fold_of(path: &Path) -> Option<u8> {
    let name = path.file_name()?.to_str()?;
    let (_, after) = name.split_once("fold-")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

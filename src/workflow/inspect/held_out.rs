//! The detections of a round's last evaluation, read back from the round's folder.

use std::collections::HashMap;
use std::path::Path;

use crate::domain::{ClassId, Detection};
use crate::evaluation::fddb_text::{self, UnreadableScores, read_detections};
use crate::evaluation::{Region, ScoredRegion};
use crate::geometry::{BoundingBox, Ellipse};
use crate::workflow::WorkflowError;
use crate::workflow::held_out::OutputShape;

/// Detections of images by the images' names.
pub type ByName = HashMap<String, Vec<Vec<Detection>>>;

/// The detections of each tested image by its name. `None`: the round was not evaluated yet. Where the names of images of several
/// datasets are equal, the lists stand in the order of the evaluation.
pub fn read(run_dir: &Path) -> Result<Option<ByName>, WorkflowError> {
    let Some(rectangles) = read_shape(run_dir, OutputShape::Rectangle)? else { return Ok(None) };
    let ellipses = read_shape(run_dir, OutputShape::Ellipse)?.filter(|ellipses| is_parallel(&rectangles, ellipses));
    let mut by_name = ByName::new();
    for (k, (name, found)) in rectangles.into_iter().enumerate() {
        let ellipse_of = |at: usize| ellipses.as_ref().and_then(|e| ellipse(&e[k].1[at]));
        let detections = found.iter().enumerate().map(|(at, scored)| Detection {
            class: ClassId::ONLY,
            bbox: bounding_box(scored),
            ellipse: ellipse_of(at),
            score: scored.score as f32,
        });
        let detections = detections.collect();
        by_name.entry(name).or_default().push(detections);
    }
    Ok(Some(by_name))
}

type Block = (String, Vec<ScoredRegion>);
type Blocks = Vec<Block>;

fn read_shape(run_dir: &Path, shape: OutputShape) -> Result<Option<Blocks>, WorkflowError> {
    let file = shape.detections_file(run_dir);
    if !file.exists() {
        return Ok(None);
    }
    let columns = match shape {
        OutputShape::Rectangle => fddb_text::Shape::Rectangle,
        OutputShape::Ellipse => fddb_text::Shape::Ellipse,
    };
    let blocks = read_detections(&[&file], columns, UnreadableScores::Refuse)
        .map_err(|error| WorkflowError::BadFile { path: file.clone(), reason: error.to_string() })?;
    Ok(Some(blocks.into_iter().map(|block| (block.name, block.regions)).collect()))
}

fn is_parallel(rectangles: &Blocks, ellipses: &Blocks) -> bool {
    let same = |(a, b): (&Block, &Block)| a.0 == b.0 && a.1.len() == b.1.len();
    rectangles.len() == ellipses.len() && rectangles.iter().zip(ellipses).all(same)
}

fn bounding_box(scored: &ScoredRegion) -> BoundingBox {
    match scored.region {
        Region::Rectangle { x, y, w, h } => BoundingBox::from_xywh(x, y, w, h),
        Region::Ellipse { ra, rb, theta, cx, cy } => Ellipse::new(ra, rb, theta, cx, cy).bounding_box(),
    }
}

fn ellipse(scored: &ScoredRegion) -> Option<Ellipse> {
    match scored.region {
        Region::Rectangle { .. } => None,
        Region::Ellipse { ra, rb, theta, cx, cy } => Some(Ellipse::new(ra, rb, theta, cx, cy)),
    }
}

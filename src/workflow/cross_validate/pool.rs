//! Pools the folds' detections like FDDB: all images together, no averaging.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::facts::Facts;
use super::fold::{Fold, FoldRecord};
use crate::domain::{ClassId, Detection, ImageRecord, make_folder};
use crate::evaluation::fddb_text::{self, UnreadableScores, read_detections};
use crate::evaluation::{FoldSpread, RocCurve, ScoredRegion, curves_csv};
use crate::workflow::evaluate::RateRow;
use crate::workflow::held_out::{Found, HeldOut, OutputShape};
use crate::workflow::held_out_file::{HELD_OUT_FILE, HeldOutDetections, HeldOutImage};
use crate::workflow::round_metrics::RoundMetrics;
use crate::workflow::run_curves::{CURVES_FILE, PooledCurves};
use crate::workflow::status::rates;
use crate::workflow::{WorkflowError, write_all_or_none, write_atomically};

/// A round over all folds that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PooledRound {
    pub round: u32,
    pub folds: Vec<u8>,
    pub shapes: Vec<PooledRates>,
}

/// Numbers of the pooled curve of one output shape; the full curve is in the files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PooledRates {
    /// `rectangle` or `ellipse`.
    pub shape: &'static str,
    pub images: usize,
    pub faces: u64,
    /// Images that could not be read when their fold was tested: their objects count as missed.
    pub unreadable: u64,
    /// At false positives over all folds.
    pub pooled: Vec<RateRow>,
    /// Spread between the folds, at equal false positives per fold.
    pub spread: Vec<FoldSpread>,
}

/// Pools every round and shape of the records and writes `round-<n>/<shape>/{DiscROC.txt,ContROC.txt,curves.csv,curves.json}`; returns the
/// files.
pub(super) fn write(
    dir: &Path,
    facts: &Facts,
    records: &[FoldRecord],
) -> Result<(Vec<PooledRound>, Vec<PathBuf>), WorkflowError> {
    let rounds = records.iter().map(|record| record.rounds.len() as u32).max().unwrap_or(0);
    let (mut pooled, mut files) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let with_classes = with_classes(dir, facts, records, round)?;
        let having: Vec<&FoldRecord> = records.iter().filter(|r| round <= r.rounds.len() as u32).collect();
        let mut shapes = Vec::new();
        for shape in [OutputShape::Rectangle, OutputShape::Ellipse] {
            let has = |r: &&FoldRecord| r.rounds[round as usize - 1].shapes.contains(&shape);
            if having.iter().all(has) {
                let (rates, written) = pool(dir, facts, &having, (round, shape), with_classes.as_deref())?;
                shapes.push(rates);
                files.extend(written);
            }
        }
        files.extend(with_classes.map(|found| write_metrics(dir, facts, &having, round, &found)).transpose()?);
        pooled.push(PooledRound { round, folds: having.iter().map(|r| r.fold).collect(), shapes });
    }
    Ok((pooled, files))
}

fn pool(
    dir: &Path,
    facts: &Facts,
    records: &[&FoldRecord],
    (round, shape): (u32, OutputShape),
    with_classes: Option<&[Vec<Detection>]>,
) -> Result<(PooledRates, Vec<PathBuf>), WorkflowError> {
    let images: Vec<ImageRecord> = records.iter().flat_map(|record| facts.images_of_fold(record.fold)).collect();
    let count = images.len();
    let held_out = HeldOut::new(images, &facts.truth);
    let mut curves = if let Some(found) = with_classes.filter(|_| !facts.has_one_class()) {
        held_out.curves(found, shape)
    } else {
        // Exactly the text that FDDB's own program reads.
        let mut detections = Vec::new();
        for record in records {
            let file = Fold::detections_file(dir, record.fold, round, shape);
            detections.extend(read(&file, shape, &facts.images_of_fold(record.fold))?);
        }
        held_out.curves_of(detections.into_iter())
    };
    for record in records {
        let unreadable = record.rounds[round as usize - 1].unreadable;
        curves.pooled.unreadable += unreadable;
        if let Some(curve) = curves.folds.get_mut(&record.fold) {
            curve.unreadable = unreadable;
        }
    }
    let of_folds = curves.folds.iter().map(|(fold, curve)| (format!("fold {fold}{}", curve.mark()), curve));
    let all = std::iter::once((format!("pooled{}", curves.pooled.mark()), &curves.pooled)).chain(of_folds);
    let labelled: Vec<(String, &RocCurve)> = all.collect();
    let csv = curves_csv(labelled.iter().map(|(label, curve)| (label.as_str(), *curve)));
    let out = dir.join(format!("round-{round}")).join(shape.as_str());
    let all = PooledCurves { all_folds: facts.folds().len(), curves: curves.clone() };
    let json = serde_json::to_vec(&all)
        .map_err(|e| WorkflowError::Refused(format!("the pooled curves cannot be written: {e}")))?;
    let contents = [
        (CURVES_FILE.to_owned(), json),
        ("DiscROC.txt".to_owned(), curves.pooled.disc_text().into_bytes()),
        ("ContROC.txt".to_owned(), curves.pooled.cont_text().into_bytes()),
        ("curves.csv".to_owned(), csv.into_bytes()),
    ];
    write_all_or_none(&out, &contents)?;
    let row = |(false_positives, discrete, continuous)| RateRow { false_positives, discrete, continuous };
    let found = PooledRates {
        shape: shape.as_str(),
        images: count,
        faces: curves.pooled.faces,
        unreadable: curves.pooled.unreadable,
        pooled: rates(&curves.pooled).into_iter().map(row).collect(),
        spread: curves.spread(),
    };
    Ok((found, contents.iter().map(|(name, _)| out.join(name)).collect()))
}

/// Returns the detections of all folds that have the round, with the project's classes, in the order of [`Facts::images_of_fold`]. `None`
/// if a fold was tested by a version that did not store classes, which several classes need.
fn with_classes(
    dir: &Path,
    facts: &Facts,
    records: &[FoldRecord],
    round: u32,
) -> Result<Option<Vec<Vec<Detection>>>, WorkflowError> {
    let mut all = Vec::new();
    for record in records.iter().filter(|record| round <= record.rounds.len() as u32) {
        let run_dir = Fold::run_dir(dir, record.fold, round);
        let Some(found) = HeldOutDetections::read(&run_dir)? else {
            if facts.has_one_class() {
                return Ok(None);
            }
            let reason = format!("with several classes it has to be there; test fold {} again", record.fold);
            return Err(WorkflowError::BadFile { path: run_dir.join(HELD_OUT_FILE), reason });
        };
        let images = facts.images_of_fold(record.fold);
        let is_same = |(found, image): (&HeldOutImage, &ImageRecord)| {
            found.name == image.name && found.content_hash == image.content_hash
        };
        if found.images.len() != images.len() || !found.images.iter().zip(&images).all(is_same) {
            let reason = "it does not hold the images of this fold in their order; test the fold again".to_owned();
            return Err(WorkflowError::BadFile { path: run_dir.join(HELD_OUT_FILE), reason });
        }
        let class = |id: ClassId| {
            let (_, name) = found.classes.iter().find(|(then, _)| *then == id)?;
            facts.classes.iter().find(|class| class.name == *name).map(|class| class.id)
        };
        for image in &found.images {
            let known = |d: &Detection| Some(Detection { class: class(d.class)?, ..*d });
            all.push(image.detections.iter().filter_map(known).collect());
        }
    }
    Ok(Some(all))
}

/// Writes the box evaluators' results on all folds' images together; returns the file.
fn write_metrics(
    dir: &Path,
    facts: &Facts,
    records: &[&FoldRecord],
    round: u32,
    detections: &[Vec<Detection>],
) -> Result<PathBuf, WorkflowError> {
    let images = records.iter().flat_map(|record| facts.images_of_fold(record.fold)).collect();
    let found = Found { step: 0, detections, is_unread: &[], classes: &facts.classes };
    let unreadable: u64 = records.iter().map(|record| record.rounds[round as usize - 1].unreadable).sum();
    let metrics =
        RoundMetrics { unreadable: unreadable as usize, ..HeldOut::new(images, &facts.truth).metrics(&found) };
    let out = dir.join(format!("round-{round}"));
    make_folder(&out).map_err(WorkflowError::io(&out, "Check that it is writable."))?;
    let file = RoundMetrics::file(&out);
    write_atomically(&file, &metrics.to_json()?)?;
    Ok(file)
}

/// Reads the detections of a fold's images in order.
fn read(file: &Path, shape: OutputShape, images: &[ImageRecord]) -> Result<Vec<Vec<ScoredRegion>>, WorkflowError> {
    let bad = |reason: String| WorkflowError::BadFile { path: file.to_path_buf(), reason };
    let columns = match shape {
        OutputShape::Rectangle => fddb_text::Shape::Rectangle,
        OutputShape::Ellipse => fddb_text::Shape::Ellipse,
    };
    let blocks = read_detections(&[file], columns, UnreadableScores::Refuse).map_err(|e| bad(e.to_string()))?;
    let is_same = blocks.len() == images.len() && blocks.iter().zip(images).all(|(b, i)| b.name == i.name);
    if !is_same {
        return Err(bad("it does not hold the images of this fold in their order; test the fold again".to_owned()));
    }
    Ok(blocks.into_iter().map(|block| block.regions).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::Project;

    #[test]
    fn the_fingerprint_of_a_project_of_the_first_version_is_what_it_was() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old_project");
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(fixture.join("quarry.db"), dir.path().join("quarry.db")).unwrap();
        std::fs::copy(fixture.join("project.toml"), dir.path().join("project.toml")).unwrap();
        let facts = Facts::of(&Project::open(dir.path()).unwrap()).unwrap();
        let plan = std::fs::read_to_string(fixture.join("runs/cross-validation/plan.json")).unwrap();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        assert_eq!(plan["data"], facts.fingerprint());
        let dir = fixture.join("runs/cross-validation");
        let record: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(dir.join("fold-1/fold.json")).unwrap()).unwrap();
        assert_eq!(record["plan"], super::super::plan::Plan::of_folder(&dir, &facts).unwrap().id);
    }
}

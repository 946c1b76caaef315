//! The curves and the average precision of an imported round on the test images.

use super::Scene;
use super::report::DetectionsReport;
use crate::domain::{Detection, ImageId, RoundRecord};
use crate::evaluation::FoldCurves;
use crate::evaluation::average_precision::AveragePrecision;
use crate::store::Store;
use crate::workflow::held_out::{Found, HeldOut, OutputShape};
use crate::workflow::{Project, WorkflowError, fold_label};

/// Imported detections do not belong to a training step.
const STEP: u64 = 0;

/// Compares the detections with the datasets' own objects on the test images; writes curves, metrics and FDDB's text if there is a round to
/// write them to.
pub(super) fn evaluate(
    project: &Project,
    store: &mut Store,
    round: Option<&RoundRecord>,
    scene: &Scene,
    found: &[Vec<Detection>],
    report: &mut DetectionsReport,
) -> Result<(), WorkflowError> {
    let test = scene.split.test.clone();
    if test.is_empty() {
        report
            .notes
            .push("no test images, so nothing was evaluated: choose some with --test-splits or --test-dataset".into());
        return Ok(());
    }
    let by_id: std::collections::HashMap<ImageId, &Vec<Detection>> =
        scene.images.iter().map(|image| image.id).zip(found).collect();
    let tested_with = scene.split.copies.tested_with(&test, &store.own_ground_truth()?);
    let of_test: Vec<Vec<Detection>> =
        test.iter().map(|image| by_id.get(&image.id).map_or_else(Vec::new, |found| (*found).clone())).collect();
    let held_out = HeldOut::new(test, &tested_with);
    let classes = store.classes()?;
    let evaluated = Found { step: STEP, detections: &of_test, is_unread: &[], classes: &classes };
    report.test_objects = held_out.face_count();
    let has_ellipses = of_test.iter().flatten().any(|detection| detection.ellipse.is_some());
    let shapes =
        if has_ellipses { vec![OutputShape::Rectangle, OutputShape::Ellipse] } else { vec![OutputShape::Rectangle] };
    let mut curves = Vec::new();
    for shape in &shapes {
        let FoldCurves { pooled, folds } = held_out.curves(&of_test, *shape);
        report.take_curve(shape.as_str(), &pooled);
        curves.push((shape.as_str().to_owned(), pooled));
        if folds.len() > 1 {
            curves.extend(folds.into_iter().map(|(fold, curve)| (fold_label(shape.as_str(), fold), curve)));
        }
    }
    let Some(round) = round else {
        report.average_precision = held_out.metrics(&evaluated).suite.coco.overall.ap50;
        return Ok(());
    };
    let run_dir = project.run_dir(round.number);
    std::fs::create_dir_all(&run_dir).map_err(WorkflowError::io(&run_dir, "Check that the folder is writable."))?;
    let precision = held_out.write(&run_dir, &evaluated, &shapes)?;
    report.average_precision = precision.ap50;
    for (label, curve) in curves {
        let json = serde_json::to_string(&curve)
            .map_err(|e| WorkflowError::Refused(format!("a curve cannot be written: {e}")))?;
        store.put_curve(round.id, STEP, &label, &json)?;
    }
    let named = AveragePrecision::NAMES.into_iter().zip(precision.values());
    let rows: Vec<(u64, &str, f64)> = named.filter_map(|(name, value)| Some((STEP, name, value?))).collect();
    Ok(store.append_metrics(round.id, &rows)?)
}

//! The use case "evaluate a round": runs every evaluator on the detections of a round, own or imported, on the test images. Runs no
//! detector and changes nothing in the project.

use std::path::PathBuf;

use serde::Serialize;

use super::super::held_out::{Found, OutputShape};
use super::super::tested_round::{GroundTruth, TestedRound};
use super::super::{Project, WorkflowError};
use super::metrics::csv_text;
use crate::domain::{Output, shown_paths};
use crate::evaluation::coco::Coco;
use crate::evaluation::miss_rate::MissRate;
use crate::evaluation::precision_recall::PrecisionRecall;
use crate::evaluation::tide::Tide;
use crate::evaluation::voc::Voc;
use crate::evaluation::{
    Cell, EvaluationSet, Evaluator, FoldCurves, Metric, RocCurve, TABLE_FALSE_POSITIVES, Table, Tabular,
};
use crate::workflow::outputs::{self, OutputPolicy};

/// Which round to evaluate, and how.
#[derive(Debug, Clone)]
pub struct RoundEvaluation {
    pub round: u32,
    /// Empty for all applicable ones.
    pub metrics: Vec<Metric>,
    pub ground_truth: GroundTruth,
    /// Minimum IoU for a detection to match an object; COCO has its own thresholds.
    pub iou: f64,
    /// Folder for the reports as JSON and CSV; without it nothing is written.
    pub out: Option<Output>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RoundEvaluationReport {
    pub round: u32,
    /// The imported model's name.
    pub model: Option<String>,
    /// The tested step of the round; 0 for an imported model.
    pub step: u64,
    pub ground_truth: GroundTruth,
    pub images: usize,
    /// Test images that could not be read: their objects count as missed.
    pub unreadable: usize,
    /// Number of counted objects, without ignored ones.
    pub objects: usize,
    pub ignored: usize,
    pub detections: usize,
    pub metrics: Vec<RoundMetric>,
    pub notes: Vec<String>,
    /// The files written.
    #[serde(serialize_with = "shown_paths")]
    pub files: Vec<PathBuf>,
}

/// The result of one evaluator.
#[derive(Debug, Clone, Serialize)]
pub struct RoundMetric {
    pub metric: Metric,
    /// A one-line explanation of the metrics.
    pub meaning: &'static str,
    pub report: serde_json::Value,
    /// With their names; the first is a summary, the others are curves.
    #[serde(skip)]
    pub tables: Vec<(&'static str, Table)>,
}

/// Evaluates, and writes the reports if requested.
pub fn evaluate_round(project: &Project, request: &RoundEvaluation) -> Result<RoundEvaluationReport, WorkflowError> {
    let store = project.open_store_to_read()?;
    let Some(round) = store.round_by_number(request.round)? else {
        let known: Vec<String> = store.rounds()?.iter().map(|round| round.number.to_string()).collect();
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        return Err(WorkflowError::Refused(format!(
            "there is no round {}; the project's rounds are: {known}.",
            request.round
        )));
    };
    let Some(tested) = TestedRound::read(project, &store, &round, request.ground_truth)? else {
        return Err(WorkflowError::Refused(format!(
            "round {} was not tested: it has no test images, or was stopped before its first test. Train with --test-splits, and with \
             `evaluate_every` for tests on the way.",
            request.round
        )));
    };
    let found = Found {
        step: tested.step,
        detections: &tested.detections,
        is_unread: &tested.is_unread,
        classes: &tested.classes,
    };
    let set = tested.held_out.evaluation_set(&found);
    let chosen = if request.metrics.is_empty() { &Metric::ALL[..] } else { &request.metrics };
    let names = file_names(chosen);
    if let Some(out) = &request.out {
        OutputPolicy::new().datasets(&store)?.check_folder(out, names.iter().map(String::as_str))?;
    }
    let metrics = chosen.iter().map(|metric| measure(*metric, request.iou, &tested, &set));
    let metrics = metrics.collect::<Result<Vec<_>, _>>()?;
    let objects = || set.images.iter().flat_map(|image| &image.objects);
    let ignored = objects().filter(|object| object.ignored()).count();
    let mut report = RoundEvaluationReport {
        round: round.number,
        model: round.imported.as_ref().map(|model| model.name.clone()),
        step: tested.step,
        ground_truth: request.ground_truth,
        images: set.images.len(),
        unreadable: tested.is_unread.iter().filter(|is_unread| **is_unread).count(),
        objects: objects().count() - ignored,
        ignored,
        detections: set.images.iter().map(|image| image.detections.len()).sum(),
        metrics,
        notes: tested.notes,
        files: Vec::new(),
    };
    if let Some(out) = &request.out {
        write(&mut report, out, &names)?;
    }
    Ok(report)
}

fn measure(metric: Metric, iou: f64, tested: &TestedRound, set: &EvaluationSet) -> Result<RoundMetric, WorkflowError> {
    match metric {
        Metric::Fddb => named(metric, &FddbRates::of(tested)),
        Metric::Coco => of_boxes(&Coco, set),
        Metric::Voc => of_boxes(&Voc { iou }, set),
        Metric::PrecisionRecall => of_boxes(&PrecisionRecall { iou }, set),
        Metric::MissRate => of_boxes(&MissRate { iou }, set),
        Metric::Tide => {
            let tide = Tide { iou, ..Tide::default() };
            if tide.background_iou >= iou {
                return Err(WorkflowError::Refused(format!(
                    "TIDE takes a detection up to IoU {} for background, so that --iou has to be larger.",
                    tide.background_iou
                )));
            }
            of_boxes(&tide, set)
        }
    }
}

fn of_boxes<E>(evaluator: &E, set: &EvaluationSet) -> Result<RoundMetric, WorkflowError>
where
    E: Evaluator<Input = EvaluationSet>,
    E::Report: Tabular,
{
    named(evaluator.metric(), &evaluator.evaluate(set))
}

fn named<R: Tabular + Serialize>(metric: Metric, report: &R) -> Result<RoundMetric, WorkflowError> {
    let value = serde_json::to_value(report)
        .map_err(|e| WorkflowError::Refused(format!("the report cannot be written as JSON: {e}")))?;
    let tables = R::TABLES.iter().copied().zip(report.tables()).collect();
    Ok(RoundMetric { metric, meaning: metric.meaning(), report: value, tables })
}

/// FDDB's rates, for each output shape of the round.
#[derive(Debug, Clone, Serialize)]
struct FddbRates {
    shapes: Vec<FddbShape>,
}

#[derive(Debug, Clone, Serialize)]
struct FddbShape {
    shape: OutputShape,
    objects: u64,
    rates: Vec<super::RateRow>,
    #[serde(skip)]
    curve: RocCurve,
}

impl FddbRates {
    fn of(tested: &TestedRound) -> Self {
        let has_ellipses = tested.detections.iter().flatten().any(|detection| detection.ellipse.is_some());
        let shapes = [OutputShape::Rectangle, OutputShape::Ellipse].into_iter().take(1 + usize::from(has_ellipses));
        let of_shape = |shape| {
            let FoldCurves { pooled: curve, .. } = tested.held_out.curves(&tested.detections, shape);
            let row = |false_positives| super::RateRow {
                false_positives,
                discrete: curve.discrete_tpr_at(false_positives),
                continuous: curve.continuous_tpr_at(false_positives),
            };
            let rates = TABLE_FALSE_POSITIVES.into_iter().map(row).collect();
            FddbShape { shape, objects: curve.faces, rates, curve }
        };
        Self { shapes: shapes.map(of_shape).collect() }
    }
}

impl Tabular for FddbRates {
    const TABLES: &'static [&'static str] = &["fddb", "fddb-curves"];

    fn tables(&self) -> Vec<Table> {
        let row = |shape: &FddbShape, rate: &super::RateRow| {
            vec![
                Cell::Text(shape.shape.as_str().to_owned()),
                Cell::Count(rate.false_positives),
                Cell::Number(Some(rate.discrete)),
                Cell::Number(Some(rate.continuous)),
            ]
        };
        let rows = self.shapes.iter().flat_map(|shape| shape.rates.iter().map(move |rate| row(shape, rate))).collect();
        let rates = Table { header: vec!["shape", "false_positives", "discrete", "continuous"], rows };
        let point = |shape: &FddbShape, point: &crate::evaluation::RocPoint| {
            let objects = shape.objects.max(1) as f64;
            vec![
                Cell::Text(shape.shape.as_str().to_owned()),
                // The point without detections has no threshold.
                Cell::Number((point.threshold != f64::MAX).then_some(point.threshold)),
                Cell::Count(point.false_positives),
                Cell::Number(Some(point.discrete / objects)),
                Cell::Number(Some(point.continuous / objects)),
            ]
        };
        let rows = self.shapes.iter().flat_map(|shape| shape.curve.points.iter().map(move |p| point(shape, p)));
        let header = vec!["shape", "threshold", "false_positives", "discrete", "continuous"];
        vec![rates, Table { header, rows: rows.collect() }]
    }
}

/// Returns the file names of the full report and of each metric's tables.
fn file_names(metrics: &[Metric]) -> Vec<String> {
    let tables = |metric: &Metric| match metric {
        Metric::Fddb => FddbRates::TABLES,
        Metric::Coco => <Coco as Evaluator>::Report::TABLES,
        Metric::Voc => <Voc as Evaluator>::Report::TABLES,
        Metric::PrecisionRecall => <PrecisionRecall as Evaluator>::Report::TABLES,
        Metric::MissRate => <MissRate as Evaluator>::Report::TABLES,
        Metric::Tide => <Tide as Evaluator>::Report::TABLES,
    };
    let tables = metrics.iter().flat_map(tables).map(|table| format!("{table}.csv"));
    std::iter::once("round.json".to_owned()).chain(tables).collect()
}

fn write(report: &mut RoundEvaluationReport, out: &Output, names: &[String]) -> Result<(), WorkflowError> {
    report.files = names.iter().map(|name| out.path.join(name)).collect();
    let json = serde_json::to_vec_pretty(report)
        .map_err(|e| WorkflowError::Refused(format!("the report cannot be written as JSON: {e}")))?;
    let tables = report.metrics.iter().flat_map(|metric| &metric.tables);
    let tables = tables.map(|(name, table)| (format!("{name}.csv"), csv_text(table)));
    let contents: Vec<(String, Vec<u8>)> = std::iter::once(("round.json".to_owned(), json)).chain(tables).collect();
    Ok(outputs::write_folder(out, &contents)?)
}

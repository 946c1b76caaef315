//! The use case "evaluate COCO files": reads a dataset's ground truth and a detector's result list, returns the metrics of one evaluator.

use std::path::PathBuf;

use serde::Serialize;

use super::super::WorkflowError;
use super::coco_set::CocoFiles;
use crate::domain::{Output, cell_text};
use crate::evaluation::{Cell, EvaluationSet, Evaluator, Metric, Table, Tabular};
use crate::workflow::outputs::{self, OutputPolicy};

/// What to compare, and where to write.
#[derive(Debug, Clone)]
pub struct CocoEvaluation {
    pub files: CocoFiles,
    /// Folder for the report as JSON and its tables as CSV; without it nothing is written.
    pub out: Option<Output>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReport<R> {
    pub metric: Metric,
    /// A one-line explanation of the metrics.
    pub meaning: &'static str,
    pub images: usize,
    /// Number of annotations, without crowds and ignored ones.
    pub objects: usize,
    pub ignored: usize,
    pub detections: usize,
    #[serde(flatten)]
    pub result: R,
    /// Notes for the user on how the files were interpreted.
    pub notes: Vec<String>,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// Reads both files, evaluates, and writes the report if requested.
pub fn evaluate_coco_files<E>(config: &CocoEvaluation, evaluator: &E) -> Result<MetricReport<E::Report>, WorkflowError>
where
    E: Evaluator<Input = EvaluationSet>,
    E::Report: Tabular,
{
    let metric = evaluator.metric();
    let names = file_names::<E::Report>(metric);
    if let Some(out) = &config.out {
        check(out, &names, &config.files)?;
    }
    let read = config.files.read()?;
    let objects = || read.set.images.iter().flat_map(|i| &i.objects);
    let ignored = objects().filter(|o| if has_difficult(metric) { o.ignored() } else { o.crowd }).count();
    let mut report = MetricReport {
        metric,
        meaning: metric.meaning(),
        images: read.set.images.len(),
        objects: objects().count() - ignored,
        ignored,
        detections: read.set.images.iter().map(|i| i.detections.len()).sum(),
        result: evaluator.evaluate(&read.set),
        notes: read.notes,
        files: Vec::new(),
    };
    if let Some(out) = &config.out {
        write(&mut report, out, &names)?;
    }
    Ok(report)
}

/// Whether the metric supports ignored objects that are not crowds.
fn has_difficult(metric: Metric) -> bool {
    !matches!(metric, Metric::Coco | Metric::Tide)
}

/// Returns the file names of the report and its tables.
fn file_names<R: Tabular>(metric: Metric) -> Vec<String> {
    let tables = R::TABLES.iter().map(|table| format!("{table}.csv"));
    std::iter::once(format!("{}.json", metric.name())).chain(tables).collect()
}

/// Refuses the folder if a file would replace an input or, without permission, any other file.
fn check(out: &Output, names: &[String], inputs: &CocoFiles) -> Result<(), WorkflowError> {
    let inputs = [&inputs.ground_truth, &inputs.detections];
    let policy =
        inputs.into_iter().fold(OutputPolicy::new().inputs(inputs), |policy, input| policy.project_around(input));
    Ok(policy.check_folder(out, names.iter().map(String::as_str))?)
}

fn write<R: Serialize + Tabular>(
    report: &mut MetricReport<R>,
    out: &Output,
    names: &[String],
) -> Result<(), WorkflowError> {
    report.files = names.iter().map(|name| out.path.join(name)).collect();
    let json = serde_json::to_vec_pretty(report)
        .map_err(|e| WorkflowError::Refused(format!("the report cannot be written as JSON: {e}")))?;
    let tables = report.result.tables();
    let contents = std::iter::once(json).chain(tables.iter().map(csv_text));
    Ok(outputs::write_folder(out, &names.iter().cloned().zip(contents).collect::<Vec<_>>())?)
}

pub(super) fn csv_text(table: &Table) -> Vec<u8> {
    let mut text = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut text);
    // Writing into memory does not fail.
    let _ = writer.write_record(&table.header);
    for row in &table.rows {
        let _ = writer.write_record(row.iter().map(csv_cell));
    }
    drop(writer);
    text
}

/// Formats numbers with all digits. Text that a spreadsheet would take for a formula is quoted.
fn csv_cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => cell_text(text).into_owned(),
        Cell::Count(count) => count.to_string(),
        Cell::Number(number) => number.map_or(String::new(), |v| v.to_string()),
    }
}

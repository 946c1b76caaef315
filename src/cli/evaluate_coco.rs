//! `quarry evaluate coco`, `voc`, `pr`, `miss-rate` and `tide`: run one evaluator on COCO's files.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Replace};
use crate::domain::counted;
use crate::evaluation::coco::{Coco, CocoMetrics};
use crate::evaluation::miss_rate::MissRate;
use crate::evaluation::precision_recall::PrecisionRecall;
use crate::evaluation::tide::Tide;
use crate::evaluation::voc::Voc;
use crate::evaluation::{Cell, EvaluationSet, Evaluator, Table, Tabular};
use crate::workflow::evaluate::{CocoEvaluation, CocoFiles, MetricReport, evaluate_coco_files};

const FILES: &str =
    "Where both files have `file_name`, images are found by it, else by `image_id`. docs/evaluation.md has each
metric's rules.";

#[derive(Debug, Args)]
#[command(after_help = FILES)]
struct FilesArgs {
    /// COCO's dataset: `images`, `annotations` and `categories`
    #[arg(long, value_name = "FILE.json")]
    ground_truth: PathBuf,
    /// COCO's result list, as `quarry detect --format coco` writes it
    #[arg(long, value_name = "FILE.json")]
    detections: PathBuf,
    /// Folder for the report as JSON and CSV
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

#[derive(Debug, Args)]
pub(super) struct CocoArgs {
    #[command(flatten)]
    files: FilesArgs,
}

#[derive(Debug, Args)]
pub(super) struct VocArgs {
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    iou: IouArgs,
}

#[derive(Debug, Args)]
pub(super) struct PrArgs {
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    iou: IouArgs,
}

#[derive(Debug, Args)]
pub(super) struct MissRateArgs {
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    iou: IouArgs,
}

#[derive(Debug, Args)]
pub(super) struct TideArgs {
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    iou: IouArgs,
    /// Maximum IoU of a detection on background
    #[arg(long, value_name = "IOU", default_value_t = 0.1, value_parser = overlap)]
    background_iou: f64,
}

#[derive(Debug, Args)]
struct IouArgs {
    /// IoU from which a detection matches an object
    #[arg(long, value_name = "IOU", default_value_t = 0.5, value_parser = overlap)]
    iou: f64,
}

pub(super) fn overlap(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v > 0.0 && v <= 1.0 => Ok(v),
        _ => Err("an overlap is a number above 0 and up to 1, such as 0.5".to_owned()),
    }
}

impl CocoArgs {
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        let report = evaluate_coco_files(&self.files.config(), &Coco)?;
        context.print(&report, || {
            let name = |k: usize| CocoMetrics::NAMES[k].replace('_', " ");
            let number = |k: usize, value: Option<f64>| format!("{:>10} {:>8}", name(k), number_text(value));
            let values = report.result.overall.values();
            let numbers: Vec<String> = values.into_iter().enumerate().map(|(k, value)| number(k, value)).collect();
            text(&report, &numbers)
        })
    }
}

impl VocArgs {
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        run(&self.files, &Voc { iou: self.iou.iou }, context)
    }
}

impl PrArgs {
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        run(&self.files, &PrecisionRecall { iou: self.iou.iou }, context)
    }
}

impl MissRateArgs {
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        run(&self.files, &MissRate { iou: self.iou.iou }, context)
    }
}

impl TideArgs {
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        let tide = Tide { iou: self.iou.iou, background_iou: self.background_iou };
        anyhow::ensure!(
            tide.background_iou < tide.iou,
            "--background-iou {} must be below --iou {}",
            tide.background_iou,
            tide.iou
        );
        let report = evaluate_coco_files(&self.files.config(), &tide)?;
        let ap = format!("{:>10} {:>8}", "AP", number_text(report.result.ap));
        context.print(&report, || text(&report, &[ap]))
    }
}

fn run<E>(files: &FilesArgs, evaluator: &E, context: &Context) -> anyhow::Result<()>
where
    E: Evaluator<Input = EvaluationSet>,
    E::Report: Tabular,
{
    let report = evaluate_coco_files(&files.config(), evaluator)?;
    context.print(&report, || text(&report, &[]))
}

impl FilesArgs {
    fn config(&self) -> CocoEvaluation {
        let files = CocoFiles { ground_truth: self.ground_truth.clone(), detections: self.detections.clone() };
        CocoEvaluation { files, out: self.out.as_ref().map(|out| self.replace.output(out)) }
    }
}

/// Formats counts, `numbers`, the first table (the others are curves, for files), notes and file names.
fn text<R: Tabular>(report: &MetricReport<R>, numbers: &[String]) -> String {
    let MetricReport { images, objects, ignored, detections, .. } = report;
    let counts = format!(
        "{}, {}, {ignored} ignored, {}",
        counted(*images, "image"),
        counted(*objects, "object"),
        counted(*detections, "detection")
    );
    let mut lines = vec![counts, report.meaning.to_owned(), String::new()];
    if !numbers.is_empty() {
        lines.extend(numbers.iter().cloned());
        lines.push(String::new());
    }
    if let Some(table) = report.result.tables().first() {
        lines.extend(table_lines(table));
    }
    lines.extend(report.notes.iter().map(|note| format!("Note: {note}")));
    lines.extend(report.files.iter().map(|file| file.display().to_string()));
    lines.join("\n")
}

/// Aligns the first column left, the others right.
pub(super) fn table_lines(table: &Table) -> Vec<String> {
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Count(count) => count.to_string(),
        Cell::Number(number) => number_text(*number),
    };
    let header = table.header.iter().map(|name| (*name).replace('_', " ")).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(header).chain(table.rows.iter().map(|row| row.iter().map(cell).collect())).collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.header.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(k, (c, w))| if k == 0 { format!("{c:<w$}") } else { format!("{c:>w$}") });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

/// Formats four decimals; `-` if a number is undefined.
fn number_text(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |v| format!("{v:.4}"))
}

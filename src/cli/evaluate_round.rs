//! `quarry evaluate round N --project DIR`: runs every evaluator on a round's detections on its test images.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::evaluate_coco::{overlap, table_lines};
use super::{Context, Replace};
use crate::domain::{counted, counted_as};
use crate::evaluation::Metric;
use crate::workflow::Project;
use crate::workflow::evaluate::{RoundEvaluation, RoundEvaluationReport, evaluate_round};
use crate::workflow::tested_round::GroundTruth;

const EXAMPLES: &str = "Examples:
  quarry evaluate round 2 --project pets
  quarry evaluate round 2 --project pets --metric tide --metric miss-rate --out results

The detections are those of the round's last evaluation; detection is not run again. Rounds of imported models are evaluated in the
same way. docs/evaluation.md has each metric's rules.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RoundArgs {
    /// The round's number in the project
    #[arg(value_name = "N")]
    round: u32,
    /// Only this metric; may be repeated
    #[arg(long, value_enum, value_name = "METRIC")]
    metric: Vec<MetricWord>,
    /// Which ground truth counts: as imported, or with annotators' corrections and added objects
    #[arg(long, value_enum, default_value_t)]
    ground_truth: TruthWord,
    /// IoU from which a detection matches an object; COCO's metrics have their own
    #[arg(long, value_name = "IOU", default_value_t = 0.5, value_parser = overlap)]
    iou: f64,
    /// Folder for the reports as JSON and CSV
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum TruthWord {
    #[default]
    Imported,
    Corrected,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MetricWord {
    Fddb,
    Coco,
    Voc,
    Pr,
    MissRate,
    Tide,
}

impl From<MetricWord> for Metric {
    fn from(word: MetricWord) -> Self {
        match word {
            MetricWord::Fddb => Self::Fddb,
            MetricWord::Coco => Self::Coco,
            MetricWord::Voc => Self::Voc,
            MetricWord::Pr => Self::PrecisionRecall,
            MetricWord::MissRate => Self::MissRate,
            MetricWord::Tide => Self::Tide,
        }
    }
}

impl RoundArgs {
    pub fn run(&self, context: &Context) -> anyhow::Result<()> {
        let project = Project::open(&context.project_dir())?;
        let mut metrics: Vec<Metric> = Vec::new();
        for metric in self.metric.iter().map(|word| Metric::from(*word)) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        let out = self.out.as_ref().map(|out| self.replace.output(out));
        let ground_truth = match self.ground_truth {
            TruthWord::Imported => GroundTruth::Imported,
            TruthWord::Corrected => GroundTruth::Corrected,
        };
        let request = RoundEvaluation { round: self.round, metrics, ground_truth, iou: self.iou, out };
        let report = evaluate_round(&project, &request)?;
        context.print(&report, || text(&report))
    }
}

fn text(report: &RoundEvaluationReport) -> String {
    let RoundEvaluationReport { images, objects, ignored, detections, .. } = report;
    let of = report.model.as_ref().map_or_else(|| format!(" at step {}", report.step), |model| format!(" ({model})"));
    let mut lines = vec![
        format!(
            "Round {}{of}: {}, {}, {ignored} ignored, {}",
            report.round,
            counted(*images, "image"),
            counted(*objects, "object"),
            counted(*detections, "detection")
        ),
        format!("Ground truth {}", report.ground_truth.text()),
    ];
    if report.unreadable > 0 {
        lines.push(counted_as(
            report.unreadable,
            "image could not be read; its objects count as missed",
            "images could not be read; their objects count as missed",
        ));
    }
    for metric in &report.metrics {
        lines.push(String::new());
        lines.push(format!("{}: {}", metric.metric.title(), metric.meaning));
        if let Some((_, table)) = metric.tables.first() {
            lines.extend(table_lines(table));
        }
    }
    if !(report.notes.is_empty() && report.files.is_empty()) {
        lines.push(String::new());
    }
    lines.extend(report.notes.iter().map(|note| format!("Note: {note}")));
    lines.extend(report.files.iter().map(|file| file.display().to_string()));
    lines.join("\n")
}

//! `quarry evaluate`: detection files to curves, without a project. Must not know how anything is computed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Context;
use crate::domain::Cancel;
use crate::evaluation::Matching;
use crate::evaluation::fddb_text::{Order, Shape, UnreadableScores};
use crate::evaluation::figure::FigureFormat;
use crate::workflow::evaluate::{EvaluationReport, FddbEvaluation, RateRow, SizeSource, evaluate_fddb};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct EvaluateArgs {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// FDDB's official evaluation, byte for byte: discrete and continuous ROC
    Fddb(Box<FddbArgs>),
}

const EXAMPLE: &str = "Example:
  quarry evaluate fddb --annotations FDDB-folds/FDDB-fold-*-ellipseList.txt --detections dets.txt \\
      --images-root originalPics --out results --figure svg --published";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
struct FddbArgs {
    /// Ellipse lists, in order; several are also evaluated as folds
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    annotations: Vec<PathBuf>,
    /// Detection files, in the annotations' order
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    detections: Vec<PathBuf>,
    /// Folder that image names start from; only headers are read
    #[arg(long, value_name = "DIR", required_unless_present = "sizes", conflicts_with = "sizes")]
    images_root: Option<PathBuf>,
    /// Table of image sizes instead of the images: name, width, height
    #[arg(long, value_name = "FILE.tsv")]
    sizes: Option<PathBuf>,
    /// Folder for DiscROC.txt, ContROC.txt, curves.csv, summary.json and figures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Image lists; evaluation stops where they end
    #[arg(long, num_args = 1.., value_name = "FILE")]
    list: Vec<PathBuf>,
    /// Shape of the detections
    #[arg(long, value_enum, default_value_t)]
    shape: ShapeWord,
    /// Assignment of detections to faces; only `official` compares with published curves
    #[arg(long, value_enum, default_value_t)]
    matching: MatchingWord,
    /// How detections find their image: block by block, or by name
    #[arg(long, value_enum, default_value_t)]
    order: OrderWord,
    /// What to do with scores like nan: refuse them, or misread them as the official program does
    #[arg(long, value_enum, default_value_t)]
    unreadable_scores: UnreadableWord,
    /// Draw the curves
    #[arg(long, value_enum, num_args = 1.., value_name = "FORMAT")]
    figure: Vec<FigureWord>,
    /// Logarithmic false positives in figures
    #[arg(long)]
    logarithmic: bool,
    /// Published reference points in figures
    #[arg(long)]
    published: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ShapeWord {
    #[default]
    Auto,
    Rectangle,
    Ellipse,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum MatchingWord {
    #[default]
    Official,
    Optimal,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum OrderWord {
    #[default]
    List,
    Name,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum UnreadableWord {
    #[default]
    Refuse,
    AsOfficial,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FigureWord {
    Svg,
    Png,
}

/// Evaluates, writes the files and prints the table, or the summary as JSON.
pub fn run(args: &EvaluateArgs, context: &Context) -> anyhow::Result<()> {
    let Benchmark::Fddb(args) = &args.benchmark;
    let report = evaluate_fddb(&args.config(), &mut |_| {}, &Cancel::new())?;
    context.print(&report, || text(&report))
}

impl FddbArgs {
    fn config(&self) -> FddbEvaluation {
        // Clap requires one of the two.
        let sizes = match (&self.sizes, &self.images_root) {
            (Some(table), _) => SizeSource::Table(table.clone()),
            (None, root) => SizeSource::Images(root.clone().unwrap_or_default()),
        };
        FddbEvaluation {
            annotations: self.annotations.clone(),
            detections: self.detections.clone(),
            lists: self.list.clone(),
            sizes,
            shape: match self.shape {
                ShapeWord::Auto => Shape::Auto,
                ShapeWord::Rectangle => Shape::Rectangle,
                ShapeWord::Ellipse => Shape::Ellipse,
            },
            matching: match self.matching {
                MatchingWord::Official => Matching::Official,
                MatchingWord::Optimal => Matching::Optimal,
            },
            order: match self.order {
                OrderWord::List => Order::List,
                OrderWord::Name => Order::ByName,
            },
            unreadable_scores: match self.unreadable_scores {
                UnreadableWord::Refuse => UnreadableScores::Refuse,
                UnreadableWord::AsOfficial => UnreadableScores::AsOfficial,
            },
            out: self.out.clone(),
            figures: self.figures(),
            logarithmic: self.logarithmic,
            published: self.published,
        }
    }

    fn figures(&self) -> Vec<FigureFormat> {
        let format = |word: &FigureWord| match word {
            FigureWord::Svg => FigureFormat::Svg,
            FigureWord::Png => FigureFormat::Png,
        };
        self.figure.iter().map(format).collect()
    }
}

fn text(report: &EvaluationReport) -> String {
    let mut lines = vec![
        format!(
            "{} images, {} faces, {} detections, {} ROC points, at most {} false positives",
            report.images, report.faces, report.detections, report.points, report.largest_false_positives
        ),
        String::new(),
        format!("{:>16} {:>10} {:>11}", "false positives", "discrete", "continuous"),
    ];
    for RateRow { false_positives, discrete, continuous } in &report.pooled {
        lines.push(format!("{false_positives:>16} {discrete:>10.4} {continuous:>11.4}"));
    }
    if let Some(first) = report.spread.iter().find(|s| s.false_positives == 100) {
        let (d, c) = (first.discrete, first.continuous);
        lines.push(String::new());
        lines.push(format!(
            "Spread over {} folds at {} false positives in all: discrete {:.4} ± {:.4}, continuous {:.4} ± {:.4}",
            report.folds.len(),
            first.false_positives,
            d.mean,
            d.deviation,
            c.mean,
            c.deviation
        ));
    }
    lines.push(String::new());
    lines.extend(report.files.iter().map(|file| file.display().to_string()));
    lines.join("\n")
}

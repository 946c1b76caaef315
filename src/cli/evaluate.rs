//! `quarry evaluate`: computes curves and metrics from detection files without a project, and the metrics of a project's round.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::console::Console;
use super::evaluate_coco::{CocoArgs, MissRateArgs, PrArgs, TideArgs, VocArgs};
use super::evaluate_round::RoundArgs;
use super::{Context, Replace};
use crate::domain::{Cancel, counted};
use crate::evaluation::Matching;
use crate::evaluation::fddb_text::{Order, Shape, UnreadableScores};
use crate::evaluation::figure::FigureFormat;
use crate::workflow::evaluate::{
    ApEvaluation, ApReport, EvaluationReport, FddbEvaluation, RateRow, SizeSource, evaluate_ap, evaluate_fddb,
};

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
    /// COCO's average precision of one category: AP, AP50, AP75, and by size
    Ap(ApArgs),
    /// COCO's twelve metrics, overall and per category, as pycocotools computes them
    Coco(CocoArgs),
    /// PASCAL VOC's average precision of each category: over 11 recalls and over all recalls
    Voc(VocArgs),
    /// Precision and recall at each score, and the threshold with the largest F1
    Pr(PrArgs),
    /// Miss rate over false positives per image, and its log-average
    MissRate(MissRateArgs),
    /// TIDE: the average precision lost to each kind of error
    Tide(TideArgs),
    /// A round of a project or of an imported model, by all of these metrics
    Round(RoundArgs),
}

const EXAMPLE: &str = "Example:
  quarry evaluate fddb --annotations FDDB-folds/FDDB-fold-*-ellipseList.txt --detections dets.txt \\
      --images-root originalPics --out results --figure svg --published";

const AP_EXAMPLE: &str = "Example:
  quarry detect --checkpoint faces/runs/2/model.safetensors --images val --format coco --out found.json
  quarry evaluate ap --ground-truth annotations.json --detections found.json

As pycocotools computes it for boxes of one category: ten IoU thresholds from .50 to .95, 101 recalls, the best 100
detections of an image; small is below 32 x 32 pixels, large above 96 x 96. Where both files have `file_name`, images are
found by it, else by `image_id`.";

#[derive(Debug, Args)]
#[command(after_help = AP_EXAMPLE)]
struct ApArgs {
    /// COCO's dataset: `images` and `annotations`
    #[arg(long, value_name = "FILE.json")]
    ground_truth: PathBuf,
    /// COCO's result list, as `quarry detect --format coco` writes it
    #[arg(long, value_name = "FILE.json")]
    detections: PathBuf,
    /// The category to evaluate, if the ground truth has several
    #[arg(long, value_name = "ID")]
    category: Option<i64>,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
struct FddbArgs {
    /// Ellipse lists, in order; several are evaluated as folds too
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    annotations: Vec<PathBuf>,
    /// Detection files, in the annotations' order
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    detections: Vec<PathBuf>,
    /// Folder that image names are relative to; only the images' headers are read
    #[arg(long, value_name = "DIR", required_unless_present = "sizes", conflicts_with = "sizes")]
    images_root: Option<PathBuf>,
    /// A table of image sizes instead of the images: name, width, height
    #[arg(long, value_name = "FILE.tsv")]
    sizes: Option<PathBuf>,
    /// Folder for DiscROC.txt, ContROC.txt, curves.csv, summary.json and figures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    replace: Replace,
    /// Image lists; evaluation stops at their end
    #[arg(long, num_args = 1.., value_name = "FILE")]
    list: Vec<PathBuf>,
    /// Shape of the detections
    #[arg(long, value_enum, default_value_t)]
    shape: ShapeWord,
    /// Assignment of detections to faces; only `official` compares with published curves
    #[arg(long, value_enum, default_value_t)]
    matching: MatchingWord,
    /// How detections are matched to images: by order or by name
    #[arg(long, value_enum, default_value_t)]
    order: OrderWord,
    /// Scores such as nan: refuse them, or misread them as the official program does
    #[arg(long, value_enum, default_value_t)]
    unreadable_scores: UnreadableWord,
    /// Draw the curves
    #[arg(long, value_enum, num_args = 1.., value_name = "FORMAT")]
    figure: Vec<FigureWord>,
    /// Logarithmic x axis in figures
    #[arg(long)]
    logarithmic: bool,
    /// Start the y axis of figures at 0 [default: below the lowest curve]
    #[arg(long)]
    from_zero: bool,
    /// Draw published reference points in figures
    #[arg(long)]
    published: bool,
    /// Refuse images whose matching may take more hours of one core
    #[arg(long, value_name = "HOURS", default_value_t = 1.0)]
    most_hours: f64,
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
    match &args.benchmark {
        Benchmark::Fddb(args) => {
            let mut console = Console::new();
            // Nothing is written before the end, so Ctrl-C may end the program immediately.
            let report = evaluate_fddb(&args.config(), &mut |event| console.show(event), &Cancel::new())?;
            drop(console);
            context.print_done(&report, || text(&report))
        }
        Benchmark::Ap(args) => {
            let report = evaluate_ap(&args.config())?;
            context.print(&report, || ap_text(&report))
        }
        Benchmark::Coco(args) => args.run(context),
        Benchmark::Voc(args) => args.run(context),
        Benchmark::Pr(args) => args.run(context),
        Benchmark::MissRate(args) => args.run(context),
        Benchmark::Tide(args) => args.run(context),
        Benchmark::Round(args) => args.run(context),
    }
}

impl ApArgs {
    fn config(&self) -> ApEvaluation {
        ApEvaluation {
            ground_truth: self.ground_truth.clone(),
            detections: self.detections.clone(),
            category: self.category,
        }
    }
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
            out: self.replace.output(&self.out),
            figures: self.figures(),
            logarithmic: self.logarithmic,
            from_zero: self.from_zero,
            published: self.published,
            most_hours: self.most_hours,
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
            "{}, {}, {}, {}, at most {}",
            counted(report.images, "image"),
            counted(report.faces, "face"),
            counted(report.detections, "detection"),
            counted(report.points, "ROC point"),
            counted(report.largest_false_positives, "false positive")
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

fn ap_text(report: &ApReport) -> String {
    let ApReport { images, faces, crowds, detections, precision, notes } = report;
    let mut lines = vec![
        format!(
            "{}, {}, {}, {}",
            counted(*images, "image"),
            counted(*faces, "object"),
            counted(*crowds, "crowd"),
            counted(*detections, "detection")
        ),
        String::new(),
    ];
    let names = ["AP", "AP50", "AP75", "AP small", "AP medium", "AP large"];
    for (name, value) in names.into_iter().zip(precision.values()) {
        // No ground truth of that size.
        let value = value.map_or("-".to_owned(), |v| format!("{v:.4}"));
        lines.push(format!("{name:>10} {value:>8}"));
    }
    lines.extend(notes.iter().map(|note| format!("Note: {note}")));
    lines.join("\n")
}

//! `quarry export ground-truth|hard-negatives|ignored-regions|detections|crops --project DIR --out PATH`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use super::console::{Console, cancel_on_ctrl_c};
use super::{Context, Replace};
use crate::domain::HardNegativeSource;
use crate::store::Store;
use crate::workflow::Project;
use crate::workflow::crops::{CropReport, MANIFEST, crops};
use crate::workflow::export::{
    DetectionFormat, ExportReport, ExportScope, WriteFormat, detections, ground_truth, hard_negatives, ignored_regions,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry export ground-truth --project objects --format coco --out objects.json
  quarry export ground-truth --project objects --format yolo --split train --out yolo/
  quarry export hard-negatives --project objects --format voc --out negatives/
  quarry export crops --project objects --out crops/")]
pub struct ExportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The objects of all images, each with its source: imported from the dataset, promoted by a reviewer, or edited
    #[command(after_help = "Example:
  quarry export ground-truth --project faces --format fddb --out faces.txt

What a format cannot hold is said. FDDB's text has no room for sources: they are written beside it, to faces.sources.csv. Images are
not copied: for yolo, link or copy the dataset's folder to images/ in the exported folder.")]
    GroundTruth {
        #[command(flatten)]
        to: Target,
    },
    /// What the next round trains with as background, with the class that it was mistaken for and its score
    #[command(after_help = "Example:
  quarry export hard-negatives --project objects --format coco --out negatives.json")]
    HardNegatives {
        #[command(flatten)]
        to: Target,
        /// Every candidate that nobody rejected, not only confirmed ones
        #[arg(long)]
        unreviewed: bool,
    },
    /// Rejected candidates, which are neither learnt as objects nor as background
    #[command(after_help = "Example:
  quarry export ignored-regions --project objects --format csv --out ignored.csv")]
    IgnoredRegions {
        #[command(flatten)]
        to: Target,
    },
    /// A mined round's detections on the training images; image and category ids are those of the ground truth exported as coco
    #[command(after_help = "Example:
  quarry export detections --project objects --round 2 --format coco --out detections.json")]
    Detections {
        #[arg(long, value_name = "N")]
        round: u32,
        #[arg(long, value_enum)]
        format: Results,
        #[command(flatten)]
        scope: Scope,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        replace: Replace,
    },
    /// Hard negatives as PNG files, with manifest.csv
    #[command(after_help = "Example:
  quarry export crops --project objects --out crops/")]
    Crops {
        #[command(flatten)]
        scope: Scope,
        /// The folder to write
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Every candidate that nobody rejected, not only confirmed ones
        #[arg(long)]
        unreviewed: bool,
        #[command(flatten)]
        replace: Replace,
    },
}

#[derive(Debug, clap::Args)]
struct Target {
    #[arg(long, value_enum)]
    format: Format,
    #[command(flatten)]
    scope: Scope,
    /// The file to write; a folder for yolo and voc
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    #[command(flatten)]
    replace: Replace,
}

#[derive(Debug, Clone, clap::Args)]
struct Scope {
    /// Only the dataset of this name
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Only the images of this split
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON file; ellipse, source, split and score are further keys
    Coco,
    /// A folder with data.yaml, a list for each split, and labels/
    Yolo,
    /// A folder with Annotations/ and ImageSets/Main/
    Voc,
    /// CVAT for images 1.1, one XML file
    Cvat,
    /// An ellipse list, all images in one file
    Fddb,
    /// One row an object
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Results {
    /// COCO's result list
    Coco,
    /// FDDB's text
    Fddb,
}

pub fn run(args: &ExportArgs, context: &Context) -> anyhow::Result<()> {
    let store = Project::open(&context.project_dir())?.open_store_to_read()?;
    match &args.what {
        What::GroundTruth { to } => {
            let report = ground_truth(&store, &to.scope.get(), to.format(), to.replace.output(&to.out))?;
            context.print_done(&report, || truth_text(&report))
        }
        What::HardNegatives { to, unreviewed } => {
            let (scope, out) = (to.scope.get(), to.replace.output(&to.out));
            let report = hard_negatives(&store, &scope, source(*unreviewed), to.format(), out)?;
            context.print_done(&report, || text(&report, "hard negatives"))
        }
        What::IgnoredRegions { to } => {
            let report = ignored_regions(&store, &to.scope.get(), to.format(), to.replace.output(&to.out))?;
            context.print_done(&report, || text(&report, "ignored regions"))
        }
        What::Detections { round, format, scope, out, replace } => {
            let format = match format {
                Results::Coco => DetectionFormat::Coco,
                Results::Fddb => DetectionFormat::Fddb,
            };
            let (images, found) = detections(&store, &scope.get(), *round, format, replace.output(out))?;
            let value = serde_json::json!({ "images": images, "detections": found, "file": out.to_string_lossy() });
            context.print_done(&value, || format!("{found} detections on {images} images in {}", out.display()))
        }
        What::Crops { scope, out, unreviewed, replace } => {
            let report = cut(&store, &scope.get(), source(*unreviewed), replace.output(out))?;
            context.print_done(&report, || crops_text(&report))
        }
    }
}

fn cut(
    store: &Store,
    scope: &ExportScope,
    source: HardNegativeSource,
    out: crate::domain::Output,
) -> anyhow::Result<CropReport> {
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    Ok(crops(store, scope, source, out, &mut |event| console.show(event), &cancel)?)
}

fn source(unreviewed: bool) -> HardNegativeSource {
    if unreviewed { HardNegativeSource::Unreviewed } else { HardNegativeSource::Confirmed }
}

impl Target {
    fn format(&self) -> WriteFormat {
        match self.format {
            Format::Coco => WriteFormat::Coco,
            Format::Yolo => WriteFormat::Yolo,
            Format::Voc => WriteFormat::Voc,
            Format::Cvat => WriteFormat::Cvat,
            Format::Fddb => WriteFormat::Fddb,
            Format::Csv => WriteFormat::Csv,
        }
    }
}

impl Scope {
    fn get(&self) -> ExportScope {
        ExportScope { dataset: self.dataset.clone(), split: self.split.clone() }
    }
}

fn truth_text(report: &ExportReport) -> String {
    let ExportReport { imported, promoted, edited, .. } = report;
    let only_faces = report.faces == report.objects && report.faces > 0;
    let sources = format!(": {imported} imported, {promoted} promoted, {edited} edited");
    with_losses(format!("{}{sources}", counts(report, if only_faces { "faces" } else { "objects" })), report)
}

fn text(report: &ExportReport, what: &str) -> String {
    with_losses(counts(report, what), report)
}

fn counts(report: &ExportReport, what: &str) -> String {
    let files: Vec<String> = report.files.iter().map(|file| file.display().to_string()).collect();
    format!("{} {what} on {} images in {}", report.objects, report.images, files.join(" and "))
}

fn with_losses(text: String, report: &ExportReport) -> String {
    report.losses.iter().fold(text, |text, loss| format!("{text}\n{loss}"))
}

fn crops_text(report: &CropReport) -> String {
    let mut text = format!("{} crops in {}, listed in {MANIFEST}", report.crops, report.folder.display());
    for (image, why) in report.left_out.iter().take(3) {
        let _ = write!(text, "\nLeft out: {image}: {why}");
    }
    if report.left_out.len() > 3 {
        let _ = write!(text, "\n… {} images in all", report.left_out.len());
    }
    text
}

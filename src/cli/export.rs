//! `quarry export ground-truth|hard-negatives|ignored-regions|detections|training|crops --project DIR --out PATH`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use super::console::{Console, cancel_on_ctrl_c};
use super::{Context, Replace};
use crate::domain::{HardNegativeSource, counted, counted_as, parse_splits};
use crate::store::Store;
use crate::workflow::Project;
use crate::workflow::crops::{CropReport, MANIFEST, crops};
use crate::workflow::export::{
    DetectionFormat, ExportReport, ExportScope, ExportedDetections, WriteFormat, detections, ground_truth,
    hard_negatives, ignored_regions, imported_ground_truth,
};
use crate::workflow::export_images::{check_images, place_images};
use crate::workflow::training_export::{
    Dose, ImagesAs, NegativesAs, TrainingExport, TrainingFormat, export_training, usual_splits,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry export ground-truth --project objects --format coco --out objects.json
  quarry export ground-truth --project objects --format yolo --split train --out yolo/
  quarry export hard-negatives --project objects --format voc --out negatives/
  quarry export training --project objects --format yolo --val val --out to-train/
  quarry export crops --project objects --out crops/")]
pub struct ExportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The objects of all images with their sources: imported, promoted, edited or added
    #[command(after_help = "Example:
  quarry export ground-truth --project faces --format fddb --out faces.txt

The report says what the format cannot hold. FDDB's format has no sources: they are written to faces.sources.csv. For yolo, --images adds the images. To train, use `quarry export training`, which leaves out what nobody reviewed.")]
    GroundTruth {
        #[command(flatten)]
        to: Target,
        /// Only the objects as imported, without corrections
        #[arg(long)]
        imported_only: bool,
        /// Place the images where the exported lists expect them (yolo)
        #[arg(long, value_enum)]
        images: Option<ImagesArg>,
    },
    /// The next round's hard negatives, with class and score
    #[command(after_help = "Example:
  quarry export hard-negatives --project objects --format coco --out negatives.json")]
    HardNegatives {
        #[command(flatten)]
        to: Target,
        /// All candidates that nobody rejected, not only confirmed ones
        #[arg(long)]
        unreviewed: bool,
    },
    /// Rejected candidates, which are trained neither as objects nor as background
    #[command(after_help = "Example:
  quarry export ignored-regions --project objects --format csv --out ignored.csv")]
    IgnoredRegions {
        #[command(flatten)]
        to: Target,
    },
    /// A mined round's detections on the training images, or an imported round's on all; ids match the ground truth exported as coco
    #[command(after_help = "Example:
  quarry export detections --project objects --round 2 --format coco --out detections.json")]
    Detections {
        /// The round's number in the project
        #[arg(long, value_name = "N")]
        round: u32,
        #[arg(long, value_enum)]
        format: Results,
        /// Shapes to write: rectangles, or ellipses where the detections have them (in COCO format, a separate field)
        #[arg(long, value_parser = ["rectangle", "ellipse"], default_value = "rectangle")]
        shape: String,
        #[command(flatten)]
        scope: Scope,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        replace: Replace,
    },
    /// A folder to train from: images, labels and hard negatives; ultralytics reads its data.yaml
    #[command(after_help = "Examples:
  quarry export training --project objects --format yolo --val val --out yolo/
  quarry export training --project faces --format yolo --val 9 --test 10 --images copy --out faces-yolo/
  quarry export training --project objects --format coco --share 0.1 --per-group 3 --out coco/

Only what was reviewed counts as background: an image without objects is exported where somebody said that nothing is missed in it (K in the
window, `quarry dataset complete`); excluded.csv lists the others. Rejected and ignored regions are iscrowd in COCO; for YOLO they are painted
out in copies. weights.csv and hard_negatives.csv give a weight for each image and region, manifest.json says how the folder was made.")]
    Training {
        #[arg(long, value_enum)]
        format: TrainingFormatArg,
        #[command(flatten)]
        scope: Scope,
        /// The folder to write; new or empty, outside of all datasets
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How images are placed in the folder
        #[arg(long, value_enum, default_value_t)]
        images: ImagesArg,
        /// Splits to validate on [default: val, if there is one]
        #[arg(long, value_name = "SPLITS", value_parser = parse_splits)]
        val: Option<Splits>,
        /// Splits to test on [default: test, if there is one]
        #[arg(long, value_name = "SPLITS", value_parser = parse_splits)]
        test: Option<Splits>,
        /// Hard negatives on images with objects: cropped, or their images repeated in the training list
        #[arg(long, value_enum, default_value_t)]
        negatives: NegativesArg,
        /// All candidates that nobody rejected, not only confirmed ones
        #[arg(long, conflicts_with = "no_hard_negatives")]
        unreviewed: bool,
        /// No hard negatives
        #[arg(long)]
        no_hard_negatives: bool,
        /// Maximum number of hard negatives, highest scores first
        #[arg(long, value_name = "N")]
        number: Option<usize>,
        /// Maximum share of the training images, e.g. 0.1
        #[arg(long, value_name = "SHARE", value_parser = parse_share)]
        share: Option<f64>,
        /// Maximum number per group
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        per_group: Option<u32>,
        /// How often a repeated image is listed
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
        repeat: u32,
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
        /// All candidates that nobody rejected, not only confirmed ones
        #[arg(long)]
        unreviewed: bool,
        #[command(flatten)]
        replace: Replace,
    },
}

/// A list as one argument.
type Splits = Vec<String>;

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a share: write a number from 0 to 1"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TrainingFormatArg {
    /// data.yaml, a list for each part, labels/
    Yolo,
    /// train.json, val.json, test.json
    Coco,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum ImagesArg {
    /// Symbolic links to the datasets' files
    #[default]
    Link,
    /// Copies
    Copy,
}

impl From<ImagesArg> for ImagesAs {
    fn from(images: ImagesArg) -> Self {
        match images {
            ImagesArg::Link => Self::Link,
            ImagesArg::Copy => Self::Copy,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum NegativesArg {
    #[default]
    Crops,
    Repeats,
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
    /// Only this dataset
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Only this split
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
    /// One row per object
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Results {
    /// COCO's result list
    Coco,
    /// FDDB's text
    Fddb,
}

impl From<Results> for DetectionFormat {
    fn from(format: Results) -> Self {
        match format {
            Results::Coco => Self::Coco,
            Results::Fddb => Self::Fddb,
        }
    }
}

pub fn run(args: &ExportArgs, context: &Context) -> anyhow::Result<()> {
    let store = Project::open(&context.project_dir())?.open_store_to_read()?;
    match &args.what {
        What::GroundTruth { to, imported_only, images } => {
            let (scope, out) = (to.scope.get(), to.replace.output(&to.out));
            anyhow::ensure!(
                images.is_none() || to.format == Format::Yolo,
                "--images goes with --format yolo; the other formats name the images where they are"
            );
            if images.is_some() {
                check_images(&store, &scope)?;
            }
            let mut report = if *imported_only {
                imported_ground_truth(&store, &scope, to.format(), out.clone())
            } else {
                ground_truth(&store, &scope, to.format(), out.clone())
            }?;
            if let Some(images) = images {
                let mut console = Console::new();
                let cancel = cancel_on_ctrl_c();
                let placed = place_images(&store, &scope, (*images).into(), &out, &mut |e| console.show(e), &cancel)?;
                report.losses.extend(placed.warning());
            }
            context.print_done(&report, || truth_text(&report))
        }
        What::HardNegatives { to, unreviewed } => {
            let (scope, out) = (to.scope.get(), to.replace.output(&to.out));
            let report = hard_negatives(&store, &scope, source(*unreviewed), to.format(), out)?;
            context.print_done(&report, || text(&report, "hard negative"))
        }
        What::IgnoredRegions { to } => {
            let report = ignored_regions(&store, &to.scope.get(), to.format(), to.replace.output(&to.out))?;
            context.print_done(&report, || text(&report, "ignored region"))
        }
        What::Detections { round, format, shape, scope, out, replace } => {
            let (ellipses, output) = (shape == "ellipse", replace.output(out));
            let done = detections(&store, &scope.get(), *round, (*format).into(), ellipses, output)?;
            let ExportedDetections { images, detections: found, ellipses_left_out } = done;
            let value = serde_json::json!({
                "images": images, "detections": found, "ellipses_left_out": ellipses_left_out, "file": out.to_string_lossy()
            });
            context.print_done(&value, || {
                let of = match ellipses_left_out {
                    0 => String::new(),
                    n => format!(
                        "; {} of which the boxes were written (--shape ellipse)",
                        counted_as(n, "has an ellipse,", "have ellipses,")
                    ),
                };
                format!("{} on {} in {}{of}", counted(found, "detection"), counted(images, "image"), out.display())
            })
        }
        What::Training {
            format,
            scope,
            out,
            images,
            val,
            test,
            negatives,
            unreviewed,
            no_hard_negatives,
            number,
            share,
            per_group,
            repeat,
        } => {
            let scope = scope.get();
            let [usual_val, usual_test] = usual_splits(&store, &scope)?;
            let settings = TrainingExport {
                format: match format {
                    TrainingFormatArg::Yolo => TrainingFormat::Yolo,
                    TrainingFormatArg::Coco => TrainingFormat::Coco,
                },
                images: (*images).into(),
                hard_negatives: if *no_hard_negatives { HardNegativeSource::None } else { source(*unreviewed) },
                negatives_as: match negatives {
                    NegativesArg::Crops => NegativesAs::Crops,
                    NegativesArg::Repeats => NegativesAs::Repeats,
                },
                dose: Dose {
                    number: *number,
                    share: *share,
                    per_group: per_group.map(|most| most as usize),
                    repeat: *repeat,
                },
                val: val.clone().unwrap_or(usual_val),
                test: test.clone().unwrap_or(usual_test),
                scope,
            };
            let mut console = Console::new();
            let cancel = cancel_on_ctrl_c();
            let report = export_training(&store, &settings, out, &mut |event| console.show(event), &cancel)?;
            drop(console);
            context.print_done(&report, || report.to_string())
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
    let ExportReport { imported, promoted, edited, added, .. } = report;
    let only_faces = report.faces == report.objects && report.faces > 0;
    let sources = format!(": {imported} imported, {promoted} promoted, {edited} edited, {added} added");
    with_losses(format!("{}{sources}", counts(report, if only_faces { "face" } else { "object" })), report)
}

fn text(report: &ExportReport, what: &str) -> String {
    with_losses(counts(report, what), report)
}

fn counts(report: &ExportReport, what: &str) -> String {
    let files: Vec<String> = report.files.iter().map(|file| file.display().to_string()).collect();
    format!("{} on {} in {}", counted(report.objects, what), counted(report.images, "image"), files.join(" and "))
}

fn with_losses(text: String, report: &ExportReport) -> String {
    report.losses.iter().fold(text, |text, loss| format!("{text}\n{loss}"))
}

fn crops_text(report: &CropReport) -> String {
    let mut text = format!("{} in {}, listed in {MANIFEST}", counted(report.crops, "crop"), report.folder.display());
    for (image, why) in report.left_out.iter().take(3) {
        let _ = write!(text, "\nLeft out: {image}: {why}");
    }
    if report.left_out.len() > 3 {
        let _ = write!(text, "\n… {} images in all", report.left_out.len());
    }
    text
}

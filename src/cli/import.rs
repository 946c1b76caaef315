//! `quarry import FORMAT PATH --project DIR`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use super::import_detections::{self, DetectionsArgs};
use crate::dataset::formats::{ExifRule, ReadOptions};
use crate::evaluation::roc_file::ColumnOrder;
use crate::workflow::Project;
use crate::workflow::detections::DetectionsRequest;
use crate::workflow::import::{ImportFormat, ImportReport, import_with};
use crate::workflow::roc_import::{RocImportError, import_roc, read_roc};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quarry import auto DATASET --project objects --dry-run\n  quarry import coco annotations/instances_val2017.json --images val2017 --project objects\n  quarry import yolo data.yaml --split train --project objects\n  quarry import fddb FDDB --project faces\n  quarry import folder scenes --project faces --dry-run\n  quarry import roc MTCNN_DiscROC.txt --project faces\n  quarry import detections predictions.json --project faces --name yolo11-v3"
)]
pub struct ImportArgs {
    /// The dataset's format; `auto` detects it, `folder` is a folder of images without objects, `roc` a ROC file, `detections` the detections
    /// of any detector
    #[arg(value_parser = PossibleValuesParser::new(ImportFormat::ALL.map(ImportFormat::as_str).into_iter().chain([ROC, DETECTIONS])))]
    format: String,
    /// The dataset's folder or annotation file, the ROC file (`*DiscROC.txt`, `*ContROC.txt`), or the detections; it is only read
    path: PathBuf,
    /// Order of the columns of a ROC file, if it is ambiguous
    #[arg(long, value_enum)]
    columns: Option<Columns>,
    /// Read and check everything; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Folder that image names are relative to, if it is not the format's usual one
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Fail at the first bad record or missing image instead of skipping it
    #[arg(long)]
    strict: bool,
    /// Import only this split, e.g. train, val, or fold 3 of FDDB
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Which pixels the coordinates of images with an EXIF orientation mean [default: auto]
    #[arg(long, value_enum)]
    exif: Option<Exif>,
    /// Number of Pascal VOC's first pixel [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    origin: Option<u8>,
    #[command(flatten)]
    detections: DetectionsArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Exif {
    /// The stored pixels where the annotation's width and height say so, otherwise the upright image
    #[default]
    Auto,
    /// The upright image, orientation applied
    Apply,
    /// The pixels as stored, orientation ignored
    Ignore,
}

impl ImportArgs {
    fn exif_rule(&self) -> ExifRule {
        match self.exif.unwrap_or_default() {
            Exif::Auto => ExifRule::Auto,
            Exif::Apply => ExifRule::Apply,
            Exif::Ignore => ExifRule::Ignore,
        }
    }

    fn read_options(&self) -> ReadOptions {
        let (images, split) = (self.images.clone(), self.split.clone());
        ReadOptions { images, strict: self.strict, split, exif: self.exif_rule(), voc_origin: self.origin.unwrap_or(1) }
    }

    /// Fails for options that this format does not have: in silence they would do nothing.
    fn check_options(&self) -> anyhow::Result<()> {
        let (is_roc, is_detections) = (self.format == ROC, self.format == DETECTIONS);
        let is_dataset = !is_roc && !is_detections;
        let may_be_voc = [ImportFormat::Auto, ImportFormat::Voc].map(ImportFormat::as_str).contains(&&*self.format);
        let given = [
            ("--columns", self.columns.is_some(), is_roc),
            ("--images", self.images.is_some(), is_dataset),
            ("--split", self.split.is_some(), is_dataset),
            ("--strict", self.strict, !is_roc),
            ("--exif", self.exif.is_some(), !is_roc),
            ("--origin", self.origin.is_some(), may_be_voc),
        ];
        let unfit = given.iter().find(|(_, is_given, fits)| *is_given && !fits).map(|(option, ..)| *option);
        match unfit.or_else(|| self.detections.first_given().filter(|_| !is_detections)) {
            Some(option) => anyhow::bail!("{option} is not for `import {}`; see `quarry import --help`", self.format),
            None => Ok(()),
        }
    }
}

/// Not a dataset: a curve to show behind the project's own.
const ROC: &str = "roc";
/// Not a dataset: a detector's results on the images of the datasets.
const DETECTIONS: &str = "detections";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Columns {
    RateFirst,
    FalsePositivesFirst,
}

impl From<Columns> for ColumnOrder {
    fn from(columns: Columns) -> Self {
        match columns {
            Columns::RateFirst => Self::RateFirst,
            Columns::FalsePositivesFirst => Self::FalsePositivesFirst,
        }
    }
}

pub fn run(args: &ImportArgs, context: &Context) -> anyhow::Result<()> {
    args.check_options()?;
    let project = Project::open(&context.project_dir())?;
    if args.format == ROC {
        return roc(&project, args, context);
    }
    if args.format == DETECTIONS {
        let request = DetectionsRequest {
            exif: args.exif_rule(),
            strict: args.strict,
            dry_run: args.dry_run,
            ..args.detections.request(&args.path)?
        };
        return import_detections::run(&project, &request, context);
    }
    let format = ImportFormat::ALL.into_iter().find(|f| f.as_str() == args.format);
    let format = format.ok_or_else(|| anyhow::anyhow!("unknown format {}", args.format))?;
    if let Some(megapixels) = context.max_megapixels.filter(|_| !args.dry_run) {
        project.keep_max_megapixels(megapixels)?;
    }
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = {
        let options = args.read_options();
        import_with(&project, format, &args.path, &options, args.dry_run, &mut |e| console.show(e), &cancel)?
    };
    drop(console);
    context.print_done(&report, || text(&report, args.dry_run))
}

fn roc(project: &Project, args: &ImportArgs, context: &Context) -> anyhow::Result<()> {
    let order = args.columns.map(ColumnOrder::from);
    let read = if args.dry_run { read_roc(&args.path, order) } else { import_roc(project, &args.path, order) };
    let imported = read.map_err(|error| match error {
        error @ RocImportError::Ambiguous(_) => {
            anyhow::anyhow!("{error} with `--columns rate-first` or `--columns false-positives-first`")
        }
        RocImportError::Failed(error) => error.into(),
    })?;
    let verb = if args.dry_run { "Would import" } else { "Imported" };
    context.print_done(&imported, || format!("{verb} {}\n{}", imported.name, imported.notes))
}

fn text(report: &ImportReport, dry_run: bool) -> String {
    let verb = match (dry_run, report.is_update) {
        (true, false) => "Would import",
        (true, true) => "Would update",
        (false, false) => "Imported",
        (false, true) => "Updated",
    };
    format!("{verb} {report}")
}

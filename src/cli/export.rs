//! `quarry export ground-truth --project DIR --format fddb|coco --out FILE`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, Replace};
use crate::workflow::Project;
use crate::workflow::export::{TruthFormat, TruthReport, ground_truth};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry export ground-truth --project faces --format coco --out faces.json
  quarry export ground-truth --project faces --format fddb --out faces.txt")]
pub struct ExportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The faces of all images, each with its source: imported from the dataset, promoted by a reviewer, or edited
    #[command(after_help = "Example:
  quarry export ground-truth --project faces --format fddb --out faces.txt

FDDB's text has no room for sources: they are written beside it, to faces.sources.csv.")]
    GroundTruth {
        #[arg(long, value_enum)]
        format: Format,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        replace: Replace,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An ellipse list, all images in one file
    Fddb,
    /// Boxes, with ellipse and source as further keys of each annotation
    Coco,
}

pub fn run(args: &ExportArgs, context: &Context) -> anyhow::Result<()> {
    let store = Project::open(&context.project_dir())?.open_store()?;
    let What::GroundTruth { format, out, replace } = &args.what;
    let format = match format {
        Format::Fddb => TruthFormat::Fddb,
        Format::Coco => TruthFormat::Coco,
    };
    let report = ground_truth(&store, format, replace.output(out))?;
    context.print_done(&report, || text(&report))
}

fn text(report: &TruthReport) -> String {
    let TruthReport { images, faces, imported, promoted, edited, left_out, files } = report;
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let ignored = match left_out {
        0 => String::new(),
        n => format!("; {n} ignored regions are left out, for which the format has no room"),
    };
    format!(
        "{faces} faces on {images} images in {}: {imported} imported, {promoted} promoted, {edited} edited{ignored}",
        files.join(" and ")
    )
}

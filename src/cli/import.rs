//! `quarry import FORMAT PATH --project DIR`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::dataset::ImportSummary;
use crate::workflow::Project;
use crate::workflow::import::{ImportFormat, import};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quarry import fddb FDDB --project faces\n  quarry import folder scenes --project faces --dry-run"
)]
pub struct ImportArgs {
    /// How the dataset is laid out; `folder` is a folder of photographs without faces
    #[arg(value_parser = PossibleValuesParser::new(ImportFormat::ALL.map(ImportFormat::as_str)))]
    format: String,
    /// The dataset's folder; it is only read
    path: PathBuf,
    /// Read and check everything, write nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &ImportArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let format = ImportFormat::ALL.into_iter().find(|f| f.as_str() == args.format);
    let format = format.ok_or_else(|| anyhow::anyhow!("unknown format {}", args.format))?;
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let summary = import(&project, format, &args.path, args.dry_run, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print(&summary, || text(&summary, args.dry_run))
}

fn text(summary: &ImportSummary, dry_run: bool) -> String {
    let verb = if dry_run { "Would import" } else { "Imported" };
    format!("{verb} {summary}")
}

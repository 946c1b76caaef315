//! `quarry weights import|export|list`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Replace;
use super::console::{print, print_done};
use crate::domain::counted;
use crate::workflow::weights::{self, ImportRequest, ListedWeights, WrittenWeights};

/// Folder of weight files
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quarry weights import open-nsfw.onnx --as resnet50-half\n  \
    quarry weights import resnet50-0676ba61.pth --as resnet50 --licence BSD-3-Clause\n  \
    quarry weights export faces/runs/1 detector.safetensors\n  quarry weights list")]
pub struct WeightsArgs {
    /// The folder that holds weights and their manifest [default: $QUARRY_MODELS or models]
    #[arg(long, global = true, value_name = "DIR")]
    models: Option<PathBuf>,
    #[command(subcommand)]
    command: WeightsCommand,
}

#[derive(Debug, Subcommand)]
enum WeightsCommand {
    /// Convert a safetensors, PyTorch (.pt, .pth) or ONNX file to a backbone or a detector
    #[command(after_help = "Example:\n  quarry weights import vgg16-397923af.pth --as vgg16")]
    Import(ImportArgs),
    /// Write a checkpoint as a state dict that torchvision loads with strict=True
    #[command(after_help = "Example:\n  quarry weights export faces/runs/1 detector.safetensors")]
    Export(ExportArgs),
    /// List the known weight files and whether they are present and unchanged
    #[command(after_help = "Example:\n  quarry weights list --json")]
    List,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The weight file; its format is detected from its content
    file: PathBuf,
    /// A backbone (resnet50-half, resnet50, resnet18, vgg16) or a whole detector (resnet50-fpn)
    #[arg(long = "as", value_name = "NAME")]
    target: String,
    /// Classes, with background, of a whole detector; heads with another number are replaced [default: as in the file]
    #[arg(long, value_name = "N")]
    classes: Option<i64>,
    /// Batch norm's epsilon of a whole detector [default: as in the file, else 0, torchvision's for COCO_V1]
    #[arg(long, value_name = "E")]
    eps: Option<f64>,
    /// Source of the file, for the manifest
    #[arg(long, default_value = "", hide_default_value = true)]
    source: String,
    /// Its licence, for the manifest
    #[arg(long, default_value = "", hide_default_value = true)]
    licence: String,
    #[command(flatten)]
    replace: Replace,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// A round's folder, whose last checkpoint is used, or a model.safetensors
    checkpoint: PathBuf,
    /// The safetensors file to write
    output: PathBuf,
    #[command(flatten)]
    replace: Replace,
}

/// Runs the command and prints the result, as JSON if `json`.
pub fn run(args: &WeightsArgs, json: bool) -> anyhow::Result<()> {
    let models = args.models.clone().unwrap_or_else(weights::models_folder);
    match &args.command {
        WeightsCommand::Import(import) => {
            let ImportArgs { file, target, classes, eps, source, licence, replace } = import;
            let request = ImportRequest {
                file: file.clone(),
                target: target.clone(),
                classes: *classes,
                eps: *eps,
                models,
                replace: replace.force,
                source: source.clone(),
                licence: licence.clone(),
            };
            let written = weights::import(&request)?;
            print_done(json, &written, || describe(&written))
        }
        WeightsCommand::Export(export) => {
            let written = weights::export(&export.checkpoint, export.replace.output(&export.output))?;
            print_done(json, &written, || describe(&written))
        }
        WeightsCommand::List => {
            let listed = weights::list(&models)?;
            print(json, &listed, || table(&models.display().to_string(), &listed))
        }
    }
}

fn describe(written: &WrittenWeights) -> String {
    let head = format!("{}: {}, sha256 {}", written.file.display(), counted(written.tensors, "tensor"), written.sha256);
    let notes = written.notes.iter().map(|note| format!("  {note}"));
    std::iter::once(head).chain(notes).collect::<Vec<_>>().join("\n")
}

fn table(models: &str, listed: &[ListedWeights]) -> String {
    if listed.is_empty() {
        return format!("{models}: no manifest.toml, or an empty one");
    }
    let row = |l: &ListedWeights| {
        let state = format!("{:?}", l.state).to_lowercase();
        format!("{:<14} {:<8} {:<42} {:<14} {}\n", l.entry.name, state, l.entry.file, l.entry.licence, l.entry.source)
    };
    listed.iter().map(row).collect()
}

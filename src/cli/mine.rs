//! `quarry mine --project DIR`.

use std::path::PathBuf;

use super::console::{Console, cancel_on_ctrl_c};
use super::import_detections::{ClassMap, Splits, class_map, splits};
use super::{Context, Replace};
use crate::detector::Precision;
use crate::domain::{counted, counted_as};
use crate::workflow::Project;
use crate::workflow::detections::{ModelRequest, mine_model};
use crate::workflow::embed::embed_and_group;
use crate::workflow::mine::{MineReport, MineRequest, mine_with};
use crate::workflow::shards::{Shard, ShardReport, mine_model_shard, mine_shard};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run the same command again to resume an interrupted mining.\n\nExamples:\n  quarry mine --project faces --round 1\n  quarry mine --project faces --model yolo11n.onnx --name yolo11n\n  quarry mine --project faces --shard 3/64 --out shards\n  quarry mine --project faces --model yolo11n.onnx --name yolo11n --shard 3/64 --out shards"
)]
pub struct MineArgs {
    /// Run a third-party model (ONNX or TorchScript; docs/models.md) instead of a round's checkpoint; its detections become its next round
    #[arg(long, value_name = "FILE", requires = "name", conflicts_with_all = ["round", "precision"])]
    model: Option<PathBuf>,
    /// Name of the model
    #[arg(long, value_name = "MODEL", requires = "model")]
    name: Option<String>,
    /// Project's names of the model's classes, where they differ: FACE_MALE=face,FACE_FEMALE=face
    #[arg(long, value_name = "NAME=CLASS,...", value_parser = class_map, requires = "model")]
    map: Option<ClassMap>,
    /// Splits to evaluate on instead of mining [default: those of the newest round that Quarry trained]
    #[arg(long, value_name = "LIST", value_parser = splits, requires = "model", conflicts_with = "test_dataset")]
    test_splits: Option<Splits>,
    /// The dataset to evaluate on instead of mining
    #[arg(long, value_name = "NAME", requires = "model")]
    test_dataset: Option<String>,
    /// The model's detections below this score are stored but not mined
    #[arg(long, value_name = "SCORE", default_value_t = 0.05, requires = "model")]
    min_score: f32,
    /// The round to mine [default: the newest trained one]
    #[arg(long, value_name = "N")]
    round: Option<u32>,
    /// Precision of the network: f32, or bf16, which is faster on processors with bfloat16 instructions and changes some boxes and scores
    /// [default: the checkpoint's]
    #[arg(long, value_parser = ["f32", "bf16"])]
    precision: Option<String>,
    /// auto, cpu or cuda:N [default: the round's]
    #[arg(long)]
    device: Option<String>,
    /// Detect on this part of the images only, e.g. 3/64, and write a file for `quarry merge`; the project is not changed
    #[arg(long, value_name = "N/COUNT", requires = "out")]
    shard: Option<Shard>,
    /// The folder for a shard's file
    #[arg(long, value_name = "DIR", requires = "shard")]
    out: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

pub fn run(args: &MineArgs, context: &Context) -> anyhow::Result<()> {
    let request = MineRequest {
        round: args.round,
        precision: args.precision.as_deref().and_then(Precision::parse),
        device: args.device.clone(),
    };
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let model = model_of(args)?;
    if let (Some(shard), Some(out)) = (args.shard, &args.out) {
        let project = Project::open_to_read(&context.project_dir())?;
        let out = args.replace.output(out);
        let observer = &mut |e| console.show(e);
        let report = match &model {
            Some(model) => mine_model_shard(&project, model, shard, &out, observer, &cancel)?,
            None => mine_shard(&project, &request, shard, &out, observer, &cancel)?,
        };
        drop(console);
        return context.print_done(&report, || shard_in_words(&report));
    }
    let project = Project::open(&context.project_dir())?;
    if let Some(request) = &model {
        let report = mine_model(&project, request, &mut |e| console.show(e), &cancel)?;
        embed_and_group(&project, &mut |e| console.show(e), &cancel)?;
        drop(console);
        return context.print_done(&report, || report.to_string());
    }
    let report = mine_with(&project, &request, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print_done(&report, || {
        format!("{} Review them with `quarry --project {}`.", in_words(&report), project.dir().display())
    })
}

/// Returns the third-party model to run, if one is named.
fn model_of(args: &MineArgs) -> anyhow::Result<Option<ModelRequest>> {
    let (Some(path), Some(name)) = (&args.model, &args.name) else { return Ok(None) };
    anyhow::ensure!((0.0..=1.0).contains(&args.min_score), "--min-score {} is outside 0 to 1", args.min_score);
    Ok(Some(ModelRequest {
        path: path.clone(),
        name: name.clone(),
        device: args.device.clone().unwrap_or_else(|| "auto".to_owned()),
        map: args.map.clone().unwrap_or_default().0,
        min_score: args.min_score,
        test_splits: args.test_splits.clone().map(|splits| splits.0),
        test_dataset: args.test_dataset.clone(),
    }))
}

/// Formats the result of mining.
pub(super) fn in_words(report: &MineReport) -> String {
    let unreadable = match report.unreadable.len() {
        0 => String::new(),
        n => {
            let (one, many) =
                ("image could not be read (see above); its", "images could not be read (see above); their");
            format!(" {} candidates stay as they were.", counted_as(n, one, many))
        }
    };
    format!(
        "Round {}: {} on {}, {} ({} background, {} localisation{}); {} of an object.{unreadable}",
        report.round,
        counted(report.detections, "detection"),
        counted(report.images, "image"),
        counted(report.candidates, "candidate"),
        report.background,
        report.localisation,
        of_other_classes(report),
        counted_as(report.duplicate, "more is a second detection", "more are second detections"),
    )
}

/// Formats the result of a shard.
pub(super) fn shard_in_words(report: &ShardReport) -> String {
    let ShardReport { shard, of, images, detections, unreadable, out, was_done } = report;
    if *was_done {
        return format!("Shard {shard} of {of} was done before: {}", out.display());
    }
    let unreadable = match unreadable.len() {
        0 => String::new(),
        n => format!("; {} could not be read (see above)", counted(n, "image")),
    };
    format!(
        "Shard {shard} of {of}: {} on {} written to {}{unreadable}",
        counted(*detections, "detection"),
        counted(*images, "image"),
        out.display()
    )
}

/// Formats the kinds that only projects with several classes have.
fn of_other_classes(report: &MineReport) -> String {
    match (report.classification, report.both) {
        (0, 0) => String::new(),
        (classification, both) => format!(", {classification} classification, {both} both"),
    }
}

//! `quarry merge DIR|FILE... --project DIR` and `quarry merge DIR|FILE... --out FILE`.

use std::path::PathBuf;

use super::console::{Console, cancel_on_ctrl_c};
use super::{Context, Replace, mine};
use crate::domain::{counted, counted_as};
use crate::workflow::Project;
use crate::workflow::detect::DetectionFormat;
use crate::workflow::embed::embed_and_group;
use crate::workflow::shards::{ShardMergeReport, ShardMergeRequest, ShardMergeResult, merge};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Shards may be merged in any order, and more than once. The command fails while shards are missing, and names them.\n\nExamples:\n  quarry merge shards --project faces\n  quarry merge shards --out dets.json --format coco"
)]
pub struct MergeArgs {
    /// Files written by `quarry mine --shard` or `quarry detect --shard`, or folders of them
    #[arg(required = true, value_name = "DIR|FILE")]
    shards: Vec<PathBuf>,
    /// The file to write, for shards of `quarry detect`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
    /// Format of the file to write
    #[arg(long, value_parser = ["fddb", "coco"], default_value = "fddb")]
    format: String,
    /// Shapes to write: rectangles, or the ellipses of a detector with an ellipse head
    #[arg(long, value_parser = ["rectangle", "ellipse"], default_value = "rectangle")]
    shape: String,
}

pub fn run(args: &MergeArgs, context: &Context) -> anyhow::Result<()> {
    let request = ShardMergeRequest {
        shards: args.shards.clone(),
        project: context.project.as_deref().map(Project::open).transpose()?,
        out: args.out.as_deref().map(|out| args.replace.output(out)),
        format: DetectionFormat::parse(&args.format),
        ellipses: args.shape == "ellipse",
    };
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = merge(&request, &mut |e| console.show(e), &cancel)?;
    if let (ShardMergeResult::Model(_), Some(project)) = (&report.result, &request.project) {
        embed_and_group(project, &mut |e| console.show(e), &cancel)?;
    }
    drop(console);
    context.print_done(&report, || text(&report))?;
    if !report.missing.is_empty() {
        anyhow::bail!(
            "shards {} are missing; the others are merged. Run them again and merge them, or continue here with `quarry mine`.",
            report.missing_in_words()
        );
    }
    Ok(())
}

fn text(report: &ShardMergeReport) -> String {
    let shards = format!("{} of {} shards", report.shards, report.of);
    match &report.result {
        ShardMergeResult::Mined(mined) => format!("{shards} merged. {}", mine::in_words(mined)),
        ShardMergeResult::Model(report) => format!("{shards} merged. {report}"),
        ShardMergeResult::Detected(found) => {
            let unreadable = match found.unreadable.len() {
                0 => String::new(),
                n => format!(
                    "; {} left out of the file",
                    counted_as(n, "image could not be read and is", "images could not be read and are")
                ),
            };
            format!(
                "{shards} merged: {} on {} written to {}{unreadable}",
                counted(found.detections, "detection"),
                counted(found.images, "image"),
                found.out.display()
            )
        }
    }
}

//! `quarry demo`: the whole loop on the built-in sample.

use std::path::{Path, PathBuf};

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::domain::counted;
use crate::workflow::demo::{DemoOptions, DemoReport, run_headless};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quarry demo\n  quarry demo --headless --auto-review --project /tmp/demo\n  quarry demo --headless --classes --auto-review --project /tmp/three"
)]
pub struct DemoArgs {
    /// Run everything without a window
    #[arg(long)]
    headless: bool,
    /// Give verdicts by comparison with the ground truth instead of by hand, then train round 2
    #[arg(long)]
    auto_review: bool,
    /// Annotate the sample's animals and toys too: a project of three classes; only with a new project and --headless
    #[arg(long, requires = "headless")]
    classes: bool,
}

/// Folder of the demo's project if `--project` is not given.
const DEFAULT_DIR: &str = "quarry-demo";

pub fn run(args: &DemoArgs, context: &Context) -> anyhow::Result<()> {
    let dir = context.project.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIR));
    if !args.headless {
        return open_window(&dir, args.auto_review);
    }
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = run_headless(
        &dir,
        DemoOptions { with_review: args.auto_review, with_classes: args.classes },
        &mut |e| console.show(e),
        &cancel,
    )?;
    drop(console);
    context.print_done(&report, || text(&report, args.auto_review))
}

#[cfg(feature = "gui")]
fn open_window(dir: &Path, auto_review: bool) -> anyhow::Result<()> {
    Ok(crate::app::run_demo(dir, auto_review)?)
}

#[cfg(not(feature = "gui"))]
fn open_window(_: &Path, _: bool) -> anyhow::Result<()> {
    anyhow::bail!("this quarry was built without the app (feature `gui`): use `quarry demo --headless`.")
}

fn text(report: &DemoReport, reviewed: bool) -> String {
    let mut lines = vec![format!("Demo project {}", report.project)];
    lines.push(format!(
        "{} mined, {} given",
        counted(report.candidates, "candidate"),
        counted(report.verdicts, "verdict")
    ));
    for round in &report.rounds {
        let at: Vec<String> = round.at.iter().map(|(fp, d, c)| format!("{fp} FP {d:.3}/{c:.3}")).collect();
        lines.push(format!("Round {}: discrete/continuous TPR at {}", round.round, at.join(", ")));
    }
    if !reviewed {
        lines.push(format!("Review the candidates with `quarry --project {}`", report.project));
    }
    lines.join("\n")
}

//! `quarry mine --project DIR`.

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::workflow::Project;
use crate::workflow::mine::{MineReport, mine};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry mine --project faces --round 1")]
pub struct MineArgs {
    /// The round to mine; the newest trained one when left out
    #[arg(long, value_name = "N")]
    round: Option<u32>,
}

pub fn run(args: &MineArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = mine(&project, args.round, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print_done(&report, || {
        let unreadable = match report.unreadable.len() {
            0 => String::new(),
            n => format!(" {n} images could not be read (see above); their candidates stay as they were."),
        };
        format!(
            "Round {}: {} detections on {} images, {} candidates ({} background, {} localisation{}); {} more are second \
             detections of an object.{unreadable} Review them with `quarry --project {}`.",
            report.round,
            report.detections,
            report.images,
            report.candidates,
            report.background,
            report.localisation,
            of_other_classes(&report),
            report.duplicate,
            project.dir().display()
        )
    })
}

/// Kinds that only projects with several classes have.
fn of_other_classes(report: &MineReport) -> String {
    match (report.classification, report.both) {
        (0, 0) => String::new(),
        (classification, both) => format!(", {classification} classification, {both} both"),
    }
}

//! `quarry delete dataset|round --project DIR`.

use clap::Subcommand;

use super::Context;
use crate::workflow::Project;
use crate::workflow::datasets::dataset_named;
use crate::workflow::datasets::deletion::{Target, delete, preview};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry delete dataset scenes --project faces
  quarry delete dataset scenes --yes --project faces
  quarry delete round 3 --yes --project faces

Without --yes, Quarry only shows what would be deleted. The images themselves are never touched. A backup of the database is made first,
and verdicts come back when the same images are imported and mined again.")]
pub struct DeleteArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Delete a dataset with its images, objects, detections and candidates; its files on disk are kept
    #[command(after_help = "Example:\n  quarry delete dataset scenes --yes --project faces")]
    Dataset {
        name: String,
        /// Delete it; without this, only print what would be deleted
        #[arg(long)]
        yes: bool,
    },
    /// Delete a round with its detections, candidates, curves and checkpoints
    #[command(after_help = "Example:\n  quarry delete round 3 --yes --project faces")]
    Round {
        number: u32,
        /// Delete it; without this, only print what would be deleted
        #[arg(long)]
        yes: bool,
    },
}

pub fn run(args: &DeleteArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let (target, yes) = {
        let store = project.open_store_to_read()?;
        match &args.what {
            What::Dataset { name, yes } => (Target::Dataset(dataset_named(&store, name)?), *yes),
            What::Round { number, yes } => (Target::round(&store, *number)?, *yes),
        }
    };
    if yes {
        let report = delete(&project, &target, true)?;
        return context.print_done(&report, || format!("Deleted {report}"));
    }
    let report = preview(&project, &project.open_store_to_read()?, &target)?;
    context.print(&report, || format!("Would delete {report}\nNothing was deleted. Add --yes to delete it."))
}

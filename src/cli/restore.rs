//! `quarry restore --project DIR`.

use std::path::PathBuf;

use super::Context;
use crate::workflow::Project;
use crate::workflow::restore::restore;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry restore --project faces")]
pub struct RestoreArgs {
    /// The backup to restore [default: the newest good one]
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

pub fn run(args: &RestoreArgs, context: &Context) -> anyhow::Result<()> {
    let restored = restore(&Project::open(&context.project_dir())?, args.backup.as_deref())?;
    context.print_done(&restored, || format!("{restored}."))
}

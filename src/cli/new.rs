//! `quarry new DIR`.

use std::path::PathBuf;

use super::Context;
use crate::workflow::Project;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry new faces")]
pub struct NewArgs {
    /// The project's folder
    dir: PathBuf,
}

pub fn run(args: &NewArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::create(&args.dir)?;
    let value = serde_json::json!({
        "project": project.dir().to_string_lossy(), "database": project.database().to_string_lossy()
    });
    context.print_done(&value, || format!("Made the project {}", project.dir().display()))
}

//! `quarry group --project DIR`.

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::mining::GroupConfig;
use crate::workflow::Project;
use crate::workflow::group::group;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry group --project faces --distance 8")]
pub struct GroupArgs {
    /// Bits of 64 in which the perceptual hashes of two crops may differ to be alike, 0 to 16; the project's own when left out
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=i64::from(GroupConfig::DISTANCE_MAX)))]
    distance: Option<u32>,
}

pub fn run(args: &GroupArgs, context: &Context) -> anyhow::Result<()> {
    let mut store = Project::open(&context.project_dir())?.open_store()?;
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = group(&mut store, args.distance, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print(&report, || format!("{report}."))
}

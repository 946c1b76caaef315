//! `quarry group --project DIR`.

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::domain::Cancel;
use crate::mining::GroupConfig;
use crate::store::Store;
use crate::workflow::group::{config, group, turn_cosine_off};
use crate::workflow::{Observer, Project, WorkflowError};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry group --project faces --distance 8 --cosine 0.97")]
pub struct GroupArgs {
    /// Maximum distance of two crops' perceptual hashes in a group, 0 to 16 bits of 64 [default: the project's]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=i64::from(GroupConfig::DISTANCE_MAX)))]
    distance: Option<u32>,
    /// Minimum cosine similarity of two candidates' features in a group, 0.8 to 1, or `off` [default: the project's]
    #[arg(long, value_name = "COSINE", value_parser = cosine)]
    cosine: Option<LeastCosine>,
}

#[derive(Debug, Clone, Copy)]
struct LeastCosine(Option<f32>);

fn cosine(word: &str) -> Result<LeastCosine, String> {
    if word == "off" {
        return Ok(LeastCosine(None));
    }
    let number = word.parse().ok().filter(|cosine| (GroupConfig::COSINE_MIN..=1.0).contains(cosine));
    number.map(|cosine| LeastCosine(Some(cosine))).ok_or_else(|| format!("`{word}` is neither 0.8 to 1 nor `off`"))
}

impl GroupArgs {
    /// Whether features are compared by the user's word.
    #[cfg(feature = "torch")]
    pub fn compares_features(&self) -> bool {
        self.cosine.is_some_and(|asked| asked.0.is_some())
    }
}

/// `first` is done before the groups are found.
pub fn run(
    args: &GroupArgs,
    context: &Context,
    first: impl FnOnce(&mut Store, &mut Observer, &Cancel) -> Result<(), WorkflowError>,
) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let _lock = project.lock("grouping")?;
    let mut store = project.open_store()?;
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let own = config(&store)?;
    let most_distance = args.distance.unwrap_or(own.most_distance);
    let least_cosine = args.cosine.map_or(own.least_cosine, |asked| asked.0);
    let asked = GroupConfig { most_distance, least_cosine, ..own };
    first(&mut store, &mut |e| console.show(e), &cancel)?;
    let report = group(&mut store, &asked, &mut |e| console.show(e), &cancel)?;
    if args.cosine.is_some_and(|asked| asked.0.is_none()) {
        turn_cosine_off(&mut store)?;
    }
    drop(console);
    context.print_done(&report, || format!("{report}."))
}

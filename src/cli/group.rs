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
    /// Minimum cosine similarity of two candidates' features in a group, 0.7 to 1, `off` or `recommended` [default: the project's]
    #[arg(long, value_name = "COSINE", value_parser = cosine)]
    cosine: Option<LeastCosine>,
}

#[derive(Debug, Clone, Copy)]
enum LeastCosine {
    Off,
    Recommended,
    Chosen(f32),
}

fn cosine(word: &str) -> Result<LeastCosine, String> {
    match word {
        "off" => return Ok(LeastCosine::Off),
        "recommended" => return Ok(LeastCosine::Recommended),
        _ => {}
    }
    let number = word.parse().ok().filter(|cosine| (GroupConfig::COSINE_MIN..=1.0).contains(cosine));
    number.map(LeastCosine::Chosen).ok_or_else(|| format!("`{word}` is neither 0.7 to 1 nor `off` or `recommended`"))
}

impl GroupArgs {
    /// Whether the options make features be compared.
    pub fn compares_features(&self) -> bool {
        matches!(self.cosine, Some(LeastCosine::Chosen(_) | LeastCosine::Recommended))
    }
}

/// `first` runs before the groups are computed.
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
    let own = GroupConfig { most_distance, ..own };
    let requested = match args.cosine {
        None => own,
        Some(LeastCosine::Off) => GroupConfig { least_cosine: None, recommended: false, ..own },
        Some(LeastCosine::Recommended) => GroupConfig { least_cosine: None, recommended: true, ..own },
        Some(LeastCosine::Chosen(cosine)) => GroupConfig { least_cosine: Some(cosine), recommended: false, ..own },
    };
    first(&mut store, &mut |e| console.show(e), &cancel)?;
    let report = group(&mut store, &requested, &mut |e| console.show(e), &cancel)?;
    if matches!(args.cosine, Some(LeastCosine::Off)) {
        turn_cosine_off(&mut store)?;
    }
    drop(console);
    context.print_done(&report, || format!("{report}."))
}

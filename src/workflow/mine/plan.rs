//! The inputs of mining: the round, its checkpoint, and its training images with their ground truth. Reads the project only.

use std::collections::HashSet;
use std::path::PathBuf;

use super::target::Target;
use crate::detector::{Detector, DetectorConfig, Precision};
use crate::domain::{RoundRecord, RoundState};
use crate::mining::MiningConfig;
use crate::store::Store;
use crate::training::RoundConfig;
use crate::workflow::detect::identity;
use crate::workflow::good_model::good_model;
use crate::workflow::split::Split;
use crate::workflow::{Observer, Project, WorkflowError};

/// Everything that mining depends on except the images' pixels.
pub(in crate::workflow) struct Plan {
    /// The round and its training images.
    pub target: Target,
    pub checkpoint: PathBuf,
    /// The round's device setting.
    pub device: String,
    /// The checkpoint's configuration with the round's mining settings.
    pub detector: DetectorConfig,
}

impl Plan {
    /// Plans the mining of `round`, by default the newest trained one. `precision`: by default the checkpoint's.
    pub fn new(
        project: &Project,
        store: &Store,
        round: Option<u32>,
        precision: Option<Precision>,
        observer: &mut Observer,
    ) -> Result<Self, WorkflowError> {
        let round = choose_round(store, round)?;
        let config = RoundConfig::from_stored(&round.config_toml, &format!("round {}", round.number))?;
        let checkpoint = good_model(&project.run_dir(round.number), observer)?.ok_or_else(|| {
            WorkflowError::Refused(format!(
                "round {} has no checkpoint in {}. Train it first, or resume it with `quarry train --resume`.",
                round.number,
                project.run_dir(round.number).display()
            ))
        })?;
        let of_checkpoint = Detector::config_of(&checkpoint)?;
        let precision = precision.unwrap_or(of_checkpoint.precision);
        let detector = DetectorConfig { detection: config.mining, precision, ..of_checkpoint };
        let mining = MiningConfig { min_score: config.mining.score_threshold as f32, ..MiningConfig::default() };
        let truth = store.all_ground_truth()?;
        let split = Split::new(&store.images()?, &store.datasets()?, &truth, &config)?;
        let identity = identity(&checkpoint, &detector)?;
        let Split { training, copies, .. } = split;
        let target = Target { round, mining, images: training, held_out: HashSet::new(), identity, truth, copies };
        Ok(Self { target, checkpoint, device: config.device, detector })
    }
}

/// Returns the round to mine; a round whose training is incomplete is refused.
fn choose_round(store: &Store, number: Option<u32>) -> Result<RoundRecord, WorkflowError> {
    let rounds = store.rounds()?;
    let is_trained = |r: &RoundRecord| r.is_own() && matches!(r.state, RoundState::Trained | RoundState::Mined);
    let found = match number {
        Some(number) => rounds.iter().find(|r| r.number == number),
        None => rounds.iter().rfind(|r| is_trained(r)),
    };
    match found {
        Some(round) if is_trained(round) => Ok(round.clone()),
        Some(round) if !round.is_own() => Err(WorkflowError::Refused(format!(
            "{} has imported detections and no checkpoint: importing them mined it. Import its newer results with `quarry import \
             detections`.",
            round.title()
        ))),
        Some(round) => Err(WorkflowError::Refused(format!(
            "round {} is {}: only a fully trained round can be mined. Finish it with `quarry train --resume`.",
            round.number,
            round.state.as_str()
        ))),
        None => {
            let known: Vec<u32> = rounds.iter().map(|r| r.number).collect();
            Err(WorkflowError::Refused(match number {
                Some(n) => format!("there is no round {n}; this project has rounds {known:?}."),
                None => "no round is trained yet. Train one with `quarry train --project P`.".to_owned(),
            }))
        }
    }
}

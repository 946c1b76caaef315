//! What a mining is of: the round, its checkpoint, and its training images with their ground truth. Reads the project only.

use std::path::PathBuf;

use super::identity::identity;
use crate::detector::{Detector, DetectorConfig, Precision};
use crate::domain::{Annotation, ImageRecord, RoundRecord, RoundState, Shape};
use crate::mining::MiningConfig;
use crate::store::{Fingerprint, Store};
use crate::training::RoundConfig;
use crate::workflow::copies::{Copies, Truth};
use crate::workflow::split::Split;
use crate::workflow::train::good_model;
use crate::workflow::{Observer, Project, WorkflowError};

/// Everything that a mining goes by but the images' pixels.
pub(in crate::workflow) struct Plan {
    pub round: RoundRecord,
    pub checkpoint: PathBuf,
    /// Of the round, for the device.
    pub device: String,
    /// As the checkpoint is used: with the round's settings for mining.
    pub detector: DetectorConfig,
    pub mining: MiningConfig,
    /// The images that the round trained on, in the order of import.
    pub images: Vec<ImageRecord>,
    /// Of the checkpoint and of how it is used: detections of different identities do not belong together.
    pub identity: String,
    truth: Truth,
    copies: Copies,
}

impl Plan {
    /// Of `round`, or of the newest that is trained. `precision`: as the checkpoint says when `None`.
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
                "round {} has no checkpoint in {}. Train it first, or go on with `quarry train --resume`.",
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
        Ok(Self {
            round,
            checkpoint,
            device: config.device,
            detector,
            mining,
            images: split.training,
            identity,
            truth,
            copies: split.copies,
        })
    }

    /// All that is annotated on an image, on its copies in other datasets too.
    pub fn annotations(&self, image: &ImageRecord) -> Vec<Annotation> {
        self.copies.annotations(image, &self.truth)
    }

    /// Changes with the image's bytes and with what is annotated on it.
    pub fn fingerprint(&self, image: &ImageRecord) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(image.content_hash.as_bytes());
        for Annotation { class, shape, ignored, .. } in self.annotations(image) {
            let numbers = match shape {
                Shape::Rectangle(b) => [b.x1, b.y1, b.x2, b.y2, f64::INFINITY],
                Shape::Ellipse(e) => [e.ra, e.rb, e.theta, e.cx, e.cy],
            };
            hasher.update(&class.0.to_le_bytes());
            hasher.update(&[u8::from(ignored)]);
            for number in numbers {
                hasher.update(&number.to_bits().to_le_bytes());
            }
        }
        let mut fingerprint = Fingerprint::default();
        hasher.finalize_xof().fill(&mut fingerprint);
        fingerprint
    }
}

/// The round to mine; one that is not trained to its end is refused.
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
            "round {} is {}: only a round that is trained to its end can be mined. Go on with `quarry train --resume`.",
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

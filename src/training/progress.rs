//! The files of a checkpoint, and its state: how far a round has come.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::RoundConfig;
use super::error::TrainingError;
use crate::detector::SamplerCounts;

pub const MODEL_FILE: &str = "model.safetensors";
/// The weights that training continues with, in rounds where [`MODEL_FILE`] contains their average.
pub(super) const TRAINED_FILE: &str = "trained.safetensors";
pub(super) const OPTIMISER_FILE: &str = "optim.safetensors";
/// The hard negatives that the round mined itself, in a round that does.
pub(super) const MINED_FILE: &str = "mined.json";
pub(super) const STATE_FILE: &str = "state.json";
/// Those of every checkpoint.
pub(super) const FILES: [&str; 3] = [MODEL_FILE, OPTIMISER_FILE, STATE_FILE];
pub(super) const STATE_VERSION: u32 = 1;

/// Everything except weights and velocities that a round needs to resume exactly where it stopped. Schedule, sampler and random numbers are
/// functions of the config's seed, `step` and `position`: these are their whole state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoundProgress {
    pub version: u32,
    /// Completed steps.
    pub step: u64,
    /// Next position in the sequence of images.
    pub position: u64,
    /// Indices of images that the session skipped as unreadable. They are retried when the round resumes.
    pub unreadable: BTreeSet<usize>,
    pub counts: SamplerCounts,
    /// Seconds spent in steps, summed over sessions.
    pub seconds: f64,
    /// How often a setting was halved because memory ran out.
    #[serde(default)]
    pub halvings: u32,
    /// Whether [`MODEL_FILE`] contains averaged weights and [`TRAINED_FILE`] the trained ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub averaged: bool,
    /// The last step after which the round mined, 0: none yet. Then [`MINED_FILE`] contains all that it found so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mined_at: u64,
    pub config_toml: String,
    /// See [`super::checkpoint::fingerprint`].
    pub data: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl RoundProgress {
    pub fn start(config: &RoundConfig, data: String) -> Self {
        Self {
            version: STATE_VERSION,
            step: 0,
            position: 0,
            unreadable: BTreeSet::new(),
            counts: SamplerCounts::default(),
            seconds: 0.0,
            halvings: 0,
            averaged: config.ema > 0.0,
            mined_at: 0,
            config_toml: config.to_toml(),
            data,
        }
    }

    /// Returns the files of this checkpoint.
    pub fn files(&self) -> Vec<&'static str> {
        let others = [self.averaged.then_some(TRAINED_FILE), (self.mined_at > 0).then_some(MINED_FILE)];
        FILES.into_iter().chain(others.into_iter().flatten()).collect()
    }

    /// Refuses to resume with other settings or data than those of the checkpoint. Settings that do not affect the weights may differ.
    pub fn check_continues(&self, path: &Path, config: &RoundConfig, data: &str) -> Result<(), TrainingError> {
        // Test settings show in the data if they change what is trained on. Rates may change: a round that diverged has to.
        let is_test = |key: &str| key == "test_splits" || key == "test_dataset";
        let wrong = |what: String| TrainingError::OtherRound { path: path.to_path_buf(), what };
        let made_with = RoundConfig::from_stored(&self.config_toml, "state.json")?;
        // A finished round can be extended.
        let is_longer = made_with.iterations < config.iterations;
        let changed: Vec<String> = made_with
            .binding_differences(config)
            .into_iter()
            .filter(|d| !(is_test(&d.key) || d.key == "iterations" && is_longer))
            .map(|d| d.to_string())
            .collect();
        if !changed.is_empty() {
            return Err(wrong(format!("{}; set it back, or start a new round", changed.join(", "))));
        }
        if self.data != data {
            return Err(wrong(
                "the images, objects or hard negatives have changed since; start a new round".to_owned(),
            ));
        }
        Ok(())
    }
}

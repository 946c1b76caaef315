//! The options that `train` and `cross-validate` share: a round's settings from a preset or a file, with single ones changed. Must not
//! know what is done with them.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::detector::SamplerKind;
use crate::domain::{HardNegativeSource, RoundInit, parse_folds};
use crate::training::RoundConfig;

#[derive(Debug, clap::Args)]
pub struct RoundOptions {
    /// Settings to start from
    #[arg(long, value_name = "NAME", default_value = "cpu", conflicts_with = "config")]
    preset: String,
    /// A round.toml with settings
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Which false positives of earlier rounds to train with
    #[arg(long, value_parser = ["confirmed", "unreviewed", "none"])]
    hard_negatives: Option<String>,
    /// How RoIs are drawn: at random with hard negatives always selected, or those with the highest loss
    #[arg(long, value_parser = ["random", "ohem"])]
    sampler: Option<String>,
    /// Where the weights start
    #[arg(long, value_parser = ["backbone", "previous"])]
    init: Option<String>,
    /// Steps; the whole schedule stretches or shrinks with them
    #[arg(long, value_name = "N")]
    iterations: Option<u64>,
    /// auto, cpu or cuda:0
    #[arg(long)]
    device: Option<String>,
    /// All randomness of a round
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// A list of folds as one argument, e.g. `8`, `9,10` or `1-3`. A type of its own: clap takes a plain list for a repeated option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds(pub Vec<u8>);

/// Reads [`Folds`]; for clap.
pub fn folds(text: &str) -> Result<Folds, String> {
    parse_folds(text).map(Folds)
}

impl RoundOptions {
    /// Whether the user chose hard negatives, by option or in a file.
    pub fn names_hard_negatives(&self) -> bool {
        self.hard_negatives.is_some() || self.config.is_some()
    }

    /// The settings; whether they make sense is checked where they are used.
    pub fn settings(&self) -> anyhow::Result<RoundConfig> {
        let mut config = match &self.config {
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
                RoundConfig::from_toml(&text, &file.display().to_string())?
            }
            None => RoundConfig::preset(&self.preset)?,
        };
        match self.hard_negatives.as_deref() {
            Some("none") => config.hard_negatives = HardNegativeSource::None,
            Some("unreviewed") => config.hard_negatives = HardNegativeSource::Unreviewed,
            Some(_) => config.hard_negatives = HardNegativeSource::Confirmed,
            None => {}
        }
        match self.sampler.as_deref() {
            Some("ohem") => config.sampler.kind = SamplerKind::Ohem,
            Some(_) => config.sampler.kind = SamplerKind::Random,
            None => {}
        }
        match self.init.as_deref() {
            Some("previous") => config.init = RoundInit::Previous,
            Some(_) => config.init = RoundInit::Backbone,
            None => {}
        }
        if let Some(iterations) = self.iterations {
            config.iterations = iterations;
        }
        if let Some(device) = &self.device {
            config.device.clone_from(device);
        }
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        round: RoundOptions,
    }

    fn settings(words: &[&str]) -> RoundConfig {
        Words::parse_from(std::iter::once(&"x").chain(words)).round.settings().unwrap()
    }

    #[test]
    fn options_change_single_settings_of_the_preset() {
        let preset = RoundConfig::preset("cpu").unwrap();
        let check = |words: &[&str], key: &str| {
            let keys: Vec<String> = preset.differences(&settings(words)).into_iter().map(|d| d.key).collect();
            assert_eq!(keys, [key], "{words:?}");
        };
        assert!(preset.differences(&settings(&[])).is_empty());
        check(&["--sampler", "ohem"], "sampler.kind");
        check(&["--hard-negatives", "none"], "hard_negatives");
        check(&["--init", "previous"], "init");
        check(&["--iterations", "9"], "iterations");
        check(&["--device", "cpu"], "device");
        check(&["--seed", "9"], "seed");
        assert_eq!(settings(&["--preset", "paper", "--sampler", "random"]), RoundConfig::preset("paper").unwrap());
    }

    #[test]
    fn an_option_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("round.toml");
        std::fs::write(&file, "seed = 4\n[sampler]\nkind = \"ohem\"\n").unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(settings(&["--config", file]).sampler.kind, SamplerKind::Ohem);
        let config = settings(&["--config", file, "--sampler", "random"]);
        assert_eq!((config.sampler.kind, config.seed), (SamplerKind::Random, 4));
    }
}

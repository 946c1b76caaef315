//! The options that `train` and `cross-validate` share: a round's settings from a preset or a file, with single ones changed. Must not
//! know what is done with them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::detector::SamplerKind;
use crate::domain::{HardNegativeSource, RoundInit, parse_folds};
use crate::training::{ConfigError, PRESETS, RoundConfig};

#[derive(Debug, clap::Args)]
pub struct RoundOptions {
    /// Settings to start from [default: cpu]
    #[arg(long, value_name = "NAME", conflicts_with = "config", value_parser = presets())]
    preset: Option<String>,
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,
    /// auto, cpu or cuda:0
    #[arg(long)]
    device: Option<String>,
    /// All randomness of a round
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Any single setting as round.toml names it, e.g. base_lr=0.005 or sampler.fg_iou=0.6
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

/// What is taken where neither a preset nor a file is named.
const DEFAULT_PRESET: &str = "cpu";

fn presets() -> PossibleValuesParser {
    PossibleValuesParser::new(PRESETS.iter().map(|(name, about)| PossibleValue::new(*name).help(*about)))
}

fn setting(word: &str) -> Result<(String, String), String> {
    let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
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
        let is_set = self.set.iter().any(|(key, _)| key == "hard_negatives");
        self.hard_negatives.is_some() || self.config.is_some() || is_set
    }

    /// The settings; whether they make sense is checked where they are used.
    pub fn settings(&self) -> anyhow::Result<RoundConfig> {
        let config = match &self.config {
            Some(file) => RoundConfig::from_toml(&read(file)?, &file.display().to_string())?,
            None => RoundConfig::preset(self.preset.as_deref().unwrap_or(DEFAULT_PRESET))?,
        };
        Ok(self.with_options(config)?)
    }

    /// The settings of a round that goes on, with those changed that the file or an option names.
    pub fn changed(&self, own: &RoundConfig) -> anyhow::Result<RoundConfig> {
        let mut config = match &self.config {
            Some(file) => own.changed_by(&read(file)?, &file.display().to_string())?,
            None => own.clone(),
        };
        if let Some(preset) = &self.preset {
            config.preset.clone_from(preset);
        }
        Ok(self.with_options(config)?)
    }

    fn with_options(&self, mut config: RoundConfig) -> Result<RoundConfig, ConfigError> {
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
        if let Some(iterations) = self.iterations.filter(|iterations| *iterations != config.iterations) {
            config.set_iterations(iterations);
        }
        if let Some(device) = &self.device {
            config.device.clone_from(device);
        }
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        self.set.iter().try_fold(config, |config, (key, value)| with(&config, key, value))
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// `config` with one setting changed. Words need no quotes.
fn with(config: &RoundConfig, key: &str, value: &str) -> Result<RoundConfig, ConfigError> {
    let source = format!("--set {key}={value}");
    match config.changed_by(&format!("{key} = {value}"), &source) {
        Err(ConfigError::Syntax { .. }) => config.changed_by(&format!("{key} = {value:?}"), &source),
        other => other,
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
        check(&["--iterations", "7000"], "iterations");
        let short = settings(&["--iterations", "90"]);
        assert_eq!((short.iterations, short.checkpoint_every), (90, 9), "ten checkpoints are left");
        check(&["--device", "cpu"], "device");
        check(&["--seed", "9"], "seed");
        check(&["--set", "base_lr=0.5"], "base_lr");
        check(&["--set", "sampler.kind=ohem"], "sampler.kind");
        check(&["--set", "milestones=[0.2, 0.3]"], "milestones");
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

    #[test]
    fn a_round_that_goes_on_keeps_what_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("round.toml");
        std::fs::write(&file, "preset = \"cpu\"\nbase_lr = 0.5\n").unwrap();
        let own = RoundConfig { seed: 7, test_folds: vec![3], ..RoundConfig::preset("cpu").unwrap() };
        let check = |words: &[&str], expected: &[&str]| {
            let asked = Words::parse_from(std::iter::once(&"x").chain(words)).round.changed(&own).unwrap();
            let keys: Vec<String> = own.differences(&asked).into_iter().map(|d| d.key).collect();
            assert_eq!(keys, expected, "{words:?}");
        };
        check(&[], &[]);
        check(&["--config", file.to_str().unwrap()], &["base_lr"]);
        check(&["--device", "cpu", "--set", "clip_norm=1"], &["clip_norm", "device"]);
        check(&["--preset", "paper"], &["preset"]);
        check(&["--seed", "9"], &["seed"]);
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        let check = |words: &[&str], expected: &str| {
            let refused = Words::try_parse_from(std::iter::once(&"x").chain(words)).unwrap_err();
            assert!(refused.exit_code() == 2 && refused.to_string().contains(expected), "{refused}");
        };
        check(&["--preset", "papper"], "paper");
        check(&["--iterations", "0"], "1..");
        check(&["--set", "base_lr"], "KEY=VALUE");
        let unknown = Words::parse_from(["x", "--set", "base_rl=1"]).round.settings().unwrap_err().to_string();
        assert!(unknown.contains("`base_lr`"), "{unknown}");
    }
}

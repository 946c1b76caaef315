//! The options that `train` and `cross-validate` share: a round's settings from a preset or a file, with individual overrides.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::detector::SamplerKind;
use crate::domain::{HardNegativeSource, RoundInit, limits, parse_folds, parse_splits, read_text};
use crate::training::{ConfigError, LARGEST_WHOLE, PRESETS, RoundConfig, meaning, names_setting};

#[derive(Debug, clap::Args)]
pub struct RoundOptions {
    /// Settings to start from [default: cpu]
    #[arg(long, value_name = "NAME", conflicts_with = "config", value_parser = presets())]
    preset: Option<String>,
    /// A round.toml with settings
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    #[arg(long, help = meaning("hard_negatives"), value_parser = ["confirmed", "reviewed", "unreviewed", "none"])]
    hard_negatives: Option<String>,
    #[arg(long, help = meaning("sampler.kind"), value_parser = SamplerKind::ALL.map(SamplerKind::as_str))]
    sampler: Option<String>,
    #[arg(long, help = meaning("init"), value_parser = ["backbone", "previous"])]
    init: Option<String>,
    #[arg(long, help = meaning("iterations"), value_name = "N", value_parser = clap::value_parser!(u64).range(1..=LARGEST_WHOLE))]
    iterations: Option<u64>,
    #[arg(long, help = meaning("device"))]
    device: Option<String>,
    #[arg(long, help = meaning("seed"), value_name = "N", value_parser = clap::value_parser!(u64).range(..=LARGEST_WHOLE))]
    seed: Option<u64>,
    /// Any single setting as round.toml names it, e.g. base_lr=0.005 or sampler.fg_iou=0.6
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

/// The preset if neither a preset nor a file is named.
const DEFAULT_PRESET: &str = "cpu";

fn presets() -> PossibleValuesParser {
    PossibleValuesParser::new(PRESETS.iter().map(|(name, about)| PossibleValue::new(*name).help(*about)))
}

fn setting(word: &str) -> Result<(String, String), String> {
    let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// A list of folds as one argument, e.g. `8`, `9,10` or `1-3`. A newtype, because clap takes a plain list for a repeated option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds(pub Vec<u8>);

/// Parses [`Folds`] for clap.
pub fn folds(text: &str) -> Result<Folds, String> {
    parse_folds(text).map(Folds)
}

/// A list of splits as one argument, e.g. `val`, `8` or `1-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits(pub Vec<String>);

/// Parses [`Splits`] for clap.
pub fn splits(text: &str) -> Result<Splits, String> {
    parse_splits(text).map(Splits)
}

/// The user's `round.toml`.
struct File {
    name: String,
    text: String,
}

impl RoundOptions {
    /// Returns the settings, with the preset's hard negatives if the user chose none; they are validated on use.
    pub fn settings(&self) -> anyhow::Result<RoundConfig> {
        self.settings_or(None)
    }

    /// Like [`settings`](Self::settings), with these hard negatives if the user chose none. With OHEM there are none: it finds its own.
    pub fn settings_with(&self, unnamed: HardNegativeSource) -> anyhow::Result<RoundConfig> {
        self.settings_or(Some(unnamed))
    }

    fn settings_or(&self, unnamed: Option<HardNegativeSource>) -> anyhow::Result<RoundConfig> {
        let file = self.file()?;
        let config = match &file {
            Some(file) => RoundConfig::from_toml(&file.text, &file.name)?,
            None => RoundConfig::preset(self.preset.as_deref().unwrap_or(DEFAULT_PRESET))?,
        };
        let mut config = self.with_options(config, file.as_ref())?;
        if !self.names_hard_negatives(file.as_ref()) {
            config.hard_negatives = match unnamed {
                _ if !config.sampler.kind.forces_hard_negatives() => HardNegativeSource::None,
                Some(source) => source,
                None => RoundConfig::preset(&config.preset)?.hard_negatives,
            };
        }
        Ok(config)
    }

    /// Returns the settings of a resumed round, with the changes from the file or an option.
    pub fn changed(&self, own: &RoundConfig) -> anyhow::Result<RoundConfig> {
        let file = self.file()?;
        let mut config = match &file {
            Some(file) => own.changed_by(&file.text, &file.name)?,
            None => own.clone(),
        };
        if let Some(preset) = &self.preset {
            config.preset.clone_from(preset);
        }
        Ok(self.with_options(config, file.as_ref())?)
    }

    fn file(&self) -> anyhow::Result<Option<File>> {
        let Some(path) = &self.config else { return Ok(None) };
        Ok(Some(File { name: path.display().to_string(), text: read(path)? }))
    }

    /// Whether the user chose hard negatives, by option or in the file.
    fn names_hard_negatives(&self, file: Option<&File>) -> bool {
        let key = "hard_negatives";
        let is_set = self.set.iter().any(|(set, _)| set == key);
        self.hard_negatives.is_some() || is_set || file.is_some_and(|file| names_setting(&file.text, key))
    }

    fn with_options(&self, mut config: RoundConfig, file: Option<&File>) -> Result<RoundConfig, ConfigError> {
        match self.hard_negatives.as_deref() {
            Some("none") => config.hard_negatives = HardNegativeSource::None,
            Some("reviewed") => config.hard_negatives = HardNegativeSource::Reviewed,
            Some("unreviewed") => config.hard_negatives = HardNegativeSource::Unreviewed,
            Some(_) => config.hard_negatives = HardNegativeSource::Confirmed,
            None => {}
        }
        if let Some(kind) = self.sampler.as_deref().and_then(SamplerKind::parse) {
            config.sampler.kind = kind;
        }
        match self.init.as_deref() {
            Some("previous") => config.init = RoundInit::Previous,
            Some(_) => config.init = RoundInit::Backbone,
            None => {}
        }
        let (evaluate_every, checkpoint_every) = (config.evaluate_every, config.checkpoint_every);
        if let Some(iterations) = self.iterations {
            config.set_iterations(iterations);
        }
        if let Some(device) = &self.device {
            config.device.clone_from(device);
        }
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        // Other settings follow from these two, unless they are set too: so these come first.
        let (leading, rest): (Vec<_>, Vec<_>) =
            self.set.iter().partition(|(key, _)| matches!(key.as_str(), "iterations" | "schedule"));
        let set = |config: RoundConfig, (key, value): &(String, String)| with(&config, key, value);
        let mut config = leading.into_iter().try_fold(config, set)?;
        // Settings in the file do not follow others.
        let named = |key: &str| file.is_some_and(|file| names_setting(&file.text, key));
        if named("evaluate_every") {
            config.evaluate_every = evaluate_every;
        }
        if named("checkpoint_every") {
            config.checkpoint_every = checkpoint_every;
        }
        rest.into_iter().try_fold(config, set)
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    Ok(read_text(file, limits::SETTINGS)?)
}

/// Returns `config` with one setting changed. Words need no quotes.
fn with(config: &RoundConfig, key: &str, value: &str) -> Result<RoundConfig, ConfigError> {
    let source = format!("--set {key}={value}");
    let changed = match config.changed_by(&format!("{key} = {value}"), &source) {
        // What is no TOML is a word, or a number that TOML writes differently or does not have.
        Err(ConfigError::Syntax { .. }) => match config.changed_by(&format!("{key} = {value:?}"), &source) {
            Err(ConfigError::Type { file, key, wanted, .. }) => match finite(value) {
                Some(number) if wanted == "float" => config.changed_by(&format!("{key} = {number:?}"), &source),
                _ => Err(ConfigError::Value { file, line: 0, key, message: misfit(wanted, value) }),
            },
            other => other,
        },
        other => other,
    };
    match changed {
        // One key would be stored as the name of settings that the round does not have.
        Ok(changed) if changed.preset != config.preset => Err(ConfigError::Value {
            file: source,
            line: 0,
            key: "preset".to_owned(),
            message:
                "a preset is all settings, not one of them: choose it with `--preset NAME`, or in a file for --config"
                    .to_owned(),
        }),
        changed => changed.map_err(ConfigError::without_line),
    }
}

/// A number that TOML does not read, such as `.05`.
fn finite(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Why `value`, which is no TOML, is not of the type that the setting has.
fn misfit(wanted: &str, value: &str) -> String {
    let kind = match wanted {
        "float" => "a number",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list, e.g. [0.5, 0.75]",
        other => other,
    };
    let is_digits = value.strip_prefix(['-', '+']).unwrap_or(value).bytes().all(|byte| byte.is_ascii_digit());
    match value {
        "" => format!("expected {kind}, but there is nothing after `=`"),
        _ if wanted == "integer" && is_digits => format!("{value} is out of range: at most {LARGEST_WHOLE} fits"),
        _ if wanted == "float" && value.parse::<f64>().is_ok() => {
            format!("{value} is out of range: at most {:e} fits", f64::MAX)
        }
        _ => format!("expected {kind}, found `{value}`"),
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
        check(&["--hard-negatives", "none"], "hard_negatives");
        check(&["--init", "previous"], "init");
        check(&["--device", "cpu"], "device");
        check(&["--seed", "9"], "seed");
        check(&["--set", "base_lr=0.5"], "base_lr");
        check(&["--set", "milestones=[0.2, 0.3]"], "milestones");
        assert_eq!(settings(&["--preset", "paper", "--sampler", "random"]), RoundConfig::preset("paper").unwrap());
    }

    /// A `round.toml` in its own folder.
    fn file(text: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("round.toml");
        std::fs::write(&file, text).unwrap();
        (dir, file.to_str().unwrap().to_owned())
    }

    #[test]
    fn errors_of_options_name_the_option_and_no_line() {
        let check = |words: &[&str], expected: &str| {
            let options = Words::parse_from(std::iter::once(&"x").chain(words)).round;
            let error = options.settings().and_then(|config| Ok(config.check()?)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{words:?}: {error}");
        };
        check(&["--set", "base_lr=fast"], "--set base_lr=fast: `base_lr`: ");
        check(&["--set", "bas_lr=1"], "--set bas_lr=1: unknown key `bas_lr`; did you mean `base_lr`?");
        let error = Words::parse_from(["x", "--set", "nosuch=1"]).round.settings().unwrap_err().to_string();
        assert_eq!(error, "--set nosuch=1: unknown key `nosuch`");
        check(&["--set", "base_lr=-1"], "the settings of the round: `base_lr`: ");
        let (_dir, file) = file("seed = 1\nbase_lr = -1.0\n");
        check(&["--config", &file], &format!("{file}:2: `base_lr`: "));
    }

    #[test]
    fn tests_and_checkpoints_follow_the_iterations_unless_they_are_named() {
        let (_dir, file) = file("preset = \"cpu\"\ncheckpoint_every = 70\n");
        let check = |words: &[&str], expected: (u64, u64, u64)| {
            let config = settings(words);
            assert_eq!((config.iterations, config.evaluate_every, config.checkpoint_every), expected, "{words:?}");
        };
        check(&["--iterations", "1200"], (1200, 350, 70));
        check(&["--iterations", "12000"], (12_000, 3500, 700));
        check(&["--iterations", "90"], (90, 26, 5));
        check(&["--iterations", "1"], (1, 1, 1));
        check(&["--preset", "paper", "--iterations", "5000"], (5000, 714, 71));
        check(&["--set", "iterations=12000"], (12_000, 3500, 700));
        check(&["--set", "evaluate_every=0", "--iterations", "12000"], (12_000, 0, 700));
        check(&["--set", "evaluate_every=5", "--set", "iterations=12000"], (12_000, 5, 700));
        check(&["--config", &file, "--iterations", "12000"], (12_000, 3500, 70));
        check(&["--config", &file, "--set", "iterations=12000"], (12_000, 3500, 70));
        check(&["--config", &file, "--set", "iterations=12000", "--set", "checkpoint_every=9"], (12_000, 3500, 9));
    }

    #[test]
    fn ohem_has_no_hard_negatives_unless_they_are_named() {
        use HardNegativeSource::{Confirmed, None, Unreviewed};
        let (_plain, plain) = file("seed = 4\n");
        let (_naming, naming) = file("hard_negatives = \"confirmed\"\n");
        let (_ohem, ohem) = file("[sampler]\nkind = \"ohem\"\n");
        // `train`, then `cross-validate`.
        let check = |words: &[&str], train: HardNegativeSource, cross_validate: HardNegativeSource| {
            let options = Words::parse_from(std::iter::once(&"x").chain(words)).round;
            let found = (options.settings().unwrap(), options.settings_with(Unreviewed).unwrap());
            assert_eq!((found.0.hard_negatives, found.1.hard_negatives), (train, cross_validate), "{words:?}");
        };
        check(&[], Confirmed, Unreviewed);
        check(&["--config", &plain], Confirmed, Unreviewed);
        check(&["--config", &naming], Confirmed, Confirmed);
        check(&["--set", "hard_negatives=confirmed"], Confirmed, Confirmed);
        check(&["--sampler", "ohem"], None, None);
        check(&["--sampler", "mined-ohem"], Confirmed, Unreviewed);
        check(&["--set", "sampler.kind=ohem"], None, None);
        check(&["--config", &ohem], None, None);
        check(&["--config", &ohem, "--sampler", "random"], Confirmed, Unreviewed);
        check(&["--config", &naming, "--sampler", "ohem"], Confirmed, Confirmed);
        check(&["--sampler", "ohem", "--hard-negatives", "unreviewed"], Unreviewed, Unreviewed);
    }

    #[test]
    fn a_value_that_is_no_toml_is_read_as_a_number_or_refused_with_the_reason() {
        let check = |set: &str, expected: &str| {
            let error = Words::parse_from(["x", "--set", set]).round.settings().unwrap_err().to_string();
            assert_eq!(error, format!("--set {set}: {expected}"));
        };
        check("base_lr=1e400", "`base_lr`: 1e400 is out of range: at most 1.7976931348623157e308 fits");
        check("seed=", "`seed`: expected a whole number, but there is nothing after `=`");
        check(
            "seed=99999999999999999999",
            "`seed`: 99999999999999999999 is out of range: at most 9223372036854775807 fits",
        );
        check("seed=soon", "`seed`: expected a whole number, found `soon`");
        check("base_lr=fast", "`base_lr`: expected a number, found `fast`");
        check("milestones=half", "`milestones`: expected a list, e.g. [0.5, 0.75], found `half`");
        let exact =
            |set: &str, expected: f64| assert!((settings(&["--set", set]).base_lr - expected).abs() < 1e-12, "{set}");
        exact("base_lr=.05", 0.05);
        exact("base_lr=5.", 5.0);
    }

    #[test]
    fn a_preset_is_no_single_setting() {
        let own = RoundConfig::preset("cpu").unwrap();
        for set in ["preset=paper", "preset=papper", "preset=\"paper\"", "\"preset\"=paper"] {
            let options = || Words::parse_from(["x", "--set", set]).round;
            for error in [options().settings().unwrap_err(), options().changed(&own).unwrap_err()] {
                assert!(
                    error.to_string().contains("`preset`: ") && error.to_string().contains("`--preset NAME`"),
                    "{error}"
                );
            }
        }
        assert_eq!(settings(&["--preset", "paper", "--set", "preset=paper"]), RoundConfig::preset("paper").unwrap());
    }

    #[test]
    fn milestones_beside_another_schedule_are_refused_in_either_order() {
        let check = |words: &[&str], is_sound: bool| assert_eq!(settings(words).check().is_ok(), is_sound, "{words:?}");
        check(&["--preset", "paper", "--set", "schedule=cosine"], true);
        check(&["--preset", "paper", "--set", "schedule=cosine", "--set", "milestones=[0.5]"], false);
        check(&["--preset", "paper", "--set", "milestones=[0.5]", "--set", "schedule=cosine"], false);
        check(&["--set", "milestones=[0.5]", "--set", "schedule=step"], true);
    }

    #[test]
    fn an_option_wins_over_the_file() {
        let (_dir, file) = file("seed = 4\n[sampler]\nkind = \"ohem\"\n");
        let file = file.as_str();
        assert_eq!(settings(&["--config", file]).sampler.kind, SamplerKind::Ohem);
        let config = settings(&["--config", file, "--sampler", "random"]);
        assert_eq!((config.sampler.kind, config.seed), (SamplerKind::Random, 4));
    }

    #[test]
    fn a_round_that_goes_on_keeps_what_is_not_named() {
        let (_dir, file) = file("preset = \"cpu\"\nbase_lr = 0.5\n");
        let own = RoundConfig { seed: 7, test_splits: vec!["3".to_owned()], ..RoundConfig::preset("cpu").unwrap() };
        let check = |words: &[&str], expected: &[&str]| {
            let requested = Words::parse_from(std::iter::once(&"x").chain(words)).round.changed(&own).unwrap();
            let keys: Vec<String> = own.differences(&requested).into_iter().map(|d| d.key).collect();
            assert_eq!(keys, expected, "{words:?}");
        };
        check(&[], &[]);
        check(&["--config", &file], &["base_lr"]);
        check(&["--sampler", "ohem"], &["sampler.kind"]);
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
        check(&["--seed", "18446744073709551615"], "9223372036854775807");
        check(&["--iterations", "9223372036854775808"], "9223372036854775807");
        check(&["--set", "base_lr"], "KEY=VALUE");
        let unknown = Words::parse_from(["x", "--set", "base_rl=1"]).round.settings().unwrap_err().to_string();
        assert!(unknown.contains("`base_lr`"), "{unknown}");
    }
}

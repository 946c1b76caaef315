//! `round.toml`: the settings as text, read with errors that name the line and written with a comment on every key. Must not know
//! what a round does with them.

// Readers of outside bytes do not index: a file must not be able to panic them. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::config::{FREE_SETTINGS, RATE_SETTINGS, RoundConfig};
use super::nested_keys::DOCUMENTED_SECTIONS;
use super::overlay::{self, ConfigError, KeyLines};
use super::schedule::ScheduleKind;
use crate::detector::{DetectorConfig, SMOOTH_L1_BETA, SamplerKind};
use crate::domain::HardNegativeSource;

/// What rounds were trained with before the key existed, where that is not today's default.
const OLD_SAMPLER: [(&str, Value); 6] = [
    ("forced_fraction", Value::Float(1.0)),
    ("fg_exclusive", Value::Boolean(false)),
    ("rpn_forced_below", Value::Float(0.5)),
    ("rpn_forced_fraction", Value::Float(1.0)),
    ("rpn_inside_only", Value::Boolean(false)),
    ("box_beta", Value::Float(SMOOTH_L1_BETA)),
];

/// Every key of the top of `round.toml` in its written order, with what it means.
pub const DOCUMENTED: &[(&str, &str)] = &[
    (
        "preset",
        "The settings that everything not written here comes from: paper, paper-vgg16, paper-fpn, quick, overnight, cpu, sample.",
    ),
    ("seed", "All randomness of the round: order, flips, samples, fresh weights."),
    ("device", "auto, cpu or cuda:0."),
    (
        "test_splits",
        "Splits that are not trained on and that the round is tested on; FDDB's folds are splits called 1 to 10 (once `test_folds`).",
    ),
    (
        "test_dataset",
        "A dataset's name: all of it is tested on and none of it trained on (the unrestricted protocol), whatever its folds.",
    ),
    (
        "train_splits",
        "Splits to train on (once `train_folds`); empty: all but the test splits and those that a dataset sets aside (val, test and the \
         like). Images without a split always take part.",
    ),
    (
        "hard_negatives",
        "Of earlier rounds: none, unreviewed (the paper's: all that nobody rejected) confirmed (by an annotator, or estimated from a random \
         sample), or reviewed (confirmed, without what is estimated). Left out, none where \
         `sampler.kind` is ohem.",
    ),
    (
        "hard_negative_models",
        "Models whose detections were imported (`quarry import detections --name`) and whose false positives are hard negatives too; \
         empty: only those of Quarry's own rounds.",
    ),
    (
        "ground_truth",
        "Which objects are learnt: imported (the dataset's own; rejected regions are background), corrected (with promoted and edited \
         objects; rejected regions are ignored), or auto: imported where `hard_negatives` is none, a clean baseline, else corrected.",
    ),
    ("init", "Where the weights start: backbone (the paper's: the pretrained one) or previous (the last round's)."),
    ("flip", "Chance that an image is mirrored."),
    (
        "scale_jitter",
        "Images are trained on at 1 / (1 + this) to 1 + this times the shorter side, drawn for each; 0 (the paper's): at one size.",
    ),
    (
        "iterations",
        "Steps of the optimiser. Milestones and warm-up are fractions of it, and what happens every so many steps follows where it is \
         left out: this one number stretches everything.",
    ),
    ("batch_images", "Images in a mini-batch."),
    ("accumulate", "Mini-batches whose gradients are averaged for one step."),
    ("base_lr", "Learning rate of SGD before the first milestone."),
    ("schedule", "step (the paper's), cosine or constant."),
    ("milestones", "Where the rate of step drops, as fractions of the iterations (the paper's: after 50k of 70k)."),
    ("lr_factor", "What a milestone multiplies the rate by; what is left of it at the end of a cosine."),
    ("warmup", "Length of the linear warm-up as a fraction of the iterations; 0: none."),
    ("warmup_factor", "Fraction of the rate at the first step of the warm-up."),
    ("momentum", "Momentum of SGD."),
    ("weight_decay", "L2 penalty on the weights."),
    ("bias_lr_factor", "Biases and norms learn this much faster (Caffe: 2, torchvision: 1)."),
    ("bias_weight_decay", "Whether biases and norms are decayed too (Caffe: false, torchvision: true)."),
    ("clip_norm", "Largest L2 norm of all gradients together; 0: not clipped."),
    ("max_loss", "A total loss above this stops the round: it has exploded."),
    (
        "evaluate_every",
        "Steps between two tests on the test splits; 0: only at the end. Left out, the preset's share of the iterations.",
    ),
    (
        "checkpoint_every",
        "Steps between two checkpoints; 0: only at the end and when stopped. Left out, the preset's share of the iterations.",
    ),
    ("keep_every", "Each k-th of these checkpoints is kept; 0: only the last and the best."),
    ("workers", "Threads that decode and resize."),
    ("prefetch", "Images held ready ahead of the step."),
];

/// A stored round goes on as it began.
fn fill_in_old_sampler(over: &mut Table) {
    if let Some(Value::Table(sampler)) = over.get_mut("sampler") {
        for (key, value) in OLD_SAMPLER {
            sampler.entry(key).or_insert(value);
        }
    }
}

/// A setting in which two rounds differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The full key, e.g. `sampler.fg_iou`.
    pub key: String,
    /// Both values as TOML; empty where a config lacks the key.
    pub before: String,
    pub after: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` was {} and is {}", self.key, self.before, self.after)
    }
}

impl RoundConfig {
    /// Reads `round.toml`. What the text leaves out comes from its `preset` (the paper's when it names none); naming another
    /// `detector.architecture` than the round preset's resets the whole `[detector]` table to that one first. `file` is for messages.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ConfigError> {
        let (over, lines) = parse(text, file)?;
        read(over, &lines)
    }

    /// Reads what [`to_toml`](Self::to_toml) wrote, of older versions too: they wrote down the preset's milestones beside a schedule
    /// that has none, where they meant nothing.
    pub fn from_stored(text: &str, source: &str) -> Result<Self, ConfigError> {
        let (mut over, mut lines) = parse(text, source)?;
        if over.get("schedule").and_then(Value::as_str).is_some_and(|kind| kind != "step") {
            over.remove("milestones");
            lines.forget("milestones");
        }
        fill_in_old_sampler(&mut over);
        read(over, &lines)
    }

    /// These settings with those of `text` laid over them; what the text leaves out stays, but for another `detector.architecture`,
    /// which brings its own defaults for the whole `[detector]` table. Whether the whole makes sense is not checked.
    pub fn changed_by(&self, text: &str, file: &str) -> Result<Self, ConfigError> {
        let (over, lines) = parse(text, file)?;
        let mut base = self.clone();
        follow_architecture(&mut base, &over, &lines)?;
        laid_over(&base, over, &lines)
    }

    /// The whole config as a commented file that `from_toml` reads back to the same value, if it passes [`check`](Self::check).
    pub fn to_toml(&self) -> String {
        let table = to_table(self);
        let mut text = String::from("# Quarry round settings. Keys left out come from the preset.\n");
        for (key, meaning) in DOCUMENTED {
            if let Some(value) = table.get(*key) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n# {meaning}\n{key} = {value}\n");
            }
        }
        for (key, value) in &table {
            if let Value::Table(section) = value {
                write_section(&mut text, key, section);
            }
        }
        text
    }

    /// The settings in which `other` differs from this one, by key.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        flatten("", to_table(self), &mut before);
        flatten("", to_table(other), &mut after);
        let value_in = |list: &[(String, String)], key: &str| {
            list.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let mut keys: Vec<String> = before.iter().chain(&after).map(|(key, _)| key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter()
            .map(|key| Difference { before: value_in(&before, &key), after: value_in(&after, &key), key })
            .filter(|difference| difference.before != difference.after)
            .collect()
    }

    /// The settings in which `other` would learn differently: the device, the number of workers and the like are left out.
    pub fn learning_differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences = self.differences(other);
        differences.retain(|difference| !FREE_SETTINGS.contains(&difference.key.as_str()));
        differences
    }

    /// The settings of `other` that a round begun with these cannot go on with: what is learnt stays; rates and mining may change.
    pub fn binding_differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences = self.learning_differences(other);
        differences.retain(|d| !RATE_SETTINGS.contains(&d.key.as_str()) && !d.key.starts_with("mining."));
        differences
    }
}

/// Whether `text` sets the key of this full name, e.g. `sampler.kind`. False for a text that is not TOML.
pub fn names_setting(text: &str, key: &str) -> bool {
    parse(text, "").is_ok_and(|(_, lines)| lines.contains(key))
}

/// What a key of `round.toml` means (`seed`, `sampler.fg_iou`); the form's tooltip.
pub fn meaning(key: &str) -> Option<&'static str> {
    DOCUMENTED.iter().chain(DOCUMENTED_SECTIONS).find(|(name, _)| *name == key).map(|(_, meaning)| *meaning)
}

/// A table with a comment on each of its keys, then the tables in it.
fn write_section(text: &mut String, path: &str, section: &Table) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n[{path}]\n");
    for (key, value) in section.iter().filter(|(_, value)| !value.is_table()) {
        if let Some(meaning) = meaning(&format!("{path}.{key}")) {
            let _ = writeln!(text, "# {meaning}");
        }
        let _ = writeln!(text, "{key} = {value}");
    }
    for (key, value) in section {
        if let Value::Table(inner) = value {
            write_section(text, &format!("{path}.{key}"), inner);
        }
    }
}

/// The text with today's keys: `test_folds` and `train_folds` of older files are splits whose names are numbers.
fn parse(text: &str, file: &str) -> Result<(Table, KeyLines), ConfigError> {
    let (mut over, mut lines) = overlay::parse(text, file)?;
    for (old, new) in [("test_folds", "test_splits"), ("train_folds", "train_splits")] {
        if let Some(folds) = over.remove(old) {
            if over.contains_key(new) {
                return Err(lines.error(old, format!("`{new}` says the same today: name one of them")));
            }
            if folds.as_array().is_some_and(|folds| folds.iter().any(|fold| fold.as_integer().is_none_or(|n| n < 1))) {
                return Err(lines.error(old, "folds are counted from 1"));
            }
            over.insert(new.to_owned(), folds);
            lines.rename(old, new);
        }
        // Numbers need no quotes.
        if let Some(Value::Array(splits)) = over.get_mut(new) {
            for split in splits.iter_mut() {
                if let Value::Integer(number) = split {
                    *split = Value::String(number.to_string());
                }
            }
        }
    }
    Ok((over, lines))
}

fn read(over: Table, lines: &KeyLines) -> Result<RoundConfig, ConfigError> {
    let mut config = laid_over(&base_config(&over, lines)?, over, lines)?;
    if config.sampler.kind == SamplerKind::Ohem && !lines.contains("hard_negatives") {
        config.hard_negatives = HardNegativeSource::None;
    }
    config.check_with(lines)?;
    Ok(config)
}

fn laid_over(base: &RoundConfig, over: Table, lines: &KeyLines) -> Result<RoundConfig, ConfigError> {
    let mut table = to_table(base);
    check_leaves(&table, &over, lines)?;
    overlay::lay_over(&mut table, over, lines)?;
    let mut config: RoundConfig = from_table(table).map_err(|message| lines.error("round.toml", message))?;
    if !config.detector.classes.is_empty() && !lines.contains("detector.num_classes") {
        config.detector.num_classes = config.detector.classes.len() as i64 + 1;
    }
    let (evaluate_every, checkpoint_every) = base.intervals_at(config.iterations);
    if !lines.contains("evaluate_every") {
        config.evaluate_every = evaluate_every;
    }
    if !lines.contains("checkpoint_every") {
        config.checkpoint_every = checkpoint_every;
    }
    if config.schedule != ScheduleKind::Step && !lines.contains("milestones") {
        config.milestones.clear();
    }
    Ok(config)
}

/// The config that `over` is laid on: its round preset, with its detector preset where it names another.
fn base_config(over: &Table, lines: &KeyLines) -> Result<RoundConfig, ConfigError> {
    let mut config = match over.get("preset") {
        Some(Value::String(name)) => {
            RoundConfig::preset(name).map_err(|error| lines.error("preset", error.to_string()))?
        }
        _ => RoundConfig::default(),
    };
    if over.get("test_dataset").and_then(Value::as_str).is_some_and(|name| !name.is_empty()) {
        // The preset's test splits are meant for rounds that are tested on splits.
        config.test_splits.clear();
    }
    follow_architecture(&mut config, over, lines)?;
    Ok(config)
}

/// Another architecture than the config's resets its detector to that one's defaults.
fn follow_architecture(config: &mut RoundConfig, over: &Table, lines: &KeyLines) -> Result<(), ConfigError> {
    let named = over.get("detector").and_then(|detector| detector.get("architecture")).and_then(Value::as_str);
    if let Some(name) = named.filter(|name| *name != config.detector.architecture.as_str()) {
        config.detector =
            DetectorConfig::preset(name).map_err(|error| lines.error("detector.architecture", error.to_string()))?;
    }
    Ok(())
}

/// Tries every value on its own, so that one which doesn't parse (an unknown word, a negative count) is named with its line.
fn check_leaves(base: &Table, over: &Table, lines: &KeyLines) -> Result<(), ConfigError> {
    let mut leaves = Vec::new();
    leaves_of(&mut Vec::new(), over, &mut leaves);
    for (path, value) in leaves {
        let nested = path.iter().rev().fold(value, |inner, key| Value::Table(Table::from_iter([(key.clone(), inner)])));
        let Value::Table(single) = nested else { continue };
        let mut trial = base.clone();
        overlay::lay_over(&mut trial, single, lines)?;
        from_table::<RoundConfig>(trial).map_err(|message| lines.error(&path.join("."), message))?;
    }
    Ok(())
}

fn leaves_of(path: &mut Vec<String>, table: &Table, leaves: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(inner) if !inner.is_empty() => leaves_of(path, inner, leaves),
            value => leaves.push((path.clone(), value.clone())),
        }
        path.pop();
    }
}

fn flatten(path: &str, table: Table, flat: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let full = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => flatten(&full, inner, flat),
            value => flat.push((full, value.to_string())),
        }
    }
}

fn to_table(config: &RoundConfig) -> Table {
    #[expect(
        clippy::expect_used,
        reason = "a struct of numbers, words and lists is a TOML table; `check` refuses larger numbers"
    )]
    Table::try_from(config).expect("round settings are a TOML table")
}

fn from_table<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    T::deserialize(Value::Table(table)).map_err(|error: toml::de::Error| error.message().to_owned())
}

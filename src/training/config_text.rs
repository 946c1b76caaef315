//! Reads and writes `round.toml`: errors name the line, and the written file has a comment on every key.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write as _;

use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::config::{FREE_SETTINGS, RATE_SETTINGS, RoundConfig};
use super::documented::{DocumentedKey, documented, meaning};
use super::overlay::{self, ConfigError, KeyLines};
use super::schedule::ScheduleKind;
use crate::detector::{DetectorConfig, SMOOTH_L1_BETA};
use crate::domain::HardNegativeSource;

/// Values that rounds were trained with before the key existed, whatever a preset may have today.
const OLD_SAMPLER: [(&str, Value); 9] = [
    ("forced_fraction", Value::Float(1.0)),
    ("fg_exclusive", Value::Boolean(false)),
    ("rpn_forced_below", Value::Float(0.5)),
    ("rpn_forced_fraction", Value::Float(1.0)),
    ("rpn_inside_only", Value::Boolean(false)),
    ("box_beta", Value::Float(SMOOTH_L1_BETA)),
    ("box_weight", Value::Float(1.0)),
    ("focal_gamma", Value::Float(0.0)),
    ("background_weight", Value::Float(1.0)),
];

/// The same for keys with words.
const OLD_SAMPLER_WORDS: [(&str, &str); 2] = [("forced_order", "score"), ("box_loss", "smooth-l1")];

/// The same for keys outside a table.
const OLD_ROUND: [(&str, Value); 2] = [("ema", Value::Float(0.0)), ("mine_every", Value::Integer(0))];

/// A stored round resumes with the values it started with.
fn fill_in_old_values(over: &mut Table) {
    for (key, value) in OLD_ROUND {
        over.entry(key).or_insert(value);
    }
    if let Some(Value::Table(sampler)) = over.get_mut("sampler") {
        for (key, value) in OLD_SAMPLER {
            sampler.entry(key).or_insert(value);
        }
        for (key, word) in OLD_SAMPLER_WORDS {
            sampler.entry(key).or_insert_with(|| Value::String(word.to_owned()));
        }
    }
}

/// A setting that differs between two rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The full key, e.g. `sampler.fg_iou`.
    pub key: String,
    /// Both values as TOML; empty if a config lacks the key.
    pub before: String,
    pub after: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` was {} and is {}", self.key, self.before, self.after)
    }
}

impl RoundConfig {
    /// Reads `round.toml`. Omitted settings come from its `preset` (by default the paper's); a `detector.architecture` other than the
    /// preset's first resets the whole `[detector]` table to that one's defaults. `file` is used in messages.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ConfigError> {
        let (over, lines) = parse(text, file)?;
        read(over, &lines)
    }

    /// Reads the output of [`to_toml`](Self::to_toml), including older versions: those also wrote the preset's milestones with schedules
    /// that have none, where they have no effect.
    pub fn from_stored(text: &str, source: &str) -> Result<Self, ConfigError> {
        let (mut over, mut lines) = parse(text, source)?;
        if over.get("schedule").and_then(Value::as_str).is_some_and(|kind| kind != "step") {
            over.remove("milestones");
            lines.forget("milestones");
        }
        fill_in_old_values(&mut over);
        read(over, &lines)
    }

    /// Applies `text` on top of these settings; omitted settings stay, except that another `detector.architecture` resets the whole
    /// `[detector]` table to its defaults. The result is not validated.
    pub fn changed_by(&self, text: &str, file: &str) -> Result<Self, ConfigError> {
        let (over, lines) = parse(text, file)?;
        let mut base = self.clone();
        follow_architecture(&mut base, &over, &lines)?;
        laid_over(&base, over, &lines)
    }

    /// Writes the whole config as a commented file that `from_toml` reads back unchanged, if it passes [`check`](Self::check).
    pub fn to_toml(&self) -> String {
        let table = to_table(self);
        let mut text = String::from("# Quarry round settings. Keys left out come from the preset.\n");
        for DocumentedKey { key, meaning, .. } in documented() {
            if let Some(value) = table.get(key).filter(|value| !value.is_table()) {
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

    /// Returns the settings in which `other` differs, by key.
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

    /// Returns the differences that affect training; the device, the number of workers and the like are skipped.
    pub fn learning_differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences = self.differences(other);
        differences.retain(|difference| !FREE_SETTINGS.contains(&difference.key.as_str()));
        differences
    }

    /// Returns the differences that prevent resuming a round with `other`; rates and mining settings may change.
    pub fn binding_differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences = self.learning_differences(other);
        differences.retain(|d| !RATE_SETTINGS.contains(&d.key.as_str()) && !d.key.starts_with("mining."));
        differences
    }
}

/// Whether `text` sets the key with this full path, e.g. `sampler.kind`. False if the text is not TOML.
pub fn names_setting(text: &str, key: &str) -> bool {
    parse(text, "").is_ok_and(|(_, lines)| lines.contains(key))
}

/// Writes a table with a comment on it and on each of its keys, then its subtables.
fn write_section(text: &mut String, path: &str, section: &Table) {
    // Writing to a String cannot fail.
    let about = meaning(path).map_or_else(String::new, |meaning| format!("# {meaning}\n"));
    let _ = write!(text, "\n{about}[{path}]\n");
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

/// Parses the text with today's keys: `test_folds` and `train_folds` of older files become splits named by numbers.
fn parse(text: &str, file: &str) -> Result<(Table, KeyLines), ConfigError> {
    let (mut over, mut lines) = overlay::parse(text, file)?;
    for (old, new) in [("test_folds", "test_splits"), ("train_folds", "train_splits")] {
        if let Some(folds) = over.remove(old) {
            if over.contains_key(new) {
                return Err(lines.error(old, format!("`{new}` is its current name: write only one of them")));
            }
            if folds.as_array().is_some_and(|folds| folds.iter().any(|fold| fold.as_integer().is_none_or(|n| n < 1))) {
                return Err(lines.error(old, "folds are numbered from 1"));
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
    if !config.sampler.kind.forces_hard_negatives() && !lines.contains("hard_negatives") {
        config.hard_negatives = HardNegativeSource::None;
    }
    config.check_with(lines)?;
    Ok(config)
}

fn laid_over(base: &RoundConfig, over: Table, lines: &KeyLines) -> Result<RoundConfig, ConfigError> {
    let mut table = to_table(base);
    overlay::lay_over(&mut table, over, lines)?;
    let mut config = from_table(table, lines)?;
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

/// Returns the config that `over` is applied to: its round preset, with its detector preset if it names another.
fn base_config(over: &Table, lines: &KeyLines) -> Result<RoundConfig, ConfigError> {
    let mut config = match over.get("preset") {
        Some(Value::String(name)) => {
            RoundConfig::preset(name).map_err(|error| lines.error("preset", error.to_string()))?
        }
        _ => RoundConfig::default(),
    };
    if over.get("test_dataset").and_then(Value::as_str).is_some_and(|name| !name.is_empty()) {
        // The preset's test splits only apply to rounds that are tested on splits.
        config.test_splits.clear();
    }
    follow_architecture(&mut config, over, lines)?;
    Ok(config)
}

/// A changed architecture resets the detector to its defaults.
fn follow_architecture(config: &mut RoundConfig, over: &Table, lines: &KeyLines) -> Result<(), ConfigError> {
    let named = over.get("detector").and_then(|detector| detector.get("architecture")).and_then(Value::as_str);
    if let Some(name) = named.filter(|name| *name != config.detector.architecture.as_str()) {
        config.detector =
            DetectorConfig::preset(name).map_err(|error| lines.error("detector.architecture", error.to_string()))?;
    }
    Ok(())
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

/// A value that cannot be parsed (an unknown word, a negative count) is reported with its line.
fn from_table(table: Table, lines: &KeyLines) -> Result<RoundConfig, ConfigError> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let keys = error.path().iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        });
        let key = keys.collect::<Vec<_>>().join(".");
        let error: &toml::de::Error = error.inner();
        lines.error(if key.is_empty() { "round.toml" } else { &key }, error.message())
    })
}

//! The identity of a cross-validation: its settings and data. Results of folds, runs and machines can be combined if it is equal.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::domain::{limits, make_folder, read_text};
use crate::training::{Difference, RoundConfig};
use crate::workflow::{WorkflowError, write_atomically};

const FILE: &str = "plan.json";

/// `plan.json`: written when a cross-validation begins, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    made_by: String,
    /// The plan's id; missing in the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// See [`Facts::fingerprint`].
    data: String,
    config_toml: String,
}

/// The settings of this run and the identity of its cross-validation.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub config: RoundConfig,
    /// blake3 of the data and of the settings that affect training.
    pub id: String,
    data: String,
}

impl Plan {
    /// Creates a plan that can start in `dir` or continue the one there; other settings or data are refused by name. Writes nothing.
    pub fn new(dir: &Path, config: &RoundConfig, facts: &Facts) -> Result<Self, WorkflowError> {
        let config = RoundConfig { test_splits: Vec::new(), ..config.clone() };
        config.check()?;
        check_train_splits(&config.train_splits, &facts.folds())?;
        let data = facts.fingerprint();
        let begun = Self::read(dir)?;
        if let Some(begun) = &begun {
            check_same(dir, begun, &config, &data)?;
        }
        let id = begun.and_then(|begun| id_in(dir, &begun)).unwrap_or_else(|| id_of(&config, &data));
        Ok(Self { config, id, data })
    }

    /// Writes the plan unless it exists.
    pub fn begin(&self, dir: &Path) -> Result<(), WorkflowError> {
        if Self::exists(dir) {
            return Ok(());
        }
        make_folder(dir).map_err(WorkflowError::io(dir, "Check that the project's folder is writable."))?;
        let made_by = env!("CARGO_PKG_VERSION").to_owned();
        let id = Some(self.id.clone());
        let file = PlanFile { made_by, id, data: self.data.clone(), config_toml: self.config.to_toml() };
        write_json(&dir.join(FILE), &file)
    }

    /// Returns the plan of the cross-validation in `dir`, to be checked against `facts`.
    pub fn of_folder(dir: &Path, facts: &Facts) -> Result<Self, WorkflowError> {
        let Some(file) = Self::read(dir)? else {
            return Err(WorkflowError::Refused(format!("{}: there is no cross-validation here.", dir.display())));
        };
        let config = RoundConfig::from_stored(&file.config_toml, &dir.join(FILE).display().to_string())?;
        let data = facts.fingerprint();
        check_same(dir, &file, &config, &data)?;
        let id = id_in(dir, &file).unwrap_or_else(|| id_of(&config, &data));
        Ok(Self { config, id, data })
    }

    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).is_file()
    }

    /// Returns the settings of every round of `fold`. Invariant: if `train_splits` are named, some remain, because an empty list means all.
    pub fn config_of(&self, fold: u8) -> RoundConfig {
        let fold = fold.to_string();
        let train_splits = self.config.train_splits.iter().filter(|other| **other != fold).cloned().collect();
        RoundConfig { test_splits: vec![fold], train_splits, ..self.config.clone() }
    }

    fn read(dir: &Path) -> Result<Option<PlanFile>, WorkflowError> {
        if Self::exists(dir) { read_json(&dir.join(FILE)).map(Some) } else { Ok(None) }
    }
}

/// Every fold of the project is tested on in turn; then some of the named training folds must remain.
fn check_train_splits(train: &[String], all: &[u8]) -> Result<(), WorkflowError> {
    let Some(first) = train.first() else { return Ok(()) };
    if train.iter().any(|split| split != first) || !all.iter().any(|fold| fold.to_string() == *first) {
        return Ok(());
    }
    Err(WorkflowError::Refused(format!(
        "`train_splits` names fold {first} alone: when it is tested on, no fold would be left to train on. Name at least two, or \
         none for all that are not tested on."
    )))
}

fn check_same(dir: &Path, begun: &PlanFile, config: &RoundConfig, data: &str) -> Result<(), WorkflowError> {
    let before = RoundConfig::from_stored(&begun.config_toml, &dir.join(FILE).display().to_string())?;
    let changed: Vec<String> = fixed_differences(&before, config).map(|d| d.to_string()).collect();
    if !changed.is_empty() {
        return Err(WorkflowError::Refused(format!(
            "{}: this cross-validation was started with other settings: {}. Restore them, or start a new one with --name.",
            dir.display(),
            changed.join(", ")
        )));
    }
    if begun.data != data {
        return Err(WorkflowError::Refused(format!(
            "{}: the project's images, folds or annotations have changed since this cross-validation was started. Start a new one with --name.",
            dir.display()
        )));
    }
    Ok(())
}

/// Returns the settings that may not differ within a cross-validation. The preset's name does not matter.
fn fixed_differences(before: &RoundConfig, after: &RoundConfig) -> impl Iterator<Item = Difference> {
    before.learning_differences(after).into_iter().filter(|d| d.key != "preset")
}

/// Returns the id that the plan in `dir` started with: settings added in a later version do not change it. Plans of the first version do
/// not contain it, but their folds' records do.
fn id_in(dir: &Path, file: &PlanFile) -> Option<String> {
    if file.id.is_some() {
        return file.id.clone();
    }
    let of_fold = |fold: u8| read_json::<RecordedPlan>(&dir.join(format!("fold-{fold}/fold.json"))).ok();
    (1..=u8::MAX).find_map(of_fold).map(|record| record.plan)
}

/// The plan's id in `fold.json`.
#[derive(Deserialize)]
struct RecordedPlan {
    plan: String,
}

/// The same on every machine, independent of device and number of loader threads.
fn id_of(config: &RoundConfig, data: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for difference in fixed_differences(&RoundConfig::default(), config) {
        hasher.update(format!("{}={}\n", difference.key, difference.after).as_bytes());
    }
    hasher.update(data.as_bytes());
    hasher.finalize().to_hex().to_string()
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), WorkflowError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| WorkflowError::BadFile { path: path.to_path_buf(), reason: e.to_string() })?;
    write_atomically(path, text.as_bytes())
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, WorkflowError> {
    let text = read_text(path, limits::TEXT)?;
    serde_json::from_str(&text).map_err(|e| WorkflowError::BadFile {
        path: path.to_path_buf(),
        reason: format!("{e}; the file is damaged or of another version"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_fold_is_left_to_train_on_whichever_is_tested_on() {
        let check = |train: &[u8], is_sound: bool| {
            let train: Vec<String> = train.iter().map(u8::to_string).collect();
            let checked = check_train_splits(&train, &[1, 2, 3]);
            assert_eq!(checked.is_ok(), is_sound, "{train:?}: {checked:?}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("`train_splits` names fold 2 alone"), "{error}");
            }
        };
        check(&[], true);
        check(&[1, 2], true);
        check(&[2], false);
        check(&[2, 2], false);
        // Not tested on here: it is available to every fold.
        check(&[9], true);
    }
}

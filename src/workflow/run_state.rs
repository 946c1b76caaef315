//! Reads the progress of the project's cross-validations from their folders.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Project, WorkflowError};
use crate::domain::{limits, read_text};
use crate::training::RoundConfig;

/// A cross-validation that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// The folder in `runs/`.
    pub name: String,
    /// The settings that it started with and continues with.
    pub config: RoundConfig,
    /// The folds with finished rounds, and their number.
    pub folds: Vec<(u8, u32)>,
    /// The largest number of rounds started in any fold.
    pub rounds: u32,
}

impl RunState {
    /// Returns the number of folds that have all of `rounds`.
    pub fn done(&self, rounds: u32) -> usize {
        self.folds.iter().filter(|(_, done)| *done >= rounds).count()
    }
}

/// The relevant part of `plan.json`.
#[derive(Deserialize)]
struct PlanText {
    config_toml: String,
}

/// The relevant part of `fold.json`.
#[derive(Deserialize)]
struct RecordText {
    rounds: Vec<IgnoredAny>,
}

/// Returns the cross-validations of the project, by name. Unreadable files are an error that names them.
pub fn run_states(project: &Project) -> Result<Vec<RunState>, WorkflowError> {
    folders(&project.runs_dir())
        .into_iter()
        .filter(|dir| dir.join("plan.json").is_file())
        .map(|dir| state(&dir))
        .collect()
}

fn state(dir: &Path) -> Result<RunState, WorkflowError> {
    let path = dir.join("plan.json");
    let plan: PlanText = read_json(&path)?;
    let config = RoundConfig::from_stored(&plan.config_toml, &path.display().to_string())?;
    let (mut folds, mut rounds) = (Vec::new(), 0);
    for folder in folders(dir) {
        let Some(fold) = number(&folder, "fold-").and_then(|fold| u8::try_from(fold).ok()) else { continue };
        let record = folder.join("fold.json");
        if record.is_file() {
            let record: RecordText = read_json(&record)?;
            folds.push((fold, record.rounds.len() as u32));
            rounds = rounds.max(record.rounds.len() as u32);
        }
        let begun = folders(&folder.join("runs")).iter().filter_map(|run| number(run, "")).max();
        rounds = rounds.max(begun.unwrap_or(0));
    }
    folds.sort_unstable();
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(RunState { name, config, folds, rounds })
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn number(dir: &Path, prefix: &str) -> Option<u32> {
    dir.file_name()?.to_str()?.strip_prefix(prefix)?.parse().ok()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, WorkflowError> {
    serde_json::from_str(&read_text(path, limits::TEXT)?).map_err(|e| WorkflowError::BadFile {
        path: path.to_path_buf(),
        reason: format!("{e}; the file is damaged or of another version"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first version's project, with two folds of a cross-validation started.
    #[test]
    fn what_is_done_is_found_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p")).unwrap();
        assert_eq!(run_states(&project).unwrap(), []);
        let run = project.runs_dir().join("cross-validation");
        for folder in ["fold-1/runs/1", "fold-1/runs/2", "fold-10/runs/1", "round-1/rectangle"] {
            fs::create_dir_all(run.join(folder)).unwrap();
        }
        fs::create_dir_all(project.runs_dir().join("3")).unwrap();
        let config = RoundConfig::preset("cpu").unwrap();
        let plan = serde_json::json!({ "made_by": "0", "data": "", "config_toml": config.to_toml() });
        fs::write(run.join("plan.json"), plan.to_string()).unwrap();
        fs::write(run.join("fold-10/fold.json"), r#"{"fold":10,"plan":"","rounds":[{"round":1}]}"#).unwrap();
        let states = run_states(&project).unwrap();
        assert_eq!(states.len(), 1);
        let state = &states[0];
        assert_eq!((state.name.as_str(), &state.folds[..], state.rounds), ("cross-validation", &[(10, 1)][..], 2));
        assert_eq!((state.done(1), state.done(2), &state.config), (1, 0, &config));
        fs::write(run.join("fold-1/fold.json"), "{").unwrap();
        assert!(run_states(&project).unwrap_err().to_string().contains("fold.json"));
    }
}

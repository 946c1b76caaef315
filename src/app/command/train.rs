//! Commands of the Training screen, and its two forms: the next round's settings and the next cross-validation.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use crate::domain::parse_splits;
use crate::training::RoundConfig;
use crate::workflow::run_curves::DEFAULT_RUN;

#[derive(Debug, Clone, PartialEq)]
pub enum TrainCommand {
    SetForm(Box<Form>),
    Start,
    /// Resumes a round of an earlier session from its checkpoint.
    Resume,
    Mine,
    SetCross(Cross),
    /// Starts or resumes a cross-validation.
    CrossValidate,
    /// Pauses the running round; `Continue` resumes it.
    Pause,
    Continue,
    Stop,
    OpenRound(Option<u32>),
    Compare(Option<u32>),
    TypeNotes(String),
    SaveNotes,
}

/// The settings as typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    pub config: RoundConfig,
    /// Splits as text, e.g. `val`, `8` or `9, 10`.
    pub test_splits: String,
    /// `round.toml` while it is edited as a file.
    pub file: Option<String>,
    pub mine_after: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self::of(RoundConfig::preset("cpu").unwrap_or_default())
    }
}

impl Form {
    pub fn of(config: RoundConfig) -> Self {
        let test_splits = config.test_splits.join(", ");
        Self { config, test_splits, file: None, mine_after: true }
    }

    /// Returns the validated settings, or the error in them.
    pub fn finished(&self) -> Result<RoundConfig, String> {
        let mut config = match &self.file {
            Some(text) => return RoundConfig::from_toml(text, "round.toml").map_err(|e| e.to_string()),
            None => self.config.clone(),
        };
        config.test_splits = parse_splits(&self.test_splits)?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }
}

/// The next cross-validation as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cross {
    /// Per fold.
    pub rounds: u32,
    /// The folder in `runs/`.
    pub name: String,
}

impl Default for Cross {
    fn default() -> Self {
        Self { rounds: 2, name: DEFAULT_RUN.to_owned() }
    }
}

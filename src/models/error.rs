//! Errors of third-party models, with advice.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{}: {what}; {advice}", path.display())]
    File { path: PathBuf, what: String, advice: &'static str },
    /// The network's outputs could not be interpreted.
    #[error("{}: {problem}", path.display())]
    Layout { path: PathBuf, problem: String },
    #[error("{0}")]
    Runtime(String),
}

impl ModelError {
    pub(super) fn file(path: &Path, what: impl std::fmt::Display, advice: &'static str) -> Self {
        Self::File { path: path.to_path_buf(), what: what.to_string(), advice }
    }
}

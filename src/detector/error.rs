//! What can go wrong in a detector. Must not know who shows it.

use std::path::{Path, PathBuf};

/// Everything that the detector refuses, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    #[error("there is no detector preset \"{word}\"; presets are {known}")]
    UnknownPreset { word: String, known: String },
    #[error("the detector's setting {key} is {value}, but {rule}; correct it and start again")]
    InvalidConfig { key: &'static str, value: String, rule: String },
    #[error("the picture is empty ({width} x {height} pixels); leave it out or decode it again")]
    EmptyImage { width: u32, height: u32 },
    #[error("there is no device \"{word}\"; write auto, cpu or cuda:N with N below {count}")]
    UnknownDevice { word: String, count: i64 },
    #[error("{}: {what}; {advice}", path.display())]
    File { path: PathBuf, what: String, advice: &'static str },
    #[error("these weights belong to {found}, not to {expected}; choose the preset {found} or other weights")]
    WrongArchitecture { expected: String, found: String },
    #[error(
        "the weights lack {count} tensors that {architecture} needs, first {first}; choose weights of this architecture"
    )]
    MissingTensors { architecture: String, count: usize, first: String },
    #[error(
        "the weights hold {count} tensors that {architecture} does not know, first {first}; choose weights of this architecture"
    )]
    ExtraTensors { architecture: String, count: usize, first: String },
    #[error("tensor {name} has shape {found:?} where {expected:?} is needed; choose weights of this architecture")]
    WrongShape { name: String, expected: Vec<i64>, found: Vec<i64> },
    #[error("tensor {name} holds NaN or infinity; the weights are damaged, take an earlier checkpoint")]
    NotFinite { name: String },
    // `cause`, not `source`: it stands in the message, and whoever prints the chain should not print it twice.
    #[error("{}: {cause}", path.display())]
    InFile { path: PathBuf, cause: Box<Self> },
    #[error("a training batch needs at least one picture")]
    EmptyBatch,
    #[error(transparent)]
    Weights(Box<super::weights::WeightError>),
    #[error("libtorch failed while {during}: {message}")]
    Torch { during: &'static str, message: String },
}

impl DetectorError {
    /// A file that could not be read or written.
    pub fn file(path: &Path, what: impl std::fmt::Display, advice: &'static str) -> Self {
        Self::File { path: path.to_path_buf(), what: what.to_string(), advice }
    }

    /// For `map_err`: what is wrong with the tensors, with the file that they came from. Any other error stays as it is.
    pub fn in_file(path: &Path) -> impl FnOnce(Self) -> Self {
        let path = path.to_path_buf();
        move |error| match error {
            Self::WrongArchitecture { .. }
            | Self::MissingTensors { .. }
            | Self::ExtraTensors { .. }
            | Self::WrongShape { .. }
            | Self::NotFinite { .. } => Self::InFile { path, cause: Box::new(error) },
            other => other,
        }
    }
}

#[cfg(feature = "torch")]
impl DetectorError {
    /// For `map_err`: libtorch's message without its C++ stack, with what was being done.
    pub fn torch(during: &'static str) -> impl Fn(tch::TchError) -> Self {
        move |error| {
            let text = error.to_string();
            let message = text.split("\nException raised").next().unwrap_or_default().trim().to_owned();
            Self::Torch { during, message }
        }
    }
}

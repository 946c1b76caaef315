//! Errors of weight files.

use std::path::{Path, PathBuf};

use crate::domain::advice;

/// Each message says what is wrong, in which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: neither a safetensors file, a PyTorch file (.pt, .pth) nor an ONNX model; give a file in one of these formats", path.display())]
    UnknownFormat { path: PathBuf },
    #[error("{}: cannot be read as {format}: {why}", path.display())]
    Malformed { path: PathBuf, format: &'static str, why: String },
    #[error("{}: these are not the weights of {backbone}: {why}", path.display())]
    WrongArchitecture { path: PathBuf, backbone: String, why: String },
    #[error("{}: tensor `{tensor}` holds {count} numbers that are NaN or infinite; the file is damaged, fetch it again", path.display())]
    NotFinite { path: PathBuf, tensor: String, count: usize },
    #[error("there is no backbone `{name}`; known are {known}")]
    UnknownBackbone { name: String, known: String },
    #[error("{}: SHA-256 is {found}, but {} lists {wanted}; the file was changed or cut off, fetch it again (or give it another name, if it is another file)", path.display(), manifest.display())]
    Checksum { path: PathBuf, manifest: PathBuf, found: String, wanted: String },
    #[error("{}: {why}", path.display())]
    Manifest { path: PathBuf, why: String },
}

impl WeightError {
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

//! Reads weight files of other programs as plain named arrays: safetensors, PyTorch (zip and the old non-zip form) and ONNX; torchvision's
//! names; the manifest of known files.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod array;
mod backbone;
mod error;
mod manifest;
mod naming;
mod onnx;
mod pickle;
mod resnet_graph;
mod safetensors_file;
mod state_dict;
mod torch_legacy;
mod torch_zip;

use std::path::Path;

pub use array::{DType, NamedArray};
pub use backbone::{BACKBONES, FLAVOUR_KEY, ImportedBackbone, check_finite, expected_shapes};
pub use error::WeightError;
pub use manifest::{FILE_NAME as MANIFEST_FILE_NAME, FileState, Manifest, ManifestEntry, sha256_hex};
pub use naming::{Adapted, drop_foreign_heads, torchvision_names};
pub use safetensors_file::{metadata, write_safetensors};

/// A weight file's arrays, and a message on everything that was read in a special way.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightFile {
    pub format: Format,
    pub arrays: Vec<NamedArray>,
    pub notes: Vec<String>,
}

/// The formats that [`read`] supports, detected by content, never by file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Safetensors,
    TorchZip,
    TorchLegacy,
    Onnx,
}

impl Format {
    /// Detects the format of a file that starts with `bytes`; `None` if it is none of the four.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'P', b'K', 3, 4, ..] => Some(Self::TorchZip),
            [0x80, 1..=5, ..] => Some(Self::TorchLegacy),
            [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some(Self::Safetensors),
            // ModelProto: field 1 (ir_version) as a small varint, then another low field.
            [0x08, 1..=0x7f, next, ..] if matches!(next >> 3, 2..=8 | 14) => Some(Self::Onnx),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch (zip)",
            Self::TorchLegacy => "PyTorch (old, non-zip)",
            Self::Onnx => "ONNX",
        }
    }
}

/// Reads every array of the weight file `path`, after checking it against the manifest of its folder.
pub fn read(path: &Path) -> Result<WeightFile, WeightError> {
    read_bytes(path, &checked_bytes(path)?)
}

/// Reads `backbone` (one of [`BACKBONES`]) from the weight file `path` of any format, after checking it against the manifest of its folder.
pub fn read_backbone(path: &Path, backbone: &str) -> Result<ImportedBackbone, WeightError> {
    backbone::import_backbone(path, &checked_bytes(path)?, backbone)
}

fn checked_bytes(path: &Path) -> Result<Vec<u8>, WeightError> {
    let bytes = crate::domain::read_weights(path).map_err(|error| WeightError::io(path, error.into()))?;
    Manifest::check(path, &bytes)?;
    Ok(bytes)
}

/// [`read`] for bytes in memory; `path` is only used in messages.
pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<WeightFile, WeightError> {
    let Some(format) = Format::of(bytes) else {
        return Err(WeightError::UnknownFormat { path: path.to_path_buf() });
    };
    let (arrays, notes) = match format {
        Format::Safetensors => (safetensors_file::read(bytes), Vec::new()),
        Format::TorchZip => torch_zip::read(bytes).map_or_else(|e| (Err(e), Vec::new()), |(a, n)| (Ok(a), n)),
        Format::TorchLegacy => torch_legacy::read(bytes).map_or_else(|e| (Err(e), Vec::new()), |(a, n)| (Ok(a), n)),
        Format::Onnx => (onnx::read_initialisers(bytes), Vec::new()),
    };
    let arrays =
        arrays.map_err(|why| WeightError::Malformed { path: path.to_path_buf(), format: format.name(), why })?;
    Ok(WeightFile { format, arrays, notes })
}

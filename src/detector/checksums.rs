//! `checksums.json` next to a checkpoint's files: the blake3 of each as written, so that changed bytes are detected as damage.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::DetectorError;
use crate::domain::{limits, read_text, read_weights};

/// The file name.
pub const CHECKSUMS_FILE: &str = "checksums.json";

const ADVICE: &str = "take another checkpoint of the round, or a copy of this one from a backup";

/// Returns the content of [`CHECKSUMS_FILE`] for these files in the folder `dir`.
pub fn checksums_of(dir: &Path, files: &[&str]) -> Result<String, DetectorError> {
    let mut sums = BTreeMap::new();
    for file in files {
        let path = dir.join(file);
        let bytes = read_weights(&path).map_err(io::Error::from);
        let bytes = bytes.map_err(|e| DetectorError::file(&path, e, "report this"))?;
        sums.insert(*file, blake3::hash(&bytes).to_hex().to_string());
    }
    serde_json::to_string_pretty(&sums).map_err(|e| DetectorError::file(dir, e, "report this"))
}

/// Checks that `bytes`, read from `path`, are what was written. A file without checksums is accepted.
pub fn verify_bytes(path: &Path, bytes: &[u8]) -> Result<(), DetectorError> {
    let sums = path.with_file_name(CHECKSUMS_FILE);
    if !sums.is_file() {
        return Ok(());
    }
    let text = read_text(&sums, limits::SETTINGS).map_err(io::Error::from);
    let text = text.map_err(|e| DetectorError::file(&sums, e, ADVICE))?;
    let known: BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|e| DetectorError::file(&sums, format!("it is damaged ({e})"), ADVICE))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match known.get(name.as_ref()) {
        Some(sum) if *sum != *blake3::hash(bytes).to_hex() => {
            Err(DetectorError::file(path, "it is damaged: its checksum does not match", ADVICE))
        }
        _ => Ok(()),
    }
}

/// [`verify_bytes`] for the file at `path`.
pub fn verify_file(path: &Path) -> Result<(), DetectorError> {
    let bytes = read_weights(path).map_err(io::Error::from);
    let bytes = bytes.map_err(|e| DetectorError::file(path, e, ADVICE))?;
    verify_bytes(path, &bytes)
}

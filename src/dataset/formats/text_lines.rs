//! Reads line-based annotation files: one regular file as UTF-8 text, its lines with their numbers.

use std::path::Path;

use crate::dataset::DatasetError;
use crate::domain::{limits, read_text};

/// Returns the whole text without a byte order mark.
pub(super) fn text_of(path: &Path) -> Result<String, DatasetError> {
    Ok(read_text(path, limits::TEXT)?)
}

/// Returns non-blank lines, trimmed, with line numbers from 1.
pub(in crate::dataset) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(k, line)| (k + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// Parses the finite numbers of a line; the error is the first word that is not one.
pub(in crate::dataset) fn numbers(line: &str) -> Result<Vec<f64>, &str> {
    line.split_ascii_whitespace()
        .map(|word| word.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(word))
        .collect()
}

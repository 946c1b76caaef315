//! Annotation files that are read line by line: one regular file as UTF-8 text, its lines with their numbers.

use std::path::Path;

use crate::dataset::DatasetError;
use crate::domain::{limits, read_text};

/// The whole text, without a byte order mark.
pub(super) fn text_of(path: &Path) -> Result<String, DatasetError> {
    Ok(read_text(path, limits::TEXT)?)
}

/// Lines that are not blank, trimmed, with their numbers from 1.
pub(in crate::dataset) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(k, line)| (k + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// The finite numbers of a line, or the first word that is not one.
pub(in crate::dataset) fn numbers(line: &str) -> Result<Vec<f64>, &str> {
    line.split_ascii_whitespace()
        .map(|word| word.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(word))
        .collect()
}

//! `messages.txt` in a project: the errors shown in the window, one per line. A large file is rotated to `messages.1.txt`.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::io::Write;
use std::path::Path;

use super::WorkflowError;
use crate::domain::{open_log, read_text};

const FILE: &str = "messages.txt";
const OLDER: &str = "messages.1.txt";
/// About two thousand lines.
const MOST_BYTES: u64 = 256 << 10;
/// Maximum line length in characters; longer lines are truncated.
const LONGEST: usize = 4096;
/// Number of newest lines to read.
const LINES_READ: usize = 500;

/// Appends lines.
pub fn append(project: &Path, lines: &[String]) -> Result<(), WorkflowError> {
    let path = project.join(FILE);
    let write = || {
        if fs::metadata(&path).is_ok_and(|log| log.len() >= MOST_BYTES) {
            fs::rename(&path, project.join(OLDER))?;
        }
        let mut file = open_log(&path)?;
        for line in lines {
            let text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
            writeln!(file, "{text}")?;
        }
        Ok(())
    };
    write().map_err(WorkflowError::io(&path, "Check that the project's folder is writable."))
}

/// Returns the newest lines, oldest first; empty if there are none.
pub fn read(project: &Path) -> Result<Vec<String>, WorkflowError> {
    let path = project.join(FILE);
    let text = match read_text(&path, 2 * MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.iter().skip(lines.len().saturating_sub(LINES_READ)).map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_the_file_stays_bounded() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_empty());
        for number in 0..300 {
            append(dir.path(), &[format!("{number}: {}\n", "long ".repeat(1000))]).unwrap();
        }
        let lines = read(dir.path()).unwrap();
        assert!(lines.last().unwrap().contains("299: long"));
        for file in [FILE, OLDER] {
            assert!(fs::metadata(dir.path().join(file)).unwrap().len() < MOST_BYTES + 8 * LONGEST as u64);
        }
    }
}

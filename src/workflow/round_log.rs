//! `runs/<round>/log.txt`: the round's warnings, one per line. A large log is rotated to `log.1.txt`.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::WorkflowError;
use crate::domain::{make_folder, open_log};

const FILE: &str = "log.txt";
/// The previous log, once the current one reached [`MOST_BYTES`].
const OLDER: &str = "log.1.txt";
/// About ten thousand lines: an unreadable image is reported again in each run.
const MOST_BYTES: u64 = 1 << 20;

/// Appends a line; `step` is the last completed one.
pub(super) fn append(run_dir: &Path, step: u64, text: &str) -> Result<(), WorkflowError> {
    let path = run_dir.join(FILE);
    let write = || {
        make_folder(run_dir)?;
        if fs::metadata(&path).is_ok_and(|log| log.len() >= MOST_BYTES) {
            fs::rename(&path, run_dir.join(OLDER))?;
        }
        let mut file = open_log(&path)?;
        writeln!(file, "step {step}: {}", text.replace('\n', " "))
    };
    write().map_err(WorkflowError::io(&path, "Check that the project's folder is writable."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_written_for_ever_stays_bounded_and_keeps_its_newest_lines() {
        let dir = tempfile::tempdir().unwrap();
        let text = "an image cannot be read\n".repeat(400);
        let lines = 3 * MOST_BYTES / text.len() as u64;
        for step in 0..lines {
            append(dir.path(), step, &text).unwrap();
        }
        let size = |name: &str| fs::metadata(dir.path().join(name)).unwrap().len();
        let most = MOST_BYTES + text.len() as u64 + 100;
        assert!(size(FILE) <= most && size(OLDER) <= most);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let newest = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(newest.lines().last().unwrap().starts_with(&format!("step {}: ", lines - 1)));
    }
}

//! `runs/<round>/log.txt`: the round's warnings, one per line. A large log is rotated to `log.1.txt`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::WorkflowError;
use crate::domain::{Place, make_folder, open_log};

const FILE: &str = "log.txt";
/// The previous log, once the current one reached [`MOST_BYTES`].
const OLDER: &str = "log.1.txt";
/// About ten thousand lines: an unreadable image is reported again in each run.
const MOST_BYTES: u64 = 1 << 20;
const ADVICE: &str = "Check that the project's folder is writable.";

/// The log of a running round.
#[derive(Debug)]
pub(super) struct RoundLog {
    run_dir: PathBuf,
    place: Place,
}

impl RoundLog {
    /// Creates the round's folder if it is missing.
    pub fn open(run_dir: &Path) -> Result<Self, WorkflowError> {
        let open = || {
            make_folder(run_dir)?;
            Place::open(run_dir)
        };
        let place = open().map_err(WorkflowError::io(run_dir, ADVICE))?;
        Ok(Self { run_dir: run_dir.to_path_buf(), place })
    }

    /// Appends a line; `step` is the last completed one. Nothing is written once the folder was moved.
    pub fn append(&self, step: u64, text: &str) -> Result<(), WorkflowError> {
        self.place.check()?;
        let path = self.run_dir.join(FILE);
        let write = || {
            if fs::metadata(&path).is_ok_and(|log| log.len() >= MOST_BYTES) {
                fs::rename(&path, self.run_dir.join(OLDER))?;
            }
            let mut file = open_log(&path)?;
            writeln!(file, "step {step}: {}", text.replace('\n', " "))
        };
        write().map_err(WorkflowError::io(&path, ADVICE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_written_for_ever_stays_bounded_and_keeps_its_newest_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = RoundLog::open(dir.path()).unwrap();
        let text = "an image cannot be read\n".repeat(400);
        let lines = 3 * MOST_BYTES / text.len() as u64;
        for step in 0..lines {
            log.append(step, &text).unwrap();
        }
        let size = |name: &str| fs::metadata(dir.path().join(name)).unwrap().len();
        let most = MOST_BYTES + text.len() as u64 + 100;
        assert!(size(FILE) <= most && size(OLDER) <= most);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let newest = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(newest.lines().last().unwrap().starts_with(&format!("step {}: ", lines - 1)));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_where_the_round_was_moved_from() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("2"), dir.path().join("moved"));
        let log = RoundLog::open(&old).unwrap();
        log.append(1, "first").unwrap();
        fs::rename(&old, &new).unwrap();
        // Another project was created at the old path.
        fs::create_dir(&old).unwrap();
        let error = log.append(2, "second").unwrap_err().to_string();
        assert!(error.contains("was moved"), "{error}");
        assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(new.join(FILE)).unwrap(), "step 1: first\n");
    }
}

//! `runs/<round>/log.txt`: what the user has to know of a round's sittings, a line each, for whoever was not there. Must not know who
//! else is told.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::WorkflowError;
use crate::domain::make_folder;

const FILE: &str = "log.txt";

/// Adds a line; `step` is the last one that was made.
pub(super) fn append(run_dir: &Path, step: u64, text: &str) -> Result<(), WorkflowError> {
    let path = run_dir.join(FILE);
    let write = || {
        make_folder(run_dir)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "step {step}: {}", text.replace('\n', " "))
    };
    write().map_err(WorkflowError::io(&path, "Check that the project's folder may be written to."))
}

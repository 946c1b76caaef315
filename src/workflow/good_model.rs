//! The newest intact weights of a round.

use std::path::{Path, PathBuf};

use super::{Observer, WorkEvent, WorkflowError};
use crate::training::{GoodModel, last_good_model};

/// Returns the newest intact weights of a round; newer damaged ones are reported.
pub(super) fn good_model(run_dir: &Path, observer: &mut Observer) -> Result<Option<PathBuf>, WorkflowError> {
    let Some(GoodModel { path, skipped }) = last_good_model(run_dir)? else { return Ok(None) };
    for line in skipped {
        observer(WorkEvent::Log(line));
    }
    Ok(Some(path))
}

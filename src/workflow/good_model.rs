//! The newest whole weights of a round.

use std::path::{Path, PathBuf};

use super::{Observer, WorkEvent, WorkflowError};
use crate::training::{GoodModel, last_good_model};

/// The newest weights of a round that are whole; damaged ones that are newer are reported.
pub(super) fn good_model(run_dir: &Path, observer: &mut Observer) -> Result<Option<PathBuf>, WorkflowError> {
    let Some(GoodModel { path, passed_over }) = last_good_model(run_dir)? else { return Ok(None) };
    for line in passed_over {
        observer(WorkEvent::Log(line));
    }
    Ok(Some(path))
}

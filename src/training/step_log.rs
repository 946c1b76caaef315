//! Reads `log.csv`, one line per step, for the window. Torch-free.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::io;
use std::path::Path;

use super::events::{Losses, StepReport};
use crate::domain::{limits, read_text};

/// One line per step of a round.
pub(super) const LOG_FILE: &str = "log.csv";

/// Its header line.
pub(super) fn log_header() -> String {
    format!("step,total,{},lr,grad_norm,seconds,loader_wait_s", Losses::NAMES.join(","))
}

/// Returns the steps of the round in `run_dir` in order; empty without a log. An incomplete last line is skipped; unknown columns are an
/// error. Values not in the log are 0.
pub fn logged_steps(run_dir: &Path) -> io::Result<Vec<StepReport>> {
    let text = match read_text(&run_dir.join(LOG_FILE), limits::TEXT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let whole = text.rfind('\n').and_then(|end| text.get(..=end)).unwrap_or("");
    let mut lines = whole.lines();
    if lines.next().is_some_and(|header| header != log_header()) {
        let text = format!("{LOG_FILE} has other columns than this Quarry writes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(lines.filter_map(step_of).collect())
}

fn step_of(line: &str) -> Option<StepReport> {
    let (step, rest) = line.split_once(',')?;
    let numbers: Vec<f64> = rest.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [total, classifier, box_reg, objectness, rpn_box_reg, ellipse, lr, grad_norm, seconds, loader_wait_s] =
        numbers[..]
    else {
        return None;
    };
    let losses = Losses { classifier, box_reg, objectness, rpn_box_reg, ellipse };
    let step = step.parse().ok()?;
    Some(StepReport { step, total, losses, lr, grad_norm, seconds, loader_wait_s, ..StepReport::default() })
}

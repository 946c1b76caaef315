//! Verdicts derived from the ground truth instead of an annotator, for the demo and for experiments. Their annotator is called `ground
//! truth`. Refused if a person has already reviewed.

use super::{Project, WorkflowError};
use crate::domain::{CandidateId, FalsePositiveKind, Verdict};
use crate::store::{CandidateQuery, now_ms};

/// The annotator name of these verdicts in the log.
pub const ANNOTATOR: &str = "ground truth";

/// Number of verdicts per transaction.
const PAGE: usize = 500;

/// Confirms every undecided candidate of `round`: with complete ground truth, a box whose IoU with every object of its class is below 0.5
/// is a false positive. Duplicates of a found object are skipped. Returns the number of verdicts.
pub fn auto_review(project: &Project, round: u32) -> Result<usize, WorkflowError> {
    let mut store = project.open_store()?;
    let record = store
        .round_by_number(round)?
        .ok_or_else(|| WorkflowError::Refused(format!("this project has no round {round}.")))?;
    let query = CandidateQuery { round: Some(record.id), collapse: false, ..CandidateQuery::default() };
    let mut given = 0;
    loop {
        let page = store.candidates_page(&query, None, PAGE)?;
        if page.rows.is_empty() {
            return Ok(given);
        }
        let (duplicates, false_positives): (Vec<_>, Vec<_>) =
            page.rows.iter().map(|row| &row.candidate).partition(|c| c.kind == FalsePositiveKind::Duplicate);
        for (rows, verdict) in [(false_positives, Verdict::Confirmed), (duplicates, Verdict::Skipped)] {
            let ids: Vec<CandidateId> = rows.iter().map(|c| c.id).collect();
            if !ids.is_empty() {
                store.record_verdicts(&ids, ANNOTATOR, verdict, None, now_ms())?;
                given += ids.len();
            }
        }
    }
}

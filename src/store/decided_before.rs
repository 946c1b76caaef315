//! A connection's cache for the random sample: candidates decided before the sample began.

use std::collections::HashSet;

/// The candidates with a verdict in the first rows of the log, as last requested; those rows never change.
#[derive(Debug, Default)]
pub(super) struct DecidedBefore {
    pub from: i64,
    pub annotator: Option<i64>,
    pub candidates: HashSet<i64>,
}

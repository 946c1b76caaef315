//! Traces of a query's candidates over the rounds of its model, and their counts.

use std::collections::HashMap;

use super::trace::{Fate, Origin, Trace, TraceFilter};
use super::{CandidateQuery, Store, StoreError, VerdictFilter};
use crate::domain::CandidateId;

/// Number of a query's candidates with each trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceCounts {
    pub new: u64,
    pub persisting: u64,
    pub back: u64,
    /// Among all, by fate.
    pub gone: u64,
    pub still_there: u64,
    pub comes_back: u64,
    pub open: u64,
}

impl Store {
    /// Returns the trace of every candidate.
    pub fn traces(&self) -> Result<HashMap<CandidateId, Trace>, StoreError> {
        let all = CandidateQuery {
            verdict: VerdictFilter::Any,
            collapse: false,
            trace: Some(TraceFilter::Any),
            ..CandidateQuery::default()
        };
        self.scan(&all, |scan| {
            let mut traces = HashMap::new();
            scan.visit_matches(|e, _| traces.extend(scan.trace(e).map(|trace| (CandidateId(e.id), trace))));
            traces
        })
    }

    /// Counts the traces of a query's candidates.
    pub fn count_traces(&self, query: &CandidateQuery) -> Result<TraceCounts, StoreError> {
        // With any trace filter, the traces of all are computed.
        let each = CandidateQuery { trace: query.trace.or(Some(TraceFilter::Any)), ..query.clone() };
        self.scan(&each, |scan| {
            let mut counts = TraceCounts::default();
            scan.visit_matches(|e, _| {
                let Some(trace) = scan.trace(e) else { return };
                match trace.origin {
                    Origin::New => counts.new += 1,
                    Origin::Persists => counts.persisting += 1,
                    Origin::Back => counts.back += 1,
                }
                match trace.fate {
                    Fate::Open => counts.open += 1,
                    Fate::Gone => counts.gone += 1,
                    Fate::Persists => counts.still_there += 1,
                    Fate::ComesBack => counts.comes_back += 1,
                }
            });
            counts
        })
    }
}

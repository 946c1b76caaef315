//! The random sample: how far the review has come in the fixed shuffle, and what it found. Must not estimate anything from it.

use super::{CandidateQuery, Cursor, Sort, Store, StoreError, VerdictFilter};
use crate::domain::Verdict;

/// The part of a query's candidates that was reviewed in random order without a gap: an unbiased sample of all of them, whatever
/// else was reviewed in another order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RandomSample {
    /// All candidates of the query, reviewed or not.
    pub population: u64,
    /// Reviewed without a gap from the start of the random order, skipped ones among them.
    pub sampled: u64,
    /// Of the sample, those that are hard negatives.
    pub confirmed: u64,
}

impl Store {
    /// The random sample of a query, whatever its own verdict filter and order say. With an annotator, of what this one decided.
    pub fn random_sample(&self, query: &CandidateQuery) -> Result<RandomSample, StoreError> {
        let shuffled =
            CandidateQuery { verdict: VerdictFilter::Any, sort: Sort::Random, descending: false, ..query.clone() };
        self.scan(&shuffled, |scan| {
            let mut gap: Option<Cursor> = None;
            scan.visit_matches(|e, verdict| {
                let at = scan.cursor(e);
                if verdict.is_none() && gap.as_ref().is_none_or(|gap| scan.order(&at, gap).is_lt()) {
                    gap = Some(at);
                }
            });
            let mut sample = RandomSample::default();
            scan.visit_matches(|e, verdict| {
                sample.population += 1;
                let at = scan.cursor(e);
                if gap.as_ref().is_none_or(|gap| scan.order(&at, gap).is_lt()) {
                    sample.sampled += 1;
                    sample.confirmed += u64::from(verdict == Some(Verdict::Confirmed));
                }
            });
            sample
        })
    }
}

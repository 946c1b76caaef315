//! The numbers of the review screen: progress, the random sample's estimate, the annotators.

use super::WorkflowError;
use super::verdicts::{PairAgreement, agreement};
use crate::domain::VerdictCounts;
use crate::mining::{Proportion, of_the_rest, wilson_interval};
use crate::store::{CandidateQuery, Store, VerdictFilter};

/// Longer gaps between two decisions count as breaks, in milliseconds.
pub const BREAK_MS: i64 = 30_000;
/// Number of decisions used for the rate.
const RECENT: usize = 200;

/// The review state of a query's candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReviewNumbers {
    /// Of the whole project: the effective verdicts, or the requesting annotator's own in a blind review.
    pub counts: VerdictCounts,
    pub sample: SampleEstimate,
}

/// The estimate for a query's candidates from the part reviewed in random order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleEstimate {
    /// Candidates of the query that were undecided when the sample began.
    pub population: u64,
    /// Undecided candidates outside the sample.
    pub waiting: u64,
    /// Proportion of hard negatives outside the sample: the precision of confirming all of them.
    pub rest: Proportion,
}

/// One annotator's progress.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatorProgress {
    pub name: String,
    pub counts: VerdictCounts,
    /// Verdicts per minute over the last decisions without breaks; `None` before the third.
    pub per_minute: Option<f64>,
}

/// Everyone who decided, and their agreement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnnotatorStatistics {
    pub annotators: Vec<AnnotatorProgress>,
    pub pairs: Vec<PairAgreement>,
    /// Number of candidates with different verdicts.
    pub disputed: u64,
}

/// Returns the numbers of a query. `annotator`: whose verdicts the project's counts use; `None` for the effective ones.
pub fn numbers(store: &Store, query: &CandidateQuery, annotator: Option<&str>) -> Result<ReviewNumbers, WorkflowError> {
    let sample = store.random_sample(query)?;
    let all = wilson_interval(sample.confirmed, sample.sampled, sample.population);
    let sample = SampleEstimate {
        population: sample.population,
        waiting: sample.waiting,
        rest: of_the_rest(&all, sample.confirmed, sample.population),
    };
    Ok(ReviewNumbers { counts: store.verdict_counts_of(None, annotator)?, sample })
}

/// Returns every annotator with counts and speed, and the agreement of every pair.
pub fn annotator_statistics(store: &Store) -> Result<AnnotatorStatistics, WorkflowError> {
    let mut annotators = Vec::new();
    for name in store.annotators()? {
        let counts = store.verdict_counts_of(None, Some(&name))?;
        let per_minute = per_minute(&store.recent_decisions(&name, RECENT)?);
        annotators.push(AnnotatorProgress { name, counts, per_minute });
    }
    let disputed = CandidateQuery { verdict: VerdictFilter::Disputed, collapse: false, ..CandidateQuery::default() };
    Ok(AnnotatorStatistics { annotators, pairs: agreement(store)?, disputed: store.count_candidates(&disputed)? })
}

/// Computes verdicts per minute from decisions (time in milliseconds, candidates), newest first. Breaks and backward clock jumps are
/// skipped.
fn per_minute(recent: &[(i64, u64)]) -> Option<f64> {
    let (mut gaps, mut span_ms, mut verdicts) = (0, 0, 0);
    for (newer, older) in recent.iter().zip(recent.iter().skip(1)) {
        let gap_ms = newer.0 - older.0;
        if (0..BREAK_MS).contains(&gap_ms) {
            gaps += 1;
            span_ms += gap_ms;
            verdicts += newer.1;
        }
    }
    (gaps >= 2 && span_ms > 0).then(|| verdicts as f64 / span_ms as f64 * 60_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_leaves_breaks_and_clocks_that_go_back_out() {
        assert_eq!(per_minute(&[(2000, 1), (0, 1)]), None);
        let steady = [(1_000_000, 1), (998_000, 1), (996_000, 1), (100_000, 1), (98_000, 1), (500_000, 1)];
        let rate = per_minute(&steady).unwrap();
        assert!((rate - 30.0).abs() < 1e-9, "{rate}");
        let strokes = per_minute(&[(20_000, 10), (10_000, 10), (0, 99)]).unwrap();
        assert!((strokes - 60.0).abs() < 1e-9, "{strokes}");
    }
}

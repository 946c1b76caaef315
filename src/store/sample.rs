//! The random sample: review progress in the fixed shuffle, and its counts.

use rusqlite::params;

use super::decided_before::DecidedBefore;
use super::queue_entry::{Entry, Given};
use super::{CandidateQuery, Cursor, Sort, Store, StoreError, VerdictFilter, annotators};
use crate::domain::{Basis, Verdict};

/// The setting with the log's last row before the sample began.
const SAMPLE_FROM: &str = "sample_from";

/// The part of a query's candidates that was reviewed in random order without a gap: an unbiased sample of those that were undecided when
/// the sample began. Candidates decided before were chosen in another order and are in neither the sample nor its population.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RandomSample {
    /// Candidates of the query that were undecided when the sample began, reviewed since or not.
    pub population: u64,
    /// Reviewed without a gap from the start of the random order, including skipped ones.
    pub sampled: u64,
    /// Hard negatives in the sample.
    pub confirmed: u64,
    /// Undecided candidates outside the sample.
    pub waiting: u64,
}

impl Store {
    /// Starts another random sample, of what is undecided now.
    pub fn begin_sample(&mut self) -> Result<(), StoreError> {
        let last: i64 =
            self.read(|c| Ok(c.query_row("SELECT coalesce(max(seq), 0) FROM verdicts", [], |r| r.get(0))?))?;
        self.set_setting(SAMPLE_FROM, &last.to_string())
    }

    /// Returns the random sample of a query, ignoring its verdict filter and order; with an annotator, of their verdicts. Before the first
    /// [`Store::begin_sample`] it is one of all candidates.
    pub fn random_sample(&self, query: &CandidateQuery) -> Result<RandomSample, StoreError> {
        let from = self.setting(SAMPLE_FROM)?.and_then(|text| text.parse().ok()).unwrap_or(0);
        self.read_decided_before(from, query.annotator.as_deref())?;
        let before = self.decided_before.borrow();
        let shuffled =
            CandidateQuery { verdict: VerdictFilter::Any, sort: Sort::Random, descending: false, ..query.clone() };
        // Estimated verdicts saw nothing; carried-over verdicts were not sampled at random.
        let seen =
            |given: Option<Given>| given.filter(|(_, basis)| *basis != Basis::Estimated).map(|(verdict, _)| verdict);
        let is_out = |e: &Entry, given: Option<Given>| {
            given.is_some_and(|(_, basis)| basis == Basis::Inherited) || before.candidates.contains(&e.id)
        };
        self.scan(&shuffled, |scan| {
            let mut gap: Option<Cursor> = None;
            scan.visit_matches(|e, given| {
                let at = scan.cursor(e);
                let is_earlier = seen(given).is_none() && gap.as_ref().is_none_or(|gap| scan.order(&at, gap).is_lt());
                if is_earlier && !is_out(e, given) {
                    gap = Some(at);
                }
            });
            let mut sample = RandomSample::default();
            scan.visit_matches(|e, given| {
                if is_out(e, given) {
                    return;
                }
                sample.population += 1;
                let at = scan.cursor(e);
                if gap.as_ref().is_none_or(|gap| scan.order(&at, gap).is_lt()) {
                    sample.sampled += 1;
                    sample.confirmed += u64::from(seen(given) == Some(Verdict::Confirmed));
                } else {
                    sample.waiting += u64::from(given.is_none());
                }
            });
            sample
        })
    }

    fn read_decided_before(&self, from: i64, annotator: Option<&str>) -> Result<(), StoreError> {
        self.read(|c| {
            // An unknown annotator has no row; 0 is not a valid id.
            let annotator = annotator.map(|name| annotators::find(c, name)).transpose()?.map(|id| id.unwrap_or(0));
            let mut known = self.decided_before.borrow_mut();
            if (known.from, known.annotator) == (from, annotator) {
                return Ok(());
            }
            // Each annotator's newest row on a candidate: what was undone before counts as undecided.
            let sql = "SELECT DISTINCT candidate_id FROM (
                           SELECT candidate_id, verdict, max(tick) FROM verdicts
                           WHERE seq <= ?1 AND (?2 IS NULL OR annotator_id = ?2) GROUP BY candidate_id, annotator_id)
                       WHERE verdict IS NOT NULL";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params![from, annotator], |r| r.get(0))?;
            *known = DecidedBefore { from, annotator, candidates: rows.collect::<Result<_, _>>()? };
            Ok(())
        })
    }
}

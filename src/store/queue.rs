//! Candidate lists: pages, counts, neighbours.

use std::collections::HashSet;

use super::queue_index::{self, QueueIndex};
use super::scan::Scan;
use super::{CandidateQuery, Cursor, Page, Sort, Store, StoreError, VerdictFilter, annotators};
use crate::domain::{CandidateId, RoundId, VerdictCounts};

/// The direction of a step in a query's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    Next,
    Previous,
}

/// Version counters of the project's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    /// Incremented by every change of images, rounds, candidates and groups.
    pub generation: i64,
    /// The newest verdict's log row.
    pub last_seq: i64,
    /// The newest correction's log row.
    pub last_correction: i64,
}

impl Store {
    /// Returns up to `limit` candidates in the query's order, from its start or from the end of a page.
    pub fn candidates_page(
        &self,
        query: &CandidateQuery,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let found = self.scan(query, |scan| scan.first(after.copied(), limit + 1))?;
        let next = (limit < found.len()).then(|| found[limit - 1]);
        let ids: Vec<CandidateId> = found.iter().take(limit).map(|at| at.id).collect();
        let rows = self.candidate_rows(&ids)?;
        Ok(Page { rows, next: next.filter(|_| limit > 0) })
    }

    /// Returns the ids of all matching candidates in the query's order, for a decision on a whole selection.
    pub fn candidate_ids(&self, query: &CandidateQuery) -> Result<Vec<CandidateId>, StoreError> {
        let found = self.scan(query, |scan| scan.first(None, usize::MAX))?;
        Ok(found.into_iter().map(|at| at.id).collect())
    }

    /// Counts the listed candidates: a group listed as one counts once.
    pub fn count_candidates(&self, query: &CandidateQuery) -> Result<u64, StoreError> {
        self.scan(query, |scan| {
            let mut count = 0;
            scan.visit(|_| count += 1);
            count
        })
    }

    /// Returns the candidate next to `candidate` in the query's order; `candidate` itself need not match the query (any more).
    pub fn neighbour(
        &self,
        query: &CandidateQuery,
        candidate: CandidateId,
        direction: Neighbour,
    ) -> Result<Option<CandidateId>, StoreError> {
        self.scan(query, |scan| {
            let from = scan.place(candidate)?;
            let found = match direction {
                Neighbour::Next => scan.first(Some(from), 1).pop(),
                Neighbour::Previous => scan.last_before(from),
            };
            Some(found.map(|at| at.id))
        })?
        .ok_or_else(|| StoreError::missing("candidate", candidate))
    }

    /// Returns the next undecided candidate of the query; after the last one, the first skipped one.
    pub fn next_undecided(
        &self,
        query: &CandidateQuery,
        after: Option<CandidateId>,
    ) -> Result<Option<CandidateId>, StoreError> {
        let undecided = CandidateQuery { verdict: VerdictFilter::Undecided, ..query.clone() };
        if let Some(after) = after
            && let Some(next) = self.neighbour(&undecided, after, Neighbour::Next)?
        {
            return Ok(Some(next));
        }
        let first = self.scan(&undecided, |scan| scan.first(None, 1))?;
        Ok(first.first().map(|at| at.id))
    }

    /// Counts verdicts of one round, or of all. Undecided candidates that are by now on an object of their class (kind duplicate) are not
    /// counted.
    pub fn verdict_counts(&self, round: Option<RoundId>) -> Result<VerdictCounts, StoreError> {
        self.verdict_counts_of(round, None)
    }

    /// [`Store::verdict_counts`] of one annotator's verdicts.
    pub fn verdict_counts_of(
        &self,
        round: Option<RoundId>,
        annotator: Option<&str>,
    ) -> Result<VerdictCounts, StoreError> {
        let annotator = annotator.map(str::to_owned);
        let query = CandidateQuery { round, annotator, verdict: VerdictFilter::Any, ..CandidateQuery::default() };
        self.scan(&query, |scan| {
            let mut counts = VerdictCounts::default();
            let mut groups = HashSet::new();
            scan.visit_matches(|e, given| {
                counts.add(given);
                if given.is_none() && (e.group == 0 || groups.insert(e.group)) {
                    counts.decisions += 1;
                }
            });
            counts
        })
    }

    /// Frees the memory of lists; the next query reads them again.
    pub fn forget_lists(&self) {
        self.queue_index.take();
    }

    /// Loads the lists' data into memory now instead of at the first query; 0.5 s per million candidates.
    pub fn warm_up(&self) -> Result<(), StoreError> {
        self.count_candidates(&CandidateQuery::default()).map(|_| ())
    }

    /// Returns counters that change with everything that lists and images show.
    pub fn revision(&self) -> Result<Revision, StoreError> {
        self.read(|c| {
            let last = queue_index::last_seq(c)?;
            let generation = queue_index::generation(c)?;
            Ok(Revision { generation, last_seq: last.verdict, last_correction: last.correction })
        })
    }

    pub(super) fn scan<T>(&self, query: &CandidateQuery, f: impl FnOnce(&Scan<'_>) -> T) -> Result<T, StoreError> {
        self.read(|c| {
            let mut slot = self.queue_index.borrow_mut();
            let index = match slot.take() {
                Some(mut index) => {
                    index.sync(c, self.written.get())?;
                    slot.insert(index)
                }
                None => slot.insert(QueueIndex::load(c)?),
            };
            self.written.set(false);
            let own = match &query.annotator {
                None => None,
                Some(name) => {
                    // An unknown annotator has no row; 0 is not a valid id.
                    let annotator = annotators::find(c, name)?.unwrap_or(0);
                    index.read_own_verdicts(c, annotator)?;
                    Some(annotator)
                }
            };
            if query.trace.is_some() {
                index.read_traces(c)?;
            }
            if query.verdict == VerdictFilter::Disputed || query.sort == Sort::Disagreement {
                index.read_disputed(c)?;
            }
            Ok(f(&Scan::new(index, query, own)))
        })
    }
}

//! Lists of candidates: pages, counts, neighbours, progress. Must not write.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::queue_index::{Entry, QueueIndex};
use super::{CandidateQuery, Cursor, Interval, Page, Sort, Store, StoreError, VerdictFilter, annotators};
use crate::domain::{CandidateId, FalsePositiveKind, Verdict};

/// Which way to step from a candidate in a query's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    Next,
    Previous,
}

/// How far the review of a query's candidates has come, whatever its own verdict filter says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReviewProgress {
    /// With a verdict, skipped ones among them.
    pub done: u64,
    pub left: u64,
}

impl Store {
    /// Up to `limit` candidates in the query's order, from its start or from where a page ended.
    pub fn candidates_page(
        &self,
        query: &CandidateQuery,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let found = self.scan(query, |scan| scan.first(after.copied(), limit + 1))?;
        let next = (limit < found.len()).then(|| found[limit - 1]);
        let rows = found.iter().take(limit).map(|at| self.candidate_row(at.id)).collect::<Result<_, _>>()?;
        Ok(Page { rows, next: next.filter(|_| 0 < limit) })
    }

    /// The ids of all that the query finds, in its order: for a stroke over a whole selection.
    pub fn candidate_ids(&self, query: &CandidateQuery) -> Result<Vec<CandidateId>, StoreError> {
        let found = self.scan(query, |scan| scan.first(None, usize::MAX))?;
        Ok(found.into_iter().map(|at| at.id).collect())
    }

    pub fn count_candidates(&self, query: &CandidateQuery) -> Result<u64, StoreError> {
        self.scan(query, |scan| scan.matches().count() as u64)
    }

    /// The candidate beside `candidate` in the query's order; it need not itself be what the query finds (any more).
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
                Neighbour::Previous => {
                    let before = scan.matches().filter(|at| scan.order(at, &from).is_lt());
                    before.max_by(|a, b| scan.order(a, b))
                }
            };
            Some(found.map(|at| at.id))
        })?
        .ok_or_else(|| StoreError::missing("candidate", candidate))
    }

    /// The next candidate of the query without a verdict; after the last one the first that was passed over.
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

    /// How many of the query's candidates come before this one.
    pub fn candidates_before(&self, query: &CandidateQuery, candidate: CandidateId) -> Result<u64, StoreError> {
        let counted = self.scan(query, |scan| {
            let from = scan.place(candidate)?;
            Some(scan.matches().filter(|at| scan.order(at, &from).is_lt()).count() as u64)
        })?;
        counted.ok_or_else(|| StoreError::missing("candidate", candidate))
    }

    pub fn review_progress(&self, query: &CandidateQuery) -> Result<ReviewProgress, StoreError> {
        let with = |verdict| CandidateQuery { verdict, ..query.clone() };
        Ok(ReviewProgress {
            done: self.count_candidates(&with(VerdictFilter::Decided))?,
            left: self.count_candidates(&with(VerdictFilter::Undecided))?,
        })
    }

    /// Reads what lists need into memory now rather than at the first question; 0.5 s per million candidates.
    pub fn warm_up(&self) -> Result<(), StoreError> {
        self.count_candidates(&CandidateQuery::default()).map(|_| ())
    }

    fn scan<T>(&self, query: &CandidateQuery, f: impl FnOnce(&Scan<'_>) -> T) -> Result<T, StoreError> {
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
                    // Someone without verdicts has no row; no annotator has id 0.
                    let annotator = annotators::find(c, name)?.unwrap_or(0);
                    index.read_own_verdicts(c, annotator)?;
                    Some(annotator)
                }
            };
            if query.verdict == VerdictFilter::Disputed {
                index.read_disputed(c)?;
            }
            Ok(f(&Scan::new(index, query, own)))
        })
    }
}

/// A query over the columns.
struct Scan<'a> {
    index: &'a QueueIndex,
    query: &'a CandidateQuery,
    own: Option<&'a [Option<Verdict>]>,
    /// By place in the index's images, where the query asks for a fold, an image or a part of its name.
    images: Option<Vec<bool>>,
    score: Interval,
    descending: bool,
}

impl<'a> Scan<'a> {
    fn new(index: &'a QueueIndex, query: &'a CandidateQuery, annotator: Option<i64>) -> Self {
        let own = annotator.and_then(|a| index.own_verdicts(a));
        // Scores are stored as f32: a limit is compared as the f32 that it would be.
        let single = |limit: f64| f64::from(limit as f32);
        let score = Interval::new(single(query.score.from), single(query.score.to));
        Self { index, query, own, images: wanted_images(index, query), score, descending: query.descending }
    }

    fn matches(&self) -> impl Iterator<Item = Cursor> + '_ {
        let entries = self.index.entries.iter().enumerate();
        entries
            .filter(|(at, e)| self.matches_entry(*at, e))
            .map(|(_, e)| Cursor { key: self.key(e), id: CandidateId(e.id) })
    }

    /// The first `limit` after a place, in order.
    fn first(&self, after: Option<Cursor>, limit: usize) -> Vec<Cursor> {
        let later = self.matches().filter(|at| after.is_none_or(|from| self.order(&from, at).is_lt()));
        if self.index.entries.len() <= limit {
            let mut all: Vec<Cursor> = later.collect();
            all.sort_unstable_by(|a, b| self.order(a, b));
            return all;
        }
        // The root is the last of the best so far: most candidates are turned away by one comparison.
        let mut best: BinaryHeap<Placed> = BinaryHeap::with_capacity(limit + 1);
        for at in later {
            let placed = Placed { at, descending: self.descending };
            if best.len() < limit {
                best.push(placed);
            } else if let Some(mut last) = best.peek_mut()
                && placed < *last
            {
                *last = placed;
            }
        }
        best.into_sorted_vec().into_iter().map(|placed| placed.at).collect()
    }

    fn place(&self, candidate: CandidateId) -> Option<Cursor> {
        let entry = &self.index.entries[self.index.position(candidate.0)?];
        Some(Cursor { key: self.key(entry), id: candidate })
    }

    fn order(&self, a: &Cursor, b: &Cursor) -> Ordering {
        order(self.descending, a, b)
    }

    fn matches_entry(&self, at: usize, e: &Entry) -> bool {
        let q = self.query;
        self.matches_verdict(at, e)
            && q.round.is_none_or(|round| round.0 == i64::from(e.round))
            && q.kind.is_none_or(|kind| kind == e.kind)
            && q.group.is_none_or(|group| group.0 == i64::from(e.group))
            && self.score.contains(f64::from(e.score))
            && q.iou.contains(e.max_iou)
            && q.size.contains(e.size)
            && self.images.as_ref().is_none_or(|wanted| wanted[e.image as usize])
    }

    fn matches_verdict(&self, at: usize, e: &Entry) -> bool {
        let verdict = self.own.map_or(e.verdict, |own| own[at]);
        // Lies on a face that was promoted since: no candidate any more, unless it was decided on or is asked for by name.
        let gone = e.kind == FalsePositiveKind::Duplicate && verdict.is_none() && self.query.kind != Some(e.kind);
        match self.query.verdict {
            VerdictFilter::Any => !gone,
            VerdictFilter::Undecided => verdict.is_none() && !gone,
            VerdictFilter::Decided => verdict.is_some(),
            VerdictFilter::Is(wanted) => verdict == Some(wanted),
            VerdictFilter::Disputed => self.index.is_disputed(e.id),
        }
    }

    fn key(&self, e: &Entry) -> f64 {
        match self.query.sort {
            Sort::Score => f64::from(e.score),
            Sort::Iou => e.max_iou,
            Sort::Size => e.size,
            Sort::Image => f64::from(e.image),
            Sort::Round => self.index.rounds.get(&e.round).copied().unwrap_or(0).into(),
            Sort::Expected => {
                f64::from(e.score) / f64::from(self.index.group_sizes.get(&e.group).copied().unwrap_or(1))
            }
            Sort::Group if e.group == 0 => f64::from(u32::MAX),
            Sort::Group => f64::from(e.group),
            Sort::Random => (shuffled(e.id as u64) >> 11) as f64,
        }
    }
}

/// A place in a heap whose root is the last in order.
#[derive(PartialEq)]
struct Placed {
    at: Cursor,
    descending: bool,
}

impl Eq for Placed {}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.descending, &self.at, &other.at)
    }
}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn order(descending: bool, a: &Cursor, b: &Cursor) -> Ordering {
    let by_key = a.key.total_cmp(&b.key);
    if descending { by_key.reverse() } else { by_key }.then(a.id.cmp(&b.id))
}

fn wanted_images(index: &QueueIndex, query: &CandidateQuery) -> Option<Vec<bool>> {
    if query.fold.is_none() && query.image.is_none() && query.image_name.is_empty() {
        return None;
    }
    let part = query.image_name.to_lowercase();
    let wanted = |image: &super::queue_index::IndexedImage| {
        query.fold.is_none_or(|fold| image.fold == Some(fold))
            && query.image.is_none_or(|id| id.0 == image.id)
            && image.name.contains(&part)
    };
    Some(index.images.iter().map(wanted).collect())
}

/// SplitMix64's finaliser: a fixed shuffle of the ids, the same in every copy of the project.
fn shuffled(id: u64) -> u64 {
    let mut z = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

//! One query over the in-memory columns: which candidates match, and their order.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::HashSet;

use super::queue_entry::{Entry, Given};
use super::queue_index::{IndexedImage, QueueIndex};
use super::{CandidateQuery, Cursor, Interval, Sort, Trace, TraceFilter, VerdictFilter};
use crate::domain::{Basis, CandidateId, FalsePositiveKind, Verdict};

/// A query compiled for fast comparison with a million rows.
pub(super) struct Scan<'a> {
    index: &'a QueueIndex,
    own: Option<&'a [Option<Given>]>,
    /// Whether a verdict is accepted: by whether the candidate is a duplicate, then by [`verdict_code`].
    verdicts: [[bool; 6]; 2],
    disputed: bool,
    basis: Option<Basis>,
    /// By [`FalsePositiveKind`] in order.
    kinds: [bool; 5],
    class: Option<u32>,
    round: Option<u32>,
    group: Option<u32>,
    trace: Option<TraceFilter>,
    /// By image index, if the query selects a split, an image, a share or a part of the name.
    images: Option<Vec<bool>>,
    score: (f32, f32),
    iou: Interval,
    size: Interval,
    sort: Sort,
    descending: bool,
    /// Whether a group is listed as one.
    collapses: bool,
    /// The match that represents each group, by [`Entry::group`]; computed on first use, as it takes a pass over all candidates.
    representatives: OnceCell<Vec<i64>>,
}

impl<'a> Scan<'a> {
    pub fn new(index: &'a QueueIndex, q: &CandidateQuery, annotator: Option<i64>) -> Self {
        Self {
            index,
            own: annotator.and_then(|a| index.own_verdicts(a)),
            verdicts: wanted_verdicts(q),
            disputed: q.verdict == VerdictFilter::Disputed,
            basis: match q.verdict {
                VerdictFilter::RestsOn(basis) => Some(basis),
                _ => None,
            },
            kinds: FalsePositiveKind::ALL.map(|kind| q.kind.is_none_or(|wanted| wanted == kind)),
            class: q.class.map(|class| u32::try_from(class.0).unwrap_or(u32::MAX)),
            // No project has ids beyond 32 bits; no round or group has this number.
            round: q.round.map(|round| u32::try_from(round.0).unwrap_or(u32::MAX)),
            group: q.group.map(|group| index.group(group.0).unwrap_or(u32::MAX)),
            trace: q.trace,
            images: wanted_images(index, q),
            // Scores are f32: a bound is rounded to f32 before comparing.
            score: (q.score.from as f32, q.score.to as f32),
            iou: q.iou,
            size: q.size,
            sort: q.sort,
            descending: q.descending,
            collapses: q.collapses() && !index.groups.is_empty(),
            representatives: OnceCell::new(),
        }
    }

    /// Calls `f` with every listed candidate, by id: every match, but only the first in order for a group listed as one.
    pub fn visit(&self, mut f: impl FnMut(&Entry)) {
        if !self.collapses {
            return self.visit_matches(|e, _| f(e));
        }
        let representatives = self.representatives.get_or_init(|| self.first_of_groups());
        self.visit_matches(|e, _| {
            if e.group == 0 || representatives[e.group as usize] == e.id {
                f(e);
            }
        });
    }

    /// Returns the match that represents each group. It depends only on the matches, not on where a page starts, so a group is on one page
    /// only.
    fn first_of_groups(&self) -> Vec<i64> {
        let mut first: Vec<Option<Cursor>> = vec![None; self.index.groups.len() + 1];
        self.visit_matches(|e, _| {
            if e.group != 0 {
                let (at, best) = (self.cursor(e), &mut first[e.group as usize]);
                if best.as_ref().is_none_or(|best| self.order(&at, best).is_lt()) {
                    *best = Some(at);
                }
            }
        });
        // No candidate has id 0.
        first.into_iter().map(|best| best.map_or(0, |at| at.id.0)).collect()
    }

    /// Calls `f` with every match, by id, and the verdict that the query uses: the annotator's, or the effective one. The only loop over
    /// all candidates: plain comparisons without calls that an unoptimised build would not inline.
    pub fn visit_matches(&self, mut f: impl FnMut(&Entry, Option<Given>)) {
        let (iou, size) = (self.iou, self.size);
        for (at, e) in self.index.entries.iter().enumerate() {
            let given = match self.own {
                None => e.given,
                Some(own) => own[at],
            };
            let duplicate = usize::from(e.kind as u8 == FalsePositiveKind::Duplicate as u8);
            if !self.verdicts[duplicate][verdict_code(given.map(|(verdict, _)| verdict))]
                || !self.kinds[e.kind as usize]
            {
                continue;
            }
            if e.score < self.score.0 || self.score.1 < e.score || e.max_iou < iou.from || iou.to < e.max_iou {
                continue;
            }
            if e.size < size.from || size.to < e.size {
                continue;
            }
            if let Some(round) = self.round
                && round != e.round
            {
                continue;
            }
            if let Some(class) = self.class
                && class != e.class
            {
                continue;
            }
            if let Some(group) = self.group
                && group != e.group
            {
                continue;
            }
            if let Some(images) = &self.images
                && !images[e.image as usize]
            {
                continue;
            }
            if let (Some(wanted), Some(traces)) = (self.trace, self.index.traces())
                && !wanted.passes(traces[at])
            {
                continue;
            }
            if self.disputed && !self.index.is_disputed(e.id) {
                continue;
            }
            if let Some(basis) = self.basis
                && given.is_none_or(|(_, on)| on != basis)
            {
                continue;
            }
            f(e, given);
        }
    }

    /// Returns all candidates by id, matching or not.
    pub fn entries(&self) -> &[Entry] {
        &self.index.entries
    }

    pub fn round_number(&self, e: &Entry) -> u32 {
        self.index.rounds.get(&e.round).copied().unwrap_or(0)
    }

    /// Returns the trace if the query uses traces.
    pub fn trace(&self, e: &Entry) -> Option<Trace> {
        Some(self.index.traces()?[self.index.position(e.id)?])
    }

    /// Returns the last match before a position.
    pub fn last_before(&self, place: Cursor) -> Option<Cursor> {
        let mut last: Option<Cursor> = None;
        self.visit(|e| {
            let at = self.cursor(e);
            let later = last.as_ref().is_none_or(|last| self.order(last, &at).is_lt());
            if later && self.order(&at, &place).is_lt() {
                last = Some(at);
            }
        });
        last
    }

    /// Returns the first `limit` matches after a position, in order.
    pub fn first(&self, after: Option<Cursor>, limit: usize) -> Vec<Cursor> {
        if self.collapses && after.is_none() {
            return self.first_page_of_groups(limit);
        }
        // Periodically reduce the collected matches to the best: most candidates are then rejected by one comparison.
        let room = limit.saturating_mul(4).max(1024);
        let mut best: Vec<Cursor> = Vec::new();
        let mut bound: Option<Cursor> = None;
        self.visit(|e| {
            let at = self.cursor(e);
            if bound.as_ref().is_some_and(|bound| self.order(bound, &at).is_lt()) {
                return;
            }
            if after.as_ref().is_some_and(|from| self.order(from, &at).is_ge()) {
                return;
            }
            best.push(at);
            if best.len() == room {
                // The element at `limit` is the first one not needed: nothing after it is either.
                bound = Some(*best.select_nth_unstable_by(limit, |a, b| self.order(a, b)).1);
                best.truncate(limit);
            }
        });
        best.sort_unstable_by(|a, b| self.order(a, b));
        best.truncate(limit);
        best
    }

    /// Returns the first `limit` matches with groups as one, in a single pass: a first page has no earlier members of a group.
    fn first_page_of_groups(&self, limit: usize) -> Vec<Cursor> {
        let room = limit.saturating_mul(4).max(1024);
        let mut best: Vec<(Cursor, u32)> = Vec::new();
        let mut bound: Option<Cursor> = None;
        self.visit_matches(|e, _| {
            let at = self.cursor(e);
            if bound.as_ref().is_some_and(|bound| self.order(bound, &at).is_lt()) {
                return;
            }
            best.push((at, e.group));
            if best.len() == room {
                self.one_of_each_group(&mut best);
                // The requested number of groups start before this one.
                bound = best.get(limit).map(|(at, _)| *at);
                best.truncate(limit);
            }
        });
        self.one_of_each_group(&mut best);
        best.truncate(limit);
        best.into_iter().map(|(at, _)| at).collect()
    }

    /// Sorts the matches and keeps only the first of each group.
    fn one_of_each_group(&self, found: &mut Vec<(Cursor, u32)>) {
        found.sort_unstable_by(|(a, _), (b, _)| self.order(a, b));
        let mut seen = HashSet::new();
        found.retain(|(_, group)| *group == 0 || seen.insert(*group));
    }

    pub fn place(&self, candidate: CandidateId) -> Option<Cursor> {
        Some(self.cursor(&self.index.entries[self.index.position(candidate.0)?]))
    }

    pub fn order(&self, a: &Cursor, b: &Cursor) -> Ordering {
        // Keys are never NaN: scores, IoUs and boxes are checked before they are stored.
        let (first, second) = if self.descending { (b.key, a.key) } else { (a.key, b.key) };
        if first < second {
            Ordering::Less
        } else if second < first {
            Ordering::Greater
        } else {
            a.id.cmp(&b.id)
        }
    }

    pub fn cursor(&self, e: &Entry) -> Cursor {
        let key = match self.sort {
            Sort::Score => f64::from(e.score),
            Sort::Iou => e.max_iou,
            Sort::Size => e.size,
            Sort::Image => f64::from(e.image),
            Sort::Round => self.round_number(e).into(),
            Sort::Expected if e.group == 0 => f64::from(e.score),
            Sort::Expected => f64::from(e.score) / f64::from(self.index.groups[e.group as usize - 1].members),
            Sort::Group if e.group == 0 => f64::from(u32::MAX),
            // Less than 1 is added, so groups do not overlap.
            Sort::Group => f64::from(self.index.groups[e.group as usize - 1].place) + (1.0 - f64::from(e.score)) / 2.0,
            Sort::Disagreement => u8::from(self.index.is_disputed(e.id)).into(),
            Sort::Random => (shuffled(e.id as u64) >> 11) as f64,
        };
        Cursor { key, id: CandidateId(e.id) }
    }
}

fn verdict_code(verdict: Option<Verdict>) -> usize {
    match verdict {
        None => 0,
        Some(verdict) => 1 + verdict as usize,
    }
}

fn wanted_verdicts(query: &CandidateQuery) -> [[bool; 6]; 2] {
    let mut wanted = [[false; 6]; 2];
    for verdict in [None].into_iter().chain(Verdict::ALL.map(Some)) {
        let passes = match query.verdict {
            VerdictFilter::Any | VerdictFilter::Disputed | VerdictFilter::RestsOn(_) => true,
            VerdictFilter::Undecided => verdict.is_none(),
            VerdictFilter::Decided => verdict.is_some(),
            VerdictFilter::Is(one) => verdict == Some(one),
        };
        // A duplicate is on an object of its class that was promoted since: not a candidate any more, unless it was decided or is
        // requested.
        let gone = verdict.is_none()
            && query.kind != Some(FalsePositiveKind::Duplicate)
            && query.verdict != VerdictFilter::Disputed;
        wanted[0][verdict_code(verdict)] = passes;
        wanted[1][verdict_code(verdict)] = passes && !gone;
    }
    wanted
}

fn wanted_images(index: &QueueIndex, query: &CandidateQuery) -> Option<Vec<bool>> {
    if query.split.is_none() && query.image.is_none() && query.share.is_none() && query.image_name.is_empty() {
        return None;
    }
    let part = query.image_name.to_lowercase();
    let wanted = |image: &IndexedImage| {
        query.split.as_deref().is_none_or(|split| image.split.as_deref() == Some(split))
            && query.image.is_none_or(|id| id.0 == image.id)
            && query.share.is_none_or(|share| share.holds(shuffled(image.id as u64)))
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

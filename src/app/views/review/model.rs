//! The review's state: the queue of candidates, where one stands in it, what waits to be saved. Knows neither egui nor SQL.
//!
//! Invariant: one decision is on its way to the store at a time. Keys pressed meanwhile wait in `waiting_keys`; when a decision
//! cannot be saved it is taken back, the waiting keys are dropped and `failure` says why.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::adjust;
use super::filter::ReviewFilter;
use super::pace::Pace;
use crate::domain::{Candidate, CandidateId, FaceShape, Verdict};
use crate::geometry::Ellipse;
use crate::store::{CandidateRow, VerdictCounts};

/// Words for the keys 1 to 9.
pub const REASONS: [&str; 9] = [
    "clock or dial",
    "pattern or texture",
    "hand or limb",
    "clothing",
    "animal",
    "plant or foliage",
    "building or vehicle",
    "blur or light",
    "other object",
];

/// How the candidates are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    #[default]
    Queue,
    Grid,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    Verdict { candidates: Vec<CandidateId>, verdict: Verdict, reason: Option<&'static str> },
    Face { candidate: CandidateId, shape: FaceShape },
    Undo,
    Redo,
}

/// What the store did.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The candidates that the gesture was about; empty when there was nothing to undo or redo.
    pub candidates: Vec<CandidateId>,
    /// Every candidate whose verdict, kind or overlap may be another now.
    pub changed: Vec<Candidate>,
    /// The candidate that an undo or redo brings back, with its surroundings.
    pub row: Option<CandidateRow>,
}

/// A decision on its way, and what stood before it.
#[derive(Debug, Clone)]
struct Pending {
    decision: Decision,
    before: Vec<(CandidateId, Option<Verdict>)>,
    position: usize,
}

/// The ellipse of a missed face while it is adjusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjusting {
    pub candidate: CandidateId,
    pub ellipse: Ellipse,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the screen that have nothing to do with each other")]
pub struct ReviewModel<Key> {
    pub filter: ReviewFilter,
    pub filter_open: bool,
    pub layout: Layout,
    pub overlays_hidden: bool,
    pub zoomed: bool,
    pub adjusting: Option<Adjusting>,
    /// Why the last decision was not saved.
    pub failure: Option<String>,
    pub counts: VerdictCounts,
    pub pace: Pace,
    /// How many candidates the filter leaves; `None` until counted.
    pub total: Option<u64>,
    rows: Vec<CandidateRow>,
    position: usize,
    selected: BTreeSet<usize>,
    complete: bool,
    /// Rows that an undo put in; they may come again with their page.
    brought_in: HashSet<CandidateId>,
    pending: Option<Pending>,
    waiting_keys: VecDeque<Key>,
}

impl<Key> Default for ReviewModel<Key> {
    fn default() -> Self {
        Self {
            filter: ReviewFilter::default(),
            filter_open: false,
            layout: Layout::default(),
            overlays_hidden: false,
            zoomed: false,
            adjusting: None,
            failure: None,
            counts: VerdictCounts::default(),
            pace: Pace::default(),
            total: None,
            rows: Vec::new(),
            position: 0,
            selected: BTreeSet::new(),
            complete: false,
            brought_in: HashSet::new(),
            pending: None,
            waiting_keys: VecDeque::new(),
        }
    }
}

impl<Key> ReviewModel<Key> {
    /// Candidates with and without a verdict.
    pub fn counts_total(&self) -> u64 {
        let c = &self.counts;
        c.undecided + c.confirmed + c.rejected + c.missed_face + c.skipped
    }

    pub fn rows(&self) -> &[CandidateRow] {
        &self.rows
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn current(&self) -> Option<&CandidateRow> {
        self.rows.get(self.position)
    }

    /// The rows after the current one, for decoding ahead.
    pub fn upcoming(&self, count: usize) -> &[CandidateRow] {
        let from = (self.position + 1).min(self.rows.len());
        &self.rows[from..(from + count).min(self.rows.len())]
    }

    pub fn is_selected(&self, index: usize) -> bool {
        self.selected.contains(&index)
    }

    pub fn selected_count(&self) -> usize {
        self.selected.len()
    }

    /// Whether more rows are worth asking for: the end of what is loaded is near.
    pub fn wants_more(&self, visible_end: usize) -> bool {
        !self.complete && self.rows.len() < self.position.max(visible_end) + 200
    }

    /// Starts over with another filter or another round's candidates.
    pub fn restart(&mut self) {
        self.rows.clear();
        self.selected.clear();
        self.brought_in.clear();
        self.position = 0;
        self.complete = false;
        self.total = None;
        self.adjusting = None;
    }

    /// The next page of rows. `complete`: there are no more.
    pub fn extend(&mut self, rows: Vec<CandidateRow>, complete: bool) {
        self.rows.extend(rows.into_iter().filter(|row| !self.brought_in.contains(&row.candidate.id)));
        self.complete = complete;
    }

    pub fn go_to(&mut self, index: usize) {
        self.position = index.min(self.rows.len().saturating_sub(1));
    }

    pub fn step(&mut self, by: isize) {
        self.go_to(self.position.saturating_add_signed(by));
    }

    /// Goes to the next row without a verdict; past the end it begins again at the top.
    pub fn next_undecided(&mut self) {
        let count = self.rows.len();
        let open = |index: &usize| self.rows[*index].candidate.verdict.is_none();
        let next = (1..=count).map(|offset| (self.position + offset) % count.max(1)).find(open);
        if let Some(index) = next {
            self.position = index;
        }
    }

    /// Goes to the next row without a verdict below this one, or else one row on.
    fn advance(&mut self) {
        let below = (self.position + 1..self.rows.len()).find(|i| self.rows[*i].candidate.verdict.is_none());
        self.go_to(below.unwrap_or(self.position + 1));
    }

    pub fn toggle_selected(&mut self, index: usize) {
        if !self.selected.remove(&index) && index < self.rows.len() {
            self.selected.insert(index);
        }
    }

    /// Selects from the current row up to `index`.
    pub fn select_to(&mut self, index: usize) {
        let (low, high) = (self.position.min(index), self.position.max(index));
        self.selected.extend(low..(high + 1).min(self.rows.len()));
    }

    pub fn select_all(&mut self) {
        self.selected = (0..self.rows.len()).collect();
    }

    pub fn clear_selection(&mut self) {
        self.selected.clear();
    }

    /// What a decision is about: the selection in the grid, else the current candidate.
    fn targets(&self) -> Vec<usize> {
        if self.layout == Layout::Grid && !self.selected.is_empty() {
            return self.selected.iter().copied().collect();
        }
        if self.position < self.rows.len() { vec![self.position] } else { Vec::new() }
    }

    /// Whether a decision is on its way; until it is confirmed keys have to wait.
    pub fn is_saving(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether a key that comes now has to stand in line: behind a decision on its way, or behind earlier keys.
    pub fn must_wait(&self) -> bool {
        self.is_saving() || !self.waiting_keys.is_empty()
    }

    pub fn wait(&mut self, key: Key) {
        self.waiting_keys.push_back(key);
    }

    /// The next key that waited, once nothing is on its way.
    pub fn next_waiting(&mut self) -> Option<Key> {
        if self.is_saving() { None } else { self.waiting_keys.pop_front() }
    }

    /// Decides, shows it at once and returns what is to be saved. `None` when there is nothing to decide on.
    pub fn decide(&mut self, verdict: Verdict, reason: Option<&'static str>) -> Option<Decision> {
        let targets = self.targets();
        let candidates: Vec<CandidateId> = targets.iter().map(|i| self.rows[*i].candidate.id).collect();
        if candidates.is_empty() {
            return None;
        }
        Some(self.send(Decision::Verdict { candidates, verdict, reason }, &targets, Some(verdict)))
    }

    /// Opens the adjustment of the current candidate as a missed face.
    pub fn start_adjusting(&mut self) {
        if let Some(row) = self.current() {
            let ellipse = adjust::start(&row.candidate.bbox);
            self.adjusting = Some(Adjusting { candidate: row.candidate.id, ellipse });
            self.layout = Layout::Queue;
        }
    }

    /// Decides that the adjusted ellipse is a face.
    pub fn commit_adjusted(&mut self) -> Option<Decision> {
        let adjusted = self.adjusting.take()?;
        let index = self.rows.iter().position(|row| row.candidate.id == adjusted.candidate)?;
        self.position = index;
        let shape = FaceShape::Ellipse(adjusted.ellipse);
        let decision = Decision::Face { candidate: adjusted.candidate, shape };
        Some(self.send(decision, &[index], Some(Verdict::MissedFace)))
    }

    pub fn undo(&mut self) -> Decision {
        self.send(Decision::Undo, &[], None)
    }

    pub fn redo(&mut self) -> Decision {
        self.send(Decision::Redo, &[], None)
    }

    fn send(&mut self, decision: Decision, targets: &[usize], verdict: Option<Verdict>) -> Decision {
        let before = targets.iter().map(|i| (self.rows[*i].candidate.id, self.rows[*i].candidate.verdict)).collect();
        self.pending = Some(Pending { decision: decision.clone(), before, position: self.position });
        self.failure = None;
        for index in targets {
            self.set_verdict(*index, verdict);
        }
        if !targets.is_empty() {
            self.selected.clear();
            self.advance();
        }
        decision
    }

    fn set_verdict(&mut self, index: usize, verdict: Option<Verdict>) {
        let old = self.rows[index].candidate.verdict;
        self.rows[index].candidate.verdict = verdict;
        let from = tally(&mut self.counts, old);
        *from = from.saturating_sub(1);
        *tally(&mut self.counts, verdict) += 1;
    }

    /// The store has the decision. `now_s` is any clock in seconds.
    pub fn confirmed(&mut self, saved: &Saved, now_s: f64) {
        let Some(pending) = self.pending.take() else { return };
        if matches!(pending.decision, Decision::Verdict { .. } | Decision::Face { .. }) {
            self.pace.record(now_s, saved.candidates.len());
        }
        for changed in &saved.changed {
            self.refresh(changed);
        }
        if matches!(pending.decision, Decision::Undo | Decision::Redo) {
            self.show_again(saved);
        }
    }

    fn refresh(&mut self, changed: &Candidate) {
        if let Some(index) = self.rows.iter().position(|row| row.candidate.id == changed.id) {
            self.set_verdict(index, changed.verdict);
            self.rows[index].candidate = changed.clone();
        }
    }

    /// Goes to what was undone; a row that the filter had left out comes back at this place.
    fn show_again(&mut self, saved: &Saved) {
        let Some(first) = saved.candidates.first() else { return };
        if let Some(index) = self.rows.iter().position(|row| row.candidate.id == *first) {
            self.position = index;
        } else if let Some(row) = &saved.row {
            let index = self.position.min(self.rows.len());
            self.rows.insert(index, row.clone());
            self.brought_in.insert(*first);
            self.position = index;
        }
    }

    /// The store could not save it: what was shown is taken back and the queue stops.
    pub fn failed(&mut self, reason: String) {
        self.waiting_keys.clear();
        self.failure = Some(reason);
        let Some(pending) = self.pending.take() else { return };
        for (candidate, verdict) in &pending.before {
            if let Some(index) = self.rows.iter().position(|row| row.candidate.id == *candidate) {
                self.set_verdict(index, *verdict);
            }
        }
        self.position = pending.position;
    }
}

fn tally(counts: &mut VerdictCounts, verdict: Option<Verdict>) -> &mut u64 {
    match verdict {
        None => &mut counts.undecided,
        Some(Verdict::Confirmed) => &mut counts.confirmed,
        Some(Verdict::Rejected) => &mut counts.rejected,
        Some(Verdict::MissedFace) => &mut counts.missed_face,
        Some(Verdict::Skipped) => &mut counts.skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FalsePositiveKind, ImageId, RoundId};
    use crate::geometry::BoundingBox;

    fn row(id: i64) -> CandidateRow {
        let candidate = Candidate {
            id: CandidateId(id),
            round: RoundId(1),
            image: ImageId(1),
            bbox: BoundingBox::new(0.0, 0.0, 10.0, 20.0),
            score: 0.5,
            max_iou: 0.0,
            kind: FalsePositiveKind::Background,
            verdict: None,
        };
        let image_name = "image".to_owned();
        CandidateRow {
            candidate,
            round_number: 1,
            image_name,
            fold: None,
            group: None,
            group_size: 1,
            file: std::path::PathBuf::new(),
            content_hash: String::new(),
            held: Vec::new(),
        }
    }

    fn model(count: i64) -> ReviewModel<char> {
        let counts = VerdictCounts { undecided: count as u64, ..VerdictCounts::default() };
        let mut model = ReviewModel { counts, ..ReviewModel::default() };
        model.extend((1..=count).map(row).collect(), true);
        model
    }

    fn verdicts(model: &ReviewModel<char>) -> Vec<Option<Verdict>> {
        model.rows().iter().map(|row| row.candidate.verdict).collect()
    }

    fn saved(model: &ReviewModel<char>, ids: &[i64]) -> Saved {
        let candidates: Vec<CandidateId> = ids.iter().copied().map(CandidateId).collect();
        let changed = model.rows().iter().map(|r| r.candidate.clone()).filter(|c| candidates.contains(&c.id)).collect();
        Saved { candidates, changed, row: None }
    }

    #[test]
    fn a_decision_shows_at_once_goes_on_and_counts() {
        let mut model = model(3);
        let decision = model.decide(Verdict::Confirmed, Some("animal")).unwrap();
        let candidates = vec![CandidateId(1)];
        assert_eq!(decision, Decision::Verdict { candidates, verdict: Verdict::Confirmed, reason: Some("animal") });
        assert_eq!((model.position(), model.counts.undecided, model.counts.confirmed), (1, 2, 1));
        assert!(model.is_saving());
        let done = saved(&model, &[1]);
        model.confirmed(&done, 1.0);
        assert!(!model.is_saving());
        assert_eq!((model.pace.given(), model.counts_total()), (1, 3));
    }

    #[test]
    fn keys_wait_in_order_until_the_decision_before_is_saved() {
        let mut model = model(3);
        model.decide(Verdict::Confirmed, None);
        for key in ['a', 'x'] {
            assert!(model.must_wait());
            model.wait(key);
        }
        assert_eq!(model.next_waiting(), None, "nothing is read while a decision is on its way");
        let done = saved(&model, &[1]);
        model.confirmed(&done, 1.0);
        assert!(model.must_wait(), "a new key stands behind those that wait");
        assert_eq!((model.next_waiting(), model.next_waiting(), model.next_waiting()), (Some('a'), Some('x'), None));
        assert!(!model.must_wait());
    }

    #[test]
    fn what_cannot_be_saved_is_taken_back_and_stops_the_queue() {
        let mut model = model(3);
        model.decide(Verdict::Rejected, None);
        model.wait('a');
        model.failed("No space left on the disk".to_owned());
        assert_eq!((verdicts(&model), model.position()), (vec![None; 3], 0));
        assert_eq!((model.counts.undecided, model.counts.rejected), (3, 0));
        assert_eq!(model.next_waiting(), None, "what was pressed after it is dropped");
        assert!(model.failure.as_ref().unwrap().contains("No space left"));
        model.decide(Verdict::Confirmed, None);
        assert_eq!(model.failure, None);
    }

    #[test]
    fn the_grid_decides_on_the_selection_in_one_gesture() {
        let mut model = model(5);
        model.layout = Layout::Grid;
        model.go_to(1);
        model.select_to(3);
        model.toggle_selected(2);
        let Some(Decision::Verdict { candidates, .. }) = model.decide(Verdict::Confirmed, None) else { panic!() };
        assert_eq!(candidates, [CandidateId(2), CandidateId(4)]);
        assert_eq!((model.selected_count(), model.position()), (0, 2));
    }

    #[test]
    fn undo_goes_back_to_its_candidate_even_when_the_filter_had_left_it_out() {
        let mut model = model(3);
        model.decide(Verdict::Confirmed, None);
        let done = saved(&model, &[1]);
        model.confirmed(&done, 1.0);
        model.undo();
        let mut undone = saved(&model, &[1]);
        undone.changed[0].verdict = None;
        model.confirmed(&undone, 2.0);
        assert_eq!((model.position(), verdicts(&model)[0], model.counts.undecided), (0, None, 3));
        model.undo();
        let candidates = vec![CandidateId(99)];
        model.confirmed(&Saved { candidates, changed: Vec::new(), row: Some(row(99)) }, 3.0);
        assert_eq!(model.current().unwrap().candidate.id, CandidateId(99));
        model.extend(vec![row(99)], true);
        assert_eq!(model.rows().len(), 4, "it does not come twice");
    }

    #[test]
    fn next_undecided_wraps_around_and_stays_when_all_is_decided() {
        let mut model = model(3);
        for id in [1, 2] {
            model.go_to(id as usize - 1);
            model.decide(Verdict::Skipped, None);
            let done = saved(&model, &[id]);
            model.confirmed(&done, 0.0);
        }
        model.go_to(0);
        model.next_undecided();
        assert_eq!(model.position(), 2);
        model.decide(Verdict::Skipped, None);
        model.next_undecided();
        assert_eq!(model.position(), 2);
    }

    #[test]
    fn a_missed_face_is_written_as_it_was_adjusted() {
        let mut model = model(2);
        model.start_adjusting();
        let ellipse = Ellipse::new(9.0, 4.0, 0.1, 5.0, 5.0);
        model.adjusting.as_mut().unwrap().ellipse = ellipse;
        let decision = model.commit_adjusted().unwrap();
        assert_eq!(decision, Decision::Face { candidate: CandidateId(1), shape: FaceShape::Ellipse(ellipse) });
        assert_eq!((verdicts(&model)[0], model.adjusting.clone()), (Some(Verdict::MissedFace), None));
        assert_eq!(model.commit_adjusted(), None);
    }

    #[test]
    fn an_empty_queue_decides_nothing() {
        let mut model = model(0);
        assert_eq!(model.decide(Verdict::Confirmed, None), None);
        model.next_undecided();
        model.step(1);
        assert_eq!((model.position(), model.current()), (0, None));
    }
}

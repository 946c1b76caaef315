//! Decisions: shown immediately, saved by the writer thread, reverted if saving fails. No egui, no SQL.
//!
//! Invariant: only one decision is saved at a time. Keys pressed meanwhile are `queued`; if a decision cannot be saved it is reverted, the
//! queued keys are dropped, `failure` says why and nothing is decided until the user continues.

use std::collections::{HashMap, HashSet};

use super::decision::{Decision, GroupOffer, Pending, Saved};
use super::layout::Layout;
use super::model::{Adjusting, ReviewModel};
use crate::app::command::Order;
use crate::domain::{
    Candidate, CandidateId, Class, ClassId, GroundTruthId, GroupId, ImageId, ObjectChange, Shape, Verdict, is_left,
};
use crate::store::{CandidateRow, Inheritable};

/// Texts for the keys 1 to 9: why a candidate is not a training negative. A verdict stores the text, so that it reads the same everywhere.
pub type Reasons = [&'static str; 9];

/// For candidates of any class.
const OF_ANY_CLASS: Reasons = [
    "drawing, print or screen",
    "statue, model or toy",
    "reflection or shadow",
    "looks much like the class",
    "part of an object",
    "object, badly placed",
    "seen from an unusual side",
    "too blurred to tell",
    "doubtful",
];

/// If the project's only class is the face.
const OF_FACES: Reasons = [
    "drawn or printed face",
    "statue, mask or doll",
    "reflection",
    "animal's face",
    "part of a face",
    "face, badly placed",
    "back or side of a head",
    "too blurred to tell",
    "doubtful",
];

/// Returns the reasons for a project with these classes.
pub fn reasons(classes: &[Class]) -> &'static Reasons {
    match classes {
        [only] if only.name.trim().eq_ignore_ascii_case("face") => &OF_FACES,
        _ => &OF_ANY_CLASS,
    }
}

impl<Key> ReviewModel<Key> {
    /// Returns the targets of a decision: the selection in the grid, otherwise the current candidate; empty if none is shown.
    fn targets(&self) -> Vec<usize> {
        match self.layout {
            layout if !layout.shows_candidates() => Vec::new(),
            Layout::Grid if !self.selected.is_empty() => {
                (0..self.rows.len()).filter(|i| self.selected.contains(&self.rows[*i].candidate.id)).collect()
            }
            _ if self.position < self.rows.len() && !self.past_end => vec![self.position],
            _ => Vec::new(),
        }
    }

    /// Whether the pending decision gives a verdict, rather than undoing or redoing one.
    pub fn is_deciding(&self) -> bool {
        let is_verdict = |pending: &Pending| !matches!(pending.decision, Decision::Undo | Decision::Redo);
        self.pending.as_ref().is_some_and(is_verdict)
    }

    /// Whether the pending decision corrects ground truth.
    pub fn is_correcting(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.decision.is_correction())
    }

    /// Whether a verdict on this candidate is pending, so that it is not undecided.
    pub(super) fn is_being_decided(&self, candidate: CandidateId) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.before.contains_key(&candidate))
    }

    /// Whether a decision is pending; keys wait until it is confirmed.
    pub fn is_saving(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether a new key has to be queued: behind a pending decision, behind rows that it needs, or behind earlier keys.
    pub fn must_wait(&self) -> bool {
        self.is_held_up() || self.has_queued()
    }

    fn is_held_up(&self) -> bool {
        self.is_saving() || self.awaits_rows()
    }

    pub fn wait(&mut self, key: Key) {
        self.queued.push_back(key);
    }

    /// Whether keys are queued.
    pub fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    pub fn queued(&self) -> impl Iterator<Item = &Key> {
        self.queued.iter()
    }

    /// Drops the queued keys.
    pub fn drop_queued(&mut self) {
        self.queued.clear();
    }

    /// Returns the next queued key, once nothing blocks it.
    pub fn next_queued(&mut self) -> Option<Key> {
        if self.is_held_up() { None } else { self.queued.pop_front() }
    }

    /// Returns the next queued key if `wanted` accepts it, even if the queue is blocked.
    pub fn next_queued_if(&mut self, wanted: impl FnOnce(&Key) -> bool) -> Option<Key> {
        if self.queued.front().is_some_and(wanted) { self.queued.pop_front() } else { None }
    }

    /// Decides, shows it immediately and returns what has to be saved. `None` if there is nothing to decide.
    pub fn decide(&mut self, verdict: Verdict, reason: Option<&str>) -> Option<Decision> {
        self.decide_as(verdict, None, reason)
    }

    /// Like [`ReviewModel::decide`]: the objects have this class.
    pub fn decide_class(&mut self, class: ClassId) -> Option<Decision> {
        self.decide_as(Verdict::WrongClass, Some(class), None)
    }

    fn decide_as(&mut self, verdict: Verdict, class: Option<ClassId>, reason: Option<&str>) -> Option<Decision> {
        let targets = self.targets();
        let candidates: Vec<CandidateId> = targets.iter().map(|i| self.rows[*i].candidate.id).collect();
        if candidates.is_empty() || self.failure.is_some() {
            return None;
        }
        let reason = reason.map(str::to_owned);
        if self.layout == Layout::Grid && self.all_selected {
            return Some(self.decide_all(
                Decision::All { each_member: false, verdict, class, reason },
                &targets,
                verdict,
            ));
        }
        let decision = Decision::Verdict { candidates, groups: Vec::new(), verdict, class, reason };
        Some(self.send(decision, &targets, Some(verdict)))
    }

    /// Decides the targets of [`ReviewModel::decide`] and all undecided members of their groups, as one gesture.
    pub fn decide_group(&mut self, verdict: Verdict) -> Option<Decision> {
        let mut targets = self.targets();
        if targets.is_empty() || self.failure.is_some() {
            return None;
        }
        if self.layout == Layout::Grid && self.all_selected {
            let decision = Decision::All { each_member: true, verdict, class: None, reason: None };
            return Some(self.decide_all(decision, &targets, verdict));
        }
        let mut groups: Vec<GroupId> = targets.iter().filter_map(|i| self.rows[*i].group).collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.is_empty() {
            return self.decide(verdict, None);
        }
        let candidates: Vec<CandidateId> = targets.iter().map(|i| self.rows[*i].candidate.id).collect();
        let chosen: HashSet<usize> = targets.iter().copied().collect();
        targets.extend(self.waiting_of(&groups).filter(|i| !chosen.contains(i)));
        let decision = Decision::Verdict { candidates, groups, verdict, class: None, reason: None };
        Some(self.send(decision, &targets, Some(verdict)))
    }

    /// Among the loaded rows, only those that the filter still matches show the verdict: rows decided since no longer match.
    fn decide_all(&mut self, decision: Decision, selected: &[usize], verdict: Verdict) -> Decision {
        let targets: Vec<usize> = selected.iter().copied().filter(|i| self.is_found(&self.rows[*i])).collect();
        let decision = self.send(decision, &targets, Some(verdict));
        self.clear_selection();
        decision
    }

    /// Gives the rest of the last decided groups the same verdict. `None` if there is no offer.
    pub fn decide_rest(&mut self) -> Option<Decision> {
        if !self.layout.shows_candidates() || self.failure.is_some() {
            return None;
        }
        let GroupOffer { groups, verdict, class, reason, .. } = self.offer.take()?;
        let targets: Vec<usize> = self.waiting_of(&groups).collect();
        let decision = Decision::Verdict { candidates: Vec::new(), groups, verdict, class, reason };
        Some(self.send(decision, &targets, Some(verdict)))
    }

    /// Carries over earlier rounds' verdicts on the targets of [`ReviewModel::decide`]. `None` if there are none.
    pub fn decide_as_before(&mut self) -> Option<Decision> {
        if self.failure.is_some() {
            return None;
        }
        let targets: Vec<usize> = self.targets().into_iter().filter(|i| self.rows[*i].inherits.is_some()).collect();
        if targets.is_empty() {
            return None;
        }
        let candidates = targets.iter().map(|i| self.rows[*i].candidate.id).collect();
        Some(self.send_as_before(Decision::AsBefore(candidates), &targets))
    }

    /// Carries over earlier rounds' verdicts on all matches of the filter. `None` if there are none.
    pub fn decide_all_as_before(&mut self) -> Option<Decision> {
        let is_offered = self.layout.shows_candidates() && self.inheritable.confirmed + self.inheritable.rejected > 0;
        if !is_offered || self.failure.is_some() || self.filter.blind {
            return None;
        }
        let waits = |row: &CandidateRow| row.inherits.is_some() && row.candidate.verdict.is_none();
        let targets: Vec<usize> = (0..self.rows.len()).filter(|i| waits(&self.rows[*i])).collect();
        self.inheritable = Inheritable::default();
        Some(self.send_as_before(Decision::AllAsBefore, &targets))
    }

    /// Shows the carried-over verdict of each of `targets`.
    fn send_as_before(&mut self, decision: Decision, targets: &[usize]) -> Decision {
        let decision = self.send(decision, targets, Some(Verdict::Confirmed));
        for index in targets {
            let verdict = self.rows[*index].inherits.as_ref().map(|inherits| inherits.verdict);
            self.set_verdict(*index, verdict);
        }
        decision
    }

    /// After a random sample: confirms all unseen candidates that match the filter. `None` without a sample.
    pub fn estimate_rest(&mut self) -> Option<Decision> {
        let sample = self.numbers.map(|numbers| numbers.sample).filter(|_| self.filter.order == Order::Random)?;
        let is_there = sample.rest.sample > 0 && sample.waiting > 0;
        if !is_there || self.failure.is_some() || self.filter.blind || !self.layout.shows_candidates() {
            return None;
        }
        let targets: Vec<usize> = (0..self.rows.len()).filter(|i| self.is_found(&self.rows[*i])).collect();
        let targets: Vec<usize> = targets.into_iter().filter(|i| self.rows[*i].candidate.verdict.is_none()).collect();
        Some(self.send(Decision::Estimate, &targets, Some(Verdict::Confirmed)))
    }

    /// Counts undecided members of `groups`, in order.
    fn waiting_of(&self, groups: &[GroupId]) -> impl Iterator<Item = usize> {
        let waits = move |row: &CandidateRow| {
            let Candidate { kind, verdict, .. } = row.candidate;
            row.group.is_some_and(|group| groups.binary_search(&group).is_ok()) && is_left(kind, verdict)
        };
        self.rows.iter().enumerate().filter(move |(_, row)| waits(row)).map(|(index, _)| index)
    }

    /// Decides that the adjusted shape is an object, or the new shape of the object being adjusted.
    pub fn commit_adjusted(&mut self) -> Option<Decision> {
        if self.failure.is_some() {
            return None;
        }
        let adjusted = self.stop_adjusting()?;
        let index = self.index_of(adjusted.candidate);
        if let Some(index) = index {
            self.go_to(index);
        }
        let shape = adjusted.shape;
        if let Some(object) = adjusted.object {
            let decision = self.correct(vec![object], ObjectChange::Shape(shape));
            self.pending.iter_mut().for_each(|pending| pending.is_adjusted = true);
            return decision;
        }
        let decision = Decision::Face { candidate: adjusted.candidate, shape, class: adjusted.class };
        Some(self.send(decision, index.as_slice(), Some(Verdict::MissedObject)))
    }

    /// Corrects ground truth objects; the position among the candidates stays.
    pub fn correct(&mut self, objects: Vec<GroundTruthId>, change: ObjectChange) -> Option<Decision> {
        let is_possible = self.failure.is_none() && !objects.is_empty();
        is_possible.then(|| self.send(Decision::Correct { objects, change }, &[], None))
    }

    pub fn add_object(&mut self, image: ImageId, shape: Shape, class: ClassId) -> Option<Decision> {
        self.failure.is_none().then(|| self.send(Decision::AddObject { image, shape, class }, &[], None))
    }

    /// Whether the decision being saved is a redo.
    pub fn is_redoing(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.decision == Decision::Redo)
    }

    pub fn undo(&mut self) -> Option<Decision> {
        self.failure.is_none().then(|| self.send(Decision::Undo, &[], None))
    }

    pub fn redo(&mut self) -> Option<Decision> {
        self.failure.is_none().then(|| self.send(Decision::Redo, &[], None))
    }

    fn send(&mut self, decision: Decision, targets: &[usize], verdict: Option<Verdict>) -> Decision {
        let before = targets.iter().map(|i| (self.rows[*i].candidate.id, self.rows[*i].candidate.verdict)).collect();
        let (selected, at) = (self.selected.clone(), self.current().cloned());
        let all_selected = self.all_selected;
        let layout = self.layout;
        let decision_sent = decision.clone();
        let is_adjusted = false;
        self.pending =
            Some(Pending { decision: decision_sent, before, selected, all_selected, at, layout, is_adjusted });
        self.offer = None;
        for index in targets {
            self.set_verdict(*index, verdict);
        }
        if !targets.is_empty() {
            self.clear_selection();
        }
        if targets.contains(&self.position) {
            self.advance();
        }
        decision
    }

    fn set_verdict(&mut self, index: usize, verdict: Option<Verdict>) {
        let old = self.rows[index].candidate.verdict;
        self.rows[index].candidate.verdict = verdict;
        let from = self.counts.of(old);
        *from = from.saturating_sub(1);
        *self.counts.of(verdict) += 1;
        // Only the store knows whether a group is done; it counts again after every decision.
        if self.rows[index].group.is_none() {
            match (old, verdict) {
                (None, Some(_)) => self.counts.decisions = self.counts.decisions.saturating_sub(1),
                (Some(_), None) => self.counts.decisions += 1,
                _ => {}
            }
        }
        self.counts.decisions = self.counts.decisions.min(self.counts.undecided);
    }

    /// Called when the store has saved the decision. `now_s` is any clock in seconds.
    pub fn confirmed(&mut self, saved: &Saved, now_s: f64) {
        let Some(pending) = self.pending.take() else { return };
        // A bulk decision on unseen candidates does not count for the reviewing speed.
        let is_bulk = matches!(pending.decision, Decision::All { .. } | Decision::AllAsBefore | Decision::Estimate);
        let is_verdict =
            !matches!(pending.decision, Decision::Undo | Decision::Redo) && !pending.decision.is_correction();
        if is_verdict && !is_bulk {
            self.pace.record(now_s, saved.candidates.len());
        }
        self.refresh(&saved.changed);
        match pending.decision {
            Decision::Undo | Decision::Redo => self.show_first_of(saved),
            Decision::Verdict { groups, verdict, class, reason, .. }
                if groups.is_empty() && verdict != Verdict::Skipped =>
            {
                let mut groups: Vec<GroupId> = saved.waiting.iter().map(|(group, _)| *group).collect();
                groups.sort_unstable();
                let waiting = saved.waiting.iter().map(|(_, waiting)| waiting).sum();
                self.offer = (waiting > 0).then_some(GroupOffer { groups, verdict, class, reason, waiting });
            }
            _ => {}
        }
    }

    /// Goes to the first listed candidate of an undone or redone gesture.
    fn show_first_of(&mut self, saved: &Saved) {
        let candidates: HashSet<CandidateId> = saved.candidates.iter().copied().collect();
        let listed = self.rows.iter().find(|row| candidates.contains(&row.candidate.id));
        if let Some(row) = listed.or(saved.row.as_ref()).cloned() {
            self.show_row(row);
        }
    }

    /// Returns the images where an object may appear, disappear or change class through a gesture on `candidates`: one of those was, or is
    /// now, an object to any annotator. `changed` are the rows after the gesture.
    pub fn images_of_faces(&self, candidates: &[CandidateId], changed: &[CandidateRow]) -> HashSet<ImageId> {
        let candidates: HashSet<CandidateId> = candidates.iter().copied().collect();
        let known = self.rows.iter().chain(changed);
        let touched = known.filter(|row| candidates.contains(&row.candidate.id) && is_object(row));
        touched.map(|row| row.candidate.image).collect()
    }

    /// Updates the rows of candidates.
    pub fn refresh(&mut self, changed: &[CandidateRow]) {
        let changed: HashMap<CandidateId, &CandidateRow> = changed.iter().map(|row| (row.candidate.id, row)).collect();
        if changed.is_empty() {
            return;
        }
        for index in 0..self.rows.len() {
            if let Some(row) = changed.get(&self.rows[index].candidate.id) {
                self.set_verdict(index, row.candidate.verdict);
                self.rows[index] = (*row).clone();
            }
        }
    }

    /// Updates candidates that others decided, except those being decided here.
    pub fn decided_elsewhere(&mut self, mut rows: Vec<CandidateRow>) {
        rows.retain(|row| !self.is_being_decided(row.candidate.id));
        self.refresh(&rows);
    }

    /// Called when the store failed to save: reverts what was shown and blocks the queue until [`ReviewModel::acknowledge_failure`].
    pub fn failed(&mut self, reason: String) {
        self.queued.clear();
        self.failure = Some(reason);
        let Some(pending) = self.pending.take() else { return };
        for index in 0..self.rows.len() {
            if let Some(verdict) = pending.before.get(&self.rows[index].candidate.id) {
                self.set_verdict(index, *verdict);
            }
        }
        (self.selected, self.all_selected, self.seeking) = (pending.selected, pending.all_selected, None);
        let listed = pending.at.as_ref().and_then(|row| self.index_of(row.candidate.id));
        if let Some(index) = listed {
            self.go_to(index);
        }
        // A drawn shape is not lost: it can be saved again, whatever is listed by now.
        let at = pending.at.as_ref().map(|row| row.candidate.id);
        let drawn = match &pending.decision {
            Decision::Face { candidate, shape, class } => Some((*candidate, *shape, *class, None)),
            Decision::Correct { objects, change: ObjectChange::Shape(shape) } if pending.is_adjusted => {
                at.map(|candidate| (candidate, *shape, None, objects.first().copied()))
            }
            _ => None,
        };
        if let Some((candidate, shape, class, object)) = drawn {
            if let Some(row) = pending.at.filter(|_| listed.is_none()) {
                self.show_row(row);
            }
            self.adjusting = Some(Adjusting { candidate, shape, class, object, from: pending.layout });
            self.layout = Layout::Queue;
        }
    }

    /// Acknowledges the failure: keys decide again.
    pub fn acknowledge_failure(&mut self) {
        self.failure = None;
    }
}

/// Whether any annotator says that this is an object, missed or of a wrong class.
fn is_object(row: &CandidateRow) -> bool {
    row.candidate.verdict.is_some_and(Verdict::has_class) || row.held.iter().any(|held| held.verdict.has_class())
}

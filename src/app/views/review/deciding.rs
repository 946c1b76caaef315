//! Deciding: shown at once, saved by the store's one writer, taken back where that fails. Knows neither egui nor SQL.
//!
//! Invariant: one decision is on its way to the store at a time. Keys pressed meanwhile wait in `waiting_keys`; when a decision
//! cannot be saved it is taken back, the waiting keys are dropped and `failure` says why.

use std::collections::HashMap;

use super::model::{Layout, ReviewModel};
use crate::domain::{CandidateId, FaceShape, GroupId, Verdict};
use crate::store::{CandidateRow, VerdictCounts};

/// Words for the keys 1 to 9: why a candidate is not to be trained on as background.
pub const REASONS: [&str; 9] = [
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

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The candidates, and all that waits of the group.
    Verdict {
        candidates: Vec<CandidateId>,
        group: Option<GroupId>,
        verdict: Verdict,
        reason: Option<String>,
    },
    Face {
        candidate: CandidateId,
        shape: FaceShape,
    },
    Undo,
    Redo,
}

/// The others of a group, after one of it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffer {
    pub group: GroupId,
    pub verdict: Verdict,
    pub reason: Option<String>,
    /// Candidates of the group that still wait.
    pub waiting: u32,
}

/// What the store did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// The candidates that the gesture was about; empty when there was nothing to undo or redo.
    pub candidates: Vec<CandidateId>,
    /// Candidates whose verdict, kind or overlap may be another now; none after a stroke over very many.
    pub changed: Vec<CandidateRow>,
    /// The candidate that an undo or redo brings back, with its surroundings.
    pub row: Option<CandidateRow>,
    /// Of a decision on one candidate of a group: how many of the group still wait.
    pub waiting_in_group: u32,
}

/// A decision on its way, and what stood before it.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    decision: Decision,
    before: Vec<(CandidateId, Option<Verdict>)>,
    position: usize,
}

impl<Key> ReviewModel<Key> {
    /// What a decision is about: the selection in the grid, else the current candidate; nothing where none is shown.
    fn targets(&self) -> Vec<usize> {
        match self.layout {
            layout if !layout.shows_candidates() => Vec::new(),
            Layout::Grid if !self.selected.is_empty() => self.selected.iter().copied().collect(),
            _ if self.position < self.rows.len() => vec![self.position],
            _ => Vec::new(),
        }
    }

    /// Whether a decision is on its way; until it is confirmed keys have to wait.
    pub fn is_saving(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether a key that comes now has to stand in line: behind a decision on its way, behind rows that are being selected, or behind
    /// earlier keys.
    pub fn must_wait(&self) -> bool {
        self.is_saving() || self.selecting_all || !self.waiting_keys.is_empty()
    }

    pub fn wait(&mut self, key: Key) {
        self.waiting_keys.push_back(key);
    }

    /// The next key that waited, once nothing is on its way.
    pub fn next_waiting(&mut self) -> Option<Key> {
        if self.is_saving() || self.selecting_all { None } else { self.waiting_keys.pop_front() }
    }

    /// Decides, shows it at once and returns what is to be saved. `None` when there is nothing to decide on.
    pub fn decide(&mut self, verdict: Verdict, reason: Option<&str>) -> Option<Decision> {
        let targets = self.targets();
        let candidates: Vec<CandidateId> = targets.iter().map(|i| self.rows[*i].candidate.id).collect();
        if candidates.is_empty() {
            return None;
        }
        let reason = reason.map(str::to_owned);
        Some(self.send(Decision::Verdict { candidates, group: None, verdict, reason }, &targets, Some(verdict)))
    }

    /// Decides on what [`ReviewModel::decide`] would and on all that waits of the current candidate's group, as one gesture.
    pub fn decide_group(&mut self, verdict: Verdict) -> Option<Decision> {
        let mut targets = self.targets();
        let group = targets.contains(&self.position).then(|| self.rows[self.position].group).flatten();
        let Some(group) = group else { return self.decide(verdict, None) };
        let candidates: Vec<CandidateId> = targets.iter().map(|i| self.rows[*i].candidate.id).collect();
        targets.extend(self.waiting_of(group).filter(|i| !candidates.contains(&self.rows[*i].candidate.id)));
        let decision = Decision::Verdict { candidates, group: Some(group), verdict, reason: None };
        Some(self.send(decision, &targets, Some(verdict)))
    }

    /// Gives the rest of the group that was decided on last the same verdict. `None` when nothing is on offer.
    pub fn decide_rest(&mut self) -> Option<Decision> {
        if !self.layout.shows_candidates() {
            return None;
        }
        let GroupOffer { group, verdict, reason, .. } = self.offer.take()?;
        let targets: Vec<usize> = self.waiting_of(group).collect();
        let decision = Decision::Verdict { candidates: Vec::new(), group: Some(group), verdict, reason };
        Some(self.send(decision, &targets, Some(verdict)))
    }

    fn waiting_of(&self, group: GroupId) -> impl Iterator<Item = usize> {
        let waits = move |row: &CandidateRow| row.group == Some(group) && row.candidate.verdict.is_none();
        self.rows.iter().enumerate().filter(move |(_, row)| waits(row)).map(|(index, _)| index)
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
        self.refresh(&saved.changed);
        match pending.decision {
            Decision::Undo | Decision::Redo => {
                if let Some(row) = &saved.row {
                    self.show_row(row.clone());
                }
            }
            Decision::Verdict { group: None, verdict, reason, .. } if 0 < saved.waiting_in_group => {
                let group = saved.row.as_ref().and_then(|row| row.group).filter(|_| verdict != Verdict::Skipped);
                let waiting = saved.waiting_in_group;
                self.offer = group.map(|group| GroupOffer { group, verdict, reason, waiting });
            }
            _ => {}
        }
    }

    fn refresh(&mut self, changed: &[CandidateRow]) {
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

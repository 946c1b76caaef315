//! The verdict log: decisions, and undo and redo of both logs. Every call is one gesture and one transaction, on disk when it returns.

use std::borrow::Borrow;
use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::connection::new_uid;
use super::corrections::{self, Corrected};
use super::gestures::{self, Gesture, GestureAction, Written};
use super::log::{self, VERDICTS};
use super::verdict_rows::{DECISION, Decision, NewRow, decision, insert_row, read};
use super::{Store, StoreError, annotators, classes, settle};
use crate::domain::{Basis, CandidateId, ClassId, Shape, Verdict, check_shape};

/// A verdict to give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewVerdict<'a> {
    pub verdict: Verdict,
    /// For a missed object, `None` means the class that the detector predicted. Required for a wrong class.
    pub class: Option<ClassId>,
    pub reason: Option<&'a str>,
    pub basis: Basis,
}

impl NewVerdict<'_> {
    /// A verdict without class or reason.
    pub fn plain(verdict: Verdict) -> Self {
        Self { verdict, class: None, reason: None, basis: Basis::Reviewed }
    }
}

impl Store {
    /// [`Store::decide`] for a verdict without a class: a missed object gets the class that the detector predicted.
    pub fn record_verdicts(
        &mut self,
        candidates: &[CandidateId],
        annotator: &str,
        verdict: Verdict,
        reason: Option<&str>,
        time_ms: i64,
    ) -> Result<Gesture, StoreError> {
        self.decide(candidates, annotator, &NewVerdict { reason, ..NewVerdict::plain(verdict) }, time_ms)
    }

    /// Decides candidates as one gesture. A missed object becomes ground truth with a shape derived from its box: an ellipse if objects of
    /// its class are annotated as ellipses. The order is the order of the calls, regardless of `time_ms` (milliseconds since the Unix
    /// epoch).
    pub fn decide(
        &mut self,
        candidates: &[CandidateId],
        annotator: &str,
        ruling: &NewVerdict<'_>,
        time_ms: i64,
    ) -> Result<Gesture, StoreError> {
        let &NewVerdict { verdict, class, reason, basis } = ruling;
        match (verdict, class) {
            (Verdict::WrongClass, None) => {
                return Err(StoreError::Invalid("the verdict wrong class needs the right class".to_owned()));
            }
            (verdict, Some(_)) if !verdict.has_class() => {
                return Err(StoreError::Invalid(format!("the verdict `{}` takes no class", verdict.as_str())));
            }
            _ => {}
        }
        let reason = reason.map(str::to_owned);
        let decision = Decision { verdict: Some(verdict), class, reason, shape: None, since: None, basis };
        self.append_decision(candidates, annotator, verdict, &decision, time_ms)
    }

    /// Marks a candidate as an object that the annotation lacks, with the shape that the annotator drew; without `class`, of the class that
    /// the detector predicted.
    pub fn record_missed_object(
        &mut self,
        candidate: CandidateId,
        annotator: &str,
        (shape, class): (Shape, Option<ClassId>),
        reason: Option<&str>,
        time_ms: i64,
    ) -> Result<Gesture, StoreError> {
        let (width, height) = self.read(|c| image_size(c, candidate))?;
        check_shape(&shape, width, height)
            .map_err(|problem| StoreError::Invalid(format!("not a valid object: {problem}. Draw it again")))?;
        let verdict = Verdict::MissedObject;
        let decision = Decision {
            verdict: Some(verdict),
            class,
            reason: reason.map(str::to_owned),
            shape: Some(shape),
            since: None,
            basis: Basis::Reviewed,
        };
        self.append_decision(&[candidate], annotator, verdict, &decision, time_ms)
    }

    /// Undoes the annotator's last effective decision, a verdict or a ground truth correction, by appending the previous state. `None` if
    /// nothing is left to undo. There is no limit, and closing the project changes nothing. Candidates and objects with a newer row of the
    /// same annotator merged from another copy keep that one.
    pub fn undo(&mut self, annotator: &str, time_ms: i64) -> Result<Option<Gesture>, StoreError> {
        self.write(|tx| {
            let Some(id) = annotators::find(tx, annotator)? else { return Ok(None) };
            let stacks = gestures::stacks(tx, id)?;
            let Some(decision) = stacks.undo else { return Ok(None) };
            let links = (Some(decision), stacks.redo.map(|r| r.undo));
            let gesture = gestures::append(tx, id, GestureAction::Undo, links, time_ms)?;
            let given = VERDICTS.not_overruled(tx, id, decision, rows_of(tx, decision)?, LogRow::subject)?;
            let is_merged = log::has_merged(tx, id, 0)?;
            let mut before = Vec::with_capacity(given.len());
            for row in &given {
                let previous = match row.replaces {
                    _ if is_merged => match VERDICTS.previous_row(tx, id, decision, row.candidate.0)? {
                        Some(seq) => read(tx, seq)?,
                        None => Decision::default(),
                    },
                    Some(seq) => read(tx, seq)?,
                    None => Decision::default(),
                };
                before.push((row.candidate, previous));
            }
            let candidates = append_all(tx, gesture, before)?;
            let corrected = corrections::undo(tx, gesture, decision, is_merged)?;
            Ok(Some(described((gesture, GestureAction::Undo, annotator), &given, candidates, corrected)))
        })
    }

    /// Redoes what the last undo reverted. `None` if there was no undo since the last decision.
    pub fn redo(&mut self, annotator: &str, time_ms: i64) -> Result<Option<Gesture>, StoreError> {
        self.write(|tx| {
            let Some(id) = annotators::find(tx, annotator)? else { return Ok(None) };
            let Some(undone) = gestures::stacks(tx, id)?.redo else { return Ok(None) };
            let links = (Some(undone.undo), None);
            let gesture = gestures::append(tx, id, GestureAction::Redo, links, time_ms)?;
            // The undo may have skipped some.
            let undone_on: HashSet<_> = rows_of(tx, undone.undo)?.iter().map(|row| row.candidate).collect();
            let rows = rows_of(tx, undone.decision)?;
            let mut given = VERDICTS.not_overruled(tx, id, undone.undo, rows, LogRow::subject)?;
            given.retain(|row| undone_on.contains(&row.candidate));
            let again: Vec<_> = given.iter().map(|row| (row.candidate, row.decision.clone())).collect();
            let candidates = append_all(tx, gesture, again)?;
            let corrected = corrections::redo(tx, gesture, undone)?;
            Ok(Some(described((gesture, GestureAction::Redo, annotator), &given, candidates, corrected)))
        })
    }

    fn append_decision(
        &mut self,
        candidates: &[CandidateId],
        annotator: &str,
        verdict: Verdict,
        decision: &Decision,
        time_ms: i64,
    ) -> Result<Gesture, StoreError> {
        if candidates.is_empty() {
            return Err(StoreError::Invalid("no candidate was given".to_owned()));
        }
        let mut seen = HashSet::new();
        let once = candidates.iter().copied().filter(|c| seen.insert(*c));
        let decisions: Vec<_> = once.map(|candidate| (candidate, decision)).collect();
        self.append_decisions(decisions, annotator, verdict, time_ms)
    }

    /// Appends one gesture; `verdict` is how it is listed.
    pub(super) fn append_decisions<D: Borrow<Decision>>(
        &mut self,
        decisions: Vec<(CandidateId, D)>,
        annotator: &str,
        verdict: Verdict,
        time_ms: i64,
    ) -> Result<Gesture, StoreError> {
        self.write(|tx| {
            let classes: HashSet<ClassId> =
                decisions.iter().filter_map(|(_, decision)| decision.borrow().class).collect();
            classes.into_iter().try_for_each(|class| classes::live(tx, class).map(|_| ()))?;
            let id = annotators::find_or_insert(tx, annotator)?;
            let parent = gestures::stacks(tx, id)?.undo;
            let gesture = gestures::append(tx, id, GestureAction::Decide, (None, parent), time_ms)?;
            let candidates = append_all(tx, gesture, decisions)?;
            for candidate in &candidates {
                // Whoever decides now has seen the image's current content.
                tx.prepare_cached("DELETE FROM stale_candidates WHERE candidate_id = ?1")?.execute([candidate.0])?;
            }
            let annotator = annotator.to_owned();
            let (action, verdict) = (GestureAction::Decide, Some(verdict));
            let (objects, images) = (Vec::new(), Vec::new());
            Ok(Gesture { id: gesture.id, action, annotator, verdict, act: None, candidates, objects, images, time_ms })
        })
    }
}

/// A log row as needed for undo and redo.
struct LogRow {
    candidate: CandidateId,
    decision: Decision,
    replaces: Option<i64>,
}

impl LogRow {
    fn subject(&self) -> i64 {
        self.candidate.0
    }
}

/// Returns width and height in pixels of the candidate's image.
pub(super) fn image_size(c: &Connection, candidate: CandidateId) -> Result<(u32, u32), StoreError> {
    let sql = "SELECT i.width, i.height FROM candidates c JOIN images i ON i.id = c.image_id WHERE c.id = ?1";
    let size = c.prepare_cached(sql)?.query_row([candidate.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    size.ok_or_else(|| StoreError::missing("candidate", candidate))
}

/// Appends the rows of one gesture and applies them. Works in id order, from one end of each B-tree to the other: for a decision on
/// thousands that halves the time.
fn append_all<D: Borrow<Decision>>(
    tx: &Transaction<'_>,
    gesture: Written,
    mut decisions: Vec<(CandidateId, D)>,
) -> Result<Vec<CandidateId>, StoreError> {
    let given: Vec<CandidateId> = decisions.iter().map(|(candidate, _)| *candidate).collect();
    decisions.sort_by_key(|(candidate, _)| *candidate);
    let mut candidates = Vec::with_capacity(decisions.len());
    for (candidate, decision) in decisions {
        exists(tx, candidate)?;
        let decision = decision.borrow();
        let row = NewRow {
            uid: &new_uid(),
            gesture: gesture.id,
            candidate,
            annotator: gesture.annotator,
            verdict: decision.verdict,
            class: decision.class,
            reason: decision.reason.as_deref(),
            shape: decision.shape.as_ref(),
            since: decision.since,
            basis: decision.basis,
            tick: gesture.tick,
            time_ms: gesture.time_ms,
        };
        let seq = insert_row(tx, &row)?;
        settle::set(tx, candidate, gesture.annotator, seq, gesture.tick, decision.verdict)?;
        candidates.push(candidate);
    }
    settle::settle(tx, &candidates)?;
    Ok(given)
}

fn rows_of(tx: &Transaction<'_>, gesture: i64) -> Result<Vec<LogRow>, StoreError> {
    let sql = format!("SELECT candidate_id, replaces, {DECISION} FROM verdicts v WHERE gesture_id = ?1 ORDER BY seq");
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map([gesture], |r| {
        Ok(LogRow { candidate: CandidateId(r.get(0)?), replaces: r.get(1)?, decision: decision(r, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn described(
    (gesture, action, annotator): (Written, GestureAction, &str),
    given: &[LogRow],
    candidates: Vec<CandidateId>,
    corrected: Corrected,
) -> Gesture {
    // Empty if newer rows were merged on all of its candidates.
    let verdict = given.iter().find_map(|row| row.decision.verdict);
    let Corrected { act, objects, images } = corrected;
    let (annotator, time_ms) = (annotator.to_owned(), gesture.time_ms);
    Gesture { id: gesture.id, action, annotator, verdict, act, candidates, objects, images, time_ms }
}

/// An unknown id is an error that names it.
fn exists(tx: &Transaction<'_>, candidate: CandidateId) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached("SELECT 1 FROM candidates WHERE id = ?1")?;
    let found: Option<i64> = statement.query_row([candidate.0], |r| r.get(0)).optional()?;
    found.map(|_| ()).ok_or_else(|| StoreError::missing("candidate", candidate))
}

//! Appends and reads rows of the verdict log. `settle.rs` applies them.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::StoreError;
use super::columns::{optional_shape, optional_word, shape_columns, word};
use crate::domain::{Basis, CandidateId, ClassId, Shape, Verdict};

/// An annotator's current verdict on a candidate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Decision {
    /// `None`: removes the current one.
    pub verdict: Option<Verdict>,
    /// For a missed object and for a wrong class; before it is written, `None` means the class that the detector predicted.
    pub class: Option<ClassId>,
    pub reason: Option<String>,
    /// For a missed object: the annotator's own shape; `None` derives it from the candidate's box.
    pub shape: Option<Shape>,
    /// The tick of the decision if not now: an undo or redo restores it.
    pub since: Option<i64>,
    pub basis: Basis,
}

/// A row to append to the log.
pub(super) struct NewRow<'a> {
    pub uid: &'a [u8; 16],
    pub gesture: i64,
    pub candidate: CandidateId,
    pub annotator: i64,
    pub verdict: Option<Verdict>,
    /// As in [`Decision`]; only stored for verdicts that have a class.
    pub class: Option<ClassId>,
    pub reason: Option<&'a str>,
    pub shape: Option<&'a Shape>,
    /// As in [`Decision`].
    pub since: Option<i64>,
    pub basis: Basis,
    pub tick: i64,
    pub time_ms: i64,
}

/// Appends one row, which replaces the annotator's current verdict on the candidate; returns its position in the log.
pub(super) fn insert_row(tx: &Transaction<'_>, row: &NewRow<'_>) -> Result<i64, StoreError> {
    let sql = "INSERT INTO verdicts
               (uid, gesture_id, candidate_id, annotator_id, verdict, reason, shape, a, b, c, d, e, replaces, tick, time_ms, class_id,
                since, basis)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    let class = match row.verdict {
        Some(verdict) if verdict.has_class() => Some(row.class.map_or_else(|| class_of(tx, row.candidate), Ok)?),
        _ => None,
    };
    let shape = row.shape.map(shape_columns);
    let k = |index: usize| shape.map(|s| s.1[index]);
    tx.prepare_cached(sql)?.execute(params![
        row.uid,
        row.gesture,
        row.candidate.0,
        row.annotator,
        row.verdict.map(Verdict::as_str),
        row.reason,
        shape.map(|s| s.0),
        k(0),
        k(1),
        k(2),
        k(3),
        shape.and_then(|s| s.2),
        seq(tx, row.candidate, row.annotator)?,
        row.tick,
        row.time_ms,
        class.map(|class| class.0),
        row.since,
        row.basis.as_str(),
    ])?;
    Ok(tx.last_insert_rowid())
}

/// The columns of a log row `v` that [`decision`] reads.
pub(super) const DECISION: &str = "verdict, reason, shape, a, b, c, d, e,
    (SELECT coalesce(k.merged_into, k.id) FROM classes k WHERE k.id = v.class_id), coalesce(since, tick), basis";

/// Reads the verdict of row `seq` of the log.
pub(super) fn read(tx: &Transaction<'_>, seq: i64) -> Result<Decision, StoreError> {
    let sql = format!("SELECT {DECISION} FROM verdicts v WHERE seq = ?1");
    Ok(tx.prepare_cached(&sql)?.query_row([seq], |r| decision(r, 0))?)
}

/// Reads ten columns from `first` on: those of [`DECISION`].
pub(super) fn decision(row: &Row<'_>, first: usize) -> rusqlite::Result<Decision> {
    Ok(Decision {
        verdict: optional_word(row, first)?,
        reason: row.get(first + 1)?,
        shape: optional_shape(row, first + 2)?,
        class: row.get::<_, Option<i64>>(first + 8)?.map(ClassId),
        since: row.get(first + 9)?,
        basis: word(row, first + 10)?,
    })
}

/// Returns the class that the detector predicted for a candidate.
fn class_of(tx: &Transaction<'_>, candidate: CandidateId) -> Result<ClassId, StoreError> {
    let mut statement = tx.prepare_cached("SELECT class_id FROM candidates WHERE id = ?1")?;
    let found = statement.query_row([candidate.0], |r| r.get(0)).optional()?;
    found.map(ClassId).ok_or_else(|| StoreError::missing("candidate", candidate))
}

/// Returns the current log row of an annotator and a candidate.
fn seq(c: &Connection, candidate: CandidateId, annotator: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT seq FROM standing_verdicts WHERE candidate_id = ?1 AND annotator_id = ?2";
    Ok(c.prepare_cached(sql)?.query_row([candidate.0, annotator], |r| r.get(0)).optional()?)
}

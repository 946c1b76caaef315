//! Appends and reads rows of the correction log. `settle.rs` applies them.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::StoreError;
use super::columns::{optional_shape, optional_word, shape_columns};
use super::log::CORRECTIONS;
use crate::domain::{ClassId, Correction, ObjectState};

/// Row of `corrected_objects`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ObjectId(pub i64);

/// An annotator's current correction of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    pub correction: Correction,
    /// The tick of the decision; an undo or redo that restores it has a later one.
    pub since: i64,
}

/// A row to append to the log.
pub(super) struct LogRow<'a> {
    pub uid: &'a [u8; 16],
    pub gesture: i64,
    pub object: ObjectId,
    pub annotator: i64,
    pub held: Option<Held>,
    pub tick: i64,
    pub time_ms: i64,
}

/// Appends one row, which replaces the annotator's previous correction of the object.
pub(super) fn insert(tx: &Transaction<'_>, row: &LogRow<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO corrections
               (uid, gesture_id, object_id, annotator_id, act, class_id, shape, a, b, c, d, e, ignored, deleted, replaces, tick, time_ms,
                since)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    let state = row.held.map(|held| held.correction.state);
    let shape = state.map(|s| shape_columns(&s.shape));
    let k = |index: usize| shape.map(|s| s.1[index]);
    tx.prepare_cached(sql)?.execute(params![
        row.uid,
        row.gesture,
        row.object.0,
        row.annotator,
        row.held.map(|held| held.correction.act.as_str()),
        state.map(|s| s.class.0),
        shape.map(|s| s.0),
        k(0),
        k(1),
        k(2),
        k(3),
        shape.and_then(|s| s.2),
        state.map(|s| s.ignored),
        state.map(|s| s.deleted),
        CORRECTIONS.newest(tx, row.annotator, row.object.0)?,
        row.tick,
        row.time_ms,
        row.held.map_or(row.tick, |held| held.since),
    ])?;
    Ok(())
}

/// Returns the effective correction of the object: among the annotators' current ones, the one decided last.
pub(super) fn newest(c: &Connection, object: ObjectId) -> Result<Option<Held>, StoreError> {
    let sql = format!(
        "SELECT {CORRECTION} FROM corrections v WHERE v.object_id = ?1 AND v.act IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM corrections n WHERE n.object_id = v.object_id AND n.annotator_id = v.annotator_id
             AND (n.tick, n.uid) > (v.tick, v.uid))
         ORDER BY v.since DESC, v.tick DESC, v.uid DESC LIMIT 1"
    );
    Ok(c.prepare_cached(&sql)?.query_row([object.0], |r| held(r, 0)).optional()?.flatten())
}

pub(super) fn first_tick(c: &Connection, object: ObjectId) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(min(tick), 0) FROM corrections WHERE object_id = ?1";
    Ok(c.prepare_cached(sql)?.query_row([object.0], |r| r.get(0))?)
}

/// The columns of a log row `v` that [`held`] reads.
pub(super) const CORRECTION: &str = "v.act, v.shape, v.a, v.b, v.c, v.d, v.e, v.ignored, v.deleted,
    (SELECT coalesce(k.merged_into, k.id) FROM classes k WHERE k.id = v.class_id), v.since";

/// Reads eleven columns from `first` on: those of [`CORRECTION`].
pub(super) fn held(r: &Row<'_>, first: usize) -> rusqlite::Result<Option<Held>> {
    let Some(act) = optional_word(r, first)? else { return Ok(None) };
    let Some(shape) = optional_shape(r, first + 1)? else { return Ok(None) };
    let (ignored, deleted) = (r.get(first + 7)?, r.get(first + 8)?);
    let state = ObjectState { class: ClassId(r.get(first + 9)?), shape, ignored, deleted };
    Ok(Some(Held { correction: Correction { act, state }, since: r.get(first + 10)? }))
}

pub(super) fn read(c: &Connection, seq: i64) -> Result<Option<Held>, StoreError> {
    let sql = format!("SELECT {CORRECTION} FROM corrections v WHERE v.seq = ?1");
    Ok(c.prepare_cached(&sql)?.query_row([seq], |r| held(r, 0))?)
}

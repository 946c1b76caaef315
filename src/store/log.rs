//! Shared by the verdict and correction logs: finds the row of an annotator that was current before another one, and rows overruled by a
//! newer row merged from another copy.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::StoreError;

/// One of the logs: its table, and the column with a row's subject.
pub(super) struct Log {
    table: &'static str,
    subject: &'static str,
}

pub(super) const VERDICTS: Log = Log { table: "verdicts", subject: "candidate_id" };
pub(super) const CORRECTIONS: Log = Log { table: "corrections", subject: "object_id" };

impl Log {
    /// Returns the annotator's current row before `gesture` in log order. This may differ from what the gesture replaced when it was
    /// written, if an older row was merged since.
    pub fn previous_row(
        &self,
        tx: &Transaction<'_>,
        annotator: i64,
        gesture: i64,
        subject: i64,
    ) -> Result<Option<i64>, StoreError> {
        let Self { table, subject: column } = self;
        let sql = format!(
            "SELECT seq FROM {table} WHERE {column} = ?1 AND annotator_id = ?2
               AND (tick, uid) < (SELECT o.tick, o.uid FROM {table} o WHERE o.gesture_id = ?3 AND o.{column} = ?1)
             ORDER BY tick DESC, uid DESC LIMIT 1"
        );
        Ok(tx.prepare_cached(&sql)?.query_row([subject, annotator, gesture], |r| r.get(0)).optional()?)
    }

    /// Returns the newest row of the annotator on `subject`.
    pub fn newest(&self, c: &Connection, annotator: i64, subject: i64) -> Result<Option<i64>, StoreError> {
        let Self { table, subject: column } = self;
        let sql = format!(
            "SELECT seq FROM {table} WHERE {column} = ?1 AND annotator_id = ?2 ORDER BY tick DESC, uid DESC LIMIT 1"
        );
        Ok(c.prepare_cached(&sql)?.query_row([subject, annotator], |r| r.get(0)).optional()?)
    }

    /// Drops the rows whose subject has a newer row of the annotator that was merged from another copy after `gesture`, even if that was
    /// overruled and restored since.
    pub fn not_overruled<R>(
        &self,
        tx: &Transaction<'_>,
        annotator: i64,
        gesture: i64,
        rows: Vec<R>,
        subject_of: impl Fn(&R) -> i64,
    ) -> Result<Vec<R>, StoreError> {
        if !has_merged(tx, annotator, gesture)? {
            return Ok(rows);
        }
        let Self { table, subject: column } = self;
        let sql = format!(
            "SELECT 1 FROM {table} v JOIN gestures g ON g.id = v.gesture_id
             WHERE v.{column} = ?1 AND v.annotator_id = ?2 AND g.merged = 1 AND g.id > ?3
               AND (v.tick, v.uid) > (SELECT o.tick, o.uid FROM {table} o WHERE o.gesture_id = ?3 AND o.{column} = ?1)"
        );
        let mut statement = tx.prepare_cached(&sql)?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            if !statement.exists([subject_of(&row), annotator, gesture])? {
                left.push(row);
            }
        }
        Ok(left)
    }
}

/// Whether a row of the annotator was merged from another copy after `gesture`; 0 is before all.
pub(super) fn has_merged(tx: &Transaction<'_>, annotator: i64, gesture: i64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM gestures WHERE annotator_id = ?1 AND merged = 1 AND id > ?2 LIMIT 1";
    Ok(tx.prepare_cached(sql)?.exists([annotator, gesture])?)
}

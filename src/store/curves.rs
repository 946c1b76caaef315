//! A round's ROC curves, stored as JSON text.

use rusqlite::params;

use super::{Store, StoreError};
use crate::domain::RoundId;

/// One curve of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurveRow {
    pub step: u64,
    /// What it was evaluated on, e.g. `fold 8`.
    pub label: String,
    pub json: String,
}

impl Store {
    /// Stores a curve; replaces one with the same step and label.
    pub fn put_curve(&mut self, round: RoundId, step: u64, label: &str, json: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO curves (round_id, step, label, json) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT DO UPDATE SET json = excluded.json";
            tx.prepare_cached(sql)?.execute(params![round.0, step as i64, label, json])?;
            Ok(())
        })
    }

    /// Returns the curves by step, then label.
    pub fn curves(&self, round: RoundId) -> Result<Vec<CurveRow>, StoreError> {
        self.read(|c| {
            let sql = "SELECT step, label, json FROM curves WHERE round_id = ?1 ORDER BY step, label";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map([round.0], |r| {
                Ok(CurveRow { step: r.get::<_, i64>(0)? as u64, label: r.get(1)?, json: r.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

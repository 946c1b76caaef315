//! Numbers that a round's training wrote down, by name and step. Must not know what they measure.

use rusqlite::params;

use super::{Store, StoreError};
use crate::domain::RoundId;

/// One number of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub step: u64,
    pub name: String,
    /// NaN where the training's was.
    pub value: f64,
}

impl Store {
    /// Writes `(step, name, value)` rows; a step that is written again (a resumed round) takes the new value.
    pub fn append_metrics<S: AsRef<str>>(&mut self, round: RoundId, rows: &[(u64, S, f64)]) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO metrics (round_id, step, name, value) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT DO UPDATE SET value = excluded.value";
            let mut statement = tx.prepare_cached(sql)?;
            for (step, name, value) in rows {
                statement.execute(params![round.0, *step as i64, name.as_ref(), value])?;
            }
            Ok(())
        })
    }

    /// By name, then step.
    pub fn metrics(&self, round: RoundId) -> Result<Vec<Metric>, StoreError> {
        self.read(|c| {
            let sql = "SELECT step, name, value FROM metrics WHERE round_id = ?1 ORDER BY name, step";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map([round.0], |r| {
                let value: Option<f64> = r.get(2)?;
                Ok(Metric { step: r.get::<_, i64>(0)? as u64, name: r.get(1)?, value: value.unwrap_or(f64::NAN) })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

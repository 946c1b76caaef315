//! Training metrics of a round, by name and step.

use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError};
use crate::domain::RoundId;

/// One metric value of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub step: u64,
    pub name: String,
    /// NaN if the training's value was.
    pub value: f64,
}

/// A metric over a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricSummary {
    pub count: u64,
    pub sum: f64,
    /// 0 without values.
    pub largest: f64,
    pub recent_median: Option<f64>,
}

impl Store {
    /// Writes `(step, name, value)` rows; a repeated step (of a resumed round) replaces the old value.
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

    /// Summarises a metric over all steps of a round: count, sum, maximum, and the median of the last 51.
    pub fn metric_summary(&self, round: RoundId, name: &str) -> Result<MetricSummary, StoreError> {
        self.read(|c| {
            let sql =
                "SELECT count(*), total(value), coalesce(max(value), 0) FROM metrics WHERE round_id = ?1 AND name = ?2";
            let (count, sum, largest): (i64, f64, f64) =
                c.prepare_cached(sql)?.query_row(params![round.0, name], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            let sql = "SELECT value FROM metrics WHERE round_id = ?1 AND name = ?2 AND value IS NOT NULL
                       ORDER BY step DESC LIMIT 51";
            let mut statement = c.prepare_cached(sql)?;
            let mut recent: Vec<f64> =
                statement.query_map(params![round.0, name], |r| r.get(0))?.collect::<Result<_, _>>()?;
            recent.sort_by(f64::total_cmp);
            let recent_median = recent.get(recent.len() / 2).copied();
            Ok(MetricSummary { count: count as u64, sum, largest, recent_median })
        })
    }

    /// Returns the last step of a metric with its value.
    pub fn newest_metric(&self, round: RoundId, name: &str) -> Result<Option<(u64, f64)>, StoreError> {
        self.read(|c| {
            let sql = "SELECT step, value FROM metrics WHERE round_id = ?1 AND name = ?2 AND value IS NOT NULL
                       ORDER BY step DESC LIMIT 1";
            let found = |r: &Row<'_>| Ok((r.get::<_, i64>(0)? as u64, r.get(1)?));
            Ok(c.prepare_cached(sql)?.query_row(params![round.0, name], found).optional()?)
        })
    }

    /// Returns the metrics by name, then step.
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

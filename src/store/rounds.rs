//! Training rounds: number, state, settings. Must not know what the settings mean.

use rusqlite::{OptionalExtension, Row, params};

use super::columns::word;
use super::connection::{new_uid, now_ms};
use super::{Store, StoreError, queue_index};
use crate::domain::{RoundId, RoundRecord, RoundState};

const COLUMNS: &str = "id, number, state, config_toml, notes, started_ms, finished_ms";

impl Store {
    /// Starts the next round, in state `Running`.
    pub fn start_round(&mut self, config_toml: &str) -> Result<RoundRecord, StoreError> {
        self.write(|tx| {
            let number: u32 = tx.query_row("SELECT coalesce(max(number), 0) + 1 FROM rounds", [], |r| r.get(0))?;
            let started_ms = now_ms();
            let sql = "INSERT INTO rounds (uid, number, state, config_toml, started_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
            let state = RoundState::Running;
            tx.execute(sql, params![new_uid(), number, state.as_str(), config_toml, started_ms])?;
            let id = RoundId(tx.last_insert_rowid());
            queue_index::mark_changed(tx)?;
            let (config_toml, notes) = (config_toml.to_owned(), String::new());
            Ok(RoundRecord { id, number, state, config_toml, notes, started_ms, finished_ms: None })
        })
    }

    /// Every state but `Running` also writes down when the round came to its end; mining leaves that as it is.
    pub fn set_round_state(&mut self, round: RoundId, state: RoundState) -> Result<(), StoreError> {
        let finished = (state != RoundState::Running).then(now_ms);
        let is_kept = state == RoundState::Mined;
        self.write(|tx| {
            let sql = "UPDATE rounds SET state = ?2, finished_ms = CASE WHEN ?4 THEN coalesce(finished_ms, ?3) ELSE ?3 END WHERE id = ?1";
            match tx.execute(sql, params![round.0, state.as_str(), finished, is_kept])? {
                0 => Err(StoreError::missing("round", round)),
                _ => Ok(()),
            }
        })
    }

    /// In the order of their numbers.
    pub fn rounds(&self) -> Result<Vec<RoundRecord>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("SELECT {COLUMNS} FROM rounds ORDER BY number"))?;
            Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    pub fn round(&self, round: RoundId) -> Result<RoundRecord, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("SELECT {COLUMNS} FROM rounds WHERE id = ?1"))?;
            statement.query_row([round.0], from_row).optional()?.ok_or_else(|| StoreError::missing("round", round))
        })
    }

    pub fn round_by_number(&self, number: u32) -> Result<Option<RoundRecord>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("SELECT {COLUMNS} FROM rounds WHERE number = ?1"))?;
            Ok(statement.query_row([number], from_row).optional()?)
        })
    }

    /// A round goes on with other settings.
    pub fn set_round_config(&mut self, round: RoundId, config_toml: &str) -> Result<(), StoreError> {
        let sql = "UPDATE rounds SET config_toml = ?2 WHERE id = ?1";
        self.write(|tx| match tx.execute(sql, params![round.0, config_toml])? {
            0 => Err(StoreError::missing("round", round)),
            _ => Ok(()),
        })
    }

    /// Replaces the user's own words on a round.
    pub fn set_round_notes(&mut self, round: RoundId, notes: &str) -> Result<(), StoreError> {
        self.write(|tx| match tx.execute("UPDATE rounds SET notes = ?2 WHERE id = ?1", params![round.0, notes])? {
            0 => Err(StoreError::missing("round", round)),
            _ => Ok(()),
        })
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RoundRecord> {
    Ok(RoundRecord {
        id: RoundId(row.get(0)?),
        number: row.get(1)?,
        state: word(row, 2)?,
        config_toml: row.get(3)?,
        notes: row.get(4)?,
        started_ms: row.get(5)?,
        finished_ms: row.get(6)?,
    })
}

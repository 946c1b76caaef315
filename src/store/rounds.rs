//! Trained and imported rounds: number, model, state, settings.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::columns::word;
use super::connection::{new_uid, now_ms};
use super::{Store, StoreError, queue_index};
use crate::domain::{ImportedModel, RoundId, RoundRecord, RoundState};

const COLUMNS: &str =
    "id, number, state, config_toml, notes, started_ms, finished_ms, model, model_round, source, unscored";

impl Store {
    /// Creates the next round, in state `Running`.
    pub fn start_round(&mut self, config_toml: &str) -> Result<RoundRecord, StoreError> {
        self.write(|tx| start(tx, "", "", config_toml))
    }

    /// Creates the next round of the model `name`, with detections read from `source`, in state `Running`. An unfinished round (whose
    /// import was stopped) is continued instead.
    pub fn start_imported_round(
        &mut self,
        name: &str,
        source: &str,
        config_toml: &str,
    ) -> Result<RoundRecord, StoreError> {
        if name.is_empty() {
            return Err(StoreError::Invalid("a model needs a name".to_owned()));
        }
        self.write(|tx| {
            let sql = "SELECT id FROM rounds WHERE model = ?1 AND state = 'running' ORDER BY model_round DESC LIMIT 1";
            let Some(id) = tx.query_row(sql, [name], |r| r.get::<_, i64>(0)).optional()? else {
                return start(tx, name, source, config_toml);
            };
            let sql = "UPDATE rounds SET source = ?2, config_toml = ?3 WHERE id = ?1";
            tx.execute(sql, params![id, source, config_toml])?;
            Ok(tx.query_row(&format!("SELECT {COLUMNS} FROM rounds WHERE id = ?1"), [id], from_row)?)
        })
    }

    /// Returns the newest round of the model `name` whose mining, finished or not, has this `identity` (see [`Store::begin_mining`]).
    pub fn round_mined_with(&self, name: &str, identity: &str) -> Result<Option<RoundRecord>, StoreError> {
        let sql =
            "SELECT id FROM rounds WHERE model = ?1 AND id IN (SELECT round_id FROM mining_runs WHERE identity = ?2)
                   ORDER BY number DESC LIMIT 1";
        let found = self.read(|c| Ok(c.query_row(sql, [name, identity], |r| r.get(0)).optional()?))?;
        found.map(|id| self.round(RoundId(id))).transpose()
    }

    /// Stores the number of detections without a score in an imported round.
    pub fn set_unscored(&mut self, round: RoundId, unscored: u64) -> Result<(), StoreError> {
        let sql = "UPDATE rounds SET unscored = ?2 WHERE id = ?1";
        self.write(|tx| match tx.execute(sql, params![round.0, unscored as i64])? {
            0 => Err(StoreError::missing("round", round)),
            _ => Ok(()),
        })
    }

    /// Every state but `Running` also records when the round finished; mining leaves that unchanged.
    pub fn set_round_state(&mut self, round: RoundId, state: RoundState) -> Result<(), StoreError> {
        self.write(|tx| {
            set_state(tx, round, state)?;
            // Only mined rounds determine the traces of candidates.
            if state == RoundState::Mined { queue_index::mark_changed(tx) } else { Ok(()) }
        })
    }

    /// Returns the rounds by number.
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

    /// Replaces a round's settings when it resumes with others.
    pub fn set_round_config(&mut self, round: RoundId, config_toml: &str) -> Result<(), StoreError> {
        let sql = "UPDATE rounds SET config_toml = ?2 WHERE id = ?1";
        self.write(|tx| match tx.execute(sql, params![round.0, config_toml])? {
            0 => Err(StoreError::missing("round", round)),
            _ => Ok(()),
        })
    }

    /// Replaces the user's notes on a round.
    pub fn set_round_notes(&mut self, round: RoundId, notes: &str) -> Result<(), StoreError> {
        self.write(|tx| match tx.execute("UPDATE rounds SET notes = ?2 WHERE id = ?1", params![round.0, notes])? {
            0 => Err(StoreError::missing("round", round)),
            _ => Ok(()),
        })
    }
}

pub(super) fn set_state(tx: &Transaction<'_>, round: RoundId, state: RoundState) -> Result<(), StoreError> {
    let finished = (state != RoundState::Running).then(now_ms);
    let is_kept = state == RoundState::Mined;
    let sql = "UPDATE rounds SET state = ?2, finished_ms = CASE WHEN ?4 THEN coalesce(finished_ms, ?3) ELSE ?3 END WHERE id = ?1";
    match tx.execute(sql, params![round.0, state.as_str(), finished, is_kept])? {
        0 => Err(StoreError::missing("round", round)),
        _ => Ok(()),
    }
}

fn start(tx: &Transaction<'_>, model: &str, source: &str, config_toml: &str) -> Result<RoundRecord, StoreError> {
    let number: u32 = tx.query_row("SELECT coalesce(max(number), 0) + 1 FROM rounds", [], |r| r.get(0))?;
    let next = "SELECT coalesce(max(model_round), 0) + 1 FROM rounds WHERE model = ?1";
    let model_round: u32 = tx.query_row(next, [model], |r| r.get(0))?;
    let sql = "INSERT INTO rounds (uid, number, state, config_toml, started_ms, model, model_round, source)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let state = RoundState::Running.as_str();
    tx.execute(sql, params![new_uid(), number, state, config_toml, now_ms(), model, model_round, source])?;
    let id = tx.last_insert_rowid();
    queue_index::mark_changed(tx)?;
    Ok(tx.query_row(&format!("SELECT {COLUMNS} FROM rounds WHERE id = ?1"), [id], from_row)?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RoundRecord> {
    let name: String = row.get(7)?;
    let imported = if name.is_empty() {
        None
    } else {
        let unscored = row.get::<_, i64>(10)? as u64;
        Some(ImportedModel { name, round: row.get(8)?, source: row.get(9)?, unscored })
    };
    Ok(RoundRecord {
        id: RoundId(row.get(0)?),
        number: row.get(1)?,
        state: word(row, 2)?,
        config_toml: row.get(3)?,
        notes: row.get(4)?,
        started_ms: row.get(5)?,
        finished_ms: row.get(6)?,
        imported,
    })
}

//! Merged lines of other copies' logs whose candidates or images are not in this project yet.

use rusqlite::types::Type;
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use uuid::Uuid;

use super::StoreError;
use super::lines::LogLine;

/// Stores a line; an existing one is unchanged.
pub(super) fn keep(tx: &Transaction<'_>, uid: Uuid, line: &impl Serialize) -> Result<(), StoreError> {
    let unwritable = |cause| StoreError::Invalid(format!("verdict {uid} cannot be kept: {cause}"));
    let text = serde_json::to_string(line).map_err(unwritable)?;
    let sql = "INSERT INTO waiting_verdicts (uid, line) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    tx.prepare_cached(sql)?.execute(params![uid.as_bytes(), text])?;
    Ok(())
}

/// Removes a line that is now in the log.
pub(super) fn remove(tx: &Transaction<'_>, uid: Uuid) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM waiting_verdicts WHERE uid = ?1")?.execute([uid.as_bytes()])?;
    Ok(())
}

/// Returns all lines, oldest first; empty for an older format without waiting lines opened read-only.
pub(super) fn all(c: &Connection) -> Result<Vec<LogLine>, StoreError> {
    if !c.table_exists(None, "waiting_verdicts")? {
        return Ok(Vec::new());
    }
    let mut statement = c.prepare("SELECT line FROM waiting_verdicts ORDER BY uid")?;
    let rows = statement.query_map([], |r| {
        let text: String = r.get(0)?;
        LogLine::from_json(&text)
            .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(cause)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

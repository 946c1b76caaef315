//! Lines of other copies' verdict logs on candidates that this project does not have. Must not look for the candidates (`exchange.rs`).

use rusqlite::types::Type;
use rusqlite::{Connection, Transaction, params};

use super::{StoreError, VerdictLine};

/// Keeps a line; one that is kept already stays as it is.
pub(super) fn keep(tx: &Transaction<'_>, line: &VerdictLine) -> Result<(), StoreError> {
    let unwritable = |cause| StoreError::Invalid(format!("verdict {} cannot be kept: {cause}", line.uid));
    let text = serde_json::to_string(line).map_err(unwritable)?;
    let sql = "INSERT INTO waiting_verdicts (uid, line) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    tx.prepare_cached(sql)?.execute(params![line.uid.as_bytes(), text])?;
    Ok(())
}

/// The line is in the log now.
pub(super) fn remove(tx: &Transaction<'_>, line: &VerdictLine) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM waiting_verdicts WHERE uid = ?1")?.execute([line.uid.as_bytes()])?;
    Ok(())
}

/// All of them, the oldest first; none in a database of a format that knew none and is only read.
pub(super) fn all(c: &Connection) -> Result<Vec<VerdictLine>, StoreError> {
    if !c.table_exists(None, "waiting_verdicts")? {
        return Ok(Vec::new());
    }
    let mut statement = c.prepare("SELECT line FROM waiting_verdicts ORDER BY uid")?;
    let rows = statement.query_map([], |r| {
        let text: String = r.get(0)?;
        serde_json::from_str(&text)
            .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(cause)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

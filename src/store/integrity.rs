//! SQLite's own check of a whole database.

use rusqlite::Connection;

use super::StoreError;

/// Runs SQLite's quick check; its first complaint is the error.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let detail: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    if detail == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt { path: connection.path().unwrap_or_default().into(), detail, backup: None })
}

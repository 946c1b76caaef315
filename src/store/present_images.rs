//! Images that are still in their datasets; removed ones are kept with their verdicts.

use std::collections::HashSet;

use rusqlite::Connection;

use super::StoreError;

/// Returns the condition that an image is still in its dataset. An older format opened read-only has no removed images.
pub(super) fn present(c: &Connection) -> Result<&'static str, StoreError> {
    Ok(if c.column_exists(None, "images", "removed_ms")? { "removed_ms IS NULL" } else { "TRUE" })
}

/// Returns the ids of removed images.
pub(super) fn removed(c: &Connection) -> Result<HashSet<i64>, StoreError> {
    let mut statement = c.prepare(&format!("SELECT id FROM images WHERE NOT ({})", present(c)?))?;
    Ok(statement.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

//! The annotators, by name.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{Store, StoreError};

impl Store {
    /// Returns everyone who gave a verdict, ordered by their first one.
    pub fn annotators(&self) -> Result<Vec<String>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT name FROM annotators ORDER BY id")?;
            Ok(statement.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?)
        })
    }
}

pub(super) fn find(c: &Connection, name: &str) -> Result<Option<i64>, StoreError> {
    let mut statement = c.prepare_cached("SELECT id FROM annotators WHERE name = ?1")?;
    Ok(statement.query_row([name], |r| r.get(0)).optional()?)
}

pub(super) fn find_or_insert(tx: &Transaction<'_>, name: &str) -> Result<i64, StoreError> {
    if name.trim().is_empty() {
        return Err(StoreError::Invalid("the annotator's name is empty".to_owned()));
    }
    if let Some(id) = find(tx, name)? {
        return Ok(id);
    }
    tx.execute("INSERT INTO annotators (name) VALUES (?1)", [name])?;
    Ok(tx.last_insert_rowid())
}

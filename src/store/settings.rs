//! Small texts that are kept with the project, by name. Must not know what they say.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};

impl Store {
    /// `None` where nothing is kept by this name, also in a database of a format that knew no settings and is only read.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.read(|c| {
            if !c.table_exists(None, "settings")? {
                return Ok(None);
            }
            let mut statement = c.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
            Ok(statement.query_row([name], |r| r.get(0)).optional()?)
        })
    }

    pub fn set_setting(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql =
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
            tx.prepare_cached(sql)?.execute(params![name, value])?;
            Ok(())
        })
    }
}

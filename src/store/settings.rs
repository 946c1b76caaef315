//! Small named texts stored with the project.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError};
use crate::domain::Shares;

/// How the review is divided.
pub(super) const SHARES: &str = "review_shares";

impl Store {
    /// Returns how the review is divided among annotators; `None` if it is not, or if the value cannot be parsed (of a newer version).
    pub fn shares(&self) -> Result<Option<Shares>, StoreError> {
        let text = self.setting(SHARES)?.unwrap_or_default();
        let shares: Option<Shares> = serde_json::from_str(&text).ok();
        Ok(shares.and_then(|shares| Shares::new(&shares.annotators, shares.twice_percent).ok()))
    }

    /// Sets the shares; `None` removes them.
    pub fn set_shares(&mut self, shares: Option<&Shares>) -> Result<(), StoreError> {
        // Names and a number always serialise to JSON.
        self.set_setting(SHARES, &shares.and_then(|shares| serde_json::to_string(shares).ok()).unwrap_or_default())
    }

    /// Returns `None` if nothing is stored under this name, or if an older format without settings is opened read-only.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.read(|c| setting(c, name))
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

/// [`Store::setting`] on a connection.
pub(super) fn setting(c: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    if !c.table_exists(None, "settings")? {
        return Ok(None);
    }
    let mut statement = c.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
    Ok(statement.query_row([name], |r| r.get(0)).optional()?)
}

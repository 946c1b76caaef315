//! Deletes a dataset or a round with all dependent rows in one transaction. Dependent rows are found through the schema's foreign keys, so
//! that no table is forgotten. Verdicts are kept: they move from the log to the waiting lines, like verdicts merged from a copy, until the
//! same images are imported and mined again.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::Serialize;

use super::exchange;
use super::lines::LogLine;
use super::{Store, StoreError, images, queue_index, settle, waiting};
use crate::domain::{DatasetId, ImageId, RoundId};

/// What to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Dataset(DatasetId),
    Round(RoundId),
}

/// What is deleted with a dataset or a round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeletionCounts {
    pub images: u64,
    /// Objects of the dataset's own annotation.
    pub objects: u64,
    /// Objects added by annotators, and corrections of the dataset's own objects.
    pub found_objects: u64,
    pub detections: u64,
    pub candidates: u64,
    /// Rows of the verdict log. They stay in the database until their candidates are mined again.
    pub verdicts: u64,
    /// Candidates with a current verdict.
    pub decided: u64,
    /// Marks of images as complete.
    pub image_marks: u64,
    /// Freed database bytes, estimated from row counts.
    pub about_bytes: u64,
}

impl Deletion {
    fn start(self) -> (&'static str, i64) {
        match self {
            Self::Dataset(dataset) => ("datasets", dataset.0),
            Self::Round(round) => ("rounds", round.0),
        }
    }
}

impl Store {
    /// Returns what [`Store::delete`] would delete, without writing.
    pub fn preview_deletion(&self, what: Deletion) -> Result<DeletionCounts, StoreError> {
        self.read(|c| RowsToDelete::collect(c, what)?.counts(c))
    }

    /// Deletes a dataset or a round. Touches nothing outside the database. Callers make a backup first.
    pub fn delete(&mut self, what: Deletion) -> Result<DeletionCounts, StoreError> {
        self.write(|tx| {
            let to_delete = RowsToDelete::collect(tx, what)?;
            let counts = to_delete.counts(tx)?;
            keep_decisions(tx, &to_delete)?;
            let touched = touched(tx, &to_delete)?;
            to_delete.delete(tx)?;
            for image in touched {
                settle::place_objects(tx, image)?;
                settle::rematch(tx, image)?;
            }
            queue_index::mark_changed(tx)?;
            Ok(counts)
        })
    }

    /// Returns freed pages to the disk; `false` if another program has the database open, in which case they are reused later.
    pub fn give_back_free_pages(&mut self) -> bool {
        self.connection.execute_batch("VACUUM").is_ok()
    }
}

/// The rows to delete, by table.
#[derive(Default)]
struct RowsToDelete {
    /// By row id.
    rows: BTreeMap<String, BTreeSet<i64>>,
    /// For tables without row ids: the column, and the values whose rows are all deleted. Nothing refers to such tables.
    keyed: Vec<(String, String, String)>,
}

struct ForeignKey {
    child: String,
    column: String,
    parent: String,
    has_rowid: bool,
}

impl RowsToDelete {
    fn collect(c: &Connection, what: Deletion) -> Result<Self, StoreError> {
        let (table, id) = what.start();
        let exists = c.query_row(&format!("SELECT 1 FROM {table} WHERE id = ?1"), [id], |_| Ok(())).optional()?;
        if exists.is_none() {
            return Err(StoreError::missing(table.trim_end_matches('s'), id));
        }
        let keys = foreign_keys(c)?;
        let mut to_delete = Self::default();
        to_delete.rows.entry(table.to_owned()).or_default().insert(id);
        let mut open: Vec<(String, Vec<i64>)> = vec![(table.to_owned(), vec![id])];
        while let Some((parent, ids)) = open.pop() {
            let list = serde_json::json!(ids).to_string();
            for key in keys.iter().filter(|key| key.parent == parent) {
                let (child, column) = (quoted(&key.child), quoted(&key.column));
                if !key.has_rowid {
                    to_delete.keyed.push((key.child.clone(), key.column.clone(), list.clone()));
                    continue;
                }
                let sql = format!("SELECT rowid FROM {child} WHERE {column} IN (SELECT value FROM json_each(?1))");
                let mut statement = c.prepare(&sql)?;
                let found: Vec<i64> = statement.query_map([&list], |r| r.get(0))?.collect::<Result<_, _>>()?;
                let known = to_delete.rows.entry(key.child.clone()).or_default();
                let new: Vec<i64> = found.into_iter().filter(|id| known.insert(*id)).collect();
                if !new.is_empty() {
                    open.push((key.child.clone(), new));
                }
            }
        }
        Ok(to_delete)
    }

    fn list(&self, table: &str) -> String {
        serde_json::json!(self.rows.get(table).map(|ids| ids.iter().collect::<Vec<_>>()).unwrap_or_default())
            .to_string()
    }

    fn count(&self, table: &str) -> u64 {
        self.rows.get(table).map_or(0, |ids| ids.len() as u64)
    }

    fn counts(&self, c: &Connection) -> Result<DeletionCounts, StoreError> {
        let among = |sql: &str, table: &str| -> Result<u64, StoreError> {
            let sql =
                format!("SELECT count(*) FROM {table} WHERE rowid IN (SELECT value FROM json_each(?1)) AND {sql}");
            Ok(c.query_row(&sql, [self.list(table)], |r| r.get::<_, i64>(0))? as u64)
        };
        Ok(DeletionCounts {
            images: self.count("images"),
            objects: among("source = 'imported'", "ground_truth")?,
            found_objects: among("source <> 'imported'", "ground_truth")?,
            detections: self.count("detections"),
            candidates: self.count("candidates"),
            verdicts: self.count("verdicts"),
            decided: among("verdict IS NOT NULL", "candidates")?,
            image_marks: self.count("image_marks"),
            about_bytes: self.about_bytes(c)?,
        })
    }

    /// Estimates bytes from the database's size and the fraction of its rows that are deleted.
    fn about_bytes(&self, c: &Connection) -> Result<u64, StoreError> {
        let pages: i64 = c.pragma_query_value(None, "page_count", |r| r.get(0))?;
        let size: i64 = c.pragma_query_value(None, "page_size", |r| r.get(0))?;
        let mut all = 0_u64;
        for table in tables(c)? {
            all +=
                c.query_row(&format!("SELECT count(*) FROM {}", quoted(&table.0)), [], |r| r.get::<_, i64>(0))? as u64;
        }
        let going: u64 = self.rows.values().map(|ids| ids.len() as u64).sum();
        Ok(((pages * size) as u64 * going.min(all)).checked_div(all).unwrap_or(0))
    }

    /// Deletes the rows, including the log's: the triggers that forbid it are disabled meanwhile.
    fn delete(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        tx.pragma_update(None, "defer_foreign_keys", true)?;
        let triggers = self.triggers(tx)?;
        for (name, _) in &triggers {
            tx.execute_batch(&format!("DROP TRIGGER {}", quoted(name)))?;
        }
        for (table, column, list) in &self.keyed {
            let sql =
                format!("DELETE FROM {} WHERE {} IN (SELECT value FROM json_each(?1))", quoted(table), quoted(column));
            tx.execute(&sql, [list])?;
        }
        for table in self.rows.keys() {
            let sql = format!("DELETE FROM {} WHERE rowid IN (SELECT value FROM json_each(?1))", quoted(table));
            tx.execute(&sql, [self.list(table)])?;
        }
        triggers.iter().try_for_each(|(_, sql)| Ok(tx.execute_batch(sql)?))
    }

    /// Returns name and SQL text.
    fn triggers(&self, c: &Connection) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT name, sql, tbl_name FROM sqlite_schema WHERE type = 'trigger'";
        let mut statement = c.prepare(sql)?;
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get::<_, String>(2)?)))?;
        let all: Vec<(String, String, String)> = rows.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|row| self.rows.contains_key(&row.2)).map(|(name, sql, _)| (name, sql)).collect())
    }
}

/// Moves the decisions on deleted candidates and objects to the waiting lines.
fn keep_decisions(tx: &Transaction<'_>, to_delete: &RowsToDelete) -> Result<(), StoreError> {
    if to_delete.count("verdicts") == 0 && to_delete.count("corrections") == 0 {
        return Ok(());
    }
    let uids = |sql: &str, table: &str| -> Result<HashSet<[u8; 16]>, StoreError> {
        Ok(tx.prepare(sql)?.query_map([to_delete.list(table)], |r| r.get(0))?.collect::<Result<_, _>>()?)
    };
    let candidates = uids("SELECT uid FROM candidates WHERE id IN (SELECT value FROM json_each(?1))", "candidates")?;
    let corrections =
        uids("SELECT uid FROM corrections WHERE seq IN (SELECT value FROM json_each(?1))", "corrections")?;
    for line in exchange::log(tx)? {
        let goes = match &line {
            LogLine::Verdict(line) => candidates.contains(line.candidate.as_bytes()),
            LogLine::Correction(line) => corrections.contains(line.uid.as_bytes()),
        };
        if goes {
            waiting::keep(tx, line.uid(), &line)?;
        }
    }
    Ok(())
}

/// Returns the remaining images whose objects or candidates depend on deleted rows: those of a round's candidates, and copies of deleted
/// images.
fn touched(c: &Connection, to_delete: &RowsToDelete) -> Result<BTreeSet<ImageId>, StoreError> {
    let going = to_delete.rows.get("images");
    let is_going = |image: &ImageId| going.is_some_and(|ids| ids.contains(&image.0));
    let mut touched = BTreeSet::new();
    let sql = "SELECT DISTINCT image_id FROM candidates WHERE verdict IN ('missed_object', 'wrong_class')
               AND id IN (SELECT value FROM json_each(?1))";
    let mut statement = c.prepare(sql)?;
    let decided: Vec<i64> =
        statement.query_map([to_delete.list("candidates")], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for image in decided.into_iter().chain(going.into_iter().flatten().copied()) {
        touched.extend(images::copies(c, ImageId(image))?);
    }
    touched.retain(|image| !is_going(image));
    Ok(touched)
}

/// Returns each table's name, and whether its rows have ids.
fn tables(c: &Connection) -> Result<Vec<(String, bool)>, StoreError> {
    let sql = "SELECT name, wr = 0 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               ORDER BY name";
    let mut statement = c.prepare(sql)?;
    Ok(statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?)
}

fn foreign_keys(c: &Connection) -> Result<Vec<ForeignKey>, StoreError> {
    let mut keys = Vec::new();
    let mut statement = c.prepare("SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?1)")?;
    for (child, has_rowid) in tables(c)? {
        let mut rows = statement.query([&child])?;
        while let Some(row) = rows.next()? {
            keys.push(ForeignKey { child: child.clone(), column: row.get(0)?, parent: row.get(1)?, has_rowid });
        }
    }
    Ok(keys)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

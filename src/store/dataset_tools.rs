//! Changes to datasets in the project: custom splits, merging two datasets, import reports.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::connection::now_ms;
use super::{Store, StoreError, images, queue_index, settle};
use crate::domain::{DatasetId, ImageId};

/// How two datasets are merged: see [`Store::merge_datasets`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetMerge {
    pub from: DatasetId,
    pub into: DatasetId,
    pub name: String,
    /// A folder that contains both roots.
    pub root: String,
    /// The roots relative to that folder, with a trailing `/`; empty for the folder itself.
    pub prefix_from: String,
    pub prefix_into: String,
    /// Images of either dataset that are also in the other: from now on removed, kept with their verdicts and otherwise unused.
    pub repeated: Vec<ImageId>,
}

/// A stored import report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReport {
    pub id: i64,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// JSON.
    pub report: String,
}

/// Maximum number of reports per dataset.
const REPORTS_KEPT: i64 = 20;

impl Store {
    /// Assigns splits to images of a dataset; `plan` is JSON that describes how they were made. Later imports leave the splits unchanged.
    /// With `plan: None` they last until the next import, which restores the dataset's own.
    pub fn set_splits(
        &mut self,
        dataset: DatasetId,
        splits: &[(ImageId, Option<String>)],
        plan: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "UPDATE datasets SET split_plan = ?2 WHERE id = ?1";
            if tx.execute(sql, params![dataset.0, plan])? == 0 {
                return Err(StoreError::missing("dataset", dataset));
            }
            for (image, split) in splits {
                let sql = "UPDATE images SET split = ?3 WHERE id = ?1 AND dataset_id = ?2";
                if tx.prepare_cached(sql)?.execute(params![image.0, dataset.0, split])? == 0 {
                    return Err(StoreError::missing("image", image));
                }
            }
            queue_index::mark_changed(tx)
        })
    }

    /// Returns how the project split the dataset; `None`: its splits are its own.
    pub fn split_plan(&self, dataset: DatasetId) -> Result<Option<String>, StoreError> {
        self.read(|c| split_plan(c, dataset))
    }

    /// Merges two datasets with all images, verdicts and candidates. A name that both have is prefixed with the dataset's name. The result
    /// has the kind `merged`: imports do not match it to a dataset.
    pub fn merge_datasets(&mut self, merge: &DatasetMerge) -> Result<(), StoreError> {
        let DatasetMerge { from, into, .. } = *merge;
        if from == into {
            return Err(StoreError::Invalid("a dataset cannot be merged with itself".to_owned()));
        }
        self.write(|tx| {
            let name_of = |dataset: DatasetId| -> Result<String, StoreError> {
                let sql = "SELECT name FROM datasets WHERE id = ?1";
                let name = tx.query_row(sql, [dataset.0], |r| r.get(0)).optional()?;
                name.ok_or_else(|| StoreError::missing("dataset", dataset))
            };
            let from_name = name_of(from)?;
            name_of(into)?;
            let mut taken: HashSet<String> =
                images::of_dataset(tx, into)?.into_iter().map(|image| image.record.name).collect();
            tx.execute(
                "UPDATE images SET path = ?2 || path WHERE dataset_id = ?1",
                params![into.0, merge.prefix_into],
            )?;
            for image in images::of_dataset(tx, from)? {
                let mut name = image.record.name.clone();
                if !taken.insert(name.clone()) {
                    name = format!("{from_name}/{name}");
                    while !taken.insert(name.clone()) {
                        name.push('_');
                    }
                }
                let path = format!("{}{}", merge.prefix_from, image.record.path);
                let sql = "UPDATE images SET dataset_id = ?2, name = ?3, path = ?4 WHERE id = ?1";
                tx.prepare_cached(sql)?.execute(params![image.record.id.0, into.0, name, path])?;
            }
            let now = now_ms();
            for image in &merge.repeated {
                images::remove(tx, *image, now)?;
                settle::rematch(tx, *image)?;
            }
            tx.execute(
                "UPDATE datasets SET root = ?2, name = ?3, kind = 'merged' WHERE id = ?1",
                params![into.0, merge.root, merge.name],
            )?;
            tx.execute("UPDATE import_reports SET dataset_id = ?2 WHERE dataset_id = ?1", [from.0, into.0])?;
            tx.execute("DELETE FROM datasets WHERE id = ?1", [from.0])?;
            queue_index::mark_changed(tx)
        })
    }

    /// Stores an import report of the dataset and removes the oldest of more than twenty.
    pub fn keep_import_report(&mut self, dataset: DatasetId, report: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO import_reports (dataset_id, time_ms, report) VALUES (?1, ?2, ?3)";
            tx.execute(sql, params![dataset.0, now_ms(), report])?;
            let sql = "DELETE FROM import_reports WHERE dataset_id = ?1 AND id NOT IN (
                           SELECT id FROM import_reports WHERE dataset_id = ?1 ORDER BY id DESC LIMIT ?2)";
            tx.execute(sql, [dataset.0, REPORTS_KEPT])?;
            Ok(())
        })
    }

    /// Returns the dataset's import reports, newest first.
    pub fn import_reports(&self, dataset: DatasetId) -> Result<Vec<KeptReport>, StoreError> {
        self.read(|c| {
            if !c.table_exists(None, "import_reports")? {
                return Ok(Vec::new());
            }
            let sql = "SELECT id, time_ms, report FROM import_reports WHERE dataset_id = ?1 ORDER BY id DESC";
            let mut statement = c.prepare(sql)?;
            let read = |r: &rusqlite::Row<'_>| Ok(KeptReport { id: r.get(0)?, time_ms: r.get(1)?, report: r.get(2)? });
            Ok(statement.query_map([dataset.0], read)?.collect::<Result<_, _>>()?)
        })
    }
}

pub(super) fn split_plan(c: &Connection, dataset: DatasetId) -> Result<Option<String>, StoreError> {
    if !c.column_exists(None, "datasets", "split_plan")? {
        return Ok(None);
    }
    let sql = "SELECT split_plan FROM datasets WHERE id = ?1";
    Ok(c.query_row(sql, [dataset.0], |r| r.get(0)).optional()?.flatten())
}

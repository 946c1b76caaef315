//! Datasets and their import. Must not know any dataset's file format: the rows come ready from the workflow.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::connection::{new_uid, now_ms};
use super::{Store, StoreError, ground_truth, images, queue_index, standing};
use crate::domain::{Annotation, DatasetId};

/// A dataset to import: everything of it, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDataset {
    pub name: String,
    /// The format's word: `fddb`, `folder`, `sample` ...
    pub kind: String,
    /// Absolute folder that the image paths are relative to.
    pub root: PathBuf,
    pub images: Vec<NewImage>,
}

/// An image of a [`NewDataset`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewImage {
    /// The name in the dataset's own lists, unique within the dataset.
    pub name: String,
    /// Relative to the dataset's root.
    pub path: PathBuf,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
    pub width: u32,
    pub height: u32,
    pub fold: Option<u8>,
    pub faces: Vec<Annotation>,
}

/// A dataset of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub id: DatasetId,
    pub name: String,
    pub kind: String,
    pub root: PathBuf,
    /// Milliseconds since the Unix epoch.
    pub imported_ms: i64,
}

/// What an import changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportCounts {
    pub dataset: DatasetId,
    pub added: usize,
    /// Content, size, fold or faces differ from the import before.
    pub changed: usize,
    pub unchanged: usize,
}

impl Store {
    /// Imports a dataset in one transaction. One that is there already (same kind, and the same root or the same images by name and
    /// content) is brought up to date: its root follows, new images are added, changed ones updated. Images that the folder no
    /// longer has stay, with their verdicts; so do promoted faces.
    pub fn add_dataset(&mut self, new: &NewDataset) -> Result<ImportCounts, StoreError> {
        let root = utf8(&new.root)?;
        refuse_repeated_names(new)?;
        self.write(|tx| {
            let dataset = match find(tx, new, root)? {
                Some(known) => {
                    let sql = "UPDATE datasets SET root = ?2, name = ?3, imported_ms = ?4 WHERE id = ?1";
                    tx.execute(sql, params![known.0, root, new.name, now_ms()])?;
                    known
                }
                None => insert(tx, new, root)?,
            };
            let mut counts = ImportCounts { dataset, added: 0, changed: 0, unchanged: 0 };
            for image in &new.images {
                match images::upsert(tx, dataset, image)? {
                    images::Upserted::Added(id) => {
                        ground_truth::replace_imported(tx, id, &image.faces)?;
                        counts.added += 1;
                    }
                    images::Upserted::Known { id, changed } => {
                        if ground_truth::replace_imported(tx, id, &image.faces)? {
                            standing::rematch(tx, id)?;
                            counts.changed += 1;
                        } else if changed {
                            counts.changed += 1;
                        } else {
                            counts.unchanged += 1;
                        }
                    }
                }
            }
            queue_index::mark_changed(tx)?;
            Ok(counts)
        })
    }

    /// In the order of import.
    pub fn datasets(&self) -> Result<Vec<Dataset>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare("SELECT id, name, kind, root, imported_ms FROM datasets ORDER BY id")?;
            let rows = statement.query_map([], |r| {
                Ok(Dataset {
                    id: DatasetId(r.get(0)?),
                    name: r.get(1)?,
                    kind: r.get(2)?,
                    root: r.get::<_, String>(3)?.into(),
                    imported_ms: r.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Tells where the folder of a dataset lies now. Nothing on the disk is touched.
    pub fn move_dataset(&mut self, dataset: DatasetId, root: &Path) -> Result<(), StoreError> {
        let root = utf8(root)?;
        self.write(|tx| match tx.execute("UPDATE datasets SET root = ?2 WHERE id = ?1", params![dataset.0, root])? {
            0 => Err(StoreError::missing("dataset", dataset)),
            _ => Ok(()),
        })
    }
}

fn find(tx: &Transaction<'_>, new: &NewDataset, root: &str) -> Result<Option<DatasetId>, StoreError> {
    let sql = "SELECT id FROM datasets WHERE kind = ?1 AND root = ?2";
    let same_root = tx.query_row(sql, params![new.kind, root], |r| r.get(0)).optional()?;
    if let Some(id) = same_root {
        return Ok(Some(DatasetId(id)));
    }
    let mut statement = tx.prepare("SELECT id FROM datasets WHERE kind = ?1 ORDER BY id")?;
    let of_kind: Vec<i64> = statement.query_map([&new.kind], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for id in of_kind {
        if same_content(tx, id, new)? {
            return Ok(Some(DatasetId(id)));
        }
    }
    Ok(None)
}

/// Whether the dataset holds the same images by name and content: a folder that was moved.
fn same_content(connection: &Connection, dataset: i64, new: &NewDataset) -> Result<bool, StoreError> {
    let mut statement = connection.prepare("SELECT name, content_hash FROM images WHERE dataset_id = ?1")?;
    let stored: HashMap<String, String> =
        statement.query_map([dataset], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?;
    let same = |image: &NewImage| stored.get(&image.name) == Some(&image.content_hash);
    Ok(!stored.is_empty() && stored.len() == new.images.len() && new.images.iter().all(same))
}

fn insert(tx: &Transaction<'_>, new: &NewDataset, root: &str) -> Result<DatasetId, StoreError> {
    let sql = "INSERT INTO datasets (uid, name, kind, root, imported_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(sql, params![new_uid(), new.name, new.kind, root, now_ms()])?;
    Ok(DatasetId(tx.last_insert_rowid()))
}

fn refuse_repeated_names(new: &NewDataset) -> Result<(), StoreError> {
    let mut names: Vec<&str> = new.images.iter().map(|i| i.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(StoreError::Invalid(format!("image `{}` is listed twice in dataset `{}`", pair[0], new.name)))
        }
        None => Ok(()),
    }
}

fn utf8(path: &Path) -> Result<&str, StoreError> {
    path.to_str()
        .ok_or_else(|| StoreError::Invalid(format!("{} is not a UTF-8 path; rename the folder", path.display())))
}

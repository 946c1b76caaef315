//! Imports datasets from rows that the workflow has read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::connection::{new_uid, now_ms};
use super::new_dataset::{ImportCounts, NewDataset, NewImage};
use super::reimport::Reimport;
use super::{Store, StoreError, classes, exchange, images, queue_index};
use crate::domain::{DatasetId, ImageRecord};

/// The kind of a dataset without lists: it contains whatever is in the folder.
const PLAIN_FOLDER: &str = "folder";

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

impl Store {
    /// [`Store::import_dataset`] of a dataset that was read completely.
    pub fn add_dataset(&mut self, new: &NewDataset) -> Result<ImportCounts, StoreError> {
        self.import_dataset(new, &[])
    }

    /// Imports a dataset in one transaction. A known dataset is updated: its root is replaced, new images are added, changed ones updated,
    /// renamed ones matched by content. Images that the dataset no longer has are kept as removed, with their verdicts; promoted objects
    /// are kept too. `unread`: names of images or folders that could not be read; they are left unchanged.
    ///
    /// A dataset is known if one of the same kind has the same root and a common image, or mostly the same image content: more than half of
    /// the larger one, or half if one contains the other. Of two plain folders that both exist, one must contain the other.
    pub fn import_dataset(&mut self, new: &NewDataset, unread: &[String]) -> Result<ImportCounts, StoreError> {
        refuse_repeated_names(new)?;
        refuse_unknown_classes(new)?;
        self.write(|tx| {
            let known = find(tx, new, Some(unread))?;
            let name = free_name(tx, &new.name, known)?;
            import_into(tx, known, new, unread, &name)
        })
    }

    /// Returns what [`Store::import_dataset`] would change, without writing.
    pub fn preview_import(&self, new: &NewDataset, unread: &[String]) -> Result<ImportCounts, StoreError> {
        refuse_repeated_names(new)?;
        refuse_unknown_classes(new)?;
        self.read(|c| {
            let known = find(c, new, Some(unread))?;
            Reimport::plan(c, known, new, unread)?.counts(c, known)
        })
    }

    /// Returns the project's dataset that matches `new`, if any. `is_part`: `new` is one split of it, which may have none of its images.
    pub fn known_dataset(&self, new: &NewDataset, is_part: bool) -> Result<Option<DatasetId>, StoreError> {
        self.read(|c| find(c, new, (!is_part).then_some(&[])))
    }

    /// Replaces this project's datasets with those of another one, in the same order; for copies of a project that never had others.
    pub fn mirror_datasets(&mut self, all: &[NewDataset]) -> Result<(), StoreError> {
        let mut known = self.datasets()?.into_iter().map(|dataset| dataset.id);
        all.iter().try_for_each(|new| {
            let into = known.next();
            self.write(|tx| import_into(tx, into, new, &[], &new.name).map(|_| ()))
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

    /// Sets the folder of a dataset that was moved. Changes nothing on disk.
    pub fn move_dataset(&mut self, dataset: DatasetId, root: &Path) -> Result<(), StoreError> {
        let root = utf8(root)?;
        self.write(|tx| match tx.execute("UPDATE datasets SET root = ?2 WHERE id = ?1", params![dataset.0, root])? {
            0 => Err(StoreError::missing("dataset", dataset)),
            _ => Ok(()),
        })
    }
}

fn import_into(
    tx: &Transaction<'_>,
    known: Option<DatasetId>,
    new: &NewDataset,
    unread: &[String],
    name: &str,
) -> Result<ImportCounts, StoreError> {
    let root = utf8(&new.root)?;
    for name in &new.classes {
        classes::find_or_insert(tx, name, &new.kind)?;
    }
    let plan = Reimport::plan(tx, known, new, unread)?;
    let mut counts = plan.counts(tx, known)?;
    let dataset = match known {
        Some(known) => {
            let sql = "UPDATE datasets SET root = ?2, name = ?3, imported_ms = ?4 WHERE id = ?1";
            tx.execute(sql, params![known.0, root, name, now_ms()])?;
            known
        }
        None => insert(tx, new, root, name)?,
    };
    plan.apply(tx, dataset)?;
    exchange::place_waiting(tx)?;
    queue_index::mark_changed(tx)?;
    counts.dataset = Some(dataset);
    Ok(counts)
}

/// Returns the dataset that `new` is. `unread`: names of more of its images; `None`: any may be.
fn find(c: &Connection, new: &NewDataset, unread: Option<&[String]>) -> Result<Option<DatasetId>, StoreError> {
    let root = utf8(&new.root)?;
    let mut statement = c.prepare("SELECT id FROM datasets WHERE kind = ?1 AND root = ?2 ORDER BY id")?;
    let same_root: Vec<i64> = statement.query_map(params![new.kind, root], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for id in same_root.into_iter().map(DatasetId) {
        let may_be_any = new.kind == PLAIN_FOLDER || unread.is_none();
        if may_be_any || shares_an_image(c, id, new, unread.unwrap_or_default())? {
            return Ok(Some(id));
        }
    }
    let mut statement = c.prepare("SELECT id, root FROM datasets WHERE kind = ?1 ORDER BY id")?;
    let of_kind: Vec<(i64, String)> =
        statement.query_map([&new.kind], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?;
    for (id, old_root) in of_kind {
        if is_mostly(c, DatasetId(id), Path::new(&old_root), new)? {
            return Ok(Some(DatasetId(id)));
        }
    }
    Ok(None)
}

/// Whether a dataset in the same folder has an image of the new one, or either has none. Lists of different images of one folder
/// (`train.json` and `val.json`) are different datasets.
fn shares_an_image(
    c: &Connection,
    dataset: DatasetId,
    new: &NewDataset,
    unread: &[String],
) -> Result<bool, StoreError> {
    let stored = images::of_dataset(c, dataset)?;
    let names: HashSet<&str> = new.images.iter().map(|image| &image.name).chain(unread).map(String::as_str).collect();
    let bytes: HashSet<&str> = new.images.iter().map(|image| image.content_hash.as_str()).collect();
    let is_there =
        |image: &ImageRecord| names.contains(image.name.as_str()) || bytes.contains(image.content_hash.as_str());
    Ok(stored.is_empty() || new.images.is_empty() || stored.iter().any(|image| is_there(&image.record)))
}

/// Returns a name that no other dataset has, since commands take datasets by name: `wanted`, or with a number from 2 on. A known dataset
/// keeps its number.
fn free_name(c: &Connection, wanted: &str, known: Option<DatasetId>) -> Result<String, StoreError> {
    let mut statement = c.prepare_cached("SELECT name FROM datasets WHERE id IS NOT ?1")?;
    let taken: HashSet<String> =
        statement.query_map([known.map(|known| known.0)], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let own: Option<String> = c
        .prepare_cached("SELECT name FROM datasets WHERE id = ?1")?
        .query_row([known.map(|known| known.0)], |r| r.get(0))
        .optional()?;
    let is_numbered = |name: &String| {
        let number = name.strip_prefix(wanted).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    if let Some(own) = own.filter(|own| is_numbered(own) && !taken.contains(own)) {
        return Ok(own);
    }
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    Ok(names.find(|name| !taken.contains(name)).unwrap_or_else(|| wanted.to_owned()))
}

/// Whether the dataset at `old_root` is the new one under another root. See [`Store::import_dataset`] for the rule.
fn is_mostly(c: &Connection, dataset: DatasetId, old_root: &Path, new: &NewDataset) -> Result<bool, StoreError> {
    let stored: Vec<String> = images::of_dataset(c, dataset)?
        .into_iter()
        .filter(|image| !image.is_removed)
        .map(|image| image.record.content_hash)
        .collect();
    let mut free: HashMap<&str, usize> = HashMap::new();
    for hash in &stored {
        *free.entry(hash.as_str()).or_default() += 1;
    }
    let is_there = |image: &&NewImage| match free.get_mut(image.content_hash.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    let same = new.images.iter().filter(is_there).count();
    let (smaller, larger) = (stored.len().min(new.images.len()), stored.len().max(new.images.len()));
    // Two lists of mostly the same images are one dataset. Two folders may well share some files.
    let is_one_in_the_other = same == smaller;
    let is_list = new.kind != PLAIN_FOLDER;
    let is_half = if is_one_in_the_other { same * 2 >= larger } else { same * 2 > larger };
    Ok(same > 0 && is_half && (is_list || is_one_in_the_other || !old_root.is_dir()))
}

fn insert(tx: &Transaction<'_>, new: &NewDataset, root: &str, name: &str) -> Result<DatasetId, StoreError> {
    let sql = "INSERT INTO datasets (uid, name, kind, root, imported_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(sql, params![new_uid(), name, new.kind, root, now_ms()])?;
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

fn refuse_unknown_classes(new: &NewDataset) -> Result<(), StoreError> {
    let count = new.classes.len();
    let is_unknown = |image: &&NewImage| image.objects.iter().any(|object| object.class as usize >= count);
    match new.images.iter().find(is_unknown) {
        Some(image) => {
            let text = format!(
                "an object of image `{}` has none of the {count} classes of dataset `{}`",
                image.name, new.name
            );
            Err(StoreError::Invalid(text))
        }
        None => Ok(()),
    }
}

fn utf8(path: &Path) -> Result<&str, StoreError> {
    path.to_str()
        .ok_or_else(|| StoreError::Invalid(format!("{} is not a UTF-8 path; rename the folder", path.display())))
}

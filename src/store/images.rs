//! Photographs: name, place below the dataset's root, identity by content. Must not open a file.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::connection::new_uid;
use super::{NewImage, Store, StoreError};
use crate::domain::{DatasetId, ImageId, ImageRecord};

const COLUMNS: &str = "id, dataset_id, name, path, content_hash, width, height, fold";

/// What an import made of one image.
pub(super) enum Upserted {
    Added(ImageId),
    Known { id: ImageId, changed: bool },
}

impl Store {
    /// All images in the order of import.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("SELECT {COLUMNS} FROM images ORDER BY id"))?;
            Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// How many images each fold has, `None` for those without one; read from an index alone.
    pub fn images_of_folds(&self) -> Result<Vec<(Option<u8>, u64)>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare("SELECT fold, count(*) FROM images GROUP BY fold ORDER BY fold")?;
            let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    pub fn image(&self, image: ImageId) -> Result<ImageRecord, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE id = ?1"))?;
            statement.query_row([image.0], from_row).optional()?.ok_or_else(|| StoreError::missing("image", image))
        })
    }

    /// Where the file lies as the dataset's root stands now; it may be gone.
    pub fn image_file(&self, image: ImageId) -> Result<PathBuf, StoreError> {
        self.read(|c| {
            let sql = "SELECT d.root, i.path FROM images i JOIN datasets d ON d.id = i.dataset_id WHERE i.id = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let found = statement.query_row([image.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
            let (root, path): (String, String) = found.ok_or_else(|| StoreError::missing("image", image))?;
            Ok(PathBuf::from(root).join(path))
        })
    }
}

pub(super) fn upsert(tx: &Transaction<'_>, dataset: DatasetId, new: &NewImage) -> Result<Upserted, StoreError> {
    let path = stored_path(new)?;
    let sql = format!("SELECT {COLUMNS} FROM images WHERE dataset_id = ?1 AND name = ?2");
    let known = tx.prepare_cached(&sql)?.query_row(params![dataset.0, new.name], from_row).optional()?;
    let Some(old) = known else {
        let sql = "INSERT INTO images (uid, dataset_id, name, path, content_hash, width, height, fold)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let values = params![new_uid(), dataset.0, new.name, path, new.content_hash, new.width, new.height, new.fold];
        tx.prepare_cached(sql)?.execute(values)?;
        return Ok(Upserted::Added(ImageId(tx.last_insert_rowid())));
    };
    let stored = (&old.path, &old.content_hash, old.width, old.height, old.fold);
    let changed = stored != (&path, &new.content_hash, new.width, new.height, new.fold);
    if changed {
        let sql = "UPDATE images SET path = ?2, content_hash = ?3, width = ?4, height = ?5, fold = ?6 WHERE id = ?1";
        tx.prepare_cached(sql)?.execute(params![old.id.0, path, new.content_hash, new.width, new.height, new.fold])?;
    }
    Ok(Upserted::Known { id: old.id, changed })
}

/// With `/` on every system, so that a project can change computers.
fn stored_path(new: &NewImage) -> Result<String, StoreError> {
    if new.path.is_absolute() {
        let text = format!("{} must be relative to the dataset's root", new.path.display());
        return Err(StoreError::Invalid(text));
    }
    match new.path.to_str() {
        Some(path) => Ok(path.replace(std::path::MAIN_SEPARATOR, "/")),
        None => Err(StoreError::Invalid(format!("{} is not a UTF-8 path; rename the file", new.path.display()))),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ImageRecord> {
    Ok(ImageRecord {
        id: ImageId(row.get(0)?),
        dataset: DatasetId(row.get(1)?),
        name: row.get(2)?,
        path: row.get(3)?,
        content_hash: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        fold: row.get(7)?,
    })
}

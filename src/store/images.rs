//! Images: name, path below the dataset's root, content identity.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::connection::new_uid;
use super::new_dataset::NewImage;
use super::present_images::present;
use super::{Store, StoreError};
use crate::domain::{DatasetId, ImageId, ImageRecord, stays_below};

const COLUMNS: &str = "id, dataset_id, name, path, content_hash, width, height, split";

impl Store {
    /// Returns all images of the datasets in import order, without removed ones.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM images WHERE {} ORDER BY id", present(c)?);
            let mut statement = c.prepare(&sql)?;
            Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the number of removed images per dataset; a dataset without any has no entry.
    pub fn removed_images(&self) -> Result<HashMap<DatasetId, usize>, StoreError> {
        self.read(|c| {
            let sql =
                format!("SELECT dataset_id, count(*) FROM images WHERE NOT ({}) GROUP BY dataset_id", present(c)?);
            let mut statement = c.prepare(&sql)?;
            let rows = statement.query_map([], |r| Ok((DatasetId(r.get(0)?), r.get::<_, i64>(1)? as usize)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the number of images per split, `None` for images without one. Removed images are excluded.
    pub fn images_of_splits(&self) -> Result<Vec<(Option<String>, u64)>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT split, count(*) FROM images WHERE {} GROUP BY split ORDER BY split", present(c)?);
            let mut statement = c.prepare(&sql)?;
            let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Counts images that the dataset no longer contains; they are kept with their verdicts.
    pub fn count_removed_images(&self, dataset: DatasetId) -> Result<u64, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT count(*) FROM images WHERE dataset_id = ?1 AND NOT ({})", present(c)?);
            Ok(c.query_row(&sql, [dataset.0], |r| r.get::<_, i64>(0))? as u64)
        })
    }

    pub fn image(&self, image: ImageId) -> Result<ImageRecord, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE id = ?1"))?;
            statement.query_row([image.0], from_row).optional()?.ok_or_else(|| StoreError::missing("image", image))
        })
    }

    /// Returns the image's path under the dataset's current root; it may not exist.
    pub fn image_file(&self, image: ImageId) -> Result<PathBuf, StoreError> {
        self.read(|c| {
            let sql = "SELECT d.root, i.path FROM images i JOIN datasets d ON d.id = i.dataset_id WHERE i.id = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let found = statement.query_row([image.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
            let (root, path): (String, String) = found.ok_or_else(|| StoreError::missing("image", image))?;
            if !stays_below(Path::new(&path)) {
                let text = format!(
                    "{}: the path `{}` of image {image} leaves its dataset's folder; it was not opened. The database was not made by \
                     Quarry alone: import the dataset again",
                    self.path.display(),
                    path.escape_debug()
                );
                return Err(StoreError::Invalid(text));
            }
            Ok(PathBuf::from(root).join(path))
        })
    }
}

impl Store {
    /// Returns the paths of all images under their datasets' current roots. A path that leaves its dataset's folder has no entry.
    pub fn image_files(&self) -> Result<HashMap<ImageId, PathBuf>, StoreError> {
        self.read(|c| {
            let sql = "SELECT i.id, d.root, i.path FROM images i JOIN datasets d ON d.id = i.dataset_id";
            let mut statement = c.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut files = HashMap::new();
            while let Some(row) = rows.next()? {
                let (root, path): (String, String) = (row.get(1)?, row.get(2)?);
                if stays_below(Path::new(&path)) {
                    files.insert(ImageId(row.get(0)?), Path::new(&root).join(path));
                }
            }
            Ok(files)
        })
    }
}

impl Store {
    /// Returns the folders of a dataset's images relative to its root, without those outside it.
    pub fn image_folders(&self, dataset: DatasetId) -> Result<BTreeSet<PathBuf>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT path FROM images WHERE dataset_id = ?1")?;
            let mut rows = statement.query([dataset.0])?;
            let mut folders = BTreeSet::new();
            while let Some(row) = rows.next()? {
                let folder = Path::new(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
                    .parent()
                    .unwrap_or(Path::new(""));
                if !folders.contains(folder) && stays_below(folder) {
                    folders.insert(folder.to_path_buf());
                }
            }
            Ok(folders)
        })
    }
}

/// An image of a dataset, and whether it was removed.
pub(super) struct StoredImage {
    pub record: ImageRecord,
    pub is_removed: bool,
}

/// Returns all images that a dataset ever had in the project, in import order.
pub(super) fn of_dataset(c: &Connection, dataset: DatasetId) -> Result<Vec<StoredImage>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, NOT ({}) FROM images WHERE dataset_id = ?1 ORDER BY id", present(c)?);
    let mut statement = c.prepare(&sql)?;
    let rows = statement.query_map([dataset.0], |r| Ok(StoredImage { record: from_row(r)?, is_removed: r.get(8)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether the project has images of other datasets.
pub(super) fn others_exist(c: &Connection, own: Option<DatasetId>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM images WHERE dataset_id IS NOT ?1 LIMIT 1";
    Ok(c.prepare(sql)?.exists([own.map(|id| id.0)])?)
}

/// Returns width and height in pixels.
pub(super) fn size(c: &Connection, image: ImageId) -> Result<(u32, u32), StoreError> {
    let mut statement = c.prepare_cached("SELECT width, height FROM images WHERE id = ?1")?;
    let size = statement.query_row([image.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    size.ok_or_else(|| StoreError::missing("image", image))
}

/// Returns the image itself, and those with the same content in other datasets.
pub(super) fn copies(c: &Connection, image: ImageId) -> Result<Vec<ImageId>, StoreError> {
    let sql = format!(
        "SELECT ?1 UNION SELECT b.id FROM images a JOIN images b ON b.content_hash = a.content_hash
         WHERE a.id = ?1 AND b.dataset_id <> a.dataset_id AND b.{}",
        present(c)?
    );
    let sql = sql.replace("b.TRUE", "TRUE");
    let mut statement = c.prepare_cached(&sql)?;
    Ok(statement.query_map([image.0], |r| Ok(ImageId(r.get(0)?)))?.collect::<Result<_, _>>()?)
}

pub(super) fn insert(tx: &Transaction<'_>, dataset: DatasetId, new: &NewImage) -> Result<ImageId, StoreError> {
    let path = stored_path(new)?;
    let sql = "INSERT INTO images (uid, dataset_id, name, path, content_hash, width, height, split)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values = params![new_uid(), dataset.0, new.name, path, new.content_hash, new.width, new.height, new.split];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(ImageId(tx.last_insert_rowid()))
}

/// Updates a stored image from the import; a removed image returns to its dataset.
pub(super) fn update(tx: &Transaction<'_>, id: ImageId, new: &NewImage) -> Result<(), StoreError> {
    let path = stored_path(new)?;
    let sql = "UPDATE images SET name = ?2, path = ?3, content_hash = ?4, width = ?5, height = ?6, split = ?7,
               removed_ms = NULL WHERE id = ?1";
    let values = params![id.0, new.name, path, new.content_hash, new.width, new.height, new.split];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(super) fn rename(tx: &Transaction<'_>, id: ImageId, name: &str) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE images SET name = ?2 WHERE id = ?1")?.execute(params![id.0, name])?;
    Ok(())
}

pub(super) fn remove(tx: &Transaction<'_>, id: ImageId, now_ms: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE images SET removed_ms = ?2 WHERE id = ?1")?.execute(params![id.0, now_ms])?;
    Ok(())
}

/// Uses `/` on every system, so that a project can move between computers.
pub(super) fn stored_path(new: &NewImage) -> Result<String, StoreError> {
    if !stays_below(&new.path) {
        let text = format!("{} must be relative to the dataset's root and stay below it", new.path.display());
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
        split: row.get(7)?,
    })
}

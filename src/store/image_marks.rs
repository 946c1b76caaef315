//! Marks on whole images: an annotator confirms that no object lacks an annotation. An append-only log like the verdict log; another row
//! removes a mark.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::connection::{new_uid, now_ms};
use super::{Store, StoreError, annotators, present_images};
use crate::domain::ImageId;

/// Condition for an effective row `m`: its annotator's newest on the image, set, and given on the image's current content.
const CURRENT: &str = "m.complete = 1 AND m.content_hash = i.content_hash AND NOT EXISTS (
    SELECT 1 FROM image_marks later WHERE later.image_id = m.image_id AND later.annotator_id = m.annotator_id AND later.seq > m.seq)";

impl Store {
    /// Sets or removes an annotator's marks on images in one transaction. Images already in that state get no new row; returns the number
    /// changed.
    pub fn mark_images(&mut self, images: &[ImageId], annotator: &str, complete: bool) -> Result<usize, StoreError> {
        self.write(|tx| {
            let annotator = annotators::find_or_insert(tx, annotator)?;
            let mut changed = 0;
            for image in images {
                changed += usize::from(mark(tx, *image, annotator, complete)?);
            }
            Ok(changed)
        })
    }

    /// Toggles the annotator's mark on one image; returns the new state.
    pub fn toggle_image_mark(&mut self, image: ImageId, annotator: &str) -> Result<bool, StoreError> {
        self.write(|tx| {
            let annotator = annotators::find_or_insert(tx, annotator)?;
            let complete = !is_marked_by(tx, image, annotator)?;
            mark(tx, image, annotator, complete)?;
            Ok(complete)
        })
    }

    /// Returns the images marked as complete by any annotator, with the annotators' names ordered by their first verdict.
    pub fn complete_images(&self) -> Result<BTreeMap<ImageId, Vec<String>>, StoreError> {
        self.read(|c| {
            if !c.table_exists(None, "image_marks")? {
                return Ok(BTreeMap::new());
            }
            let sql = format!(
                "SELECT m.image_id, a.name FROM image_marks m JOIN images i ON i.id = m.image_id
                 JOIN annotators a ON a.id = m.annotator_id WHERE {CURRENT} ORDER BY m.image_id, a.id"
            );
            let mut statement = c.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut complete: BTreeMap<ImageId, Vec<String>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                complete.entry(ImageId(row.get(0)?)).or_default().push(row.get(1)?);
            }
            Ok(complete)
        })
    }

    /// Returns the annotators who marked the image as complete.
    pub fn image_marks(&self, image: ImageId) -> Result<Vec<String>, StoreError> {
        self.read(|c| {
            if !c.table_exists(None, "image_marks")? {
                return Ok(Vec::new());
            }
            let sql = format!(
                "SELECT a.name FROM image_marks m JOIN images i ON i.id = m.image_id
                 JOIN annotators a ON a.id = m.annotator_id WHERE m.image_id = ?1 AND {CURRENT} ORDER BY a.id"
            );
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map([image.0], |r| r.get(0))?.collect::<Result<_, _>>()?)
        })
    }
}

fn is_marked_by(c: &Connection, image: ImageId, annotator: i64) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT 1 FROM image_marks m JOIN images i ON i.id = m.image_id
         WHERE m.image_id = ?1 AND m.annotator_id = ?2 AND {CURRENT}"
    );
    Ok(c.prepare_cached(&sql)?.exists([image.0, annotator])?)
}

/// Returns whether a row was needed.
fn mark(tx: &Transaction<'_>, image: ImageId, annotator: i64, complete: bool) -> Result<bool, StoreError> {
    let sql = format!("SELECT content_hash, {} FROM images WHERE id = ?1", present_images::present(tx)?);
    let found: Option<(String, bool)> =
        tx.prepare_cached(&sql)?.query_row([image.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    let (content_hash, is_present) = found.ok_or_else(|| StoreError::missing("image", image))?;
    if complete && !is_present {
        let text = format!("image {image} is no longer in its dataset and cannot be marked as complete");
        return Err(StoreError::Invalid(text));
    }
    if is_marked_by(tx, image, annotator)? == complete {
        return Ok(false);
    }
    let sql = "INSERT INTO image_marks (uid, image_id, annotator_id, complete, content_hash, time_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    tx.prepare_cached(sql)?.execute(params![new_uid(), image.0, annotator, complete, content_hash, now_ms()])?;
    Ok(true)
}

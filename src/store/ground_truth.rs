//! Annotated objects: the dataset's own, promoted and added ones, and corrections, which replace the dataset's own. All but the dataset's
//! own are derived from the verdict and correction logs (`settle.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::columns::{annotation, shape_columns};
use super::connection::new_uid;
use super::correction_rows::ObjectId;
use super::{Store, StoreError, images, present_images};
use crate::domain::{Annotation, AnnotationSource, CandidateId, ClassId, GroundTruthId, ImageId, ObjectState};
use crate::geometry::BoundingBox;

const COLUMNS: &str = "class_id, shape, a, b, c, d, e, source, ignored";

/// Condition for an effective row `g`. A corrected object is replaced by its correction, unless that deletes the object.
const CURRENT: &str =
    "g.removed = 0 AND NOT EXISTS (SELECT 1 FROM ground_truth correction WHERE correction.corrects = g.id)";

impl Store {
    /// Returns the current objects of an image, including corrected and promoted ones, in insertion order.
    pub fn ground_truth(&self, image: ImageId) -> Result<Vec<(GroundTruthId, Annotation)>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT id, {COLUMNS} FROM ground_truth g WHERE image_id = ?1 AND {CURRENT} ORDER BY id");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map([image.0], |r| Ok((GroundTruthId(r.get(0)?), annotation(r, 1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// [`Store::ground_truth`] of all images; an image without objects has no entry.
    pub fn ground_truth_by_image(&self) -> Result<HashMap<ImageId, Vec<(GroundTruthId, Annotation)>>, StoreError> {
        self.with_ids(CURRENT)
    }

    /// Returns the datasets' own objects as imported, with their ids; an image without any has no entry.
    pub fn imported_by_image(&self) -> Result<HashMap<ImageId, Vec<(GroundTruthId, Annotation)>>, StoreError> {
        self.with_ids("g.source = 'imported'")
    }

    fn with_ids(&self, wanted: &str) -> Result<HashMap<ImageId, Vec<(GroundTruthId, Annotation)>>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT image_id, id, {COLUMNS} FROM ground_truth g WHERE {wanted} ORDER BY id");
            let mut statement = c.prepare(&sql)?;
            let mut objects: HashMap<ImageId, Vec<(GroundTruthId, Annotation)>> = HashMap::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let object = (GroundTruthId(row.get(1)?), annotation(row, 2)?);
                objects.entry(ImageId(row.get(0)?)).or_default().push(object);
            }
            Ok(objects)
        })
    }

    /// Counts the current objects of all images, including corrected and promoted ones, excluding removed images.
    pub fn count_ground_truth(&self) -> Result<u64, StoreError> {
        self.read(|c| {
            let sql = format!(
                "SELECT (SELECT count(*) FROM ground_truth g WHERE {CURRENT})
                      - (SELECT count(*) FROM ground_truth g WHERE {CURRENT}
                         AND image_id IN (SELECT id FROM images WHERE NOT ({})))",
                present_images::present(c)?
            );
            Ok(c.query_row(&sql, [], |r| r.get::<_, i64>(0))? as u64)
        })
    }

    /// Returns the current objects of all images, including corrected and promoted ones: the ground truth of training and mining. An image
    /// without objects has no entry.
    pub fn all_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.annotations(CURRENT)
    }

    /// Returns the datasets' own objects of all images as imported, ignoring corrections: what published figures count. An image without
    /// objects has no entry.
    pub fn own_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.annotations("g.source = 'imported'")
    }

    /// Whether objects of this class are annotated as ellipses: decided by the first object of the class, else the first of any class, else
    /// true.
    pub fn is_elliptic(&self, class: ClassId) -> Result<bool, StoreError> {
        self.read(|c| is_elliptic(c, class))
    }

    fn annotations(&self, wanted: &str) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT image_id, {COLUMNS} FROM ground_truth g WHERE {wanted} ORDER BY id");
            let mut statement = c.prepare(&sql)?;
            let mut objects: HashMap<ImageId, Vec<Annotation>> = HashMap::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                objects.entry(ImageId(row.get(0)?)).or_default().push(annotation(row, 1)?);
            }
            Ok(objects)
        })
    }
}

/// Replaces the image's dataset objects with `objects`; promoted ones stay, and so do corrections of objects that still exist. Returns
/// whether anything changed.
pub(super) fn replace_imported(
    tx: &Transaction<'_>,
    image: ImageId,
    objects: &[Annotation],
) -> Result<bool, StoreError> {
    if !imported_differ(tx, image, objects)? {
        return Ok(false);
    }
    // In a corrected image, objects that still exist keep their rows, which corrections refer to. Otherwise all are rewritten in dataset
    // order.
    let (new, gone) = if is_corrected(tx, image)? {
        difference(imported(tx, image)?, objects)
    } else {
        (objects.to_vec(), imported(tx, image)?)
    };
    for (gone, _) in gone {
        // Its correction is deleted with it.
        tx.prepare_cached("DELETE FROM ground_truth WHERE id = ?1")?.execute([gone.0])?;
    }
    insert_imported(tx, image, &new)?;
    Ok(true)
}

/// Inserts dataset objects of an image.
pub(super) fn insert_imported(tx: &Transaction<'_>, image: ImageId, objects: &[Annotation]) -> Result<(), StoreError> {
    for object in objects {
        insert(tx, image, &Annotation { source: AnnotationSource::Imported, ..*object }, None)?;
    }
    Ok(())
}

/// Whether the image's dataset objects differ from `objects` in content or order; for an image with corrections the order is ignored.
pub(super) fn imported_differ(c: &Connection, image: ImageId, objects: &[Annotation]) -> Result<bool, StoreError> {
    let stored = imported(c, image)?;
    if stored.iter().map(|(_, object)| object).eq(objects) {
        return Ok(false);
    }
    if !is_corrected(c, image)? {
        return Ok(true);
    }
    let (new, gone) = difference(stored, objects);
    Ok(!(new.is_empty() && gone.is_empty()))
}

type Stored = Vec<(GroundTruthId, Annotation)>;

/// Returns the elements of `wanted` that are not stored, and the stored ones that are not wanted, as multisets.
fn difference(mut stored: Stored, wanted: &[Annotation]) -> (Vec<Annotation>, Stored) {
    let mut new = Vec::new();
    for object in wanted {
        match stored.iter().position(|(_, known)| known == object) {
            Some(at) => {
                stored.remove(at);
            }
            None => new.push(*object),
        }
    }
    (new, stored)
}

fn is_corrected(c: &Connection, image: ImageId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM ground_truth WHERE image_id = ?1 AND corrects IS NOT NULL";
    Ok(c.prepare_cached(sql)?.exists([image.0])?)
}

/// Returns the dataset's own objects of an image, corrected or not.
pub(super) fn imported(c: &Connection, image: ImageId) -> Result<Vec<(GroundTruthId, Annotation)>, StoreError> {
    let sql = format!("SELECT id, {COLUMNS} FROM ground_truth WHERE image_id = ?1 AND source = 'imported' ORDER BY id");
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map([image.0], |r| Ok((GroundTruthId(r.get(0)?), annotation(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TruthRow {
    pub id: GroundTruthId,
    pub image: ImageId,
    pub object: Annotation,
    /// The candidate that it was promoted from.
    pub candidate: Option<CandidateId>,
    /// The dataset's own row that it replaces.
    pub corrects: Option<GroundTruthId>,
    /// The added object.
    pub added: Option<ObjectId>,
    pub removed: bool,
}

impl TruthRow {
    pub fn state(&self) -> ObjectState {
        ObjectState { deleted: self.removed, ..ObjectState::from(&self.object) }
    }
}

fn truth_row(r: &Row<'_>) -> rusqlite::Result<TruthRow> {
    Ok(TruthRow {
        id: GroundTruthId(r.get(0)?),
        image: ImageId(r.get(1)?),
        object: annotation(r, 2)?,
        candidate: r.get::<_, Option<i64>>(11)?.map(CandidateId),
        corrects: r.get::<_, Option<i64>>(12)?.map(GroundTruthId),
        added: r.get::<_, Option<i64>>(13)?.map(ObjectId),
        removed: r.get(14)?,
    })
}

fn select_rows(condition: &str) -> String {
    format!(
        "SELECT id, image_id, {COLUMNS}, candidate_id, corrects, object_id, removed FROM ground_truth
         WHERE {condition} ORDER BY id"
    )
}

/// Returns every row of an image, including corrected originals, corrections and deleted objects.
pub(super) fn rows(c: &Connection, image: ImageId) -> Result<Vec<TruthRow>, StoreError> {
    let mut statement = c.prepare_cached(&select_rows("image_id = ?1"))?;
    Ok(statement.query_map([image.0], truth_row)?.collect::<Result<_, _>>()?)
}

pub(super) fn row(c: &Connection, id: GroundTruthId) -> Result<Option<TruthRow>, StoreError> {
    Ok(c.prepare_cached(&select_rows("id = ?1"))?.query_row([id.0], truth_row).optional()?)
}

/// Returns the correction of one of the dataset's own objects.
pub(super) fn correction_of(c: &Connection, own: GroundTruthId) -> Result<Option<TruthRow>, StoreError> {
    Ok(c.prepare_cached(&select_rows("corrects = ?1"))?.query_row([own.0], truth_row).optional()?)
}

/// What a row derived from the logs depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Promoted(CandidateId),
    /// Replaces this row of the dataset's own.
    Edited(GroundTruthId),
    Added(ObjectId),
}

/// Updates the row of `cause` to `state`, or deletes it. An existing row keeps its id.
pub(super) fn put(
    tx: &Transaction<'_>,
    image: ImageId,
    cause: Cause,
    state: Option<&ObjectState>,
) -> Result<(), StoreError> {
    let (column, id, source) = match cause {
        Cause::Promoted(candidate) => ("candidate_id", candidate.0, AnnotationSource::Promoted),
        Cause::Edited(own) => ("corrects", own.0, AnnotationSource::Edited),
        Cause::Added(object) => ("object_id", object.0, AnnotationSource::Added),
    };
    let select = select_rows(&format!("{column} = ?1"));
    let stored = tx.prepare_cached(&select)?.query_row([id], truth_row).optional()?;
    match (stored, state) {
        (None, None) => {}
        (Some(stored), None) => {
            tx.prepare_cached("DELETE FROM ground_truth WHERE id = ?1")?.execute([stored.id.0])?;
        }
        (Some(stored), Some(state)) => {
            if stored.state() != *state {
                let (word, [a, b, c, d], e) = shape_columns(&state.shape);
                let sql = "UPDATE ground_truth SET class_id = ?2, shape = ?3, a = ?4, b = ?5, c = ?6, d = ?7, e = ?8,
                           ignored = ?9, removed = ?10 WHERE id = ?1";
                let (row, class) = (stored.id.0, state.class.0);
                let values = params![row, class, word, a, b, c, d, e, state.ignored, state.deleted];
                tx.prepare_cached(sql)?.execute(values)?;
            }
        }
        (None, Some(state)) => {
            let row = insert(tx, image, &state.annotation(source), Some((column, id)))?;
            if state.deleted {
                tx.prepare_cached("UPDATE ground_truth SET removed = 1 WHERE id = ?1")?.execute([row])?;
            }
        }
    }
    Ok(())
}

/// An object of an image as compared with candidates.
pub(super) struct CurrentObject {
    pub bbox: BoundingBox,
    pub class: ClassId,
    /// Overlapping detections count neither as right nor as wrong.
    pub ignored: bool,
    /// The candidate that it was promoted from.
    pub origin: Option<CandidateId>,
}

/// Returns the current objects of an image, and of copies with the same content in other datasets.
pub(super) fn current(c: &Connection, image: ImageId) -> Result<Vec<CurrentObject>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, candidate_id FROM ground_truth g WHERE image_id = ?1 AND {CURRENT}");
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = Vec::new();
    for copy in images::copies(c, image)? {
        let mut rows = statement.query([copy.0])?;
        while let Some(row) = rows.next()? {
            let object = annotation(row, 0)?;
            let origin = row.get::<_, Option<i64>>(9)?.map(CandidateId);
            let Annotation { class, shape, ignored, .. } = object;
            found.push(CurrentObject { bbox: shape.bounding_box(), class, ignored, origin });
        }
    }
    Ok(found)
}

/// Whether objects of this class are annotated as ellipses: decided by the first object of the class, else the first of any class, else
/// true.
pub(super) fn is_elliptic(c: &Connection, class: ClassId) -> Result<bool, StoreError> {
    let sql = "SELECT coalesce(
        (SELECT shape FROM ground_truth WHERE class_id = ?1 AND source = 'imported' ORDER BY id LIMIT 1),
        (SELECT shape FROM ground_truth WHERE source = 'imported' ORDER BY id LIMIT 1), 'ellipse') = 'ellipse'";
    Ok(c.prepare_cached(sql)?.query_row([class.0], |r| r.get(0))?)
}

/// Returns the row's id. `cause`: the column with the row's cause, and its value.
fn insert(
    tx: &Transaction<'_>,
    image: ImageId,
    object: &Annotation,
    cause: Option<(&str, i64)>,
) -> Result<i64, StoreError> {
    let (word, [a, b, c, d], e) = shape_columns(&object.shape);
    let (column, cause) = cause.map_or(("candidate_id", None), |(column, id)| (column, Some(id)));
    let sql = format!(
        "INSERT INTO ground_truth (uid, image_id, class_id, shape, a, b, c, d, e, source, ignored, {column})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    let (source, class) = (object.source.as_str(), object.class.0);
    let values = params![new_uid(), image.0, class, word, a, b, c, d, e, source, object.ignored, cause];
    tx.prepare_cached(&sql)?.execute(values)?;
    Ok(tx.last_insert_rowid())
}

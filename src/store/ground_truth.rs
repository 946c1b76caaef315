//! Annotated objects: the dataset's own, those that were promoted or added, and corrections, which replace the dataset's own. All but the
//! dataset's own follow from the logs of verdicts and corrections (`settle.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::columns::{annotation, shape_columns};
use super::connection::new_uid;
use super::correction_rows::ObjectId;
use super::{Store, StoreError, images, present_images};
use crate::domain::{Annotation, AnnotationSource, CandidateId, ClassId, GroundTruthId, ImageId, ObjectState};
use crate::geometry::BoundingBox;

const COLUMNS: &str = "class_id, shape, a, b, c, d, e, source, ignored";

/// Of a row `g`: it counts. What was corrected does not, its correction does, unless that says that there is no object.
const CURRENT: &str =
    "g.removed = 0 AND NOT EXISTS (SELECT 1 FROM ground_truth correction WHERE correction.corrects = g.id)";

impl Store {
    /// The objects of an image as they stand now: corrected and promoted ones among them, in the order in which they came.
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

    /// The datasets' own objects as they were imported, with their ids; an image without any has no entry.
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

    /// How many objects all images have now, corrected and promoted ones among them. Those of removed images are left out.
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

    /// The objects of all images as they stand now, corrected and promoted ones among them: what rounds train on and mining compares
    /// with. An image without objects has no entry.
    pub fn all_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.annotations(CURRENT)
    }

    /// The datasets' own objects of all images as they were imported, whatever was corrected since: what a published number counts. An
    /// image without objects has no entry.
    pub fn own_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.annotations("g.source = 'imported'")
    }

    /// Whether objects of this class are annotated as ellipses: as the first of the class is, else as the first of all, else they are.
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

/// Makes the image's objects from the dataset equal to `objects`; promoted ones stay, and so do corrections of those that are still
/// there. Says whether anything changed.
pub(super) fn replace_imported(
    tx: &Transaction<'_>,
    image: ImageId,
    objects: &[Annotation],
) -> Result<bool, StoreError> {
    if !imported_differ(tx, image, objects)? {
        return Ok(false);
    }
    // Objects that are still there keep their rows where corrections may hang on them. Elsewhere all come again, in the dataset's order.
    let (new, gone) = if is_corrected(tx, image)? {
        difference(imported(tx, image)?, objects)
    } else {
        (objects.to_vec(), imported(tx, image)?)
    };
    for (gone, _) in gone {
        // Its correction goes with it.
        tx.prepare_cached("DELETE FROM ground_truth WHERE id = ?1")?.execute([gone.0])?;
    }
    insert_imported(tx, image, &new)?;
    Ok(true)
}

/// Adds objects of the dataset to an image.
pub(super) fn insert_imported(tx: &Transaction<'_>, image: ImageId, objects: &[Annotation]) -> Result<(), StoreError> {
    for object in objects {
        insert(tx, image, &Annotation { source: AnnotationSource::Imported, ..*object }, None)?;
    }
    Ok(())
}

/// Whether the image's objects from the dataset differ from `objects`, or in another order; of an image with corrections the order does not
/// count.
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

/// Which of `wanted` are not stored, and which of the stored are not wanted, counting each as often as it is there.
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

/// The dataset's own objects of an image, corrected or not.
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
    /// What it was promoted from.
    pub candidate: Option<CandidateId>,
    /// The row of the dataset's own that it replaces.
    pub corrects: Option<GroundTruthId>,
    /// What was drawn.
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

/// Every row of an image: what is corrected, its corrections and what was deleted among them.
pub(super) fn rows(c: &Connection, image: ImageId) -> Result<Vec<TruthRow>, StoreError> {
    let mut statement = c.prepare_cached(&select_rows("image_id = ?1"))?;
    Ok(statement.query_map([image.0], truth_row)?.collect::<Result<_, _>>()?)
}

pub(super) fn row(c: &Connection, id: GroundTruthId) -> Result<Option<TruthRow>, StoreError> {
    Ok(c.prepare_cached(&select_rows("id = ?1"))?.query_row([id.0], truth_row).optional()?)
}

/// What is in the place of one of the dataset's own objects.
pub(super) fn correction_of(c: &Connection, own: GroundTruthId) -> Result<Option<TruthRow>, StoreError> {
    Ok(c.prepare_cached(&select_rows("corrects = ?1"))?.query_row([own.0], truth_row).optional()?)
}

/// What a row that follows from the logs hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Promoted(CandidateId),
    /// Stands in the place of this row of the dataset's own.
    Edited(GroundTruthId),
    Added(ObjectId),
}

/// Makes the row of `cause` equal to `state`, or takes it away. A row that is there keeps its id.
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

/// An object of an image as candidates are compared with it.
pub(super) struct CurrentObject {
    pub bbox: BoundingBox,
    pub class: ClassId,
    /// Says neither yes nor no of what is on it.
    pub ignored: bool,
    /// The candidate that it was promoted from.
    pub origin: Option<CandidateId>,
}

/// The objects of an image as they stand now, and those of the same bytes in other datasets.
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

/// Whether objects of this class are annotated as ellipses: as the first of the class is, else as the first of all, else they are.
pub(super) fn is_elliptic(c: &Connection, class: ClassId) -> Result<bool, StoreError> {
    let sql = "SELECT coalesce(
        (SELECT shape FROM ground_truth WHERE class_id = ?1 AND source = 'imported' ORDER BY id LIMIT 1),
        (SELECT shape FROM ground_truth WHERE source = 'imported' ORDER BY id LIMIT 1), 'ellipse') = 'ellipse'";
    Ok(c.prepare_cached(sql)?.query_row([class.0], |r| r.get(0))?)
}

/// The row's id. `cause`: the column that says what the row hangs on, and its value.
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

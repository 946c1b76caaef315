//! Annotated objects: the dataset's own, those that were promoted, and corrections, which stand in the place of the dataset's own.
//! Promoted objects and corrections follow from the verdicts (`standing.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};

use super::columns::{annotation, shape_columns};
use super::connection::new_uid;
use super::{Store, StoreError, images};
use crate::domain::{Annotation, AnnotationSource, CandidateId, ClassId, GroundTruthId, ImageId, Shape};
use crate::geometry::BoundingBox;

const COLUMNS: &str = "class_id, shape, a, b, c, d, e, source, ignored";

/// Of a row `g`: it counts. What was corrected does not, its correction does, unless that says that there is no object.
const STANDS: &str =
    "g.removed = 0 AND NOT EXISTS (SELECT 1 FROM ground_truth correction WHERE correction.corrects = g.id)";

impl Store {
    /// The objects of an image as they stand now: corrected and promoted ones among them, in the order in which they came.
    pub fn ground_truth(&self, image: ImageId) -> Result<Vec<(GroundTruthId, Annotation)>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT id, {COLUMNS} FROM ground_truth g WHERE image_id = ?1 AND {STANDS} ORDER BY id");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map([image.0], |r| Ok((GroundTruthId(r.get(0)?), annotation(r, 1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// [`Store::ground_truth`] of all images; an image without objects has no entry.
    pub fn ground_truth_by_image(&self) -> Result<HashMap<ImageId, Vec<(GroundTruthId, Annotation)>>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT image_id, id, {COLUMNS} FROM ground_truth g WHERE {STANDS} ORDER BY id");
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
                "SELECT (SELECT count(*) FROM ground_truth g WHERE {STANDS})
                      - (SELECT count(*) FROM ground_truth g WHERE {STANDS}
                         AND image_id IN (SELECT id FROM images WHERE NOT ({})))",
                images::present(c)?
            );
            Ok(c.query_row(&sql, [], |r| r.get::<_, i64>(0))? as u64)
        })
    }

    /// The objects of all images as they stand now, corrected and promoted ones among them: what rounds train on and mining compares
    /// with. An image without objects has no entry.
    pub fn all_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.annotations(STANDS)
    }

    /// The datasets' own objects of all images as they were imported, whatever was corrected since: what a published number counts. An
    /// image without objects has no entry.
    pub fn own_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.annotations("g.source = 'imported'")
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
    // Objects that are still there keep their rows where corrections may hang on them. Elsewhere all come anew, in the dataset's order.
    let (new, gone) = if is_corrected(tx, image)? {
        difference(imported(tx, image)?, objects)
    } else {
        (objects.to_vec(), imported(tx, image)?)
    };
    for (gone, _) in gone {
        // Its correction goes with it.
        tx.prepare_cached("DELETE FROM ground_truth WHERE id = ?1")?.execute([gone.0])?;
    }
    for object in &new {
        insert(tx, image, &Annotation { source: AnnotationSource::Imported, ..*object }, None)?;
    }
    Ok(true)
}

/// Whether the image's objects from the dataset are others than `objects`, or in another order; of an image with corrections the order
/// does not count.
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

/// Which of `wanted` are not stored, and which of the stored are not wanted, counting each as often as it stands there.
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

/// Makes the object that was promoted from `candidate` equal to `object`, or takes it away.
pub(super) fn set_promoted(
    tx: &Transaction<'_>,
    image: ImageId,
    candidate: CandidateId,
    object: Option<(ClassId, Shape)>,
) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM ground_truth WHERE candidate_id = ?1")?.execute([candidate.0])?;
    if let Some((class, shape)) = object {
        let object = Annotation { class, shape, source: AnnotationSource::Promoted, ignored: false };
        insert(tx, image, &object, Some(candidate))?;
    }
    Ok(())
}

/// What stands in the place of one of the dataset's own objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Correction {
    pub object: Annotation,
    /// There is no object.
    pub removed: bool,
}

/// Makes what stands in the place of `corrected` equal to `correction`, or lets the dataset's own stand again.
pub(super) fn set_correction(
    tx: &Transaction<'_>,
    image: ImageId,
    corrected: GroundTruthId,
    correction: Option<Correction>,
) -> Result<(), StoreError> {
    let sql = format!("SELECT {COLUMNS}, removed FROM ground_truth WHERE corrects = ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query([corrected.0])?;
    let stored = match rows.next()? {
        Some(r) => Some(Correction { object: annotation(r, 0)?, removed: r.get(9)? }),
        None => None,
    };
    drop(rows);
    let wanted = correction.map(|c| Correction {
        object: Annotation { source: AnnotationSource::Edited, ..c.object },
        removed: c.removed,
    });
    if stored == wanted {
        return Ok(());
    }
    tx.prepare_cached("DELETE FROM ground_truth WHERE corrects = ?1")?.execute([corrected.0])?;
    if let Some(wanted) = wanted {
        let row = insert(tx, image, &wanted.object, None)?;
        let sql = "UPDATE ground_truth SET corrects = ?2, removed = ?3 WHERE id = ?1";
        tx.prepare_cached(sql)?.execute(params![row, corrected.0, wanted.removed])?;
    }
    Ok(())
}

/// An object of an image as candidates are compared with it.
pub(super) struct Standing {
    pub bbox: BoundingBox,
    pub class: ClassId,
    /// The candidate that it was promoted from.
    pub origin: Option<CandidateId>,
}

/// The objects of an image as they stand now, and those of the same bytes in other datasets.
pub(super) fn standing(c: &Connection, image: ImageId) -> Result<Vec<Standing>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, candidate_id FROM ground_truth g WHERE image_id = ?1 AND {STANDS}");
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = Vec::new();
    for copy in images::copies(c, image)? {
        let mut rows = statement.query([copy.0])?;
        while let Some(row) = rows.next()? {
            let object = annotation(row, 0)?;
            let origin = row.get::<_, Option<i64>>(9)?.map(CandidateId);
            found.push(Standing { bbox: object.shape.bounding_box(), class: object.class, origin });
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

/// The row's id.
fn insert(
    tx: &Transaction<'_>,
    image: ImageId,
    object: &Annotation,
    candidate: Option<CandidateId>,
) -> Result<i64, StoreError> {
    let (word, [a, b, c, d], e) = shape_columns(&object.shape);
    let sql = "INSERT INTO ground_truth (uid, image_id, class_id, shape, a, b, c, d, e, source, ignored, candidate_id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let (source, class, candidate) = (object.source.as_str(), object.class.0, candidate.map(|c| c.0));
    let values = params![new_uid(), image.0, class, word, a, b, c, d, e, source, object.ignored, candidate];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(tx.last_insert_rowid())
}

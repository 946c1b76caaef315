//! Annotated faces. Must not know where annotation files come from; promoted faces follow from the verdicts (`standing.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};

use super::columns::{annotation, shape_columns};
use super::connection::new_uid;
use super::{Store, StoreError, images};
use crate::domain::{Annotation, AnnotationSource, CandidateId, GroundTruthId, ImageId, Shape};
use crate::geometry::BoundingBox;

const COLUMNS: &str = "shape, a, b, c, d, e, source, ignored";

impl Store {
    /// The faces of an image, promoted ones among them, in the order in which they came.
    pub fn ground_truth(&self, image: ImageId) -> Result<Vec<(GroundTruthId, Annotation)>, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT id, {COLUMNS} FROM ground_truth WHERE image_id = ?1 ORDER BY id");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map([image.0], |r| Ok((GroundTruthId(r.get(0)?), annotation(r, 1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The faces of all images with their ids, those of an image in the order in which they came; an image without faces has no entry.
    pub fn ground_truth_by_image(&self) -> Result<HashMap<ImageId, Vec<(GroundTruthId, Annotation)>>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("SELECT image_id, id, {COLUMNS} FROM ground_truth ORDER BY id"))?;
            let mut faces: HashMap<ImageId, Vec<(GroundTruthId, Annotation)>> = HashMap::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let face = (GroundTruthId(row.get(1)?), annotation(row, 2)?);
                faces.entry(ImageId(row.get(0)?)).or_default().push(face);
            }
            Ok(faces)
        })
    }

    /// How many faces all images have, promoted ones among them. Those of removed images are left out.
    pub fn count_ground_truth(&self) -> Result<u64, StoreError> {
        self.read(|c| {
            let sql = format!(
                "SELECT (SELECT count(*) FROM ground_truth) - (SELECT count(*) FROM ground_truth WHERE image_id IN
                 (SELECT id FROM images WHERE NOT ({})))",
                images::present(c)?
            );
            Ok(c.query_row(&sql, [], |r| r.get::<_, i64>(0))? as u64)
        })
    }

    /// The faces of all images; an image without faces has no entry.
    pub fn all_ground_truth(&self) -> Result<HashMap<ImageId, Vec<Annotation>>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare(&format!("SELECT image_id, {COLUMNS} FROM ground_truth ORDER BY id"))?;
            let mut faces: HashMap<ImageId, Vec<Annotation>> = HashMap::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                faces.entry(ImageId(row.get(0)?)).or_default().push(annotation(row, 1)?);
            }
            Ok(faces)
        })
    }
}

/// Makes the image's faces from the dataset equal to `faces`; promoted ones stay. Says whether anything changed.
pub(super) fn replace_imported(tx: &Transaction<'_>, image: ImageId, faces: &[Annotation]) -> Result<bool, StoreError> {
    if !imported_differ(tx, image, faces)? {
        return Ok(false);
    }
    tx.execute("DELETE FROM ground_truth WHERE image_id = ?1 AND source = 'imported'", [image.0])?;
    for face in faces {
        insert(tx, image, &Annotation { source: AnnotationSource::Imported, ..*face }, None)?;
    }
    Ok(true)
}

/// Whether the image's faces from the dataset are others than `faces`.
pub(super) fn imported_differ(c: &Connection, image: ImageId, faces: &[Annotation]) -> Result<bool, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM ground_truth WHERE image_id = ?1 AND source = 'imported' ORDER BY id");
    let stored: Vec<Annotation> =
        c.prepare_cached(&sql)?.query_map([image.0], |r| annotation(r, 0))?.collect::<Result<_, _>>()?;
    let wanted = faces.iter().map(|face| Annotation { source: AnnotationSource::Imported, ..*face });
    Ok(!stored.into_iter().eq(wanted))
}

/// Makes the face that was promoted from `candidate` equal to `shape`, or takes it away.
pub(super) fn set_promoted(
    tx: &Transaction<'_>,
    image: ImageId,
    candidate: CandidateId,
    shape: Option<Shape>,
) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM ground_truth WHERE candidate_id = ?1")?.execute([candidate.0])?;
    if let Some(shape) = shape {
        let face = Annotation { shape, source: AnnotationSource::Promoted, ignored: false };
        insert(tx, image, &face, Some(candidate))?;
    }
    Ok(())
}

/// The boxes of an image's faces, each with the candidate that it was promoted from; those of the same bytes in other datasets too.
pub(super) fn boxes(c: &Connection, image: ImageId) -> Result<Vec<(BoundingBox, Option<CandidateId>)>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, candidate_id FROM ground_truth WHERE image_id = ?1");
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = Vec::new();
    for copy in images::copies(c, image)? {
        let mut rows = statement.query([copy.0])?;
        while let Some(row) = rows.next()? {
            let origin = row.get::<_, Option<i64>>(8)?.map(CandidateId);
            found.push((annotation(row, 0)?.shape.bounding_box(), origin));
        }
    }
    Ok(found)
}

fn insert(
    tx: &Transaction<'_>,
    image: ImageId,
    face: &Annotation,
    candidate: Option<CandidateId>,
) -> Result<(), StoreError> {
    let (word, [a, b, c, d], e) = shape_columns(&face.shape);
    let sql = "INSERT INTO ground_truth (uid, image_id, shape, a, b, c, d, e, source, ignored, candidate_id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let source = face.source.as_str();
    let values = params![new_uid(), image.0, word, a, b, c, d, e, source, face.ignored, candidate.map(|c| c.0)];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

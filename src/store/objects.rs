//! Corrected and added objects: their identity across imports and copies of the project, and their state according to the log.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::columns::{optional_shape, shape_columns};
use super::connection::new_uid;
use super::correction_rows::{self, Held, ObjectId};
use super::{Store, StoreError, ground_truth};
use crate::domain::{Annotation, AnnotationSource, CandidateId, ClassId, GroundTruthId, ImageId, ObjectState, Shape};

/// The origin of an object, independent of its corrections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Origin {
    /// The dataset's own, as in the dataset; `place` is the index among equal ones in its image.
    Imported {
        object: Annotation,
        place: usize,
    },
    Promoted(CandidateId),
    Added,
}

/// An object that was ever corrected or added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    pub id: ObjectId,
    pub origin: Origin,
    /// The effective correction: the newest of all annotators.
    pub newest: Option<Held>,
    /// The tick of its first log row.
    pub since: i64,
}

/// The current state of an object, possibly deleted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectRow {
    /// The id used by corrections. Stable as long as the dataset has the object.
    pub id: GroundTruthId,
    /// As in the dataset; `None` if it was promoted or added.
    pub own: Option<Annotation>,
    /// `Edited` if the dataset's own was corrected.
    pub source: AnnotationSource,
    pub state: ObjectState,
    /// The candidate that it was promoted from.
    pub candidate: Option<CandidateId>,
}

impl Store {
    /// Returns the current objects of an image, including deleted ones, in insertion order. Copies in other datasets are excluded.
    pub fn objects_of_image(&self, image: ImageId) -> Result<Vec<ObjectRow>, StoreError> {
        self.read(|c| {
            let rows = ground_truth::rows(c, image)?;
            let correction_of = |id: GroundTruthId| rows.iter().find(|row| row.corrects == Some(id));
            let bases = rows.iter().filter(|row| row.corrects.is_none());
            let found = bases.map(|row| {
                let now = correction_of(row.id).unwrap_or(row);
                let own = (row.object.source == AnnotationSource::Imported).then_some(row.object);
                let (id, source, candidate) = (row.id, now.object.source, row.candidate);
                ObjectRow { id, own, source, state: now.state(), candidate }
            });
            Ok(found.collect())
        })
    }
}

/// Returns the ground truth row that `object` replaces, or its own.
pub(super) fn base(c: &Connection, object: GroundTruthId) -> Result<ground_truth::TruthRow, StoreError> {
    let missing = || StoreError::missing("object", object);
    let row = ground_truth::row(c, object)?.ok_or_else(missing)?;
    match row.corrects {
        Some(base) => ground_truth::row(c, base)?.ok_or_else(missing),
        None => Ok(row),
    }
}

/// Returns the object of this ground truth row; registers it if new.
pub(super) fn find_or_insert(tx: &Transaction<'_>, row: &ground_truth::TruthRow) -> Result<ObjectId, StoreError> {
    if let Some(added) = row.added {
        return Ok(added);
    }
    let origin = if let Some(candidate) = row.candidate {
        Origin::Promoted(candidate)
    } else {
        let equal = |other: &&(GroundTruthId, Annotation)| other.1 == row.object && other.0 < row.id;
        let place = ground_truth::imported(tx, row.image)?.iter().filter(equal).count();
        Origin::Imported { object: row.object, place }
    };
    match find(tx, row.image, &origin)? {
        Some(known) => Ok(known),
        None => insert(tx, new_uid(), row.image, &origin),
    }
}

pub(super) fn find(c: &Connection, image: ImageId, origin: &Origin) -> Result<Option<ObjectId>, StoreError> {
    let is_it = |known: &Identity| match (&known.origin, origin) {
        (Origin::Imported { object, place }, Origin::Imported { object: wanted, place: at }) => {
            object == wanted && place == at
        }
        (Origin::Promoted(candidate), Origin::Promoted(wanted)) => candidate == wanted,
        _ => false,
    };
    Ok(identities(c, image)?.into_iter().find(is_it).map(|known| known.id))
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    uid: [u8; 16],
    image: ImageId,
    origin: &Origin,
) -> Result<ObjectId, StoreError> {
    let sql = "INSERT INTO corrected_objects
               (uid, image_id, source, class_id, shape, a, b, c, d, e, ignored, place, candidate_id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let (source, own, candidate) = match origin {
        Origin::Imported { object, place } => (AnnotationSource::Imported, Some((object, *place)), None),
        Origin::Promoted(candidate) => (AnnotationSource::Promoted, None, Some(candidate.0)),
        Origin::Added => (AnnotationSource::Added, None, None),
    };
    let shape = own.map(|(object, _)| shape_columns(&object.shape));
    let k = |index: usize| shape.map(|s| s.1[index]);
    tx.prepare_cached(sql)?.execute(params![
        uid,
        image.0,
        source.as_str(),
        own.map(|(object, _)| object.class.0),
        shape.map(|s| s.0),
        k(0),
        k(1),
        k(2),
        k(3),
        shape.and_then(|s| s.2),
        own.map(|(object, _)| object.ignored),
        own.map(|(_, place)| place as i64),
        candidate,
    ])?;
    Ok(ObjectId(tx.last_insert_rowid()))
}

/// Returns all objects of an image that were ever corrected or added, oldest first.
pub(super) fn of_image(c: &Connection, image: ImageId) -> Result<Vec<Known>, StoreError> {
    let known = identities(c, image)?.into_iter().map(|identity| {
        let Identity { id, origin } = identity;
        let newest = correction_rows::newest(c, id)?;
        Ok(Known { id, origin, newest, since: correction_rows::first_tick(c, id)? })
    });
    known.collect()
}

/// Returns the images with objects that were ever corrected or added; empty for an older format opened read-only.
pub(super) fn corrected_images(c: &Connection) -> Result<HashSet<ImageId>, StoreError> {
    if !c.table_exists(None, "corrected_objects")? {
        return Ok(HashSet::new());
    }
    let mut statement = c.prepare("SELECT DISTINCT image_id FROM corrected_objects")?;
    Ok(statement.query_map([], |r| r.get(0).map(ImageId))?.collect::<Result<_, _>>()?)
}

/// Counts the corrections of an image that match none of `own`, the dataset's objects.
pub(super) fn resting(c: &Connection, image: ImageId, own: &[Annotation]) -> Result<usize, StoreError> {
    let is_there = |known: &Known| match &known.origin {
        Origin::Imported { object, place } => own.iter().filter(|other| *other == object).count() > *place,
        Origin::Promoted(_) | Origin::Added => true,
    };
    Ok(of_image(c, image)?.iter().filter(|known| known.newest.is_some() && !is_there(known)).count())
}

/// Returns the image that an object is on.
pub(super) fn image_of(c: &Connection, object: ObjectId) -> Result<ImageId, StoreError> {
    let mut statement = c.prepare_cached("SELECT image_id FROM corrected_objects WHERE id = ?1")?;
    Ok(ImageId(statement.query_row([object.0], |r| r.get(0))?))
}

/// Returns the ground truth row by which corrections name the object; `None` if there is none at present.
pub(super) fn row_of(c: &Connection, object: ObjectId) -> Result<Option<GroundTruthId>, StoreError> {
    let image = image_of(c, object)?;
    let Some(known) = identities(c, image)?.into_iter().find(|known| known.id == object) else { return Ok(None) };
    let rows = ground_truth::rows(c, image)?;
    let found = match known.origin {
        Origin::Imported { object, place } => rows.iter().filter(|row| row.object == object).nth(place),
        Origin::Promoted(candidate) => rows.iter().find(|row| row.candidate == Some(candidate)),
        Origin::Added => rows.iter().find(|row| row.added == Some(object)),
    };
    Ok(found.map(|row| row.id))
}

struct Identity {
    id: ObjectId,
    origin: Origin,
}

const IDENTITY: &str = "o.id, o.source, o.candidate_id, o.place, o.ignored, o.shape, o.a, o.b, o.c, o.d, o.e,
    (SELECT coalesce(k.merged_into, k.id) FROM classes k WHERE k.id = o.class_id)";

fn identities(c: &Connection, image: ImageId) -> Result<Vec<Identity>, StoreError> {
    let sql = format!("SELECT {IDENTITY} FROM corrected_objects o WHERE o.image_id = ?1 ORDER BY o.id");
    let mut statement = c.prepare_cached(&sql)?;
    Ok(statement.query_map([image.0], identity)?.collect::<Result<_, _>>()?)
}

fn identity(r: &Row<'_>) -> rusqlite::Result<Identity> {
    let own: Option<(Shape, i64)> = optional_shape(r, 5)?.zip(r.get(11)?);
    let origin = match (own, r.get::<_, Option<i64>>(2)?) {
        (Some((shape, class)), _) => {
            let (class, source) = (ClassId(class), AnnotationSource::Imported);
            let object = Annotation { class, shape, source, ignored: r.get(4)? };
            Origin::Imported { object, place: r.get::<_, i64>(3)? as usize }
        }
        (None, Some(candidate)) => Origin::Promoted(CandidateId(candidate)),
        (None, None) => Origin::Added,
    };
    Ok(Identity { id: ObjectId(r.get(0)?), origin })
}

/// Returns the object with this global id, and its image.
pub(super) fn by_uid(c: &Connection, uid: &[u8; 16]) -> Result<Option<(ObjectId, ImageId)>, StoreError> {
    let mut statement = c.prepare_cached("SELECT id, image_id FROM corrected_objects WHERE uid = ?1")?;
    Ok(statement.query_row([uid], |r| Ok((ObjectId(r.get(0)?), ImageId(r.get(1)?)))).optional()?)
}

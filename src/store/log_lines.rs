//! Writes correction lines from the log for other copies of the project, and places merged ones.
//!
//! Another copy identifies a dataset's object by its image's content and its own annotation; a promoted object by its candidate; an added
//! one by its id. As with verdicts, the newest row by tick and id is current, whichever copy merges first.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::columns::{bounding_box, optional_shape};
use super::correction_rows::{self, CORRECTION, Held, LogRow, ObjectId, held};
use super::lines::{
    CORRECTION_FORMAT, ClassLine, CorrectionLine, MergeReport, OriginLine, Placed, ShapeLine, StateLine,
};
use super::objects::Origin;
use super::{StoreError, annotators, classes, gestures, ground_truth, images, objects, settle, waiting};
use crate::domain::{Annotation, AnnotationSource, CandidateId, Correction, ImageId, ObjectState, Shape, check_shape};

/// Appends the rows missing from the log, and defers those whose images or candidates are missing. Each line has its index among all input
/// lines.
pub(super) fn place(
    tx: &Transaction<'_>,
    lines: &[(usize, &CorrectionLine)],
    placed: &mut Placed,
) -> Result<(), StoreError> {
    let mut touched = BTreeSet::new();
    for &(index, line) in lines {
        let MergeReport { added, known, without_object, .. } = &mut placed.report;
        if tx.prepare_cached("SELECT 1 FROM corrections WHERE uid = ?1")?.exists([line.uid.as_bytes()])? {
            *known += 1;
            continue;
        }
        let Some((object, image)) = find_or_insert(tx, line)? else {
            waiting::keep(tx, line.uid, line)?;
            *without_object += 1;
            continue;
        };
        if let Some(reason) = misfit(tx, line, image)? {
            placed.refused.push((index, reason));
            continue;
        }
        let annotator = annotators::find_or_insert(tx, &line.annotator)?;
        let times = (line.tick, line.time_ms);
        let row = LogRow {
            uid: line.uid.as_bytes(),
            gesture: gestures::of_other_copy(tx, line.gesture, annotator, &line.action, times)?,
            object,
            annotator,
            held: held_here(tx, line)?,
            tick: line.tick,
            time_ms: line.time_ms,
        };
        correction_rows::insert(tx, &row)?;
        waiting::remove(tx, line.uid)?;
        touched.insert(image);
        *added += 1;
    }
    settle::settle_images(tx, &touched)
}

/// Returns the line's object state with this project's class.
fn held_here(tx: &Transaction<'_>, line: &CorrectionLine) -> Result<Option<Held>, StoreError> {
    let Some(state) = &line.correction else { return Ok(None) };
    let class = classes::of_other_copy(tx, state.class.uid.into_bytes(), &state.class.name)?;
    let (shape, ignored, deleted) = (Shape::from(&state.shape), state.ignored, state.deleted);
    let correction = Correction { act: state.act, state: ObjectState { class, shape, ignored, deleted } };
    Ok(Some(Held { correction, since: line.since }))
}

/// Returns why the line's shape is invalid in its image; `None` if it is valid.
fn misfit(tx: &Transaction<'_>, line: &CorrectionLine, image: ImageId) -> Result<Option<String>, StoreError> {
    let Some(state) = &line.correction else { return Ok(None) };
    let (width, height) = images::size(tx, image)?;
    Ok(check_shape(&Shape::from(&state.shape), width, height).err().map(|problem| format!("its shape: {problem}")))
}

/// Returns the line's object and its image; `None` if the project has neither.
fn find_or_insert(tx: &Transaction<'_>, line: &CorrectionLine) -> Result<Option<(ObjectId, ImageId)>, StoreError> {
    if let Some(known) = objects::by_uid(tx, line.object.as_bytes())? {
        return Ok(Some(known));
    }
    let Some((image, origin)) = origin_here(tx, line)? else { return Ok(None) };
    let object = match objects::find(tx, image, &origin)? {
        Some(known) => known,
        None => objects::insert(tx, line.object.into_bytes(), image, &origin)?,
    };
    Ok(Some((object, image)))
}

fn origin_here(tx: &Transaction<'_>, line: &CorrectionLine) -> Result<Option<(ImageId, Origin)>, StoreError> {
    if let OriginLine::Promoted { candidate, bbox, round, class } = &line.origin {
        let found = candidate_of(tx, line, *candidate, bbox, *round, class)?;
        return Ok(found.map(|(candidate, image)| (image, Origin::Promoted(candidate))));
    }
    let sql = "SELECT id FROM images WHERE content_hash = ?1 ORDER BY removed_ms IS NOT NULL, id";
    let mut statement = tx.prepare_cached(sql)?;
    let here: Vec<ImageId> =
        statement.query_map([&line.image], |r| r.get(0).map(ImageId))?.collect::<Result<_, _>>()?;
    let Some(&first) = here.first() else { return Ok(None) };
    let OriginLine::Imported { class, shape, ignored, place } = &line.origin else {
        return Ok(Some((first, Origin::Added)));
    };
    let class = classes::of_other_copy(tx, class.uid.into_bytes(), &class.name)?;
    let (shape, source) = (Shape::from(shape), AnnotationSource::Imported);
    let object = Annotation { class, shape, source, ignored: *ignored };
    let place = *place as usize;
    // Among copies of the image in several datasets, the one that annotates the object.
    for image in here {
        if ground_truth::imported(tx, image)?.iter().filter(|(_, other)| *other == object).count() > place {
            return Ok(Some((image, Origin::Imported { object, place })));
        }
    }
    // The dataset differs here: the correction takes effect once an import adds the object.
    Ok(Some((first, Origin::Imported { object, place })))
}

/// Returns the candidate that the object was promoted from, as for a verdict's line; if several differ only as much as on another device,
/// the one that matches best.
fn candidate_of(
    tx: &Transaction<'_>,
    line: &CorrectionLine,
    uid: Uuid,
    &[x1, y1, x2, y2]: &[f64; 4],
    round: u32,
    class: &str,
) -> Result<Option<(CandidateId, ImageId)>, StoreError> {
    let sql = "SELECT id, image_id FROM candidates WHERE uid = ?1";
    let read = |r: &Row<'_>| Ok((CandidateId(r.get(0)?), ImageId(r.get(1)?)));
    let by_uid = tx.prepare_cached(sql)?.query_row([uid.as_bytes()], read).optional()?;
    if by_uid.is_some() {
        return Ok(by_uid);
    }
    let class = classes::find(tx, class)?.map(|class| class.0);
    let sql = "SELECT c.id, c.image_id, c.x1, c.y1, c.x2, c.y2
               FROM images i JOIN candidates c ON c.image_id = i.id JOIN rounds r ON r.id = c.round_id
               WHERE i.content_hash = ?1 AND r.number = ?2 AND c.class_id = ?3 ORDER BY c.id";
    let mut statement = tx.prepare_cached(sql)?;
    let wanted = crate::geometry::BoundingBox::new(x1, y1, x2, y2);
    let rows = statement.query_map(params![line.image, round, class], |r| Ok((read(r)?, bounding_box(r, 2)?)))?;
    let near = rows.collect::<Result<Vec<_>, _>>()?.into_iter().map(|(found, bbox)| (bbox.iou(&wanted), found));
    let best = near.filter(|(iou, _)| *iou >= super::identity::SAME_IOU).max_by(|a, b| a.0.total_cmp(&b.0));
    Ok(best.map(|(_, found)| found))
}

/// Returns the whole log, oldest first; empty for a database of an older format.
pub(super) fn log(c: &Connection) -> rusqlite::Result<Vec<CorrectionLine>> {
    if !c.table_exists(None, "corrections")? {
        return Ok(Vec::new());
    }
    c.prepare(&format!("{} ORDER BY v.seq", select()))?.query_map([], from_row)?.collect()
}

/// Returns row `seq` of the log; `None` if there is no such row.
pub(super) fn line(c: &Connection, seq: i64) -> rusqlite::Result<Option<CorrectionLine>> {
    c.prepare_cached(&format!("{} WHERE v.seq = ?1", select()))?.query_row([seq], from_row).optional()
}

fn select() -> String {
    format!(
        "SELECT v.uid, g.uid, g.action, an.name, o.uid, v.tick, v.time_ms, i.content_hash,
                k.uid, k.name, own.uid, own.name, o.shape, o.a, o.b, o.c, o.d, o.e, o.ignored, o.place,
                c.uid, c.x1, c.y1, c.x2, c.y2, r.number, taken.name, {CORRECTION}
         FROM corrections v JOIN gestures g ON g.id = v.gesture_id JOIN annotators an ON an.id = v.annotator_id
         JOIN corrected_objects o ON o.id = v.object_id JOIN images i ON i.id = o.image_id
         LEFT JOIN classes named ON named.id = v.class_id
         LEFT JOIN classes k ON k.id = coalesce(named.merged_into, named.id)
         LEFT JOIN classes first ON first.id = o.class_id
         LEFT JOIN classes own ON own.id = coalesce(first.merged_into, first.id)
         LEFT JOIN candidates c ON c.id = o.candidate_id LEFT JOIN rounds r ON r.id = c.round_id
         LEFT JOIN classes taken ON taken.id = c.class_id"
    )
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<CorrectionLine> {
    let uid = |index: usize| row.get::<_, [u8; 16]>(index).map(Uuid::from_bytes);
    let class = |index: usize| Ok::<_, rusqlite::Error>(ClassLine { uid: uid(index)?, name: row.get(index + 1)? });
    let origin = if let Some(shape) = optional_shape(row, 12)? {
        let shape = ShapeLine::from(&shape);
        OriginLine::Imported { class: class(10)?, shape, ignored: row.get(18)?, place: row.get(19)? }
    } else if row.get::<_, Option<[u8; 16]>>(20)?.is_some() {
        let b = bounding_box(row, 21)?;
        let bbox = [b.x1, b.y1, b.x2, b.y2];
        OriginLine::Promoted { candidate: uid(20)?, bbox, round: row.get(25)?, class: row.get(26)? }
    } else {
        OriginLine::Added
    };
    let correction = match held(row, 27)? {
        Some(Held { correction: Correction { act, state }, .. }) => {
            let shape = ShapeLine::from(&state.shape);
            Some(StateLine { act, class: class(8)?, shape, ignored: state.ignored, deleted: state.deleted })
        }
        None => None,
    };
    Ok(CorrectionLine {
        format: CORRECTION_FORMAT,
        uid: uid(0)?,
        gesture: uid(1)?,
        action: row.get(2)?,
        annotator: row.get(3)?,
        object: uid(4)?,
        origin,
        correction,
        tick: row.get(5)?,
        since: row.get(37)?,
        time_ms: row.get(6)?,
        image: row.get(7)?,
    })
}

//! The log of ground truth corrections: adjusting, reclassing, ignoring, deleting and adding objects. Every call is one gesture, in the
//! same undo history as verdicts, and one transaction.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, Transaction};

use super::connection::new_uid;
use super::correction_rows::{CORRECTION, Held, LogRow, ObjectId, held, insert, read};
use super::gestures::{self, Gesture, GestureAction, Written};
use super::log::CORRECTIONS;
use super::objects::Origin;
use super::{Store, StoreError, annotators, classes, ground_truth, images, objects, settle};
use crate::domain::{
    ClassId, Correction, CorrectionAct, GroundTruthId, ImageId, ObjectChange, ObjectState, Shape, check_shape,
};

impl Store {
    /// Corrects ground truth objects (the dataset's own, promoted or added) as one gesture. Objects already in the requested state are
    /// skipped; `None` if all are. Trained rounds, published figures and the dataset's files are unaffected.
    ///
    /// # Errors
    ///
    /// An unknown object, a shape that is invalid in its image, one shape for several objects, an unlisted class, and any change but
    /// restoring for a deleted object.
    pub fn correct_objects(
        &mut self,
        objects: &[GroundTruthId],
        annotator: &str,
        change: ObjectChange,
        time_ms: i64,
    ) -> Result<Option<Gesture>, StoreError> {
        if matches!(change, ObjectChange::Shape(_)) && objects.len() > 1 {
            return Err(StoreError::Invalid("a shape applies to one object; select one".to_owned()));
        }
        self.write(|tx| {
            if let ObjectChange::Class(class) = change {
                classes::live(tx, class)?;
            }
            let (mut seen, mut rows) = (BTreeSet::new(), Vec::new());
            for &object in objects {
                let base = objects::base(tx, object)?;
                if !seen.insert(base.id) {
                    continue;
                }
                if let ObjectChange::Shape(shape) = &change {
                    fits(tx, base.image, shape)?;
                }
                let now = ground_truth::correction_of(tx, base.id)?.unwrap_or(base);
                let correction = now.state().changed(change).map_err(|e| StoreError::Invalid(e.to_string()))?;
                if let Some(correction) = correction {
                    rows.push((objects::find_or_insert(tx, &base)?, correction));
                }
            }
            if rows.is_empty() {
                return Ok(None);
            }
            decide(tx, annotator, rows, time_ms).map(Some)
        })
    }

    /// Adds an object that the annotator drew where neither the dataset nor the detector has one.
    ///
    /// # Errors
    ///
    /// A shape that is invalid in the image, and an unlisted class.
    pub fn add_object(
        &mut self,
        image: ImageId,
        annotator: &str,
        (shape, class): (Shape, ClassId),
        time_ms: i64,
    ) -> Result<Gesture, StoreError> {
        self.write(|tx| {
            classes::live(tx, class)?;
            fits(tx, image, &shape)?;
            let object = objects::insert(tx, new_uid(), image, &Origin::Added)?;
            let state = ObjectState { class, shape, ignored: false, deleted: false };
            let correction = Correction { act: CorrectionAct::Added, state };
            decide(tx, annotator, vec![(object, correction)], time_ms)
        })
    }
}

fn decide(
    tx: &Transaction<'_>,
    annotator: &str,
    corrections: Vec<(ObjectId, Correction)>,
    time_ms: i64,
) -> Result<Gesture, StoreError> {
    let id = annotators::find_or_insert(tx, annotator)?;
    let parent = gestures::stacks(tx, id)?.undo;
    let written = gestures::append(tx, id, GestureAction::Decide, (None, parent), time_ms)?;
    let since = written.tick;
    let held = |(object, correction)| (object, Some(Held { correction, since }));
    let corrected = append(tx, written, &corrections.into_iter().map(held).collect::<Vec<_>>())?;
    let (action, annotator, candidates) = (GestureAction::Decide, annotator.to_owned(), Vec::new());
    let Corrected { act, objects, images } = corrected;
    Ok(Gesture { id: written.id, action, annotator, verdict: None, act, candidates, objects, images, time_ms })
}

fn fits(c: &Connection, image: ImageId, shape: &Shape) -> Result<(), StoreError> {
    let (width, height) = images::size(c, image)?;
    check_shape(shape, width, height)
        .map_err(|problem| StoreError::Invalid(format!("not a valid object: {problem}. Draw it again")))
}

type NewRow = (ObjectId, Option<Held>);

/// What a gesture changed in the ground truth.
#[derive(Debug, Default)]
pub(super) struct Corrected {
    /// The first object's correction.
    pub act: Option<CorrectionAct>,
    /// Those that still exist, including deleted ones.
    pub objects: Vec<GroundTruthId>,
    pub images: Vec<ImageId>,
}

/// Appends the rows of one gesture, `None` for an undone correction, and applies them.
pub(super) fn append(tx: &Transaction<'_>, gesture: Written, rows: &[NewRow]) -> Result<Corrected, StoreError> {
    let mut images = BTreeSet::new();
    for (object, held) in rows {
        let row = LogRow {
            uid: &new_uid(),
            gesture: gesture.id,
            object: *object,
            annotator: gesture.annotator,
            held: *held,
            tick: gesture.tick,
            time_ms: gesture.time_ms,
        };
        insert(tx, &row)?;
        images.insert(objects::image_of(tx, *object)?);
    }
    settle::settle_images(tx, &images)?;
    let here = rows.iter().map(|(object, _)| objects::row_of(tx, *object)).collect::<Result<Vec<_>, _>>()?;
    Ok(Corrected {
        act: rows.first().and_then(|(_, held)| held.map(|held| held.correction.act)),
        objects: here.into_iter().flatten().collect(),
        images: images.into_iter().collect(),
    })
}

/// Appends the rows that undo `decision`.
pub(super) fn undo(
    tx: &Transaction<'_>,
    gesture: Written,
    decision: i64,
    merged: bool,
) -> Result<Corrected, StoreError> {
    let given =
        CORRECTIONS.not_overruled(tx, gesture.annotator, decision, rows_of(tx, decision)?, |row| row.object.0)?;
    let mut before = Vec::with_capacity(given.len());
    for row in &given {
        let previous = if merged {
            CORRECTIONS.previous_row(tx, gesture.annotator, decision, row.object.0)?
        } else {
            row.replaces
        };
        before.push((row.object, previous.map(|seq| read(tx, seq)).transpose()?.flatten()));
    }
    let act = given.first().and_then(|row| row.held.map(|held| held.correction.act));
    Ok(Corrected { act, ..append(tx, gesture, &before)? })
}

/// Appends the rows that `undo` reverted from `decision` again.
pub(super) fn redo(tx: &Transaction<'_>, gesture: Written, undone: gestures::Undone) -> Result<Corrected, StoreError> {
    let undone_on: BTreeSet<_> = rows_of(tx, undone.undo)?.iter().map(|row| row.object).collect();
    let rows = rows_of(tx, undone.decision)?;
    let mut given = CORRECTIONS.not_overruled(tx, gesture.annotator, undone.undo, rows, |row| row.object.0)?;
    given.retain(|row| undone_on.contains(&row.object));
    append(tx, gesture, &given.into_iter().map(|row| (row.object, row.held)).collect::<Vec<_>>())
}

/// A log row as needed for undo and redo.
struct Given {
    object: ObjectId,
    held: Option<Held>,
    replaces: Option<i64>,
}

fn rows_of(c: &Connection, gesture: i64) -> Result<Vec<Given>, StoreError> {
    let sql = format!(
        "SELECT v.object_id, v.replaces, {CORRECTION} FROM corrections v WHERE v.gesture_id = ?1 ORDER BY v.seq"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let read = |r: &Row<'_>| Ok(Given { object: ObjectId(r.get(0)?), replaces: r.get(1)?, held: held(r, 2)? });
    Ok(statement.query_map([gesture], read)?.collect::<Result<_, _>>()?)
}

//! Applies the verdict and correction logs: updates current verdicts, promoted, corrected and added objects, and how candidates match the
//! ground truth.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::columns::{bounding_box, optional_word, word};
use super::ground_truth::Cause;
use super::objects::{Known, Origin};
use super::{StoreError, ground_truth, images, objects, queue_index, verdict_rows};
use crate::domain::{
    Annotation, Basis, CANDIDATE_MAX_IOU, CandidateId, ClassId, FalsePositiveKind, GroundTruthId, ImageId, ObjectState,
    Overlaps, Shape, Verdict, overlaps_ignored,
};
use crate::geometry::{BoundingBox, Ellipse};

/// Makes row `seq` of the log an annotator's current one; `None` removes the current one.
pub(super) fn set(
    tx: &Transaction<'_>,
    candidate: CandidateId,
    annotator: i64,
    seq: i64,
    tick: i64,
    verdict: Option<Verdict>,
) -> Result<(), StoreError> {
    let Some(verdict) = verdict else {
        let sql = "DELETE FROM standing_verdicts WHERE candidate_id = ?1 AND annotator_id = ?2";
        tx.prepare_cached(sql)?.execute([candidate.0, annotator])?;
        return Ok(());
    };
    let class = if verdict.has_class() { verdict_rows::read(tx, seq)?.class } else { None };
    let sql = "INSERT INTO standing_verdicts (candidate_id, annotator_id, seq, tick, verdict, class_id, basis)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, basis FROM verdicts WHERE seq = ?3
               ON CONFLICT DO UPDATE SET seq = excluded.seq, tick = excluded.tick, verdict = excluded.verdict,
                   class_id = excluded.class_id, basis = excluded.basis";
    let class = class.map(|class| class.0);
    tx.prepare_cached(sql)?.execute(params![candidate.0, annotator, seq, tick, verdict.as_str(), class])?;
    Ok(())
}

/// Updates candidates, promoted and corrected objects and matches from the current verdicts on `candidates`. Over all annotators the newest
/// decision is effective; a skip only if nobody decided.
pub(super) fn settle(tx: &Transaction<'_>, candidates: &[CandidateId]) -> Result<(), StoreError> {
    let mut decided = BTreeSet::new();
    for &candidate in candidates {
        let before = current(tx, candidate)?.ok_or_else(|| StoreError::missing("candidate", candidate))?;
        let newest = newest(tx, candidate)?;
        let (verdict, basis) = (newest.map(|n| n.verdict), newest.map_or(Basis::Reviewed, |n| n.basis));
        if (verdict, basis) != (before.verdict, before.basis) {
            let sql = "UPDATE candidates SET verdict = ?2, basis = ?3 WHERE id = ?1";
            let values = params![candidate.0, verdict.map(Verdict::as_str), basis.as_str()];
            tx.prepare_cached(sql)?.execute(values)?;
        }
        if [verdict, before.verdict].into_iter().flatten().any(Verdict::has_class) {
            if !verdict.is_some_and(Verdict::has_class) {
                ground_truth::put(tx, before.image, Cause::Promoted(candidate), None)?;
            }
            decided.insert(before.image);
        }
    }
    settle_images(tx, &decided)
}

/// Updates the objects of images from the verdict and correction logs, and then the candidates there and on copies of the images in other
/// datasets.
pub(super) fn settle_images(tx: &Transaction<'_>, decided: &BTreeSet<ImageId>) -> Result<(), StoreError> {
    let mut touched = BTreeSet::new();
    for &image in decided {
        place_objects(tx, image)?;
        touched.extend(images::copies(tx, image)?);
    }
    // Lists follow the logs image by image, but do not look at copies in other datasets.
    if touched.len() > decided.len() {
        queue_index::mark_changed(tx)?;
    }
    touched.into_iter().try_for_each(|image| rematch(tx, image))
}

/// An object that verdicts and corrections can change in place.
struct Target {
    cause: Cause,
    /// As in the dataset; `None` if it was added.
    own: Option<ObjectState>,
    /// The correction log's state, with its tick.
    corrected: Option<(i64, ObjectState)>,
    /// Verdicts before this tick do not refer to it.
    since: i64,
    /// The class according to the newest verdict.
    ruled: Option<(i64, ClassId)>,
}

impl Target {
    /// Returns the larger IoU with the object's original and current shape.
    fn iou(&self, bbox: &BoundingBox) -> f64 {
        let states = self.own.iter().chain(self.corrected.as_ref().map(|(_, state)| state));
        states.map(|state| bbox.iou(&state.shape.bounding_box())).fold(0.0, f64::max)
    }

    /// Returns the object's state: the newest entry of both logs is effective. A verdict on its class implies that it exists.
    fn state(&self) -> Option<ObjectState> {
        let state = self.corrected.map(|(_, state)| state).or(self.own)?;
        let since = self.corrected.map_or(i64::MIN, |(tick, _)| tick);
        Some(match self.ruled.filter(|(tick, _)| *tick > since) {
            Some((_, class)) => ObjectState { class, deleted: false, ..state },
            None => state,
        })
    }
}

/// Returns the dataset's own objects of an image, then the added ones.
fn targets(imported: &[(GroundTruthId, Annotation)], known: &[Known]) -> Vec<Target> {
    let newest = |known: &Known| known.newest.map(|held| (held.since, held.correction.state));
    let own = imported.iter().enumerate().map(|(k, (id, object))| {
        let place = imported[..k].iter().filter(|(_, other)| other == object).count();
        let origin = Origin::Imported { object: *object, place };
        let corrected = known.iter().find(|known| known.origin == origin).and_then(newest);
        let own = Some(ObjectState::from(object));
        Target { cause: Cause::Edited(*id), own, corrected, since: i64::MIN, ruled: None }
    });
    let added = known.iter().filter(|known| known.origin == Origin::Added).map(|known| {
        let (cause, corrected) = (Cause::Added(known.id), newest(known));
        Target { cause, own: None, corrected, since: known.since, ruled: None }
    });
    own.chain(added).collect()
}

/// Derives the promoted, corrected and added objects of an image from the logs, independent of their arrival order. The newest verdict on a
/// candidate results in nothing, a promoted object, or a class change of an existing object.
pub(super) fn place_objects(tx: &Transaction<'_>, image: ImageId) -> Result<(), StoreError> {
    let known = objects::of_image(tx, image)?;
    let mut targets = targets(&ground_truth::imported(tx, image)?, &known);
    for (candidate, bbox) in candidates_with_objects(tx, image)? {
        let Some(newest) = newest(tx, candidate)?.filter(|n| n.verdict.has_class()) else { continue };
        let decision = verdict_rows::read(tx, newest.seq)?;
        let Some(class) = decision.class else { return Err(StoreError::missing("class of verdict", newest.seq)) };
        // An undo that restored the verdict does not make it newer than later decisions.
        let since = decision.since.unwrap_or(newest.tick);
        let is_about_one = newest.verdict == Verdict::WrongClass;
        if let Some(target) = corrected_by(&mut targets, &bbox, since).filter(|_| is_about_one) {
            if target.ruled.is_none_or(|(tick, _)| tick < since) {
                target.ruled = Some((since, class));
            }
            ground_truth::put(tx, image, Cause::Promoted(candidate), None)?;
            continue;
        }
        let shape = match decision.shape {
            Some(drawn) => drawn,
            None if ground_truth::is_elliptic(tx, class)? => Shape::Ellipse(Ellipse::inscribed(&bbox)),
            None => Shape::Rectangle(bbox),
        };
        let promoted = ObjectState { class, shape, ignored: false, deleted: false };
        let corrected = known.iter().find(|known| known.origin == Origin::Promoted(candidate)).and_then(|k| k.newest);
        let state = match corrected {
            Some(held) if held.since > since => held.correction.state,
            _ => promoted,
        };
        ground_truth::put(tx, image, Cause::Promoted(candidate), Some(&state))?;
    }
    for target in targets {
        let state = target.state().filter(|state| target.own != Some(*state));
        ground_truth::put(tx, image, target.cause, state.as_ref())?;
    }
    Ok(())
}

/// Returns candidates of an image whose newest verdict says that there is an object.
fn candidates_with_objects(c: &Connection, image: ImageId) -> Result<Vec<(CandidateId, BoundingBox)>, StoreError> {
    let sql = "SELECT id, x1, y1, x2, y2 FROM candidates
               WHERE image_id = ?1 AND verdict IN ('missed_object', 'wrong_class') ORDER BY id";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([image.0], |r| Ok((CandidateId(r.get(0)?), bounding_box(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the object whose class a verdict on `bbox` corrects: the one with the largest IoU, if that is at least 0.5.
fn corrected_by<'a>(targets: &'a mut [Target], bbox: &BoundingBox, tick: i64) -> Option<&'a mut Target> {
    let there = targets.iter_mut().filter(|target| target.since <= tick);
    let holding = there.map(|target| (target.iou(bbox), target)).filter(|(iou, _)| *iou >= CANDIDATE_MAX_IOU);
    // The first on ties.
    holding.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, target)| target)
}

/// Matches the candidates of an image again with its ground truth and that of its copies in other datasets: largest IoU and kind. A
/// promoted object is ignored for its own candidate. Candidates on ignored ground truth become duplicates: they need no decision and are
/// not used in training.
pub(super) fn rematch(tx: &Transaction<'_>, image: ImageId) -> Result<(), StoreError> {
    let sql = "SELECT id, class_id, x1, y1, x2, y2, max_iou, kind FROM candidates WHERE image_id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let read = |r: &Row<'_>| {
        let stored: (f64, FalsePositiveKind) = (r.get(6)?, word(r, 7)?);
        Ok((CandidateId(r.get(0)?), ClassId(r.get(1)?), bounding_box(r, 2)?, stored))
    };
    let rows: Vec<(CandidateId, ClassId, BoundingBox, (f64, FalsePositiveKind))> =
        statement.query_map([image.0], read)?.collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Ok(());
    }
    let objects = ground_truth::current(tx, image)?;
    let sql = "UPDATE candidates SET max_iou = ?2, kind = ?3 WHERE id = ?1";
    for (candidate, class, bbox, stored) in rows {
        let others = objects.iter().filter(|object| object.origin != Some(candidate));
        let overlaps = Overlaps::of(&bbox, class, others.map(|object| (object.bbox, object.class)));
        let ignored = objects.iter().filter(|object| object.ignored).map(|object| object.bbox);
        let kind = match FalsePositiveKind::of(overlaps) {
            _ if overlaps_ignored(&bbox, ignored, CANDIDATE_MAX_IOU) => FalsePositiveKind::Duplicate,
            kind => kind,
        };
        let found = (overlaps.largest(), kind);
        if found != stored {
            tx.prepare_cached(sql)?.execute(params![candidate.0, found.0, found.1.as_str()])?;
        }
    }
    Ok(())
}

struct Current {
    image: ImageId,
    verdict: Option<Verdict>,
    basis: Basis,
}

#[derive(Clone, Copy)]
struct Newest {
    seq: i64,
    tick: i64,
    verdict: Verdict,
    basis: Basis,
}

fn current(c: &Connection, candidate: CandidateId) -> Result<Option<Current>, StoreError> {
    let sql = "SELECT image_id, verdict, basis FROM candidates WHERE id = ?1";
    let read =
        |r: &Row<'_>| Ok(Current { image: ImageId(r.get(0)?), verdict: optional_word(r, 1)?, basis: word(r, 2)? });
    Ok(c.prepare_cached(sql)?.query_row([candidate.0], read).optional()?)
}

fn newest(c: &Connection, candidate: CandidateId) -> Result<Option<Newest>, StoreError> {
    let sql = "SELECT seq, verdict, tick, basis FROM standing_verdicts WHERE candidate_id = ?1
               ORDER BY verdict = 'skipped', tick DESC, annotator_id DESC LIMIT 1";
    let read = |r: &Row<'_>| Ok(Newest { seq: r.get(0)?, verdict: word(r, 1)?, tick: r.get(2)?, basis: word(r, 3)? });
    Ok(c.prepare_cached(sql)?.query_row([candidate.0], read).optional()?)
}

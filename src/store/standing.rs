//! What follows from the verdict log: the verdict that stands, the objects that are promoted or corrected, and how candidates lie to
//! the ground truth.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::columns::{bounding_box, optional_word, word};
use super::ground_truth::Correction;
use super::{StoreError, ground_truth, images, queue_index, verdicts};
use crate::domain::{
    Annotation, CANDIDATE_MAX_IOU, CandidateId, ClassId, FalsePositiveKind, GroundTruthId, ImageId, Overlaps, Shape,
    Verdict,
};
use crate::geometry::{BoundingBox, Ellipse};

/// The row of the log that stands for an annotator on a candidate.
pub(super) fn seq(c: &Connection, candidate: CandidateId, annotator: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT seq FROM standing_verdicts WHERE candidate_id = ?1 AND annotator_id = ?2";
    Ok(c.prepare_cached(sql)?.query_row([candidate.0, annotator], |r| r.get(0)).optional()?)
}

/// Lets row `seq` of the log stand for an annotator; `None` lets nothing stand.
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
    let class = if verdict.has_class() { verdicts::read(tx, seq)?.class } else { None };
    let sql = "INSERT INTO standing_verdicts (candidate_id, annotator_id, seq, tick, verdict, class_id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET seq = excluded.seq, tick = excluded.tick, verdict = excluded.verdict,
                   class_id = excluded.class_id";
    let class = class.map(|class| class.0);
    tx.prepare_cached(sql)?.execute(params![candidate.0, annotator, seq, tick, verdict.as_str(), class])?;
    Ok(())
}

/// Brings candidates, promoted and corrected objects and matches in line with the standing verdicts of `candidates`. Over all annotators
/// the newest decision counts; a skip counts only where nobody decided.
pub(super) fn settle(tx: &Transaction<'_>, candidates: &[CandidateId]) -> Result<(), StoreError> {
    let (mut touched, mut decided) = (BTreeSet::new(), BTreeSet::new());
    for &candidate in candidates {
        let before = current(tx, candidate)?.ok_or_else(|| StoreError::missing("candidate", candidate))?;
        let verdict = newest(tx, candidate)?.map(|n| n.verdict);
        if verdict != before.verdict {
            let sql = "UPDATE candidates SET verdict = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![candidate.0, verdict.map(Verdict::as_str)])?;
        }
        if [verdict, before.verdict].into_iter().flatten().any(Verdict::has_class) {
            set_object(tx, candidate, &before)?;
            decided.insert(before.image);
            touched.extend(images::copies(tx, before.image)?);
        }
    }
    // Lists follow the log image by image; copies in other datasets are beyond what they look at.
    if touched.len() > decided.len() {
        queue_index::mark_changed(tx)?;
    }
    decided.into_iter().try_for_each(|image| correct(tx, image))?;
    touched.into_iter().try_for_each(|image| rematch(tx, image))
}

/// What the newest verdict says about the object where a candidate lies: none, a promoted one, or the dataset's own with another class.
fn set_object(tx: &Transaction<'_>, candidate: CandidateId, at: &Current) -> Result<(), StoreError> {
    let placed = newest(tx, candidate)?.filter(|n| n.verdict.has_class());
    let Some(newest) = placed else { return ground_truth::set_promoted(tx, at.image, candidate, None) };
    let decision = verdicts::read(tx, newest.seq)?;
    let Some(class) = decision.class else { return Err(StoreError::missing("class of verdict", newest.seq)) };
    let is_correction = newest.verdict == Verdict::WrongClass
        && corrected_by(&ground_truth::imported(tx, at.image)?, &at.bbox).is_some();
    let object = if is_correction {
        None
    } else {
        let shape = match decision.shape {
            Some(drawn) => drawn,
            None if ground_truth::is_elliptic(tx, class)? => Shape::Ellipse(Ellipse::inscribed(&at.bbox)),
            None => Shape::Rectangle(at.bbox),
        };
        Some((class, shape))
    };
    ground_truth::set_promoted(tx, at.image, candidate, object)
}

/// The dataset's own object whose class a verdict on `bbox` corrects: the one of the largest IoU, if that is 0.5 or more.
fn corrected_by(imported: &[(GroundTruthId, Annotation)], bbox: &BoundingBox) -> Option<(GroundTruthId, Annotation)> {
    let overlaps = imported.iter().map(|(id, object)| (bbox.iou(&object.shape.bounding_box()), *id, *object));
    let holding = overlaps.filter(|(iou, ..)| *iou >= CANDIDATE_MAX_IOU);
    let best = holding.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    best.map(|(_, id, object)| (id, object))
}

/// Brings the corrections of an image's own objects in line with the standing verdicts on its candidates; of several on one object the
/// newest counts.
fn correct(tx: &Transaction<'_>, image: ImageId) -> Result<(), StoreError> {
    let imported = ground_truth::imported(tx, image)?;
    let sql =
        "SELECT id, image_id, x1, y1, x2, y2, verdict FROM candidates WHERE image_id = ?1 AND verdict = 'wrong_class'";
    let mut statement = tx.prepare_cached(sql)?;
    let rows: Vec<(CandidateId, BoundingBox)> = statement
        .query_map([image.0], |r| Ok((CandidateId(r.get(0)?), bounding_box(r, 2)?)))?
        .collect::<Result<_, _>>()?;
    let mut wanted: HashMap<GroundTruthId, (i64, ClassId)> = HashMap::new();
    for (candidate, bbox) in rows {
        let Some((object, _)) = corrected_by(&imported, &bbox) else { continue };
        let Some(newest) = newest(tx, candidate)? else { continue };
        let Some(class) = verdicts::read(tx, newest.seq)?.class else { continue };
        let known = wanted.entry(object).or_insert((newest.tick, class));
        if known.0 < newest.tick {
            *known = (newest.tick, class);
        }
    }
    for (id, object) in imported {
        let class = wanted.get(&id).map(|(_, class)| *class).filter(|class| *class != object.class);
        let correction = class.map(|class| Correction { object: Annotation { class, ..object }, removed: false });
        ground_truth::set_correction(tx, image, id, correction)?;
    }
    Ok(())
}

/// Matches the candidates of an image with its ground truth, and with that of its copies in other datasets, anew: largest IoU and
/// kind. A promoted object does not count for the candidate that it came from.
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
    let objects = ground_truth::standing(tx, image)?;
    let sql = "UPDATE candidates SET max_iou = ?2, kind = ?3 WHERE id = ?1";
    for (candidate, class, bbox, stored) in rows {
        let others = objects.iter().filter(|object| object.origin != Some(candidate));
        let overlaps = Overlaps::of(&bbox, class, others.map(|object| (object.bbox, object.class)));
        let found = (overlaps.largest(), FalsePositiveKind::of(overlaps));
        if found != stored {
            tx.prepare_cached(sql)?.execute(params![candidate.0, found.0, found.1.as_str()])?;
        }
    }
    Ok(())
}

struct Current {
    image: ImageId,
    bbox: BoundingBox,
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy)]
struct Newest {
    seq: i64,
    tick: i64,
    verdict: Verdict,
}

fn current(c: &Connection, candidate: CandidateId) -> Result<Option<Current>, StoreError> {
    let sql = "SELECT image_id, x1, y1, x2, y2, verdict FROM candidates WHERE id = ?1";
    let read = |r: &Row<'_>| {
        Ok(Current { image: ImageId(r.get(0)?), bbox: bounding_box(r, 1)?, verdict: optional_word(r, 5)? })
    };
    Ok(c.prepare_cached(sql)?.query_row([candidate.0], read).optional()?)
}

fn newest(c: &Connection, candidate: CandidateId) -> Result<Option<Newest>, StoreError> {
    let sql = "SELECT seq, verdict, tick FROM standing_verdicts WHERE candidate_id = ?1
               ORDER BY verdict = 'skipped', tick DESC, annotator_id DESC LIMIT 1";
    let read = |r: &Row<'_>| Ok((r.get(0)?, optional_word(r, 1)?, r.get(2)?));
    let found: Option<(i64, Option<Verdict>, i64)> =
        c.prepare_cached(sql)?.query_row([candidate.0], read).optional()?;
    Ok(found.and_then(|(seq, verdict, tick)| Some(Newest { seq, tick, verdict: verdict? })))
}

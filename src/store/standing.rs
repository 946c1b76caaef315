//! What follows from the verdict log: the verdict that stands, the faces that are promoted, and how candidates lie to the ground
//! truth. Must not append to the log.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::columns::{bounding_box, optional_word};
use super::{StoreError, ground_truth, images, queue_index, verdicts};
use crate::domain::{CandidateId, FalsePositiveKind, ImageId, Shape, Verdict};
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
    let sql =
        "INSERT INTO standing_verdicts (candidate_id, annotator_id, seq, tick, verdict) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET seq = excluded.seq, tick = excluded.tick, verdict = excluded.verdict";
    tx.prepare_cached(sql)?.execute(params![candidate.0, annotator, seq, tick, verdict.as_str()])?;
    Ok(())
}

/// Brings candidates, promoted faces and matches in line with the standing verdicts of `candidates`. Over all annotators the newest
/// decision counts; a skip counts only where nobody decided.
pub(super) fn settle(tx: &Transaction<'_>, candidates: &[CandidateId]) -> Result<(), StoreError> {
    let (mut touched, mut promotions) = (BTreeSet::new(), BTreeSet::new());
    for &candidate in candidates {
        let before = current(tx, candidate)?.ok_or_else(|| StoreError::missing("candidate", candidate))?;
        let newest = newest(tx, candidate)?;
        let verdict = newest.map(|n| n.verdict);
        if verdict != before.verdict {
            let sql = "UPDATE candidates SET verdict = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![candidate.0, verdict.map(Verdict::as_str)])?;
        }
        let promoted = newest.filter(|n| n.verdict == Verdict::MissedObject);
        if promoted.is_some() || before.verdict == Some(Verdict::MissedObject) {
            let shape = match promoted {
                Some(n) => Some(verdicts::read(tx, n.seq)?.shape.unwrap_or_else(|| inscribed(&before.bbox))),
                None => None,
            };
            ground_truth::set_promoted(tx, before.image, candidate, shape)?;
            promotions.insert(before.image);
            touched.extend(images::copies(tx, before.image)?);
        }
    }
    // Lists follow the log image by image; copies in other datasets are beyond what they look at.
    if touched.len() > promotions.len() {
        queue_index::mark_changed(tx)?;
    }
    touched.into_iter().try_for_each(|image| rematch(tx, image))
}

/// Matches the candidates of an image with its ground truth, and with that of its copies in other datasets, anew: largest IoU and
/// kind. A promoted face does not count for the
/// candidate that it came from.
pub(super) fn rematch(tx: &Transaction<'_>, image: ImageId) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached("SELECT id, x1, y1, x2, y2, max_iou FROM candidates WHERE image_id = ?1")?;
    let rows: Vec<(CandidateId, BoundingBox, f64)> = statement
        .query_map([image.0], |r| Ok((CandidateId(r.get(0)?), bounding_box(r, 1)?, r.get(5)?)))?
        .collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Ok(());
    }
    let faces = ground_truth::boxes(tx, image)?;
    let sql = "UPDATE candidates SET max_iou = ?2, kind = ?3 WHERE id = ?1";
    for (candidate, bbox, stored) in rows {
        let others = faces.iter().filter(|(_, origin)| *origin != Some(candidate));
        let max_iou = others.map(|(face, _)| bbox.iou(face)).fold(0.0, f64::max);
        if max_iou != stored {
            let kind = FalsePositiveKind::from_max_iou(max_iou).as_str();
            tx.prepare_cached(sql)?.execute(params![candidate.0, max_iou, kind])?;
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
    verdict: Verdict,
}

fn current(c: &Connection, candidate: CandidateId) -> Result<Option<Current>, StoreError> {
    let sql = "SELECT image_id, x1, y1, x2, y2, verdict FROM candidates WHERE id = ?1";
    let read = |r: &rusqlite::Row<'_>| {
        Ok(Current { image: ImageId(r.get(0)?), bbox: bounding_box(r, 1)?, verdict: optional_word(r, 5)? })
    };
    Ok(c.prepare_cached(sql)?.query_row([candidate.0], read).optional()?)
}

fn newest(c: &Connection, candidate: CandidateId) -> Result<Option<Newest>, StoreError> {
    let sql = "SELECT seq, verdict FROM standing_verdicts WHERE candidate_id = ?1
               ORDER BY verdict = 'skipped', tick DESC, annotator_id DESC LIMIT 1";
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, optional_word(r, 1)?));
    let found: Option<(i64, Option<Verdict>)> = c.prepare_cached(sql)?.query_row([candidate.0], read).optional()?;
    Ok(found.and_then(|(seq, verdict)| Some(Newest { seq, verdict: verdict? })))
}

fn inscribed(bbox: &BoundingBox) -> Shape {
    Shape::Ellipse(Ellipse::inscribed(bbox))
}

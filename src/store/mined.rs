//! Stores mining results in batches of images, so that mining can be resumed.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::candidates::{NewCandidate, replace_on, spots_on};
use super::{Store, StoreError, detections, exchange, features, queue_index, rounds};
use crate::domain::{Detection, FalsePositiveKind, ImageId, RoiFeature, RoundId, RoundState};

/// A hash of an image's content and ground truth when it was mined.
pub type Fingerprint = [u8; 16];

/// The mining result of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct MinedImage {
    pub image: ImageId,
    pub fingerprint: Fingerprint,
    pub detections: Vec<Detection>,
    /// Each with its detector features.
    pub candidates: Vec<(NewCandidate, Option<RoiFeature>)>,
    /// Number of further detections of an object, which are not candidates.
    pub duplicate: usize,
}

/// Totals of the mined images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinedCounts {
    pub images: usize,
    pub detections: usize,
    pub background: usize,
    pub localisation: usize,
    pub classification: usize,
    pub both: usize,
    pub duplicate: usize,
}

impl MinedImage {
    /// Approximate number of rows written for it.
    pub fn rows(&self) -> usize {
        1 + self.detections.len() + 2 * self.candidates.len()
    }

    fn count(&self, kind: FalsePositiveKind) -> usize {
        self.candidates.iter().filter(|(candidate, _)| candidate.kind == kind).count()
    }
}

/// Which finished images a new mining run may skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Those of an interrupted run.
    Unfinished,
    /// Also those of a finished run: repeating it changes nothing.
    Any,
}

impl Store {
    /// Starts or resumes the mining of a round; returns the finished images with their fingerprints. A run with another `identity` (model
    /// or settings) starts over; previous candidates stay until each image is mined again.
    pub fn begin_mining(
        &mut self,
        round: RoundId,
        identity: &str,
        resume: Resume,
    ) -> Result<HashMap<ImageId, Fingerprint>, StoreError> {
        self.write(|tx| {
            let sql = "SELECT id, identity, finished FROM mining_runs WHERE round_id = ?1";
            let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get::<_, bool>(2)?));
            let known: Option<(i64, String, bool)> = tx.query_row(sql, [round.0], read).optional()?;
            let resumable = |(run, of, is_finished): (i64, String, bool)| {
                (of == identity && (!is_finished || resume == Resume::Any)).then_some(run)
            };
            if let Some(run) = known.and_then(resumable) {
                tx.execute("UPDATE mining_runs SET finished = 0 WHERE id = ?1", [run])?;
                return done_in(tx, round, run);
            }
            tx.execute("DELETE FROM mining_runs WHERE round_id = ?1", [round.0])?;
            let sql = "INSERT INTO mining_runs (round_id, identity, finished) VALUES (?1, ?2, 0)";
            tx.execute(sql, params![round.0, identity])?;
            Ok(HashMap::new())
        })
    }

    /// Stores the mining results of these images in one transaction: detections, candidates, features, and that the images are done.
    /// Results of an earlier run are replaced, see [`Store::replace_candidates`]; other images keep theirs.
    pub fn put_mined(&mut self, round: RoundId, mined: &[MinedImage]) -> Result<(), StoreError> {
        self.write(|tx| {
            let run = run_of(tx, round)?;
            for image in mined {
                put_image(tx, round, run, image)?;
            }
            queue_index::mark_changed(tx)
        })
    }

    /// Finishes the run: merged verdicts that waited for a candidate are placed, and the round is marked as mined.
    pub fn end_mining(&mut self, round: RoundId) -> Result<(), StoreError> {
        self.write(|tx| {
            exchange::place_waiting(tx)?;
            tx.execute("UPDATE mining_runs SET finished = 1 WHERE round_id = ?1", [round.0])?;
            rounds::set_state(tx, round, RoundState::Mined)?;
            queue_index::mark_changed(tx)
        })
    }

    /// Counts over the images that the round's mining has finished.
    pub fn mined_counts(&self, round: RoundId) -> Result<MinedCounts, StoreError> {
        self.read(|c| {
            let sql = "SELECT count(*), sum(detections), sum(background), sum(localisation), sum(classification), sum(\"both\"),
                              sum(duplicate)
                       FROM mined_images JOIN mining_runs USING (round_id) WHERE round_id = ?1 AND run = id";
            Ok(c.query_row(sql, [round.0], |r| {
                let count = |k| Ok::<_, rusqlite::Error>(r.get::<_, Option<i64>>(k)?.unwrap_or(0) as usize);
                Ok(MinedCounts {
                    images: count(0)?,
                    detections: count(1)?,
                    background: count(2)?,
                    localisation: count(3)?,
                    classification: count(4)?,
                    both: count(5)?,
                    duplicate: count(6)?,
                })
            })?)
        })
    }

    /// Returns the number of images finished by an incomplete mining run of the round; `None` without one.
    pub fn unfinished_mining(&self, round: RoundId) -> Result<Option<usize>, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM mined_images WHERE round_id = ?1 AND run = id) FROM mining_runs
                   WHERE round_id = ?1 AND finished = 0";
        self.read(|c| Ok(c.query_row(sql, [round.0], |r| r.get::<_, i64>(0)).optional()?.map(|count| count as usize)))
    }
}

fn run_of(tx: &Transaction<'_>, round: RoundId) -> Result<i64, StoreError> {
    let sql = "SELECT id FROM mining_runs WHERE round_id = ?1 AND finished = 0";
    let run = tx.prepare_cached(sql)?.query_row([round.0], |r| r.get(0)).optional()?;
    run.ok_or_else(|| StoreError::Invalid(format!("round {round} is not being mined")))
}

fn done_in(tx: &Transaction<'_>, round: RoundId, run: i64) -> Result<HashMap<ImageId, Fingerprint>, StoreError> {
    let mut statement =
        tx.prepare("SELECT image_id, fingerprint FROM mined_images WHERE round_id = ?1 AND run = ?2")?;
    let rows = statement.query_map([round.0, run], |r| Ok((ImageId(r.get(0)?), r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn put_image(tx: &Transaction<'_>, round: RoundId, run: i64, mined: &MinedImage) -> Result<(), StoreError> {
    let image = mined.image;
    detections::replace(tx, round, image, &mined.detections)?;
    let new: Vec<NewCandidate> = mined.candidates.iter().map(|(candidate, _)| *candidate).collect();
    let ids = replace_on(tx, round, &[image], spots_on(tx, round, image)?, &new)?;
    for (id, (_, feature)) in ids.iter().zip(&mined.candidates) {
        if let Some(feature) = feature {
            features::put(tx, *id, feature)?;
        }
    }
    let sql = "INSERT OR REPLACE INTO mined_images
                   (round_id, image_id, run, fingerprint, detections, background, localisation, classification, \"both\", duplicate)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let count = |kind| mined.count(kind) as i64;
    tx.prepare_cached(sql)?.execute(params![
        round.0,
        image.0,
        run,
        mined.fingerprint,
        mined.detections.len() as i64,
        count(FalsePositiveKind::Background),
        count(FalsePositiveKind::Localisation),
        count(FalsePositiveKind::Classification),
        count(FalsePositiveKind::Both),
        mined.duplicate as i64,
    ])?;
    Ok(())
}

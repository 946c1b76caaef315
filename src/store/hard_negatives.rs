//! The next round's hard negatives and ignored regions.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::columns::{bounding_box, word};
use super::{Store, StoreError};
use crate::domain::{Basis, CandidateId, ClassId, FalsePositiveKind, GroupId, HardNegativeSource, ImageId};
use crate::geometry::BoundingBox;

/// A false positive used as a training negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardNegative {
    pub bbox: BoundingBox,
    /// The class that the detector predicted.
    pub class: ClassId,
    /// Its kind: background, a localisation error or a classification error.
    pub kind: FalsePositiveKind,
    /// The detector's score in the round that mined it.
    pub score: f32,
    pub basis: Basis,
}

/// A [`HardNegative`] with its origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinedNegative {
    pub candidate: CandidateId,
    pub image: ImageId,
    pub group: Option<GroupId>,
    /// The number of the round that mined it.
    pub round: u32,
    pub negative: HardNegative,
}

/// No annotator's current verdict forbids training on the candidate as a hard negative: disputed candidates are excluded.
const UNDISPUTED: &str = "c.kind <> 'duplicate' AND NOT EXISTS (
    SELECT 1 FROM standing_verdicts s WHERE s.candidate_id = c.id AND s.verdict IN ('rejected', 'missed_object', 'wrong_class'))";

impl Store {
    /// Returns the hard negatives of rounds with a number below `rounds_before`, by descending score. `Confirmed`: the newest decision
    /// confirms it; `Reviewed`: and is not an estimate; `Unreviewed`: every candidate, whether reviewed or not. All exclude candidates that
    /// any annotator's current verdict rejects or calls an object, candidates on an object of their class that was promoted since, and
    /// images whose content changed.
    pub fn hard_negatives(
        &self,
        source: HardNegativeSource,
        rounds_before: u32,
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        self.hard_negatives_with(source, rounds_before, &[])
    }

    /// [`Store::hard_negatives`] of Quarry's own rounds and of the imported `models`. Other models are excluded: detectors do not share
    /// mistakes.
    pub fn hard_negatives_with(
        &self,
        source: HardNegativeSource,
        rounds_before: u32,
        models: &[String],
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        self.select_hard_negatives(source, rounds_before, Some(&serde_json::json!(models).to_string()))
    }

    /// Returns the hard negatives of all rounds, own and imported, for training in other programs.
    pub fn all_hard_negatives(
        &self,
        source: HardNegativeSource,
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        self.select_hard_negatives(source, u32::MAX, None)
    }

    /// `models`: a JSON list of imported models; `None` for all.
    fn select_hard_negatives(
        &self,
        source: HardNegativeSource,
        rounds_before: u32,
        models: Option<&str>,
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        let wanted = match source {
            HardNegativeSource::None => return Ok(HashMap::new()),
            HardNegativeSource::Confirmed => "c.verdict = 'confirmed'",
            HardNegativeSource::Reviewed => "c.verdict = 'confirmed' AND c.basis <> 'estimated'",
            HardNegativeSource::Unreviewed => "TRUE",
        };
        self.read(|connection| {
            let sql = format!(
                "SELECT c.image_id, c.x1, c.y1, c.x2, c.y2, c.score, c.class_id, c.kind, c.basis FROM candidates c
                 JOIN rounds r ON r.id = c.round_id
                 WHERE r.number < ?1 AND (?2 IS NULL OR r.model = '' OR r.model IN (SELECT value FROM json_each(?2))) AND {wanted} AND {UNDISPUTED} AND {} ORDER BY c.score DESC, c.id",
                fresh(connection)?
            );
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params![rounds_before, models])?;
            let mut found: HashMap<ImageId, Vec<HardNegative>> = HashMap::new();
            while let Some(row) = rows.next()? {
                let negative = HardNegative {
                    bbox: bounding_box(row, 1)?,
                    class: ClassId(row.get(6)?),
                    kind: word(row, 7)?,
                    score: row.get(5)?,
                    basis: word(row, 8)?,
                };
                found.entry(ImageId(row.get(0)?)).or_default().push(negative);
            }
            Ok(found)
        })
    }

    /// [`Store::all_hard_negatives`] individually, by descending score.
    pub fn mined_negatives(&self, source: HardNegativeSource) -> Result<Vec<MinedNegative>, StoreError> {
        let wanted = match source {
            HardNegativeSource::None => return Ok(Vec::new()),
            HardNegativeSource::Confirmed => "c.verdict = 'confirmed'",
            HardNegativeSource::Reviewed => "c.verdict = 'confirmed' AND c.basis <> 'estimated'",
            HardNegativeSource::Unreviewed => "TRUE",
        };
        self.read(|connection| {
            let sql = format!(
                "SELECT c.image_id, c.x1, c.y1, c.x2, c.y2, c.score, c.class_id, c.kind, c.id, c.group_id, r.number, c.basis
                 FROM candidates c JOIN rounds r ON r.id = c.round_id
                 WHERE {wanted} AND {UNDISPUTED} AND {} ORDER BY c.score DESC, c.id",
                fresh(connection)?
            );
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(MinedNegative {
                    candidate: CandidateId(row.get(8)?),
                    image: ImageId(row.get(0)?),
                    group: row.get::<_, Option<i64>>(9)?.map(GroupId),
                    round: row.get(10)?,
                    negative: HardNegative {
                        bbox: bounding_box(row, 1)?,
                        class: ClassId(row.get(6)?),
                        kind: word(row, 7)?,
                        score: row.get(5)?,
                        basis: word(row, 11)?,
                    },
                });
            }
            Ok(found)
        })
    }

    /// [`Store::rejected_regions`], each with the class that the detector predicted.
    pub fn rejected_regions_of_classes(&self) -> Result<HashMap<ImageId, Vec<(ClassId, BoundingBox)>>, StoreError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT c.image_id, c.x1, c.y1, c.x2, c.y2, c.class_id FROM candidates c
                 WHERE c.id IN (SELECT candidate_id FROM standing_verdicts WHERE verdict = 'rejected')
                 AND c.kind <> 'duplicate' AND c.verdict NOT IN ('missed_object', 'wrong_class') AND {} ORDER BY c.id",
                fresh(connection)?
            );
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut found: HashMap<ImageId, Vec<(ClassId, BoundingBox)>> = HashMap::new();
            while let Some(row) = rows.next()? {
                let region = (ClassId(row.get(5)?), bounding_box(row, 1)?);
                found.entry(ImageId(row.get(0)?)).or_default().push(region);
            }
            Ok(found)
        })
    }

    /// Returns regions that are neither foreground nor background: rejected by an annotator's current verdict, in any round, on images
    /// whose content is unchanged since.
    pub fn rejected_regions(&self) -> Result<HashMap<ImageId, Vec<BoundingBox>>, StoreError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT c.image_id, c.x1, c.y1, c.x2, c.y2 FROM candidates c
                 WHERE c.id IN (SELECT candidate_id FROM standing_verdicts WHERE verdict = 'rejected')
                 AND c.kind <> 'duplicate' AND c.verdict NOT IN ('missed_object', 'wrong_class') AND {} ORDER BY c.id",
                fresh(connection)?
            );
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut found: HashMap<ImageId, Vec<BoundingBox>> = HashMap::new();
            while let Some(row) = rows.next()? {
                found.entry(ImageId(row.get(0)?)).or_default().push(bounding_box(row, 1)?);
            }
            Ok(found)
        })
    }
}

/// Returns the condition that the image still has the content in which the candidate was found. An older format opened read-only does not
/// record this.
fn fresh(c: &Connection) -> Result<&'static str, StoreError> {
    let is_known = c.table_exists(None, "stale_candidates")?;
    Ok(if is_known { "c.id NOT IN (SELECT candidate_id FROM stale_candidates)" } else { "TRUE" })
}

//! The next round's hard negatives and ignored regions.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::columns::{bounding_box, word};
use super::{Store, StoreError};
use crate::domain::{Basis, CandidateId, ClassId, FalsePositiveKind, GroupId, HardNegativeSource, ImageId};
use crate::geometry::BoundingBox;

/// A false positive that a round trains with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardNegative {
    pub bbox: BoundingBox,
    /// What the detector took it for.
    pub class: ClassId,
    /// What it is: background, or an object that is badly placed or has another class.
    pub kind: FalsePositiveKind,
    /// The detector's score in the round that it was mined in.
    pub score: f32,
    pub basis: Basis,
}

/// A [`HardNegative`] with what tells it from others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinedNegative {
    pub candidate: CandidateId,
    pub image: ImageId,
    pub group: Option<GroupId>,
    /// The number of the round that it was mined in.
    pub round: u32,
    pub negative: HardNegative,
}

/// Nobody's current verdict forbids training on the candidate as a hard negative: where annotators disagree, it is left alone.
const UNDISPUTED: &str = "c.kind <> 'duplicate' AND NOT EXISTS (
    SELECT 1 FROM standing_verdicts s WHERE s.candidate_id = c.id AND s.verdict IN ('rejected', 'missed_object', 'wrong_class'))";

impl Store {
    /// The hard negatives of the rounds with a number below `rounds_before`, highest score first. `Confirmed`: the newest decision confirms
    /// it, `Reviewed`: and is not an estimate; `Unreviewed`: every candidate, whatever it lacks in review. Neither holds one that an
    /// annotator's standing verdict rejects or calls an object, nor one that is on an object of its class that was promoted since, nor one
    /// of an image whose bytes changed.
    pub fn hard_negatives(
        &self,
        source: HardNegativeSource,
        rounds_before: u32,
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        self.hard_negatives_with(source, rounds_before, &[])
    }

    /// [`Store::hard_negatives`] of Quarry's own rounds and of the imported `models`. No other model's are among them: a detector does
    /// not make another one's mistakes.
    pub fn hard_negatives_with(
        &self,
        source: HardNegativeSource,
        rounds_before: u32,
        models: &[String],
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        self.select_hard_negatives(source, rounds_before, Some(&serde_json::json!(models).to_string()))
    }

    /// The hard negatives of all rounds, of Quarry's own and of every imported model: what other programs train with.
    pub fn all_hard_negatives(
        &self,
        source: HardNegativeSource,
    ) -> Result<HashMap<ImageId, Vec<HardNegative>>, StoreError> {
        self.select_hard_negatives(source, u32::MAX, None)
    }

    /// `models`: a JSON list of imported models; `None` for all of them.
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

    /// [`Store::all_hard_negatives`] one by one, highest score first.
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

    /// [`Store::rejected_regions`], each with the class that the detector took it for.
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

    /// Regions that are neither foreground nor background from now on: what an annotator's current verdict rejects, of all rounds,
    /// where the image still has the bytes that were judged.
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

/// The condition that the image still has the bytes that the candidate was found on. A database of an older format that is only read
/// does not tell.
fn fresh(c: &Connection) -> Result<&'static str, StoreError> {
    let is_known = c.table_exists(None, "stale_candidates")?;
    Ok(if is_known { "c.id NOT IN (SELECT candidate_id FROM stale_candidates)" } else { "TRUE" })
}

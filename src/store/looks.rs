//! What candidates' crops look like. Must not know how a look is computed, nor what is alike.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::columns::{bounding_box, optional_word, word};
use super::{Store, StoreError, images};
use crate::domain::{CandidateId, ClassId, FalsePositiveKind, GroupId, ImageId, Look, RoundId, is_left};
use crate::geometry::BoundingBox;

/// A candidate as grouping sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateLook {
    pub id: CandidateId,
    pub round: RoundId,
    pub image: ImageId,
    /// The same number for images of one size in one dataset.
    pub camera: u32,
    pub class: ClassId,
    pub kind: FalsePositiveKind,
    pub bbox: BoundingBox,
    pub score: f32,
    /// `None` where the image could not be read.
    pub look: Option<Look>,
    pub group: Option<GroupId>,
    /// To decide on.
    pub is_left: bool,
    /// Its look or its features were read since the groups were found, or it has no look.
    pub is_new: bool,
}

impl Store {
    /// Every candidate of every round but those of removed images, highest score first: what grouping works on.
    pub fn candidate_looks(&self) -> Result<Vec<CandidateLook>, StoreError> {
        let mut found = self.looks("")?;
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        Ok(found)
    }

    /// The candidates whose crop was not looked at yet, by image; not those of removed images.
    pub fn candidates_without_look(&self) -> Result<Vec<CandidateLook>, StoreError> {
        let mut found = self.looks("WHERE l.candidate_id IS NULL")?;
        found.sort_by_key(|candidate| (candidate.image, candidate.id));
        Ok(found)
    }

    /// Keeps what crops look like, in one transaction.
    pub fn put_looks(&mut self, looks: &[(CandidateId, Look)]) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO looks (candidate_id, content, perceptual) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET content = excluded.content, perceptual = excluded.perceptual";
            let mut statement = tx.prepare_cached(sql)?;
            let mut new = tx.prepare_cached("INSERT OR IGNORE INTO ungrouped (candidate_id) VALUES (?1)")?;
            for (candidate, look) in looks {
                statement.execute(params![candidate.0, look.content, look.perceptual as i64])?;
                new.execute([candidate.0])?;
            }
            Ok(())
        })
    }

    fn looks(&self, filter: &str) -> Result<Vec<CandidateLook>, StoreError> {
        self.read(|c| {
            let cameras = cameras(c)?;
            let sql = format!(
                "SELECT c.id, c.image_id, c.x1, c.y1, c.x2, c.y2, c.score, l.content, l.perceptual, c.round_id, c.class_id, c.kind,
                        c.group_id, u.candidate_id IS NOT NULL, c.verdict
                 FROM candidates c LEFT JOIN looks l ON l.candidate_id = c.id LEFT JOIN ungrouped u ON u.candidate_id = c.id
                 {filter} ORDER BY c.id"
            );
            let mut statement = c.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                let image = ImageId(r.get(1)?);
                let Some(camera) = cameras.get(&image) else { continue };
                let content: Option<[u8; 32]> = r.get(7)?;
                let perceptual: Option<i64> = r.get(8)?;
                let look = content.zip(perceptual).map(|(content, bits)| Look { content, perceptual: bits as u64 });
                let (kind, verdict) = (word(r, 11)?, optional_word(r, 14)?);
                found.push(CandidateLook {
                    id: CandidateId(r.get(0)?),
                    round: RoundId(r.get(9)?),
                    image,
                    camera: *camera,
                    class: ClassId(r.get(10)?),
                    kind,
                    bbox: bounding_box(r, 2)?,
                    score: r.get(6)?,
                    look,
                    group: r.get::<_, Option<i64>>(12)?.map(GroupId),
                    is_left: is_left(kind, verdict),
                    is_new: look.is_none() || r.get(13)?,
                });
            }
            Ok(found)
        })
    }
}

/// The cameras of the images that their datasets still hold.
fn cameras(c: &Connection) -> Result<HashMap<ImageId, u32>, StoreError> {
    let sql = format!("SELECT id, dataset_id, width, height FROM images WHERE {}", images::present(c)?);
    let mut statement = c.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut cameras, mut numbers) = (HashMap::new(), HashMap::new());
    while let Some(r) = rows.next()? {
        let size: (i64, i64, i64) = (r.get(1)?, r.get(2)?, r.get(3)?);
        let next = numbers.len() as u32;
        cameras.insert(ImageId(r.get(0)?), *numbers.entry(size).or_insert(next));
    }
    Ok(cameras)
}

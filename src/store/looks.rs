//! What candidates' crops look like. Must not know how a look is computed, nor what is alike.

use rusqlite::{Connection, params};

use super::columns::bounding_box;
use super::{Store, StoreError, images};
use crate::domain::{CandidateId, ImageId, Look, RoundId};
use crate::geometry::BoundingBox;

/// A candidate as grouping sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateLook {
    pub id: CandidateId,
    pub round: RoundId,
    pub image: ImageId,
    pub bbox: BoundingBox,
    pub score: f32,
    /// `None` where the photograph could not be read.
    pub look: Option<Look>,
}

impl Store {
    /// Every candidate of every round but those of removed images, highest score first: what grouping works on.
    pub fn candidate_looks(&self) -> Result<Vec<CandidateLook>, StoreError> {
        self.looks("", "c.score DESC, c.id")
    }

    /// The candidates whose crop was not looked at yet, by image; not those of removed images.
    pub fn candidates_without_look(&self) -> Result<Vec<CandidateLook>, StoreError> {
        self.looks("AND l.candidate_id IS NULL", "c.image_id, c.id")
    }

    /// Keeps what crops look like, in one transaction.
    pub fn put_looks(&mut self, looks: &[(CandidateId, Look)]) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO looks (candidate_id, content, perceptual) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET content = excluded.content, perceptual = excluded.perceptual";
            let mut statement = tx.prepare_cached(sql)?;
            for (candidate, look) in looks {
                statement.execute(params![candidate.0, look.content, look.perceptual as i64])?;
            }
            Ok(())
        })
    }

    fn looks(&self, filter: &str, order: &str) -> Result<Vec<CandidateLook>, StoreError> {
        self.read(|c| {
            let sql = format!(
                "SELECT c.id, c.image_id, c.x1, c.y1, c.x2, c.y2, c.score, l.content, l.perceptual, c.round_id
                 FROM candidates c LEFT JOIN looks l ON l.candidate_id = c.id
                 WHERE c.image_id NOT IN (SELECT id FROM images WHERE NOT ({})) {filter} ORDER BY {order}",
                images::present(c)?
            );
            read_looks(c, &sql)
        })
    }
}

fn read_looks(c: &Connection, sql: &str) -> Result<Vec<CandidateLook>, StoreError> {
    let mut statement = c.prepare(sql)?;
    let rows = statement.query_map([], |r| {
        let content: Option<[u8; 32]> = r.get(7)?;
        let perceptual: Option<i64> = r.get(8)?;
        let look = content.zip(perceptual).map(|(content, bits)| Look { content, perceptual: bits as u64 });
        let (id, image, round) = (CandidateId(r.get(0)?), ImageId(r.get(1)?), RoundId(r.get(9)?));
        Ok(CandidateLook { id, round, image, bbox: bounding_box(r, 2)?, score: r.get(6)?, look })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

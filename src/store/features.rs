//! The detector features of candidates.

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::candidates::{Place, stored_boxes};
use super::columns::bounding_box;
use super::{Store, StoreError, present_images};
use crate::domain::{CandidateId, ClassId, FeatureSpace, ImageId, RoiFeature, RoundId};
use crate::geometry::BoundingBox;

impl Store {
    /// Stores the features of a round's candidates, matched by image, class and box, in one transaction. Boxes that match no candidate are
    /// skipped.
    pub fn put_features(
        &mut self,
        round: RoundId,
        features: impl Iterator<Item = (ImageId, ClassId, BoundingBox, RoiFeature)>,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let candidates = stored_boxes(tx, round)?;
            let mut new = tx.prepare_cached(NEW)?;
            for (image, class, bbox, feature) in features {
                if let Some(candidate) = candidates.get(&Place::of(image, class, &bbox))
                    && put(tx, *candidate, &feature)?
                {
                    new.execute([candidate])?;
                }
            }
            Ok(())
        })
    }

    /// Returns candidates of imported rounds without an embedding from the bundled backbone, by image; removed images are excluded.
    pub fn candidates_without_embedding(&self) -> Result<Vec<(CandidateId, ImageId, BoundingBox)>, StoreError> {
        self.read(|c| {
            let sql = format!(
                "SELECT c.id, c.image_id, c.x1, c.y1, c.x2, c.y2 FROM candidates c JOIN rounds r ON r.id = c.round_id
                 WHERE r.model <> '' AND c.id NOT IN (SELECT candidate_id FROM embeddings)
                   AND c.image_id IN (SELECT id FROM images WHERE {}) ORDER BY c.image_id, c.id",
                present_images::present(c)?
            );
            let mut statement = c.prepare(&sql)?;
            let read = |r: &rusqlite::Row<'_>| Ok((CandidateId(r.get(0)?), ImageId(r.get(1)?), bounding_box(r, 2)?));
            Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
        })
    }

    /// Whether [`Store::candidates_without_embedding`] would find any.
    pub fn lacks_embeddings(&self) -> Result<bool, StoreError> {
        self.read(|c| {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM rounds r JOIN candidates c ON c.round_id = r.id
                 WHERE r.model <> '' AND c.id NOT IN (SELECT candidate_id FROM embeddings)
                   AND c.image_id IN (SELECT id FROM images WHERE {}))",
                present_images::present(c)?
            );
            Ok(c.query_row(&sql, [], |r| r.get(0))?)
        })
    }

    /// Whether there are embeddings that grouping has not used yet.
    pub fn has_ungrouped_embeddings(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM ungrouped JOIN embeddings USING (candidate_id))";
        self.read(|c| Ok(c.query_row(sql, [], |r| r.get(0))?))
    }

    /// Stores crop embeddings from the bundled backbone in one transaction.
    pub fn put_embeddings(&mut self, embeddings: &[(CandidateId, RoiFeature)]) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO embeddings (candidate_id, vector) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET vector = excluded.vector";
            let (mut statement, mut new) = (tx.prepare_cached(sql)?, tx.prepare_cached(NEW)?);
            for (candidate, embedding) in embeddings {
                statement.execute(params![candidate.0, embedding.bytes()])?;
                new.execute([candidate.0])?;
            }
            Ok(())
        })
    }

    /// Returns the features of all candidates that have any: from their round's detector, otherwise from the backbone.
    pub fn candidate_features(&self) -> Result<HashMap<CandidateId, (FeatureSpace, RoiFeature)>, StoreError> {
        self.read(|c| {
            let mut found = HashMap::new();
            let mut statement = c.prepare("SELECT candidate_id, vector FROM embeddings")?;
            let mut rows = statement.query([])?;
            while let Some(r) = rows.next()? {
                let feature = RoiFeature::from_bytes(r.get(1)?);
                found.insert(CandidateId(r.get(0)?), (FeatureSpace::Backbone, feature));
            }
            let sql =
                "SELECT f.candidate_id, f.vector, c.round_id FROM features f JOIN candidates c ON c.id = f.candidate_id";
            let mut statement = c.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(r) = rows.next()? {
                let space = FeatureSpace::Round(RoundId(r.get(2)?));
                found.insert(CandidateId(r.get(0)?), (space, RoiFeature::from_bytes(r.get(1)?)));
            }
            Ok(found)
        })
    }
}

/// Stores a candidate's detector features; returns whether they are new.
pub(super) fn put(tx: &Transaction<'_>, candidate: i64, feature: &RoiFeature) -> Result<bool, StoreError> {
    let sql = "INSERT INTO features (candidate_id, vector) VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET vector = excluded.vector WHERE vector <> excluded.vector";
    Ok(tx.prepare_cached(sql)?.execute(params![candidate, feature.bytes()])? > 0)
}

/// Marks a candidate for the next grouping.
pub(super) const NEW: &str = "INSERT OR IGNORE INTO ungrouped (candidate_id) VALUES (?1)";

//! What the detector saw in candidates. Must not know how alike is alike enough.

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::candidates::{Place, stored_boxes};
use super::{Store, StoreError};
use crate::domain::{CandidateId, ClassId, ImageId, RoiFeature, RoundId};
use crate::geometry::BoundingBox;

impl Store {
    /// Keeps the features of a round's candidates, found by image, class and box, in one transaction. Boxes that are no candidate's are
    /// passed over.
    pub fn put_features(
        &mut self,
        round: RoundId,
        features: impl Iterator<Item = (ImageId, ClassId, BoundingBox, RoiFeature)>,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let candidates = stored_boxes(tx, round)?;
            for (image, class, bbox, feature) in features {
                if let Some(candidate) = candidates.get(&Place::of(image, class, &bbox)) {
                    put(tx, *candidate, &feature)?;
                }
            }
            Ok(())
        })
    }

    /// The features of all candidates that have some.
    pub fn candidate_features(&self) -> Result<HashMap<CandidateId, RoiFeature>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare("SELECT candidate_id, vector FROM features")?;
            let rows = statement.query_map([], |r| Ok((CandidateId(r.get(0)?), RoiFeature::from_bytes(r.get(1)?))))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Keeps what the detector saw in a candidate.
pub(super) fn put(tx: &Transaction<'_>, candidate: i64, feature: &RoiFeature) -> Result<(), StoreError> {
    let sql = "INSERT INTO features (candidate_id, vector) VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET vector = excluded.vector";
    tx.prepare_cached(sql)?.execute(params![candidate, feature.bytes()])?;
    Ok(())
}

//! Which candidates are undecided, as SQL over a candidate `c`; terms as in `domain::review_counts`.

use rusqlite::Connection;

use super::{Store, StoreError, present_images};
use crate::domain::CandidateId;

/// No effective verdict; [`is_left`](crate::domain::is_left) in SQL.
pub(super) const LEFT: &str = "c.verdict IS NULL AND c.kind <> 'duplicate'";

/// The same for one annotator: ?2 is the name, NULL for the effective verdicts.
pub(super) const LEFT_FOR: &str = "CASE WHEN ?2 IS NULL
        THEN c.verdict IS NULL
        ELSE NOT EXISTS (SELECT 1 FROM standing_verdicts s JOIN annotators a ON a.id = s.annotator_id
                         WHERE s.candidate_id = c.id AND a.name = ?2) END
    AND c.kind <> 'duplicate'";

/// The candidate's image is still in its dataset.
pub(super) fn is_present(c: &Connection) -> Result<String, StoreError> {
    Ok(format!("EXISTS (SELECT 1 FROM images WHERE id = c.image_id AND {})", present_images::present(c)?))
}

impl Store {
    /// Returns undecided candidates on images of at least this many pixels, by descending score.
    pub fn left_on_large_images(&self, pixels: u64, limit: usize) -> Result<Vec<CandidateId>, StoreError> {
        self.read(|c| {
            let shown = is_present(c)?;
            let sql = format!(
                "SELECT c.id FROM candidates c WHERE c.image_id IN (SELECT id FROM images WHERE width * height >= ?1)
                 AND {LEFT} AND {shown} ORDER BY c.score DESC, c.id LIMIT ?2"
            );
            let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map([bound(pixels), bound(limit as u64)], |r| r.get(0).map(CandidateId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

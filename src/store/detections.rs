//! The detections of a round's checkpoint on each image.

use rusqlite::{Row, Transaction, params};

use super::columns::bounding_box;
use super::{Store, StoreError};
use crate::domain::{ClassId, Detection, ImageId, RoundId};
use crate::geometry::Ellipse;

/// Identifies the state of a round's detections, to notice when they change.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DetectionsMark {
    count: i64,
    last_id: i64,
    scores: f64,
    places: f64,
}

impl Store {
    /// Replaces a round's detections on the given images in one transaction; other images keep theirs, so that a long run can save in
    /// batches.
    pub fn replace_detections(
        &mut self,
        round: RoundId,
        detections: &[(ImageId, Vec<Detection>)],
    ) -> Result<(), StoreError> {
        self.write(|tx| detections.iter().try_for_each(|(image, found)| replace(tx, round, *image, found)))
    }

    /// Returns the detections by descending score.
    pub fn detections(&self, round: RoundId, image: ImageId) -> Result<Vec<Detection>, StoreError> {
        self.read(|c| {
            let sql = "SELECT x1, y1, x2, y2, ra, rb, theta, cx, cy, score, class_id FROM detections
                       WHERE round_id = ?1 AND image_id = ?2 ORDER BY score DESC, id";
            let mut statement = c.prepare_cached(sql)?;
            Ok(statement.query_map([round.0, image.0], from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// Calls `each` with every detection of a round and its image, by image, highest score first. Streams the rows.
    pub fn each_detection(&self, round: RoundId, mut each: impl FnMut(ImageId, Detection)) -> Result<(), StoreError> {
        self.read(|c| {
            let sql = "SELECT x1, y1, x2, y2, ra, rb, theta, cx, cy, score, class_id, image_id FROM detections
                       WHERE round_id = ?1 ORDER BY image_id, score DESC, id";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([round.0])?;
            while let Some(row) = rows.next()? {
                each(ImageId(row.get(11)?), from_row(row)?);
            }
            Ok(())
        })
    }

    /// Computes a [`DetectionsMark`]; reads every row.
    pub fn detections_mark(&self, round: RoundId) -> Result<DetectionsMark, StoreError> {
        let sql =
            "SELECT count(*), coalesce(max(id), 0), total(score), total(x1 + y2) FROM detections WHERE round_id = ?1";
        let read = |r: &Row<'_>| {
            Ok(DetectionsMark { count: r.get(0)?, last_id: r.get(1)?, scores: r.get(2)?, places: r.get(3)? })
        };
        self.read(|c| Ok(c.query_row(sql, [round.0], read)?))
    }

    /// Returns the number of a round's detections on all images.
    pub fn count_detections(&self, round: RoundId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM detections WHERE round_id = ?1";
        self.read(|c| Ok(c.query_row(sql, [round.0], |r| r.get::<_, i64>(0))? as u64))
    }
}

pub(super) fn replace(
    tx: &Transaction<'_>,
    round: RoundId,
    image: ImageId,
    found: &[Detection],
) -> Result<(), StoreError> {
    let delete = "DELETE FROM detections WHERE round_id = ?1 AND image_id = ?2";
    tx.prepare_cached(delete)?.execute([round.0, image.0])?;
    insert(tx, round, image, found)
}

fn insert(tx: &Transaction<'_>, round: RoundId, image: ImageId, found: &[Detection]) -> Result<(), StoreError> {
    let sql = "INSERT INTO detections (round_id, image_id, x1, y1, x2, y2, ra, rb, theta, cx, cy, score, class_id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let mut statement = tx.prepare_cached(sql)?;
    for d in found {
        if !(d.bbox.is_finite() && d.score.is_finite()) {
            let text = format!("a detection on image {image} has a box or score that is NaN or infinite");
            return Err(StoreError::Invalid(text));
        }
        let b = d.bbox;
        let e = d.ellipse.map(|e| [e.ra, e.rb, e.theta, e.cx, e.cy]);
        let k = |index: usize| e.map(|values| values[index]);
        let ellipse = (k(0), k(1), k(2), k(3), k(4));
        statement.execute(params![
            round.0, image.0, b.x1, b.y1, b.x2, b.y2, ellipse.0, ellipse.1, ellipse.2, ellipse.3, ellipse.4, d.score,
            d.class.0
        ])?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Detection> {
    let ra: Option<f64> = row.get(4)?;
    let ellipse = match ra {
        None => None,
        Some(ra) => Some(Ellipse::new(ra, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?)),
    };
    Ok(Detection { class: ClassId(row.get(10)?), bbox: bounding_box(row, 0)?, ellipse, score: row.get(9)? })
}

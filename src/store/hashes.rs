//! The perceptual hashes of candidates' crops.

use std::collections::HashMap;

use rayon::prelude::*;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, Row, Rows, params};

use super::columns::{bounding_box, optional_word, word};
use super::{Store, StoreError, present_images};
use crate::domain::{CandidateId, ClassId, FalsePositiveKind, GroupId, ImageId, PerceptualHashes, RoundId, is_left};
use crate::geometry::BoundingBox;

/// A candidate as grouping sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateHashes {
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
    pub hashes: Option<PerceptualHashes>,
    pub group: Option<GroupId>,
    /// To decide on.
    pub is_left: bool,
    /// Its hashes or its features were computed since the groups were found, or it has no hashes.
    pub is_new: bool,
}

impl Store {
    /// Every candidate of every round but those of removed images, highest score first: what grouping works on.
    pub fn candidate_hashes(&self) -> Result<Vec<CandidateHashes>, StoreError> {
        let mut found = self.read_hashes(Wanted::All)?;
        found.par_sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        Ok(found)
    }

    /// The candidates whose crop has no hashes yet, by image; not those of removed images.
    pub fn candidates_without_hashes(&self) -> Result<Vec<CandidateHashes>, StoreError> {
        let mut found = self.read_hashes(Wanted::WithoutHashes)?;
        found.sort_by_key(|candidate| (candidate.image, candidate.id));
        Ok(found)
    }

    /// Keeps the hashes of crops, in one transaction.
    pub fn put_hashes(&mut self, hashes: &[(CandidateId, PerceptualHashes)]) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO looks (candidate_id, content, perceptual) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET content = excluded.content, perceptual = excluded.perceptual";
            let mut statement = tx.prepare_cached(sql)?;
            let mut new = tx.prepare_cached("INSERT OR IGNORE INTO ungrouped (candidate_id) VALUES (?1)")?;
            for (candidate, hashes) in hashes {
                statement.execute(params![candidate.0, hashes.content, hashes.perceptual as i64])?;
                new.execute([candidate.0])?;
            }
            Ok(())
        })
    }

    /// Three tables are read side by side by their ids: looking each candidate up in the others takes twice as long, and grouping reads all.
    fn read_hashes(&self, wanted: Wanted) -> Result<Vec<CandidateHashes>, StoreError> {
        self.read(|c| {
            let cameras = cameras(c)?;
            let sql = "SELECT id, image_id, x1, y1, x2, y2, score, round_id, class_id, kind, group_id, verdict
                       FROM candidates ORDER BY id";
            let (mut of_candidates, mut of_hashes, mut of_new) = (
                c.prepare(sql)?,
                c.prepare("SELECT candidate_id, content, perceptual FROM looks ORDER BY candidate_id")?,
                c.prepare("SELECT candidate_id FROM ungrouped ORDER BY candidate_id")?,
            );
            let mut rows = of_candidates.query([])?;
            let (mut hashes_beside, mut new) = (Beside::new(of_hashes.query([])?)?, Beside::new(of_new.query([])?)?);
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                let id: i64 = r.get(0)?;
                let hashes = hashes_beside
                    .of(id, |r| Ok(PerceptualHashes { content: r.get(1)?, perceptual: r.get::<_, i64>(2)? as u64 }))?;
                let is_new = new.of(id, |_| Ok(()))?.is_some() || hashes.is_none();
                if wanted == Wanted::WithoutHashes && hashes.is_some() {
                    continue;
                }
                let image = ImageId(r.get(1)?);
                let Some(camera) = cameras.get(&image) else { continue };
                let (kind, verdict) = (word(r, 9)?, optional_word(r, 11)?);
                found.push(CandidateHashes {
                    id: CandidateId(id),
                    round: RoundId(r.get(7)?),
                    image,
                    camera: *camera,
                    class: ClassId(r.get(8)?),
                    kind,
                    bbox: bounding_box(r, 2)?,
                    score: r.get(6)?,
                    hashes,
                    group: r.get::<_, Option<i64>>(10)?.map(GroupId),
                    is_left: is_left(kind, verdict),
                    is_new,
                });
            }
            Ok(found)
        })
    }
}

/// Which candidates are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    WithoutHashes,
}

/// Rows in the order of the ids in their first column, read beside others in that order.
struct Beside<'s> {
    rows: Rows<'s>,
    /// Of the row that stands next.
    next: Option<i64>,
}

impl<'s> Beside<'s> {
    fn new(rows: Rows<'s>) -> rusqlite::Result<Self> {
        let mut beside = Self { rows, next: None };
        beside.step()?;
        Ok(beside)
    }

    fn step(&mut self) -> rusqlite::Result<()> {
        self.next = self.rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(())
    }

    /// The row of this id, which is above all that were asked for before.
    fn of<T>(&mut self, id: i64, read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
        while self.next.is_some_and(|next| next < id) {
            self.step()?;
        }
        let is_its = self.next == Some(id);
        Ok(match self.rows.get().filter(|_| is_its) {
            Some(row) => Some(read(row)?),
            None => None,
        })
    }
}

/// The cameras of the images that their datasets still hold.
fn cameras(c: &Connection) -> Result<HashMap<ImageId, u32>, StoreError> {
    let sql = format!("SELECT id, dataset_id, width, height FROM images WHERE {}", present_images::present(c)?);
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

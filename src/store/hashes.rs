//! The perceptual hashes of candidates' crops.

use std::collections::HashMap;

use rayon::prelude::*;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, Row, Rows, params};

use super::access::{HALVED_FROM, read_candidates};
use super::columns::{bounding_box, optional_word, word};
use super::{Store, StoreError, present_images};
use crate::domain::{CandidateId, ClassId, FalsePositiveKind, GroupId, ImageId, PerceptualHashes, RoundId, is_left};
use crate::geometry::BoundingBox;

/// A candidate as input of grouping.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateHashes {
    pub id: CandidateId,
    pub round: RoundId,
    pub image: ImageId,
    /// Equal for images of one size in one dataset.
    pub camera: u32,
    pub class: ClassId,
    pub kind: FalsePositiveKind,
    pub bbox: BoundingBox,
    pub score: f32,
    /// `None` if the image could not be read.
    pub hashes: Option<PerceptualHashes>,
    pub group: Option<GroupId>,
    /// Undecided.
    pub is_left: bool,
    /// Its hashes or features were computed after the last grouping, or it has no hashes.
    pub is_new: bool,
}

impl Store {
    /// Returns every candidate of every round except on removed images, by descending score: the input of grouping.
    pub fn candidate_hashes(&self) -> Result<Vec<CandidateHashes>, StoreError> {
        let mut found = self.read(|c| read_all(c, HALVED_FROM))?;
        found.par_sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        Ok(found)
    }

    /// Stores the hashes of crops in one transaction.
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
}

/// Two connections may read it: only verdicts change during grouping.
fn read_all(c: &Connection, halved_from: i64) -> Result<Vec<CandidateHashes>, StoreError> {
    let cameras = cameras(c)?;
    read_candidates(c, halved_from, |c, range| read_part(c, range, &cameras))
}

/// Merge-joins three tables by id: looking up each candidate in the others takes twice as long, and grouping reads all.
fn read_part(c: &Connection, (from, to): (i64, i64), cameras: &Cameras) -> Result<Vec<CandidateHashes>, StoreError> {
    let sql = "SELECT id, image_id, x1, y1, x2, y2, score, round_id, class_id, kind, group_id, verdict
               FROM candidates WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let of_hashes = "SELECT candidate_id, content, perceptual FROM looks WHERE candidate_id BETWEEN ?1 AND ?2 ORDER BY candidate_id";
    let of_new = "SELECT candidate_id FROM ungrouped WHERE candidate_id BETWEEN ?1 AND ?2 ORDER BY candidate_id";
    let (mut candidates, mut of_hashes, mut of_new) = (c.prepare(sql)?, c.prepare(of_hashes)?, c.prepare(of_new)?);
    let mut rows = candidates.query([from, to])?;
    let (mut hashes_by_id, mut new) =
        (MergeJoin::new(of_hashes.query([from, to])?)?, MergeJoin::new(of_new.query([from, to])?)?);
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let id: i64 = r.get(0)?;
        let hashes = hashes_by_id
            .of(id, |r| Ok(PerceptualHashes { content: r.get(1)?, perceptual: r.get::<_, i64>(2)? as u64 }))?;
        let is_new = new.of(id, |_| Ok(()))?.is_some() || hashes.is_none();
        let image = ImageId(r.get(1)?);
        let Some(camera) = cameras.of(image) else { continue };
        let (kind, verdict) = (word(r, 9)?, optional_word(r, 11)?);
        found.push(CandidateHashes {
            id: CandidateId(id),
            round: RoundId(r.get(7)?),
            image,
            camera,
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
}

/// Rows ordered by the id in their first column, for a merge join.
struct MergeJoin<'s> {
    rows: Rows<'s>,
    /// The id of the next row.
    next: Option<i64>,
}

impl<'s> MergeJoin<'s> {
    fn new(rows: Rows<'s>) -> rusqlite::Result<Self> {
        let mut join = Self { rows, next: None };
        join.step()?;
        Ok(join)
    }

    fn step(&mut self) -> rusqlite::Result<()> {
        self.next = self.rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(())
    }

    /// Returns the row with this id, which must be above all ids requested before.
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

/// The cameras of the images that are still in their datasets, indexed by image id from the lowest id: each candidate looks up its own.
struct Cameras {
    first: i64,
    cameras: Vec<Option<u32>>,
}

impl Cameras {
    fn of(&self, image: ImageId) -> Option<u32> {
        let place = usize::try_from(image.0 - self.first).ok()?;
        self.cameras.get(place).copied().flatten()
    }
}

fn cameras(c: &Connection) -> Result<Cameras, StoreError> {
    let sql =
        format!("SELECT id, dataset_id, width, height FROM images WHERE {} ORDER BY id", present_images::present(c)?);
    let mut statement = c.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut found, mut numbers) = (Cameras { first: 0, cameras: Vec::new() }, HashMap::new());
    while let Some(r) = rows.next()? {
        let id: i64 = r.get(0)?;
        if found.cameras.is_empty() {
            found.first = id;
        }
        let size: (i64, i64, i64) = (r.get(1)?, r.get(2)?, r.get(3)?);
        let next = numbers.len() as u32;
        let place = (id - found.first) as usize;
        found.cameras.resize(place, None);
        found.cameras.push(Some(*numbers.entry(size).or_insert(next)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::domain::{CandidateId, FalsePositiveKind, PerceptualHashes};
    use crate::geometry::BoundingBox;
    use crate::store::{CandidateHashes, NewCandidate, NewDataset, NewImage, Store};

    #[test]
    fn two_connections_read_what_one_reads() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
        let image = |k: usize| NewImage {
            name: format!("img_{k}"),
            path: format!("{k}.jpg").into(),
            content_hash: format!("{k:064x}"),
            width: 100 + k as u32,
            height: 80,
            split: None,
            objects: Vec::new(),
        };
        let (images, classes) = ((0..3).map(image).collect(), vec!["face".to_owned()]);
        let (name, kind) = ("made".to_owned(), "folder".to_owned());
        store.add_dataset(&NewDataset { name, kind, root: "/".into(), classes, images }).unwrap();
        let both = |store: &Store| -> [Vec<CandidateHashes>; 2] {
            [0, i64::MAX].map(|from| store.read(|c| super::read_all(c, from)).unwrap())
        };
        assert_eq!(both(&store), [vec![], vec![]]);
        let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
        let round = store.start_round("").unwrap().id;
        let new: Vec<NewCandidate> = (0..41)
            .map(|k| NewCandidate {
                image: images[k % 3],
                class: crate::domain::ClassId::ONLY,
                bbox: BoundingBox::from_xywh(k as f64, 1.0, 5.0, 5.0),
                score: 0.5,
                max_iou: 0.0,
                kind: FalsePositiveKind::Background,
            })
            .collect();
        store.replace_candidates(round, &images, &new).unwrap();
        // Some at both ends and in the middle have no hashes.
        let ids = (1..=41).map(CandidateId).filter(|id| ![1, 2, 21, 22, 30, 41].contains(&id.0));
        let hashes: Vec<_> =
            ids.map(|id| (id, PerceptualHashes { content: [7; 32], perceptual: id.0 as u64 })).collect();
        store.put_hashes(&hashes).unwrap();
        let [halved, whole] = both(&store);
        assert_eq!(halved, whole);
        assert_eq!((whole.len(), whole.iter().filter(|c| c.hashes.is_none()).count()), (41, 6));
        assert!(whole.iter().all(|c| c.hashes.is_none_or(|hashes| hashes.perceptual == c.id.0 as u64)));
    }
}

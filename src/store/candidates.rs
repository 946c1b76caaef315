//! Writes mined candidates, and reads those that a list shows.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::columns::{bounding_box, optional_word, word};
use super::connection::new_uid;
use super::filled_groups::FILLED_FROM;
use super::identity::{Spot, same};
use super::inherited::{Inherited, OfGroups, inherited};
use super::left::{LEFT, is_present};
use super::{Cursor, Store, StoreError, exchange, queue_index};
use crate::domain::{Basis, Candidate, CandidateId, ClassId, FalsePositiveKind, GroupId, ImageId, RoundId, Verdict};
use crate::geometry::BoundingBox;

/// A candidate as produced by mining.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewCandidate {
    pub image: ImageId,
    /// The class that the detector predicted.
    pub class: ClassId,
    pub bbox: BoundingBox,
    pub score: f32,
    /// Largest IoU with an object of any class in the image; 0 without objects.
    pub max_iou: f64,
    pub kind: FalsePositiveKind,
}

/// A candidate with the data that a list shows.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateRow {
    pub candidate: Candidate,
    pub round_number: u32,
    pub image_name: String,
    pub split: Option<String>,
    pub group: Option<GroupId>,
    /// Number of candidates in its group, including itself; 1 without a group.
    pub group_size: u32,
    /// Number of those that are undecided; in a blind review all, so as not to reveal others' verdicts.
    pub group_waiting: u32,
    /// The image's path under the dataset's current root; it may not exist.
    pub file: PathBuf,
    /// blake3 of the image at import.
    pub content_hash: String,
    /// An earlier round's verdict on the same region or object, if this candidate is undecided.
    pub inherits: Option<Inherited>,
    /// Each annotator's current verdict, ordered by their first verdicts.
    pub held: Vec<Held>,
}

/// Candidates in the query's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    pub rows: Vec<CandidateRow>,
    /// Start of the next page; `None` after the last.
    pub next: Option<Cursor>,
}

/// An annotator's current verdict on a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub annotator: String,
    pub verdict: Verdict,
    /// For a missed object and for a wrong class.
    pub class: Option<ClassId>,
    pub reason: Option<String>,
    pub basis: Basis,
}

impl CandidateRow {
    /// Returns the row as shown to an annotator who must not see others' verdicts.
    #[must_use]
    pub fn seen_by(mut self, annotator: &str) -> Self {
        self.inherits = None;
        self.group_waiting = self.group_size;
        self.held.retain(|held| held.annotator == annotator);
        self.candidate.verdict = self.held.first().map(|held| held.verdict);
        self
    }

    /// Returns how the effective verdict was reached.
    pub fn basis(&self) -> Basis {
        let mut agreeing = self.held.iter().filter(|held| Some(held.verdict) == self.candidate.verdict);
        agreeing.next_back().map_or(Basis::Reviewed, |held| held.basis)
    }

    /// Returns the reason given with the effective verdict: the newest one that agrees with it.
    pub fn reason(&self) -> Option<&str> {
        let agreeing = self.held.iter().filter(|held| Some(held.verdict) == self.candidate.verdict);
        agreeing.rev().find_map(|held| held.reason.as_deref())
    }
}

impl Store {
    /// Replaces a round's candidates on the images `processed` with `new` in one transaction; other images keep theirs, as nothing was learnt
    /// about them. A candidate with the same image, class and box (IoU >= 0.9, one to one, best first: another device differs in the last
    /// bits) keeps its id and verdicts and takes the new box; one that is missing from `new` stays as long as the log has a verdict on it.
    /// Merged verdicts that were waiting for a candidate are placed.
    pub fn replace_candidates(
        &mut self,
        round: RoundId,
        processed: &[ImageId],
        new: &[NewCandidate],
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let stored = stored_spots(tx, round)?;
            replace_on(tx, round, processed, stored, new)?;
            exchange::place_waiting(tx)?;
            queue_index::mark_changed(tx)
        })
    }

    /// [`Store::replace_candidates`] for a few images of many: reads only these, and leaves waiting merged verdicts to
    /// [`Store::end_mining`].
    pub fn replace_some_candidates(
        &mut self,
        round: RoundId,
        processed: &[ImageId],
        new: &[NewCandidate],
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut stored = StoredSpots::default();
            for image in processed {
                let (ids, spots) = spots_on(tx, round, *image)?;
                stored.0.extend(ids);
                stored.1.extend(spots);
            }
            replace_on(tx, round, processed, stored, new)?;
            queue_index::mark_changed(tx)
        })
    }

    pub fn candidate(&self, candidate: CandidateId) -> Result<Candidate, StoreError> {
        self.candidate_row(candidate).map(|row| row.candidate)
    }

    pub fn candidate_row(&self, candidate: CandidateId) -> Result<CandidateRow, StoreError> {
        Ok(self.candidate_rows(&[candidate])?.remove(0))
    }

    /// Returns the rows of these candidates in order. An unknown id is an error.
    pub fn candidate_rows(&self, candidates: &[CandidateId]) -> Result<Vec<CandidateRow>, StoreError> {
        // A page from one large group counts it once.
        let (mut sizes, mut of_groups) = (HashMap::new(), OfGroups::new());
        self.read(|c| {
            let row = |id: &CandidateId| {
                let mut row = row_by_id(c, *id, &mut sizes)?.ok_or_else(|| StoreError::missing("candidate", id))?;
                if row.candidate.verdict.is_none() {
                    row.inherits = inherited(c, *id, &mut of_groups)?;
                }
                Ok(row)
            };
            candidates.iter().map(row).collect()
        })
    }

    /// Returns all candidates of an image, of every round and verdict, by round, highest score first.
    pub fn candidates_of_image(&self, image: ImageId) -> Result<Vec<Candidate>, StoreError> {
        self.read(|c| {
            let sql =
                "SELECT id, round_id, image_id, x1, y1, x2, y2, score, max_iou, kind, verdict, class_id FROM candidates
                       WHERE image_id = ?1 ORDER BY round_id, score DESC, id";
            Ok(c.prepare_cached(sql)?.query_map([image.0], from_row)?.collect::<Result<_, _>>()?)
        })
    }
}

fn row_by_id(
    c: &Connection,
    candidate: CandidateId,
    sizes: &mut HashMap<GroupId, (u32, u32)>,
) -> Result<Option<CandidateRow>, StoreError> {
    let sql = format!(
        "SELECT c.id, c.round_id, c.image_id, c.x1, c.y1, c.x2, c.y2, c.score, c.max_iou, c.kind, c.verdict, c.class_id,
                r.number, i.name, i.split, iif(c.group_id < {FILLED_FROM}, c.group_id, NULL), d.root, i.path, i.content_hash
         FROM candidates c JOIN rounds r ON r.id = c.round_id JOIN images i ON i.id = c.image_id
         JOIN datasets d ON d.id = i.dataset_id WHERE c.id = ?1"
    );
    let read = |r: &Row<'_>| {
        Ok(CandidateRow {
            candidate: from_row(r)?,
            round_number: r.get(12)?,
            image_name: r.get(13)?,
            split: r.get(14)?,
            group: r.get::<_, Option<i64>>(15)?.map(GroupId),
            group_size: 1,
            group_waiting: 0,
            file: Path::new(&r.get::<_, String>(16)?).join(r.get::<_, String>(17)?),
            content_hash: r.get(18)?,
            inherits: None,
            held: Vec::new(),
        })
    };
    let Some(mut row) = c.prepare_cached(&sql)?.query_row([candidate.0], read).optional()? else { return Ok(None) };
    row.held = held(c, candidate)?;
    if let Some(group) = row.group {
        let size = match sizes.get(&group) {
            Some(size) => *size,
            None => group_size(c, group)?,
        };
        sizes.insert(group, size);
        (row.group_size, row.group_waiting) = size;
    }
    Ok(Some(row))
}

fn held(c: &Connection, candidate: CandidateId) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT a.name, v.verdict, v.reason, s.class_id, s.basis FROM standing_verdicts s
               JOIN annotators a ON a.id = s.annotator_id
               JOIN verdicts v ON v.seq = s.seq WHERE s.candidate_id = ?1 ORDER BY s.annotator_id";
    let read = |r: &Row<'_>| {
        let class = r.get::<_, Option<i64>>(3)?.map(ClassId);
        Ok(Held { annotator: r.get(0)?, verdict: word(r, 1)?, class, reason: r.get(2)?, basis: word(r, 4)? })
    };
    Ok(c.prepare_cached(sql)?.query_map([candidate.0], read)?.collect::<Result<_, _>>()?)
}

/// Returns the number of its members, and how many are undecided.
fn group_size(c: &Connection, group: GroupId) -> Result<(u32, u32), StoreError> {
    let shown = is_present(c)?;
    let sql =
        format!("SELECT count(*), count(*) FILTER (WHERE {LEFT}) FROM candidates c WHERE c.group_id = ?1 AND {shown}");
    Ok(c.prepare_cached(&sql)?.query_row([group.0], |r| Ok((r.get(0)?, r.get(1)?)))?)
}

/// A candidate's exact position: a deterministic detector finds the same boxes again.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Place(i64, i64, [u64; 4]);

impl Place {
    pub(super) fn of(image: ImageId, class: ClassId, b: &BoundingBox) -> Self {
        // Adding zero turns -0.0 into 0.0, so that both compare equal.
        Self(image.0, class.0, [b.x1, b.y1, b.x2, b.y2].map(|v| (v + 0.0).to_bits()))
    }
}

pub(super) fn stored_boxes(tx: &Transaction<'_>, round: RoundId) -> Result<HashMap<Place, i64>, StoreError> {
    let sql = "SELECT id, image_id, x1, y1, x2, y2, class_id FROM candidates WHERE round_id = ?1";
    let mut statement = tx.prepare(sql)?;
    let rows = statement.query_map([round.0], |r| {
        Ok((Place::of(ImageId(r.get(1)?), ClassId(r.get(6)?), &bounding_box(r, 2)?), r.get(0)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Candidate ids and positions, ordered by id.
pub(super) type StoredSpots = (Vec<i64>, Vec<Spot>);

/// Reads all of a round.
fn stored_spots(tx: &Transaction<'_>, round: RoundId) -> Result<StoredSpots, StoreError> {
    let sql = "SELECT id, image_id, class_id, x1, y1, x2, y2 FROM candidates WHERE round_id = ?1 ORDER BY id";
    let mut statement = tx.prepare(sql)?;
    let rows = statement.query_map([round.0], stored_spot)?;
    Ok(rows.collect::<rusqlite::Result<Vec<(i64, Spot)>>>()?.into_iter().unzip())
}

/// Reads those of a round on one image.
pub(super) fn spots_on(tx: &Transaction<'_>, round: RoundId, image: ImageId) -> Result<StoredSpots, StoreError> {
    let sql = "SELECT id, image_id, class_id, x1, y1, x2, y2 FROM candidates WHERE image_id = ?1 AND round_id = ?2 ORDER BY id";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([image.0, round.0], stored_spot)?;
    Ok(rows.collect::<rusqlite::Result<Vec<(i64, Spot)>>>()?.into_iter().unzip())
}

fn stored_spot(r: &Row<'_>) -> rusqlite::Result<(i64, Spot)> {
    Ok((r.get(0)?, Spot { place: (r.get(1)?, r.get(2)?), bbox: bounding_box(r, 3)? }))
}

/// Implements [`Store::replace_candidates`]; `stored` contains at least all candidates of the round on the images `processed`. Returns the ids
/// of `new`.
pub(super) fn replace_on(
    tx: &Transaction<'_>,
    round: RoundId,
    processed: &[ImageId],
    (ids, stored): StoredSpots,
    new: &[NewCandidate],
) -> Result<Vec<i64>, StoreError> {
    let processed: HashSet<i64> = processed.iter().map(|image| image.0).collect();
    if let Some(stray) = new.iter().find(|candidate| !processed.contains(&candidate.image.0)) {
        let text = format!("a candidate is on image {}, which was not mined", stray.image);
        return Err(StoreError::Invalid(text));
    }
    new.iter().try_for_each(refuse_non_numbers)?;
    let spots: Vec<Spot> = new.iter().map(|c| Spot { place: (c.image.0, c.class.0), bbox: c.bbox }).collect();
    let mut is_gone = vec![true; ids.len()];
    let mut of_new = Vec::with_capacity(new.len());
    for (candidate, known) in new.iter().zip(same(&stored, &spots)) {
        of_new.push(match known {
            Some(at) => {
                is_gone[at] = false;
                update(tx, ids[at], &stored[at].bbox, candidate)?;
                ids[at]
            }
            None => insert(tx, round, candidate)?,
        });
    }
    let delete = "DELETE FROM candidates WHERE id = ?1
                  AND NOT EXISTS (SELECT 1 FROM verdicts WHERE candidate_id = ?1)";
    for (at, id) in ids.into_iter().enumerate() {
        if is_gone[at] && processed.contains(&stored[at].place.0) {
            tx.prepare_cached(delete)?.execute([id])?;
        }
    }
    Ok(of_new)
}

/// `stored` is the candidate's previous position.
fn update(tx: &Transaction<'_>, id: i64, stored: &BoundingBox, new: &NewCandidate) -> Result<(), StoreError> {
    let sql = "UPDATE candidates SET score = ?2, max_iou = ?3, kind = ?4 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![id, new.score, new.max_iou, new.kind.as_str()])?;
    if *stored != new.bbox {
        let sql = "UPDATE candidates SET x1 = ?2, y1 = ?3, x2 = ?4, y2 = ?5 WHERE id = ?1";
        let b = &new.bbox;
        tx.prepare_cached(sql)?.execute(params![id, b.x1, b.y1, b.x2, b.y2])?;
        // The crop has changed slightly.
        for sql in ["DELETE FROM looks WHERE candidate_id = ?1", "DELETE FROM embeddings WHERE candidate_id = ?1"] {
            tx.prepare_cached(sql)?.execute([id])?;
        }
    }
    tx.prepare_cached("DELETE FROM stale_candidates WHERE candidate_id = ?1")?.execute([id])?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, round: RoundId, new: &NewCandidate) -> Result<i64, StoreError> {
    let sql = "INSERT INTO candidates (uid, round_id, image_id, class_id, x1, y1, x2, y2, score, max_iou, kind)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let (b, kind, class) = (new.bbox, new.kind.as_str(), new.class.0);
    let values = params![new_uid(), round.0, new.image.0, class, b.x1, b.y1, b.x2, b.y2, new.score, new.max_iou, kind];
    Ok(tx.prepare_cached(sql)?.insert(values)?)
}

/// Marks an image's candidates as found on outdated content and deletes their hashes; returns their number.
pub(super) fn mark_stale(tx: &Transaction<'_>, image: ImageId) -> Result<usize, StoreError> {
    let of_image = "SELECT id FROM candidates WHERE image_id = ?1";
    for table in ["looks", "features", "embeddings"] {
        let sql = format!("DELETE FROM {table} WHERE candidate_id IN ({of_image})");
        tx.prepare_cached(&sql)?.execute([image.0])?;
    }
    tx.prepare_cached(&format!("INSERT OR IGNORE INTO stale_candidates {of_image}"))?.execute([image.0])?;
    count_of_image(tx, image)
}

pub(super) fn count_of_image(c: &Connection, image: ImageId) -> Result<usize, StoreError> {
    let mut statement = c.prepare_cached("SELECT count(*) FROM candidates WHERE image_id = ?1")?;
    Ok(statement.query_row([image.0], |r| r.get::<_, i64>(0))? as usize)
}

fn refuse_non_numbers(new: &NewCandidate) -> Result<(), StoreError> {
    if new.bbox.is_finite() && new.score.is_finite() && new.max_iou.is_finite() {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "a candidate on image {} has a box, score or IoU that is NaN or infinite",
        new.image
    )))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        id: CandidateId(row.get(0)?),
        round: RoundId(row.get(1)?),
        image: ImageId(row.get(2)?),
        class: ClassId(row.get(11)?),
        bbox: bounding_box(row, 3)?,
        score: row.get(7)?,
        max_iou: row.get(8)?,
        kind: word(row, 9)?,
        verdict: optional_word(row, 10)?,
    })
}

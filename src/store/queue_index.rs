//! An in-memory index of the candidates' filterable columns, 48 bytes each, loaded once and kept in sync with the database. `queue.rs`
//! answers queries from it.
//!
//! Why not an SQL index for each filter and sort: the screen combines ten filters freely with eight sorts. Covering indexes would cost
//! every verdict a dozen B-tree pages, and an unlucky combination still scans a million entries (over 100 ms). One scan of these columns
//! answers every combination, including counts, in some ten milliseconds, and a verdict changes one row here.

use std::collections::{HashMap, HashSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::access::{HALVED_FROM, read_candidates};
use super::filled_groups::FILLED_FROM;
use super::queue_entry::{Entry, Given};
use super::trace::{self, Trace};
use super::{StoreError, present_images};
use crate::domain::{Basis, FalsePositiveKind, Verdict};

/// Records that candidates, images, rounds or groups changed other than by a verdict.
pub(super) fn mark_changed(c: &Connection) -> Result<(), StoreError> {
    c.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'", [])?;
    Ok(())
}

pub(super) struct IndexedImage {
    pub id: i64,
    /// In lower case.
    pub name: Box<str>,
    pub split: Option<Box<str>>,
    /// Its candidates are not listed, because it cannot be shown.
    is_removed: bool,
}

pub(super) struct IndexedGroup {
    pub id: i64,
    pub members: u32,
    /// Position in the chain order, from 1.
    pub place: u32,
}

pub(super) struct QueueIndex {
    /// Sorted by id.
    pub entries: Vec<Entry>,
    /// Sorted by id.
    pub images: Vec<IndexedImage>,
    /// Round number by id.
    pub rounds: HashMap<u32, u32>,
    /// Sorted by id.
    pub groups: Vec<IndexedGroup>,
    /// By annotator, parallel to `entries`; loaded on first use.
    own_verdicts: HashMap<i64, Vec<Option<Given>>>,
    /// Candidates on which annotators disagree; with one annotator loaded on first use.
    disputed: Option<HashSet<i64>>,
    /// Parallel to `entries`; loaded on first use.
    traces: Option<Vec<Trace>>,
    generation: i64,
    last_seq: LastSeq,
    data_version: i64,
}

const ENTRY: &str = "SELECT id, round_id, image_id, group_id, score, max_iou, x1, y1, x2, y2, kind, verdict, class_id, basis FROM candidates";
const DISPUTED: &str = "SELECT candidate_id FROM standing_verdicts WHERE verdict <> 'skipped'";
/// Condition on a candidate's rows in [`DISPUTED`]: different verdicts, or different classes.
const DIFFERS: &str = "min(verdict) <> max(verdict) OR min(class_id) <> max(class_id)";

impl QueueIndex {
    pub fn load(c: &Connection) -> Result<Self, StoreError> {
        Self::load_halved(c, HALVED_FROM)
    }

    /// From `halved_from` candidates on, a second connection reads one half in parallel.
    fn load_halved(c: &Connection, halved_from: i64) -> Result<Self, StoreError> {
        // Read before the rows: a change in between is applied again, never missed.
        let (generation, last_seq, data_version) = (generation(c)?, last_seq(c)?, data_version(c)?);
        let images = load_images(c)?;
        let mut groups = load_groups(c)?;
        let entries = load_entries(c, &images, &groups, halved_from)?;
        for entry in &entries {
            if let Some(group) = groups.get_mut((entry.group as usize).wrapping_sub(1)) {
                group.members += 1;
            }
        }
        let mut statement = c.prepare("SELECT id, number FROM rounds")?;
        let rounds = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?;
        let (own_verdicts, disputed, traces) = (HashMap::new(), None, None);
        let mut index = Self {
            entries,
            images,
            rounds,
            groups,
            own_verdicts,
            disputed,
            traces,
            generation,
            last_seq,
            data_version,
        };
        // A single annotator cannot disagree.
        if c.prepare("SELECT 1 FROM annotators LIMIT 1 OFFSET 1")?.exists([])? {
            index.read_disputed(c)?;
        }
        Ok(index)
    }

    /// Applies the commits of this and other connections. `written`: this connection has written since.
    pub fn sync(&mut self, c: &Connection, written: bool) -> Result<(), StoreError> {
        let seen = data_version(c)?;
        if !written && seen == self.data_version {
            return Ok(());
        }
        if generation(c)? != self.generation {
            *self = Self::load(c)?;
            return Ok(());
        }
        let newest = last_seq(c)?;
        self.refresh_since(c)?;
        self.last_seq = newest;
        self.data_version = seen;
        Ok(())
    }

    pub fn position(&self, candidate: i64) -> Option<usize> {
        position(&self.entries, candidate, |e| e.id)
    }

    /// Returns the value of [`Entry::group`]; `None` for an unknown group.
    pub fn group(&self, id: i64) -> Option<u32> {
        position(&self.groups, id, |group| group.id).map(|place| place as u32 + 1)
    }

    /// Loads one annotator's current verdicts, parallel to `entries`.
    pub fn read_own_verdicts(&mut self, c: &Connection, annotator: i64) -> Result<(), StoreError> {
        if self.own_verdicts.contains_key(&annotator) {
            return Ok(());
        }
        let mut own = vec![None; self.entries.len()];
        let sql = "SELECT candidate_id, verdict, basis FROM standing_verdicts WHERE annotator_id = ?1";
        let mut statement = c.prepare(sql)?;
        let mut rows = statement.query([annotator])?;
        while let Some(row) = rows.next()? {
            if let Some(at) = self.position(row.get(0)?) {
                own[at] = verdict(row.get_ref(1)?).zip(Some(basis(row.get_ref(2)?)));
            }
        }
        self.own_verdicts.insert(annotator, own);
        Ok(())
    }

    pub fn own_verdicts(&self, annotator: i64) -> Option<&[Option<Given>]> {
        self.own_verdicts.get(&annotator).map(Vec::as_slice)
    }

    pub fn read_traces(&mut self, c: &Connection) -> Result<(), StoreError> {
        if self.traces.is_none() {
            self.traces = Some(trace::of_all(c, &self.entries)?);
        }
        Ok(())
    }

    /// Parallel to the entries, once loaded.
    pub fn traces(&self) -> Option<&[Trace]> {
        self.traces.as_deref()
    }

    pub fn read_disputed(&mut self, c: &Connection) -> Result<(), StoreError> {
        if self.disputed.is_none() {
            let sql = format!("{DISPUTED} GROUP BY candidate_id HAVING {DIFFERS}");
            let mut statement = c.prepare(&sql)?;
            self.disputed = Some(statement.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    pub fn is_disputed(&self, candidate: i64) -> bool {
        self.disputed.as_ref().is_some_and(|set| set.contains(&candidate))
    }

    /// Reloads what corrections after `last_seq` affect (the whole image) and what verdicts affect: their candidates, or the whole image if
    /// an object may have appeared, disappeared or changed class. That is the case if anyone ever called the candidate an object, because
    /// another annotator's verdict can remove or restore that object.
    fn refresh_since(&mut self, c: &Connection) -> Result<(), StoreError> {
        let touched = "SELECT v.candidate_id FROM verdicts v WHERE v.seq > ?1
            UNION SELECT other.id FROM verdicts v
            JOIN candidates c ON c.id = v.candidate_id JOIN candidates other ON other.image_id = c.image_id
            WHERE v.seq > ?1 AND EXISTS (
                SELECT 1 FROM verdicts object WHERE object.candidate_id = v.candidate_id AND object.class_id IS NOT NULL)";
        let corrected = "SELECT c.id FROM corrections v JOIN corrected_objects o ON o.id = v.object_id
            JOIN candidates c ON c.image_id = o.image_id WHERE v.seq > ?2";
        let mut statement = c.prepare_cached(&format!("{touched} UNION {corrected}"))?;
        let last = [self.last_seq.verdict, self.last_seq.correction];
        let ids: Vec<i64> = statement.query_map(last, |r| r.get(0))?.collect::<Result<_, _>>()?;
        let mut entries = c.prepare_cached(&format!("{ENTRY} WHERE id = ?1"))?;
        for id in ids {
            let Some(at) = self.position(id) else { continue };
            self.entries[at] = entries.query_row([id], |r| entry(r, &self.images, &self.groups))?;
            self.refresh_annotators(c, id, at)?;
        }
        Ok(())
    }

    fn refresh_annotators(&mut self, c: &Connection, id: i64, at: usize) -> Result<(), StoreError> {
        for (annotator, own) in &mut self.own_verdicts {
            let sql = "SELECT verdict, basis FROM standing_verdicts WHERE candidate_id = ?1 AND annotator_id = ?2";
            let read = |r: &Row<'_>| Ok(verdict(r.get_ref(0)?).zip(Some(basis(r.get_ref(1)?))));
            own[at] = c.prepare_cached(sql)?.query_row([id, *annotator], read).optional()?.flatten();
        }
        if let Some(disputed) = &mut self.disputed {
            let sql = format!("{DISPUTED} AND candidate_id = ?1 GROUP BY candidate_id HAVING {DIFFERS}");
            if c.prepare_cached(&sql)?.exists([id])? {
                disputed.insert(id)
            } else {
                disputed.remove(&id)
            };
        }
        Ok(())
    }
}

/// Returns all candidates by id except on removed images. Two connections may see two states of the database; commits in between are
/// applied by the next [`QueueIndex::sync`], like commits between two statements of one connection.
fn load_entries(
    c: &Connection,
    images: &[IndexedImage],
    groups: &[IndexedGroup],
    halved_from: i64,
) -> Result<Vec<Entry>, StoreError> {
    read_candidates(c, halved_from, |c, range| read_entries(c, range, images, groups))
}

fn read_entries(
    c: &Connection,
    (from, to): (i64, i64),
    images: &[IndexedImage],
    groups: &[IndexedGroup],
) -> Result<Vec<Entry>, StoreError> {
    let mut statement = c.prepare(&format!("{ENTRY} WHERE id BETWEEN ?1 AND ?2 ORDER BY id"))?;
    let mut rows = statement.query([from, to])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = entry(row, images, groups)?;
        if !images.get(entry.image as usize).is_some_and(|image| image.is_removed) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn load_images(c: &Connection) -> Result<Vec<IndexedImage>, StoreError> {
    let removed = present_images::removed(c)?;
    let mut statement = c.prepare("SELECT id, name, split FROM images ORDER BY id")?;
    let rows = statement.query_map([], |r| {
        let (id, name): (i64, String) = (r.get(0)?, r.get(1)?);
        let is_removed = removed.contains(&id);
        Ok(IndexedImage { id, name: name.to_lowercase().into(), split: r.get(2)?, is_removed })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn load_groups(c: &Connection) -> Result<Vec<IndexedGroup>, StoreError> {
    let mut statement = c.prepare(&format!("SELECT id, chain FROM groups WHERE id < {FILLED_FROM} ORDER BY id"))?;
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<Vec<(i64, i64)>, _>>()?;
    let mut in_a_chain: Vec<usize> = (0..rows.len()).collect();
    in_a_chain.sort_by_key(|at| rows[*at].1);
    let mut groups: Vec<IndexedGroup> =
        rows.iter().map(|(id, _)| IndexedGroup { id: *id, members: 0, place: 0 }).collect();
    for (at, place) in in_a_chain.into_iter().zip(1..) {
        groups[at].place = place;
    }
    Ok(groups)
}

/// Returns the index of the row with this id, in rows sorted by id.
fn position<T>(rows: &[T], id: i64, id_of: impl Fn(&T) -> i64) -> Option<usize> {
    // Ids have few gaps: most rows are as far from the first as their ids.
    let guess = (id - id_of(rows.first()?)) as usize;
    if rows.get(guess).is_some_and(|row| id_of(row) == id) {
        return Some(guess);
    }
    rows.binary_search_by_key(&id, id_of).ok()
}

fn entry(row: &Row<'_>, images: &[IndexedImage], groups: &[IndexedGroup]) -> rusqlite::Result<Entry> {
    let (image, group): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
    let box_side =
        |from: usize, to: usize| -> rusqlite::Result<f64> { Ok(row.get::<_, f64>(to)? - row.get::<_, f64>(from)?) };
    Ok(Entry {
        id: row.get(0)?,
        round: row.get(1)?,
        // Foreign keys guarantee that every candidate's image exists.
        image: images.binary_search_by_key(&image, |i| i.id).unwrap_or(0) as u32,
        group: group.and_then(|id| position(groups, id, |g| g.id)).map_or(0, |place| place as u32 + 1),
        score: row.get(4)?,
        max_iou: row.get(5)?,
        size: (box_side(6, 8)? * box_side(7, 9)?).sqrt(),
        kind: kind(row.get_ref(10)?),
        class: row.get(12)?,
        given: verdict(row.get_ref(11)?).zip(Some(basis(row.get_ref(13)?))),
    })
}

/// The column's CHECK allows no other word; this runs a million times, so it only looks at the first letters.
fn kind(value: ValueRef<'_>) -> FalsePositiveKind {
    match value {
        ValueRef::Text([b'b', b'a', ..]) => FalsePositiveKind::Background,
        ValueRef::Text([b'b', ..]) => FalsePositiveKind::Both,
        ValueRef::Text([b'c', ..]) => FalsePositiveKind::Classification,
        ValueRef::Text([b'l', ..]) => FalsePositiveKind::Localisation,
        _ => FalsePositiveKind::Duplicate,
    }
}

fn verdict(value: ValueRef<'_>) -> Option<Verdict> {
    match value {
        ValueRef::Text([b'c', ..]) => Some(Verdict::Confirmed),
        ValueRef::Text([b'r', ..]) => Some(Verdict::Rejected),
        ValueRef::Text([b'm', ..]) => Some(Verdict::MissedObject),
        ValueRef::Text([b'w', ..]) => Some(Verdict::WrongClass),
        ValueRef::Text([b's', ..]) => Some(Verdict::Skipped),
        _ => None,
    }
}

fn basis(value: ValueRef<'_>) -> Basis {
    match value {
        ValueRef::Text([b'i', ..]) => Basis::Inherited,
        ValueRef::Text([b'e', ..]) => Basis::Estimated,
        _ => Basis::Reviewed,
    }
}

pub(super) fn generation(c: &Connection) -> Result<i64, StoreError> {
    Ok(c.prepare_cached("SELECT value FROM meta WHERE key = 'generation'")?.query_row([], |r| r.get(0))?)
}

/// The last row of each log.
#[derive(Clone, Copy)]
pub(super) struct LastSeq {
    pub verdict: i64,
    pub correction: i64,
}

pub(super) fn last_seq(c: &Connection) -> Result<LastSeq, StoreError> {
    let sql = "SELECT (SELECT coalesce(max(seq), 0) FROM verdicts), (SELECT coalesce(max(seq), 0) FROM corrections)";
    let read = |r: &Row<'_>| Ok(LastSeq { verdict: r.get(0)?, correction: r.get(1)? });
    Ok(c.prepare_cached(sql)?.query_row([], read)?)
}

/// Changes whenever another connection commits.
pub(super) fn data_version(c: &Connection) -> Result<i64, StoreError> {
    Ok(c.prepare_cached("PRAGMA data_version")?.query_row([], |r| r.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CandidateId, ClassId, GroupId};
    use crate::geometry::BoundingBox;
    use crate::store::access::second_reader;
    use crate::store::{NewCandidate, NewDataset, NewImage, Store};

    #[test]
    fn two_connections_read_what_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(&dir.path().join("quarry.db")).unwrap();
        let image = |k: u32| NewImage {
            name: format!("picture {k}"),
            path: format!("{k}.png").into(),
            content_hash: format!("{k:064x}"),
            width: 40,
            height: 40,
            split: None,
            objects: Vec::new(),
        };
        let images = (0..3).map(image).collect();
        store
            .add_dataset(&NewDataset {
                name: "Few".to_owned(),
                kind: "folder".to_owned(),
                root: "/".into(),
                classes: vec!["face".to_owned()],
                images,
            })
            .unwrap();
        let round = store.start_round("").unwrap().id;
        let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
        let candidate = |k: usize| NewCandidate {
            image: images[k % 3],
            class: ClassId::ONLY,
            bbox: BoundingBox::from_xywh(k as f64, 1.0, 10.0, 12.0),
            score: 0.9 - 0.05 * k as f32,
            max_iou: 0.0,
            kind: FalsePositiveKind::Background,
        };
        store.replace_candidates(round, &images, &(0..11).map(candidate).collect::<Vec<_>>()).unwrap();
        store.set_groups(&[vec![CandidateId(2), CandidateId(10)]]).unwrap();
        store.record_verdicts(&[CandidateId(9)], "Ada", Verdict::Rejected, None, 1).unwrap();
        let whole = QueueIndex::load_halved(&store.connection, i64::MAX).unwrap();
        let halved = QueueIndex::load_halved(&store.connection, 0).unwrap();
        assert_eq!(whole.entries.len(), 11);
        assert_eq!(halved.entries, whole.entries);
        assert!(second_reader(&store.connection).is_some(), "it was read by two");
        assert_eq!(halved.entries[8].given, Some((Verdict::Rejected, Basis::Reviewed)));
        let members =
            |index: &QueueIndex| index.groups.iter().map(|group| (GroupId(group.id), group.members)).collect();
        let expected: Vec<(GroupId, u32)> = vec![(GroupId(1), 2)];
        assert_eq!((members(&halved), members(&whole)), (expected.clone(), expected));
        let alone = Connection::open_in_memory().unwrap();
        assert!(second_reader(&alone).is_none(), "a database in memory has no second connection");
    }
}

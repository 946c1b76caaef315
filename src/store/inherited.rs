//! Verdicts of earlier rounds on the same object or region, offered for reuse.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Row, params};

use super::columns::{bounding_box, word};
use super::gestures::Gesture;
use super::identity::TWIN_IOU;
use super::left::LEFT;
use super::verdict_rows::Decision;
use super::{CandidateQuery, Store, StoreError};
use crate::domain::{Basis, CandidateId, Verdict};
use crate::geometry::BoundingBox;

/// A hard negative or a rejection of an earlier round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    pub verdict: Verdict,
    pub reason: Option<String>,
    /// The number of the round in which it was decided.
    pub round: u32,
    pub from: CandidateId,
    /// Whether it is on the same region; otherwise it is in the same group.
    pub is_twin: bool,
}

/// What can be carried over to a query's candidates, by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inheritable {
    pub confirmed: u64,
    pub rejected: u64,
}

/// A given or carried-over verdict that is a hard negative or a rejection. Missed objects and wrong classes became ground truth, so nothing
/// there is a candidate any more.
const DECIDED: &str = "o.verdict IN ('confirmed', 'rejected') AND o.basis <> 'estimated'";

impl Store {
    /// Returns what can be carried over to the query's undecided candidates, ignoring its verdict filter.
    pub fn inheritable(&self, query: &CandidateQuery) -> Result<Inheritable, StoreError> {
        let mut counts = Inheritable::default();
        for (_, inherited) in self.find_inherited(query)? {
            match inherited.verdict {
                Verdict::Rejected => counts.rejected += 1,
                _ => counts.confirmed += 1,
            }
        }
        Ok(counts)
    }

    /// Carries over earlier rounds' verdicts on these candidates as one gesture; candidates without one are skipped. `None`: nothing was
    /// left to carry over.
    pub fn inherit(
        &mut self,
        candidates: &[CandidateId],
        annotator: &str,
        time_ms: i64,
    ) -> Result<Option<Gesture>, StoreError> {
        let found = self.read(|c| inherited_of(c, candidates))?;
        self.take_over(found, annotator, time_ms)
    }

    /// [`Store::inherit`] for all undecided candidates of a query.
    pub fn inherit_all(
        &mut self,
        query: &CandidateQuery,
        annotator: &str,
        time_ms: i64,
    ) -> Result<Option<Gesture>, StoreError> {
        let found = self.find_inherited(query)?;
        self.take_over(found, annotator, time_ms)
    }

    fn take_over(
        &mut self,
        found: Vec<(CandidateId, Inherited)>,
        annotator: &str,
        time_ms: i64,
    ) -> Result<Option<Gesture>, StoreError> {
        let Some(listed_as) = found.first().map(|(_, inherited)| inherited.verdict) else { return Ok(None) };
        let decisions = found.into_iter().map(|(candidate, inherited)| {
            let Inherited { verdict, reason, .. } = inherited;
            let basis = Basis::Inherited;
            (candidate, Decision { verdict: Some(verdict), class: None, reason, shape: None, since: None, basis })
        });
        self.append_decisions(decisions.collect(), annotator, listed_as, time_ms).map(Some)
    }

    fn find_inherited(&self, query: &CandidateQuery) -> Result<Vec<(CandidateId, Inherited)>, StoreError> {
        let Some(waiting) = query.undecided() else { return Ok(Vec::new()) };
        let worth_asking = self.scan(&waiting, |scan| {
            // Regions and groups with a verdict, and the earliest round that gave one.
            let (mut places, mut groups) = (HashMap::new(), HashMap::new());
            for e in scan.entries() {
                if let Some((Verdict::Confirmed | Verdict::Rejected, Basis::Reviewed | Basis::Inherited)) = e.given {
                    let round = scan.round_number(e);
                    let earliest = |known: &mut u32| *known = round.min(*known);
                    places.entry((e.image, e.class)).and_modify(earliest).or_insert(round);
                    if e.group != 0 {
                        groups.entry(e.group).and_modify(earliest).or_insert(round);
                    }
                }
            }
            let mut found = Vec::new();
            scan.visit_matches(|e, _| {
                let round = scan.round_number(e);
                let is_later = |earliest: Option<&u32>| earliest.is_some_and(|earliest| *earliest < round);
                if is_later(places.get(&(e.image, e.class))) || is_later(groups.get(&e.group)) {
                    found.push(CandidateId(e.id));
                }
            });
            found
        })?;
        self.read(|c| inherited_of(c, &worth_asking))
    }
}

/// Returns the verdicts that undecided candidates inherit.
fn inherited_of(c: &Connection, candidates: &[CandidateId]) -> Result<Vec<(CandidateId, Inherited)>, StoreError> {
    let mut of_groups = HashMap::new();
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for candidate in candidates.iter().filter(|candidate| seen.insert(**candidate)) {
        if let Some(inherited) = inherited(c, *candidate, &mut of_groups)? {
            found.push((*candidate, inherited));
        }
    }
    Ok(found)
}

/// Earlier rounds' verdicts on groups, by group and the number of the requesting round.
pub(super) type OfGroups = HashMap<(i64, u32), Option<Inherited>>;

/// Returns the verdict on the nearest candidate of an earlier round on the same region; otherwise the verdict on its group, if all verdicts
/// of earlier rounds agree. `None` for a decided candidate.
pub(super) fn inherited(
    c: &Connection,
    candidate: CandidateId,
    of_groups: &mut OfGroups,
) -> Result<Option<Inherited>, StoreError> {
    let sql = format!(
        "SELECT c.image_id, c.class_id, r.number, c.group_id, c.x1, c.y1, c.x2, c.y2
         FROM candidates c JOIN rounds r ON r.id = c.round_id WHERE c.id = ?1 AND {LEFT} AND r.number > 1"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query([candidate.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (image, class, round): (i64, i64, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (group, bbox): (Option<i64>, BoundingBox) = (row.get(3)?, bounding_box(row, 4)?);
    if let Some(twin) = twin(c, (image, class, round), &bbox)? {
        return Ok(Some(twin));
    }
    let Some(group) = group else { return Ok(None) };
    if let Some(known) = of_groups.get(&(group, round)) {
        return Ok(known.clone());
    }
    let found = of_group(c, group, round)?;
    of_groups.insert((group, round), found.clone());
    Ok(found)
}

/// The reason of a candidate's current verdict.
const REASON: &str = "(SELECT v.reason FROM standing_verdicts s JOIN verdicts v ON v.seq = s.seq
    WHERE s.candidate_id = o.id AND s.verdict = o.verdict ORDER BY s.tick DESC LIMIT 1)";

fn twin(c: &Connection, place: (i64, i64, u32), bbox: &BoundingBox) -> Result<Option<Inherited>, StoreError> {
    let sql = format!(
        "SELECT o.id, o.verdict, r.number, {REASON}, o.x1, o.y1, o.x2, o.y2
         FROM candidates o JOIN rounds r ON r.id = o.round_id
         WHERE o.image_id = ?1 AND o.class_id = ?2 AND r.number < ?3 AND {DECIDED} ORDER BY r.number DESC, o.id"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params![place.0, place.1, place.2])?;
    let mut best: Option<(f64, Inherited)> = None;
    while let Some(row) = rows.next()? {
        let iou = bbox.iou(&bounding_box(row, 4)?);
        if iou >= TWIN_IOU && best.as_ref().is_none_or(|(known, _)| *known < iou) {
            best = Some((iou, read(row, true)?));
        }
    }
    Ok(best.map(|(_, twin)| twin))
}

fn of_group(c: &Connection, group: i64, round: u32) -> Result<Option<Inherited>, StoreError> {
    let sql = "SELECT count(DISTINCT o.verdict) FROM candidates o JOIN rounds r ON r.id = o.round_id
               WHERE o.group_id = ?1 AND r.number < ?2 AND o.verdict <> 'skipped'";
    if c.prepare_cached(sql)?.query_row(params![group, round], |r| r.get::<_, i64>(0))? != 1 {
        return Ok(None);
    }
    let sql = format!(
        "SELECT o.id, o.verdict, r.number, {REASON} FROM candidates o JOIN rounds r ON r.id = o.round_id
         WHERE o.group_id = ?1 AND r.number < ?2 AND {DECIDED} ORDER BY r.number DESC, o.score DESC, o.id LIMIT 1"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params![group, round])?;
    Ok(rows.next()?.map(|row| read(row, false)).transpose()?)
}

fn read(row: &Row<'_>, is_twin: bool) -> rusqlite::Result<Inherited> {
    let (from, verdict, round) = (CandidateId(row.get(0)?), word(row, 1)?, row.get(2)?);
    let reason: Option<String> = row.get(3)?;
    Ok(Inherited { verdict, reason, round, from, is_twin })
}

//! Exports and merges the verdict and correction logs between copies of a project.
//!
//! Rows are identified by global ids, so that merging twice changes nothing. The current verdict is determined by tick and id, so that two
//! copies that merge each other's lines in any order end up with the same verdicts.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::columns::{bounding_box, optional_shape, optional_word, word};
use super::connection::now_ms;
use super::identity::{Spot, same};
use super::lines::{
    ClassLine, FORMATS_READ, LatestTick, LogLine, MergeReport, Placed, ShapeLine, VerdictLine, format_of,
};
use super::verdict_rows::{NewRow, insert_row};
use super::{Store, StoreError, annotators, classes, gestures, log_lines, settle, verdicts, waiting};
use crate::domain::{AnnotationSource, CandidateId, ClassId, Shape, Verdict, check_shape};
use crate::geometry::BoundingBox;

/// Lines this many days ahead of the clock and the newest verdict here cause a warning; small clock differences do not.
const WARN_FROM_DAYS: u32 = 1;
impl Store {
    /// Exports the verdicts, oldest first, then the ground truth corrections, then merged rows that still wait for their candidates or
    /// images. Calls `line` for each row; its error aborts the export.
    pub fn export_verdicts<E: From<StoreError>>(
        &self,
        mut line: impl FnMut(&LogLine) -> Result<(), E>,
    ) -> Result<u64, E> {
        let read = |sql: &str| self.connection.prepare(sql).map_err(|e| StoreError::from(e).at(&self.path));
        let mut statement = read(LOG)?;
        let rows = statement.query_map([], from_row).map_err(|e| StoreError::from(e).at(&self.path))?;
        let mut count = 0;
        for row in rows {
            line(&LogLine::Verdict(row.map_err(|e| StoreError::from(e).at(&self.path))?))?;
            count += 1;
        }
        let corrections = log_lines::log(&self.connection).map_err(|e| StoreError::from(e).at(&self.path))?;
        let waiting = self.read(waiting::all)?.into_iter().map(LogLine::in_this_format);
        for other in corrections.into_iter().map(LogLine::Correction).chain(waiting) {
            line(&other)?;
            count += 1;
        }
        Ok(count)
    }

    /// Merges the rows of another copy's logs in one transaction. Both copies' rows stay in the logs; an annotator's row with the highest
    /// tick is current. Lines may be up to `days_ahead` days ahead of the local clock, see [`AHEAD_DAYS`](super::AHEAD_DAYS): later
    /// decisions here get higher ticks.
    pub fn merge_verdicts(&mut self, lines: &[LogLine], days_ahead: u32) -> Result<MergeReport, StoreError> {
        let latest = LatestTick::new(self.newest_us()?, days_ahead);
        let (mut ahead, mut furthest) = (0, 0);
        for (index, line) in lines.iter().enumerate() {
            if !FORMATS_READ.contains(&line.format()) {
                let reason = format!(
                    "verdicts of format {}; this version reads format 1 to {}: update Quarry",
                    line.format(),
                    FORMATS_READ.end()
                );
                return Err(StoreError::Line { index, reason });
            }
            line.check(latest).map_err(|reason| StoreError::Line { index, reason })?;
            let days = latest.days_ahead(line.tick());
            if days > u64::from(WARN_FROM_DAYS) {
                ahead += 1;
                furthest = days.max(furthest);
            }
        }
        self.write(|tx| {
            let placed = place_all(tx, lines)?;
            match placed.refused.into_iter().min_by_key(|(index, _)| *index) {
                Some((index, reason)) => Err(StoreError::Line { index, reason }),
                None => Ok(MergeReport { ahead, ahead_days: furthest, ..placed.report }),
            }
        })
    }

    /// Adds the rows of this project's own log that a backup lacks; returns how many were added and how many could not be. Ticks are taken
    /// as they are, since the clock may have been set back.
    pub(super) fn merge_rescued(&mut self, lines: &[LogLine]) -> Result<(u64, u64), StoreError> {
        let (sound, bad): (Vec<&LogLine>, Vec<_>) =
            lines.iter().partition(|line| line.check(LatestTick::any()).is_ok());
        let sound: Vec<LogLine> = sound.into_iter().cloned().collect();
        let placed = self.write(|tx| place_all(tx, &sound))?;
        Ok((placed.report.added, (bad.len() + placed.refused.len()) as u64))
    }

    /// Whether any of the lines refers to a verdict, candidate, object or image of this project.
    pub fn knows_any(&self, lines: &[LogLine]) -> Result<bool, StoreError> {
        self.read(|c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM images WHERE content_hash = ?1)
                           OR EXISTS (SELECT 1 FROM candidates WHERE uid = ?2) OR EXISTS (SELECT 1 FROM verdicts WHERE uid = ?3)
                           OR EXISTS (SELECT 1 FROM corrected_objects WHERE uid = ?2)
                           OR EXISTS (SELECT 1 FROM corrections WHERE uid = ?3)";
            let mut statement = c.prepare(sql)?;
            for line in lines {
                let (image, subject) = match line {
                    LogLine::Verdict(line) => (&line.image, line.candidate),
                    LogLine::Correction(line) => (&line.image, line.object),
                };
                let uid = line.uid();
                let values = params![image, subject.as_bytes(), uid.as_bytes()];
                if statement.query_row(values, |r| r.get(0))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Returns the clock in microseconds, or the newest tick of the log if later: a clock may have been set back.
    fn newest_us(&self) -> Result<i64, StoreError> {
        let now = now_ms().saturating_mul(1000);
        let last: Option<i64> = self.read(|c| Ok(c.query_row("SELECT max(tick) FROM gestures", [], |r| r.get(0))?))?;
        Ok(last.map_or(now, |last| now.max(last)))
    }

    /// Returns two annotators' current verdicts where both decided (a skip is not a decision, and an estimate not a judgement).
    pub fn verdict_pairs(&self, first: &str, second: &str) -> Result<Vec<(Judgement, Judgement)>, StoreError> {
        self.read(|c| {
            let known = (annotators::find(c, first)?, annotators::find(c, second)?);
            let (Some(a), Some(b)) = known else { return Ok(Vec::new()) };
            // An object of no named class is of the candidate's.
            let sql = "SELECT s.verdict, t.verdict, coalesce(n.merged_into, n.id), coalesce(m.merged_into, m.id)
                       FROM standing_verdicts s JOIN candidates c ON c.id = s.candidate_id
                       JOIN standing_verdicts t ON t.candidate_id = s.candidate_id AND t.annotator_id = ?2
                       LEFT JOIN classes n ON s.verdict IN ('missed_object', 'wrong_class') AND n.id = coalesce(s.class_id, c.class_id)
                       LEFT JOIN classes m ON t.verdict IN ('missed_object', 'wrong_class') AND m.id = coalesce(t.class_id, c.class_id)
                       WHERE s.annotator_id = ?1 AND s.verdict <> 'skipped' AND t.verdict <> 'skipped'
                         AND s.basis <> 'estimated' AND t.basis <> 'estimated'";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map([a, b], |r| {
                let (first, second) = (optional_word(r, 0)?, optional_word(r, 1)?);
                let [of_first, of_second] = [r.get::<_, Option<i64>>(2)?, r.get(3)?].map(|class| class.map(ClassId));
                Ok(first.zip(second).map(|(first, second)| ((first, of_first), (second, of_second))))
            })?;
            Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        })
    }
}

/// A verdict with the class that it names, if it names one (missed objects and wrong classes).
pub type Judgement = (Verdict, Option<ClassId>);

/// The whole log, oldest first, without waiting lines.
const LOG: &str = "SELECT v.uid, g.uid, g.action, a.name, c.uid, v.verdict, v.reason, v.shape, v.a, v.b, v.c, v.d, v.e,
                          v.tick, v.time_ms, i.content_hash, c.x1, c.y1, c.x2, c.y2, r.number, k.uid, k.name, own.name,
                          v.since, v.basis
                   FROM verdicts v JOIN gestures g ON g.id = v.gesture_id JOIN annotators a ON a.id = v.annotator_id
                   JOIN candidates c ON c.id = v.candidate_id JOIN images i ON i.id = c.image_id
                   JOIN rounds r ON r.id = c.round_id JOIN classes own ON own.id = c.class_id
                   LEFT JOIN classes named ON named.id = v.class_id
                   LEFT JOIN classes k ON k.id = coalesce(named.merged_into, named.id) ORDER BY v.seq";

/// Reads all of both logs.
pub(super) fn log(c: &Connection) -> rusqlite::Result<Vec<LogLine>> {
    let verdicts: Vec<VerdictLine> = c.prepare(LOG)?.query_map([], from_row)?.collect::<Result<_, _>>()?;
    let corrections = log_lines::log(c)?;
    Ok(verdicts.into_iter().map(LogLine::Verdict).chain(corrections.into_iter().map(LogLine::Correction)).collect())
}

/// Places waiting merged rows whose candidates or images now exist.
pub(super) fn place_waiting(tx: &Transaction<'_>) -> Result<(), StoreError> {
    place_all(tx, &waiting::all(tx)?).map(|_| ())
}

/// Appends missing rows to the logs: verdicts first, because a promoted object comes with its verdict.
fn place_all(tx: &Transaction<'_>, lines: &[LogLine]) -> Result<Placed, StoreError> {
    let (mut verdicts, mut places, mut corrections) = (Vec::new(), Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        match line {
            LogLine::Verdict(line) => {
                verdicts.push(line.clone());
                places.push(index);
            }
            LogLine::Correction(line) => corrections.push((index, line)),
        }
    }
    let mut placed = place(tx, &verdicts)?;
    for (index, _) in &mut placed.refused {
        // Refused lines are numbered among the verdicts.
        *index = places.get(*index).copied().unwrap_or(*index);
    }
    log_lines::place(tx, &corrections, &mut placed)?;
    Ok(placed)
}

/// Appends the rows missing from the log, and defers those whose candidates are missing.
fn place(tx: &Transaction<'_>, lines: &[VerdictLine]) -> Result<Placed, StoreError> {
    let mut placed = Placed::default();
    let report = &mut placed.report;
    let mut touched = BTreeSet::new();
    let found = lines.iter().map(|line| find_candidate(tx, line)).collect::<Result<Vec<_>, _>>()?;
    let near = find_near(tx, lines, &found)?;
    for (index, (line, found)) in lines.iter().zip(found).enumerate() {
        let sql = "SELECT 1 FROM verdicts WHERE uid = ?1";
        if tx.prepare_cached(sql)?.exists([line.uid.as_bytes()])? {
            report.known += 1;
        } else if let Some(candidate) = found.or_else(|| near.get(&key(line)).copied()) {
            if let Some(reason) = misfit(tx, line, candidate)? {
                placed.refused.push((index, reason));
                continue;
            }
            let annotator = insert(tx, line, candidate)?;
            waiting::remove(tx, line.uid)?;
            touched.insert((candidate, annotator));
            report.added += 1;
        } else {
            waiting::keep(tx, line.uid, line)?;
            report.without_candidate += 1;
            let sql = "SELECT 1 FROM images WHERE content_hash = ?1";
            report.without_image += u64::from(!tx.prepare_cached(sql)?.exists([&line.image])?);
        }
    }
    for (candidate, annotator) in &touched {
        let_newest_stand(tx, *candidate, *annotator)?;
    }
    let candidates: BTreeSet<CandidateId> = touched.iter().map(|(candidate, _)| *candidate).collect();
    settle::settle(tx, &candidates.into_iter().collect::<Vec<_>>())?;
    Ok(placed)
}

/// Returns why the line's shape is invalid in its image; `None` if it is valid.
fn misfit(tx: &Transaction<'_>, line: &VerdictLine, candidate: CandidateId) -> Result<Option<String>, StoreError> {
    let Some(shape) = &line.shape else { return Ok(None) };
    let (width, height) = verdicts::image_size(tx, candidate)?;
    Ok(check_shape(&Shape::from(shape), width, height).err().map(|problem| format!("its shape: {problem}")))
}

fn find_candidate(tx: &Transaction<'_>, line: &VerdictLine) -> Result<Option<CandidateId>, StoreError> {
    let sql = "SELECT id FROM candidates WHERE uid = ?1";
    let by_uid = tx.prepare_cached(sql)?.query_row([line.candidate.as_bytes()], |r| r.get(0)).optional()?;
    if by_uid.is_some() {
        return Ok(by_uid.map(CandidateId));
    }
    let sql = "SELECT c.id FROM images i JOIN candidates c ON c.image_id = i.id JOIN rounds r ON r.id = c.round_id
               WHERE i.content_hash = ?1 AND c.x1 = ?2 AND c.y1 = ?3 AND c.x2 = ?4 AND c.y2 = ?5
                 AND (?7 IS NULL OR c.class_id = ?7)
               ORDER BY r.number IS NOT ?6, c.id LIMIT 1";
    let [x1, y1, x2, y2] = line.bbox;
    // A verdict on a cat says nothing about the same box as a dog. Files of the first versions name no class.
    let class = match &line.candidate_class {
        Some(name) => match classes::find(tx, name)? {
            Some(class) => Some(class.0),
            None => return Ok(None),
        },
        None => None,
    };
    let values = params![line.image, x1, y1, x2, y2, line.round, class];
    let by_place = tx.prepare_cached(sql)?.query_row(values, |r| r.get(0)).optional()?;
    Ok(by_place.map(CandidateId))
}

/// An annotator and the candidate in the other copy.
type NearKey<'a> = (&'a str, Uuid);

fn key(line: &VerdictLine) -> NearKey<'_> {
    (&line.annotator, line.candidate)
}

/// Finds candidates for the lines without an exact match in [`find_candidate`]: those with the same image, class and round, and a box that
/// differs only as much as on another device. Two candidates that an annotator judged are never mapped to one.
fn find_near<'a>(
    tx: &Transaction<'_>,
    lines: &'a [VerdictLine],
    found: &[Option<CandidateId>],
) -> Result<HashMap<NearKey<'a>, CandidateId>, StoreError> {
    let sql = "SELECT c.id, c.x1, c.y1, c.x2, c.y2
               FROM images i JOIN candidates c ON c.image_id = i.id JOIN rounds r ON r.id = c.round_id
               WHERE i.content_hash = ?1 AND (?2 IS NULL OR c.class_id = ?2) AND (?3 IS NULL OR r.number = ?3) ORDER BY c.id";
    let mut statement = tx.prepare(sql)?;
    let found_lines = lines.iter().zip(found);
    let taken: HashSet<(&str, i64)> =
        found_lines.filter_map(|(line, id)| Some((line.annotator.as_str(), id.as_ref()?.0))).collect();
    // What each annotator judged, by annotator, image, class and round.
    let mut wanted: BTreeMap<_, Vec<(NearKey, BoundingBox)>> = BTreeMap::new();
    for (line, _) in lines.iter().zip(found).filter(|(_, found)| found.is_none()) {
        let place = (line.annotator.as_str(), line.image.as_str(), line.candidate_class.as_deref(), line.round);
        let judged = wanted.entry(place).or_default();
        if judged.iter().all(|(known, _)| *known != key(line)) {
            let [x1, y1, x2, y2] = line.bbox;
            judged.push((key(line), BoundingBox::new(x1, y1, x2, y2)));
        }
    }
    let mut near = HashMap::new();
    for ((annotator, image, class, round), judged) in wanted {
        let class = match class.map(|name| classes::find(tx, name)).transpose()? {
            Some(None) => continue,
            known => known.flatten().map(|class| class.0),
        };
        let rows = statement.query_map(params![image, class, round], |r| Ok((r.get(0)?, bounding_box(r, 1)?)))?;
        let here: Vec<(i64, BoundingBox)> = rows.collect::<Result<_, _>>()?;
        let here: Vec<_> = here.into_iter().filter(|(id, _)| !taken.contains(&(annotator, *id))).collect();
        let spot = |bbox: &BoundingBox| Spot { place: (0, 0), bbox: *bbox };
        let stored: Vec<Spot> = here.iter().map(|(_, bbox)| spot(bbox)).collect();
        let new: Vec<Spot> = judged.iter().map(|(_, bbox)| spot(bbox)).collect();
        let matched = judged.iter().zip(same(&stored, &new));
        near.extend(matched.filter_map(|((key, _), at)| Some((*key, CandidateId(here.get(at?)?.0)))));
    }
    Ok(near)
}

/// Appends the row, and its gesture if new; returns the annotator's id.
fn insert(tx: &Transaction<'_>, line: &VerdictLine, candidate: CandidateId) -> Result<i64, StoreError> {
    let annotator = annotators::find_or_insert(tx, &line.annotator)?;
    let gesture = gestures::of_other_copy(tx, line.gesture, annotator, &line.action, (line.tick, line.time_ms))?;
    let shape = line.shape.as_ref().map(Shape::from);
    let class = match &line.class {
        Some(class) if line.verdict.is_some_and(Verdict::has_class) => {
            Some(classes::of_other_copy(tx, class.uid.into_bytes(), &class.name)?)
        }
        _ => None,
    };
    let row = NewRow {
        uid: line.uid.as_bytes(),
        gesture,
        candidate,
        annotator,
        verdict: line.verdict,
        class,
        reason: line.reason.as_deref(),
        shape: shape.as_ref(),
        since: line.since,
        basis: line.basis,
        tick: line.tick,
        time_ms: line.time_ms,
    };
    insert_row(tx, &row)?;
    Ok(annotator)
}

fn let_newest_stand(tx: &Transaction<'_>, candidate: CandidateId, annotator: i64) -> Result<(), StoreError> {
    let sql = "SELECT seq, tick, verdict FROM verdicts WHERE candidate_id = ?1 AND annotator_id = ?2
               ORDER BY tick DESC, uid DESC LIMIT 1";
    let mut statement = tx.prepare_cached(sql)?;
    let (seq, tick, verdict) =
        statement.query_row([candidate.0, annotator], |r| Ok((r.get(0)?, r.get(1)?, optional_word(r, 2)?)))?;
    settle::set(tx, candidate, annotator, seq, tick, verdict)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<VerdictLine> {
    let uid = |index: usize| row.get::<_, [u8; 16]>(index).map(Uuid::from_bytes);
    let b = bounding_box(row, 16)?;
    let (verdict, basis) = (optional_word(row, 5)?, word(row, 25)?);
    Ok(VerdictLine {
        format: format_of(basis),
        uid: uid(0)?,
        gesture: uid(1)?,
        action: row.get(2)?,
        annotator: row.get(3)?,
        candidate: uid(4)?,
        verdict,
        basis,
        reason: row.get(6)?,
        shape: optional_shape(row, 7)?.as_ref().map(ShapeLine::from),
        class: match row.get::<_, Option<[u8; 16]>>(21)? {
            Some(uid) => Some(ClassLine { uid: Uuid::from_bytes(uid), name: row.get(22)? }),
            None => None,
        },
        source: (verdict == Some(Verdict::MissedObject)).then_some(AnnotationSource::Promoted),
        tick: row.get(13)?,
        since: row.get(24)?,
        time_ms: row.get(14)?,
        image: row.get(15)?,
        bbox: [b.x1, b.y1, b.x2, b.y2],
        round: row.get(20)?,
        candidate_class: row.get(23)?,
    })
}

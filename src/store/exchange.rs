//! The verdict log as lines that travel between copies of a project. Must not open files, nor know how a line is written.
//!
//! Rows are known by their global ids, so that merging twice changes nothing; what stands is decided by tick and id, so that two
//! copies that merge each other's lines end up with the same verdicts, whichever goes first.

// Readers of outside bytes do not index: a file must not be able to panic them. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::columns::{bounding_box, optional_shape, optional_word, word};
use super::connection::now_ms;
use super::gestures::GestureAction;
use super::identity::{Spot, same};
use super::verdicts::{NewRow, insert_row};
use super::{LogLine, Store, StoreError, annotators, classes, log_lines, standing, verdicts, waiting};
use crate::domain::{AnnotationSource, Basis, CandidateId, Shape, Verdict, check_shape};
use crate::geometry::{BoundingBox, Ellipse};

/// The version of the lines of verdicts that somebody gave by looking. Lines of version 1 are read too: they call a missed object
/// `missed_face` and name no classes.
pub const FORMAT: u32 = 2;
/// The version of the lines of corrections, and of verdicts that rest on something else: those who read files up to the version before
/// know none.
pub const CORRECTION_FORMAT: u32 = 3;
pub const FORMATS_READ: std::ops::RangeInclusive<u32> = 1..=CORRECTION_FORMAT;

const DAY_US: i64 = 24 * 3600 * 1_000_000;
/// A line may be so far ahead of the clock and of the newest verdict here before that is told: clocks differ.
const TOLD_FROM_DAYS: u32 = 1;
/// What is further ahead is refused unless the user allows it: it outranks what other copies decided since, and is rather damage than a
/// clock that was wrong. The wrong year is still somebody's work.
pub const AHEAD_DAYS: u32 = 366;
/// A hundred years: after what is further ahead no tick could be counted on for long.
pub const MOST_DAYS_AHEAD: u32 = 36_500;
/// The longest name of an annotator and the longest reason, in bytes.
const NAME_BYTES: usize = 200;
const REASON_BYTES: usize = 64 << 10;

/// One row of the verdict log, as JSON: all that another copy of the project needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictLine {
    pub format: u32,
    pub uid: Uuid,
    pub gesture: Uuid,
    /// `decide`, `undo` or `redo`.
    pub action: String,
    pub annotator: String,
    pub candidate: Uuid,
    /// `None` where an undo took back the annotator's only verdict.
    pub verdict: Option<Verdict>,
    /// Of a missed object and of a wrong class. Lines of version 1 have none: it is what the detector took the candidate for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassLine>,
    /// What it rests on; left out where somebody saw the candidate.
    #[serde(default, skip_serializing_if = "is_reviewed")]
    pub basis: Basis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<ShapeLine>,
    /// Of a missed object: what kind of ground truth it is, so that it is not taken for the dataset's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AnnotationSource>,
    /// Orders rows over all copies.
    pub tick: i64,
    /// Where an undo or a redo brought the verdict back: the tick at which it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// blake3 of the image, and x1, y1, x2, y2 on it: finds the candidate in a project that mined it by itself, that of the round with
    /// this number where several rounds have one there. Lines of older versions name no round.
    pub image: String,
    pub bbox: [f64; 4],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// What the detector took the candidate for: of several in one place, the one of this class is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_class: Option<String>,
}

/// The version of a verdict's line.
pub(super) fn format_of(basis: Basis) -> u32 {
    if basis == Basis::Reviewed { FORMAT } else { CORRECTION_FORMAT }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_reviewed(basis: &Basis) -> bool {
    *basis == Basis::Reviewed
}

/// A class as another copy of the project knows it: by its id, or by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassLine {
    pub uid: Uuid,
    pub name: String,
}

/// The shape of a missed object.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShapeLine {
    /// x1, y1, x2, y2.
    Rectangle([f64; 4]),
    /// ra, rb, theta, cx, cy.
    Ellipse([f64; 5]),
}

/// What a merge did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MergeReport {
    pub added: u64,
    /// Rows that were here already.
    pub known: u64,
    /// Rows on candidates that this project does not have: they are kept aside until mining finds those.
    pub without_candidate: u64,
    /// Of those, the rows on images that this project does not have either.
    pub without_image: u64,
    /// Corrections of objects whose image, or whose candidate, this project does not have: kept aside until it does.
    pub without_object: u64,
    /// Rows that are more than a day ahead of the clock and of the newest row here: the clock of their computer was wrong, or that of this
    /// one is.
    pub ahead: u64,
    /// How many days the furthest of these is ahead, rounded up.
    pub ahead_days: u64,
}

/// How far ahead lines may be.
#[derive(Debug, Clone, Copy)]
pub struct LatestTick {
    /// The clock, or the newest tick here where that is later, in microseconds.
    newest_us: i64,
    days: u32,
}

impl LatestTick {
    pub(super) fn new(newest_us: i64, days: u32) -> Self {
        Self { newest_us, days }
    }

    /// For rows of this very project, which are taken as they are.
    pub(super) fn any() -> Self {
        Self { newest_us: i64::MAX, days: 0 }
    }

    fn latest_us(self) -> i64 {
        if self.newest_us == i64::MAX {
            return i64::MAX;
        }
        self.newest_us.saturating_add(i64::from(self.days.min(MOST_DAYS_AHEAD)).saturating_mul(DAY_US))
    }

    fn days_ahead(self, tick: i64) -> u64 {
        tick.saturating_sub(self.newest_us).max(0).unsigned_abs().div_ceil(DAY_US.unsigned_abs())
    }

    /// Refuses a time that is too far ahead. `tick` in microseconds, `time_ms` in milliseconds.
    fn check(self, tick: i64, time_ms: i64) -> Result<(), String> {
        let latest = self.latest_us();
        if tick < 0 {
            return Err(format!("its tick {tick} is below 0"));
        }
        if tick > latest {
            let days = self.days_ahead(tick);
            return Err(if days <= u64::from(MOST_DAYS_AHEAD) {
                format!(
                    "its tick {tick} is {days} days ahead of the clock and the newest verdict here: it would overrule what is decided until \
                     then. Check the clocks of both computers; if the verdicts are right and only the clock was wrong, merge with \
                     --clock-ahead {days}"
                )
            } else {
                format!("its tick {tick} is more than a hundred years ahead: it would overrule every later verdict")
            });
        }
        if time_ms < 0 || time_ms > latest / 1000 {
            return Err(format!(
                "its time_ms {time_ms} is not between 1970 and {} days ahead of the clock here",
                self.days
            ));
        }
        Ok(())
    }
}

impl VerdictLine {
    /// Refuses what no copy of a project writes.
    pub fn check(&self, latest: LatestTick) -> Result<(), String> {
        check_who_and_when(&self.action, &self.annotator, (self.tick, self.time_ms), latest)?;
        check_since(self.since, self.tick)?;
        self.check_words()?;
        check_bbox(&self.bbox)?;
        match &self.shape {
            Some(_) if !self.verdict.is_some_and(Verdict::has_class) => {
                Err("only a missed object has a shape of its own".to_owned())
            }
            Some(shape) => check_any_shape(shape),
            None => Ok(()),
        }
    }

    fn check_words(&self) -> Result<(), String> {
        check_class_names(self.class.iter().map(|class| &class.name).chain(&self.candidate_class))?;
        if self.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES) {
            return Err(format!("its reason is longer than {REASON_BYTES} bytes"));
        }
        check_image(&self.image)
    }
}

/// What every line of a log says of its gesture: tick and milliseconds are `when`.
pub(super) fn check_who_and_when(
    action: &str,
    annotator: &str,
    (tick, time_ms): (i64, i64),
    latest: LatestTick,
) -> Result<(), String> {
    if GestureAction::parse(action).is_none() {
        return Err(format!("its action `{}` is none of decide, undo, redo", shortened(action)));
    }
    if annotator.trim().is_empty() || annotator.len() > NAME_BYTES || annotator.chars().any(char::is_control) {
        return Err(format!("its annotator `{}` is no name of 1 to {NAME_BYTES} bytes", shortened(annotator)));
    }
    latest.check(tick, time_ms)
}

pub(super) fn check_since(since: Option<i64>, tick: i64) -> Result<(), String> {
    match since.filter(|since| !(0..=tick).contains(since)) {
        Some(since) => Err(format!("its since {since} is not between 0 and its tick {tick}")),
        None => Ok(()),
    }
}

pub(super) fn check_class_names<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    match names.find(|name| name.trim().is_empty() || name.len() > NAME_BYTES) {
        Some(name) => Err(format!("its class `{}` is no name of 1 to {NAME_BYTES} bytes", shortened(name))),
        None => Ok(()),
    }
}

pub(super) fn check_image(hash: &str) -> Result<(), String> {
    if hash.is_empty() || hash.len() > NAME_BYTES {
        return Err(format!("its image `{}` is not the hash of an image", shortened(hash)));
    }
    Ok(())
}

pub(super) fn check_bbox(bbox: &[f64; 4]) -> Result<(), String> {
    let [x1, y1, x2, y2] = bbox;
    if !bbox.iter().all(|v| v.is_finite()) || x1 > x2 || y1 > y2 {
        return Err(format!("its bbox {bbox:?} is not x1, y1, x2, y2 of a box"));
    }
    Ok(())
}

/// The image's size is not known yet: refuses what no image can hold.
pub(super) fn check_any_shape(shape: &ShapeLine) -> Result<(), String> {
    check_shape(&Shape::from(shape), LARGEST_SIDE, LARGEST_SIDE).map_err(|e| e.to_string())
}

/// Of an image whose size is not known.
const LARGEST_SIDE: u32 = 1 << 20;

/// For messages.
fn shortened(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

impl Store {
    /// The verdicts, oldest first, then the corrections of ground truth, then merged rows that still wait for their candidates or images.
    /// `line` is called for each row; its error ends the export.
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

    /// Adds the rows of another copy's logs in one transaction. Both copies' rows stay in the logs; of an annotator the one with
    /// the highest tick stands. Lines may be up to `days_ahead` days ahead of the clock here, as [`AHEAD_DAYS`]: what is decided here from
    /// then on is later than they are.
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
            if days > u64::from(TOLD_FROM_DAYS) {
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

    /// Adds the rows of this very project's log that a backup lacks; how many, and how many cannot be added. Its clock may have gone back
    /// since, so ticks are taken as they are.
    pub(super) fn merge_rescued(&mut self, lines: &[LogLine]) -> Result<(u64, u64), StoreError> {
        let (sound, bad): (Vec<&LogLine>, Vec<_>) =
            lines.iter().partition(|line| line.check(LatestTick::any()).is_ok());
        let sound: Vec<LogLine> = sound.into_iter().cloned().collect();
        let placed = self.write(|tx| place_all(tx, &sound))?;
        Ok((placed.report.added, (bad.len() + placed.refused.len()) as u64))
    }

    /// Whether any of the lines speaks of something that this project has: a verdict, a candidate, an object or an image.
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

    /// The clock in microseconds, or the newest tick of the log where that is later: a clock may have gone back.
    fn newest_us(&self) -> Result<i64, StoreError> {
        let now = now_ms().saturating_mul(1000);
        let last: Option<i64> = self.read(|c| Ok(c.query_row("SELECT max(tick) FROM gestures", [], |r| r.get(0))?))?;
        Ok(last.map_or(now, |last| now.max(last)))
    }

    /// What two annotators hold where both decided (a skip is no decision, and an estimate no judgement).
    pub fn verdict_pairs(&self, first: &str, second: &str) -> Result<Vec<(Verdict, Verdict)>, StoreError> {
        self.read(|c| {
            let known = (annotators::find(c, first)?, annotators::find(c, second)?);
            let (Some(a), Some(b)) = known else { return Ok(Vec::new()) };
            let sql = "SELECT s.verdict, t.verdict FROM standing_verdicts s
                       JOIN standing_verdicts t ON t.candidate_id = s.candidate_id AND t.annotator_id = ?2
                       WHERE s.annotator_id = ?1 AND s.verdict <> 'skipped' AND t.verdict <> 'skipped'
                         AND s.basis <> 'estimated' AND t.basis <> 'estimated'";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map([a, b], |r| Ok(optional_word(r, 0)?.zip(optional_word(r, 1)?)))?;
            Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        })
    }
}

impl From<&Shape> for ShapeLine {
    fn from(shape: &Shape) -> Self {
        match shape {
            Shape::Rectangle(b) => Self::Rectangle([b.x1, b.y1, b.x2, b.y2]),
            Shape::Ellipse(e) => Self::Ellipse([e.ra, e.rb, e.theta, e.cx, e.cy]),
        }
    }
}

impl From<&ShapeLine> for Shape {
    fn from(line: &ShapeLine) -> Self {
        match *line {
            ShapeLine::Rectangle([x1, y1, x2, y2]) => Self::Rectangle(BoundingBox::new(x1, y1, x2, y2)),
            ShapeLine::Ellipse([ra, rb, theta, cx, cy]) => Self::Ellipse(Ellipse::new(ra, rb, theta, cx, cy)),
        }
    }
}

/// The whole log, oldest first, without what waits.
const LOG: &str = "SELECT v.uid, g.uid, g.action, a.name, c.uid, v.verdict, v.reason, v.shape, v.a, v.b, v.c, v.d, v.e,
                          v.tick, v.time_ms, i.content_hash, c.x1, c.y1, c.x2, c.y2, r.number, k.uid, k.name, own.name,
                          v.since, v.basis
                   FROM verdicts v JOIN gestures g ON g.id = v.gesture_id JOIN annotators a ON a.id = v.annotator_id
                   JOIN candidates c ON c.id = v.candidate_id JOIN images i ON i.id = c.image_id
                   JOIN rounds r ON r.id = c.round_id JOIN classes own ON own.id = c.class_id
                   LEFT JOIN classes named ON named.id = v.class_id
                   LEFT JOIN classes k ON k.id = coalesce(named.merged_into, named.id) ORDER BY v.seq";

/// All of both logs.
pub(super) fn log(c: &Connection) -> rusqlite::Result<Vec<LogLine>> {
    let verdicts: Vec<VerdictLine> = c.prepare(LOG)?.query_map([], from_row)?.collect::<Result<_, _>>()?;
    let corrections = log_lines::log(c)?;
    Ok(verdicts.into_iter().map(LogLine::Verdict).chain(corrections.into_iter().map(LogLine::Correction)).collect())
}

/// Takes those merged rows into the logs that waited for candidates or images which are there now.
pub(super) fn place_waiting(tx: &Transaction<'_>) -> Result<(), StoreError> {
    place_all(tx, &waiting::all(tx)?).map(|_| ())
}

#[derive(Default)]
pub(super) struct Placed {
    pub report: MergeReport,
    /// Lines, by their place, whose shape does not fit their image: they are neither in the log nor aside.
    pub refused: Vec<(usize, String)>,
}

/// Appends the rows that the logs lack: verdicts first, for a promoted object comes with its verdict.
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

/// Appends the rows that the log lacks, and keeps those aside whose candidates are missing.
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
    standing::settle(tx, &candidates.into_iter().collect::<Vec<_>>())?;
    Ok(placed)
}

/// Why the line's shape cannot be an object of its image; `None` where it can.
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
               ORDER BY r.number IS NOT ?6, c.class_id IS NOT ?7, c.id LIMIT 1";
    let [x1, y1, x2, y2] = line.bbox;
    let class = match &line.candidate_class {
        Some(name) => classes::find(tx, name)?.map(|class| class.0),
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

/// Candidates for the lines that [`find_candidate`] found none for: those of the same image, class and round that are the same but for
/// what another device computes otherwise. No two candidates that an annotator judged become one.
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
    // By annotator, image, class and round: what each judged there.
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

/// Appends the row, with its gesture where that is new; the annotator's id.
fn insert(tx: &Transaction<'_>, line: &VerdictLine, candidate: CandidateId) -> Result<i64, StoreError> {
    let annotator = annotators::find_or_insert(tx, &line.annotator)?;
    let gesture = gesture_of(tx, line.gesture, annotator, &line.action, (line.tick, line.time_ms))?;
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

/// The gesture of another copy, made here where it is new.
pub(super) fn gesture_of(
    tx: &Transaction<'_>,
    uid: Uuid,
    annotator: i64,
    action: &str,
    (tick, time_ms): (i64, i64),
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO gestures (uid, annotator_id, action, target, parent, merged, tick, time_ms)
               VALUES (?1, ?2, ?3, NULL, NULL, 1, ?4, ?5) ON CONFLICT (uid) DO NOTHING";
    tx.prepare_cached(sql)?.execute(params![uid.as_bytes(), annotator, action, tick, time_ms])?;
    let sql = "SELECT id FROM gestures WHERE uid = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([uid.as_bytes()], |r| r.get(0))?)
}

fn let_newest_stand(tx: &Transaction<'_>, candidate: CandidateId, annotator: i64) -> Result<(), StoreError> {
    let sql = "SELECT seq, tick, verdict FROM verdicts WHERE candidate_id = ?1 AND annotator_id = ?2
               ORDER BY tick DESC, uid DESC LIMIT 1";
    let mut statement = tx.prepare_cached(sql)?;
    let (seq, tick, verdict) =
        statement.query_row([candidate.0, annotator], |r| Ok((r.get(0)?, r.get(1)?, optional_word(r, 2)?)))?;
    standing::set(tx, candidate, annotator, seq, tick, verdict)
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

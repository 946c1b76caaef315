//! The line format in which verdict and correction logs are exchanged between copies of a project, and the validation of external lines.
//! `exchange.rs` and `log_lines.rs` place them in the logs.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::classes::{CLASS_NAME_BYTES, is_class_name};
use super::gestures::GestureAction;
use crate::domain::{AnnotationSource, Basis, CorrectionAct, Shape, Verdict, check_shape};
use crate::geometry::{BoundingBox, Ellipse};

/// Format version of verdicts that an annotator gave by looking. Version 1 is also read: it calls a missed object `missed_face` and has no
/// classes.
const FORMAT: u32 = 2;

/// Format version of corrections, and of verdicts with another basis: readers of earlier versions do not know these.
pub(super) const CORRECTION_FORMAT: u32 = 3;

pub const FORMATS_READ: std::ops::RangeInclusive<u32> = 1..=CORRECTION_FORMAT;

const DAY_US: i64 = 24 * 3600 * 1_000_000;

/// Lines further ahead are refused unless the user allows it: they would outrank later decisions of other copies, and more likely indicate
/// damage than a wrong clock. A clock that is one year off is still accepted.
pub const AHEAD_DAYS: u32 = 366;

/// A hundred years: beyond that, ticks would not be reliable for long.
pub const MOST_DAYS_AHEAD: u32 = 36_500;

/// Maximum length of an annotator's name and of a reason, in bytes.
const NAME_BYTES: usize = 200;

const REASON_BYTES: usize = 64 << 10;

/// One row of either log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LogLine {
    Verdict(VerdictLine),
    Correction(CorrectionLine),
}

/// One row of the verdict log as JSON: everything that another copy of the project needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictLine {
    pub format: u32,
    pub uid: Uuid,
    pub gesture: Uuid,
    /// `decide`, `undo` or `redo`.
    pub action: String,
    pub annotator: String,
    pub candidate: Uuid,
    /// `None` if an undo reverted the annotator's only verdict.
    pub verdict: Option<Verdict>,
    /// For a missed object and for a wrong class. Missing in version 1: then it is the class that the detector predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassLine>,
    /// How the verdict was reached; omitted if an annotator saw the candidate.
    #[serde(default, skip_serializing_if = "is_reviewed")]
    pub basis: Basis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<ShapeLine>,
    /// For a missed object: its kind of ground truth, so that it is not taken for the dataset's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<AnnotationSource>,
    /// Orders rows over all copies.
    pub tick: i64,
    /// If an undo or redo restored the verdict: the tick of the original decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// blake3 of the image, and x1, y1, x2, y2 on it: identifies the candidate in a project that mined it separately; if several rounds
    /// have one there, the one of the round with this number. Lines of older versions have no round.
    pub image: String,
    pub bbox: [f64; 4],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The class that the detector predicted: selects among several candidates in one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_class: Option<String>,
}

/// One row of the correction log as JSON: everything that another copy of the project needs. `object` distinguishes it from a verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrectionLine {
    pub format: u32,
    pub uid: Uuid,
    pub gesture: Uuid,
    /// `decide`, `undo` or `redo`.
    pub action: String,
    pub annotator: String,
    pub object: Uuid,
    pub origin: OriginLine,
    /// `None` if an undo reverted all of the annotator's corrections of it.
    pub correction: Option<StateLine>,
    /// Orders rows over all copies.
    pub tick: i64,
    /// The tick of the decision: an undo or redo restores an older one.
    pub since: i64,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// blake3 of the image.
    pub image: String,
}

/// The origin of an object, independent of its corrections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginLine {
    /// The dataset's own, as in the dataset; `place` is the index among equal ones in the image, from 0.
    Imported {
        class: ClassLine,
        shape: ShapeLine,
        ignored: bool,
        place: u32,
    },
    /// Promoted from this candidate: x1, y1, x2, y2 in a round, and the class that the detector predicted.
    Promoted {
        candidate: Uuid,
        bbox: [f64; 4],
        round: u32,
        class: String,
    },
    Added,
}

/// A change of an object, and its state after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateLine {
    pub act: CorrectionAct,
    pub class: ClassLine,
    pub shape: ShapeLine,
    pub ignored: bool,
    pub deleted: bool,
}

/// A class as known to another copy of the project: by id or by name.
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

/// The result of a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MergeReport {
    pub added: u64,
    /// Rows that already existed.
    pub known: u64,
    /// Rows on unknown candidates, deferred until mining finds them.
    pub without_candidate: u64,
    /// Of those, rows on unknown images.
    pub without_image: u64,
    /// Corrections of objects on unknown images or candidates, deferred until those exist.
    pub without_object: u64,
    /// Rows more than a day ahead of the clock and the newest row here: the clock of either computer is wrong.
    pub ahead: u64,
    /// The largest number of days ahead, rounded up.
    pub ahead_days: u64,
}

#[derive(Default)]
pub(super) struct Placed {
    pub report: MergeReport,
    /// Lines, by index, whose shape is invalid in their image: neither added to the log nor deferred.
    pub refused: Vec<(usize, String)>,
}

/// The limit on how far lines may be ahead.
#[derive(Debug, Clone, Copy)]
pub struct LatestTick {
    /// The clock, or the newest tick here if later, in microseconds.
    newest_us: i64,
    days: u32,
}

impl LatestTick {
    pub(super) fn new(newest_us: i64, days: u32) -> Self {
        Self { newest_us, days }
    }

    /// For rows of this project itself, which are accepted unchanged.
    pub(super) fn any() -> Self {
        Self { newest_us: i64::MAX, days: 0 }
    }

    fn latest_us(self) -> i64 {
        if self.newest_us == i64::MAX {
            return i64::MAX;
        }
        self.newest_us.saturating_add(i64::from(self.days.min(MOST_DAYS_AHEAD)).saturating_mul(DAY_US))
    }

    pub(super) fn days_ahead(self, tick: i64) -> u64 {
        tick.saturating_sub(self.newest_us).max(0).unsigned_abs().div_ceil(DAY_US.unsigned_abs())
    }

    /// Refuses a time too far ahead. `tick` in microseconds, `time_ms` in milliseconds.
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

/// Returns the format version of a verdict's line.
pub(super) fn format_of(basis: Basis) -> u32 {
    if basis == Basis::Reviewed { FORMAT } else { CORRECTION_FORMAT }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_reviewed(basis: &Basis) -> bool {
    *basis == Basis::Reviewed
}

impl VerdictLine {
    /// Refuses lines that no copy of a project writes.
    pub fn check(&self, latest: LatestTick) -> Result<(), String> {
        check_who_and_when(&self.action, &self.annotator, (self.tick, self.time_ms), latest)?;
        check_since(self.since, self.tick)?;
        self.check_words()?;
        check_bbox(&self.bbox)?;
        match &self.shape {
            Some(_) if !self.verdict.is_some_and(Verdict::has_class) => {
                Err("only a missed object has a shape".to_owned())
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

impl LogLine {
    /// Parses a line of either log.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            object: Option<serde::de::IgnoredAny>,
        }
        let Kind { object } = serde_json::from_str(text)?;
        match object {
            Some(_) => serde_json::from_str(text).map(Self::Correction),
            None => serde_json::from_str(text).map(Self::Verdict),
        }
    }

    pub fn format(&self) -> u32 {
        match self {
            Self::Verdict(line) => line.format,
            Self::Correction(line) => line.format,
        }
    }

    pub fn uid(&self) -> Uuid {
        match self {
            Self::Verdict(line) => line.uid,
            Self::Correction(line) => line.uid,
        }
    }

    /// Orders rows over all copies, in microseconds.
    pub fn tick(&self) -> i64 {
        match self {
            Self::Verdict(line) => line.tick,
            Self::Correction(line) => line.tick,
        }
    }

    /// Refuses lines that no copy of a project writes.
    pub fn check(&self, latest: LatestTick) -> Result<(), String> {
        match self {
            Self::Verdict(line) => line.check(latest),
            Self::Correction(line) => line.check(latest),
        }
    }

    pub(super) fn in_this_format(self) -> Self {
        match self {
            Self::Verdict(line) => Self::Verdict(VerdictLine { format: format_of(line.basis), ..line }),
            Self::Correction(line) => Self::Correction(CorrectionLine { format: CORRECTION_FORMAT, ..line }),
        }
    }
}

impl CorrectionLine {
    fn check(&self, latest: LatestTick) -> Result<(), String> {
        check_who_and_when(&self.action, &self.annotator, (self.tick, self.time_ms), latest)?;
        check_since(Some(self.since), self.tick)?;
        check_image(&self.image)?;
        let (own, promoted) = match &self.origin {
            OriginLine::Imported { class, shape, .. } => (Some((class, shape)), None),
            OriginLine::Promoted { bbox, class, .. } => {
                check_bbox(bbox)?;
                (None, Some(class))
            }
            OriginLine::Added => (None, None),
        };
        let now = self.correction.iter().map(|c| (&c.class, &c.shape));
        let states: Vec<_> = own.into_iter().chain(now).collect();
        check_class_names(states.iter().map(|(class, _)| &class.name).chain(promoted))?;
        states.iter().try_for_each(|(_, shape)| check_any_shape(shape))
    }
}

/// Validates the gesture data of a line of either log; `when` is tick and milliseconds.
fn check_who_and_when(
    action: &str,
    annotator: &str,
    (tick, time_ms): (i64, i64),
    latest: LatestTick,
) -> Result<(), String> {
    if GestureAction::parse(action).is_none() {
        return Err(format!("its action `{}` is not decide, undo or redo", shortened(action)));
    }
    if annotator.trim().is_empty() || annotator.len() > NAME_BYTES || annotator.chars().any(char::is_control) {
        return Err(format!("its annotator `{}` is not a name of 1 to {NAME_BYTES} bytes", shortened(annotator)));
    }
    latest.check(tick, time_ms)
}

fn check_since(since: Option<i64>, tick: i64) -> Result<(), String> {
    match since.filter(|since| !(0..=tick).contains(since)) {
        Some(since) => Err(format!("its since {since} is not between 0 and its tick {tick}")),
        None => Ok(()),
    }
}

fn check_class_names<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    match names.find(|name| !is_class_name(name)) {
        Some(name) => Err(format!("its class `{}` is not a name of 1 to {CLASS_NAME_BYTES} bytes", shortened(name))),
        None => Ok(()),
    }
}

fn check_image(hash: &str) -> Result<(), String> {
    if hash.is_empty() || hash.len() > NAME_BYTES {
        return Err(format!("its image `{}` is not the hash of an image", shortened(hash)));
    }
    Ok(())
}

fn check_bbox(bbox: &[f64; 4]) -> Result<(), String> {
    let [x1, y1, x2, y2] = bbox;
    if !bbox.iter().all(|v| v.is_finite()) || x1 > x2 || y1 > y2 {
        return Err(format!("its bbox {bbox:?} is not x1, y1, x2, y2 of a box"));
    }
    Ok(())
}

/// Refuses shapes that are invalid in any image; the image's size is not known yet.
fn check_any_shape(shape: &ShapeLine) -> Result<(), String> {
    check_shape(&Shape::from(shape), LARGEST_SIDE, LARGEST_SIDE).map_err(|e| e.to_string())
}

/// For an image of unknown size.
const LARGEST_SIDE: u32 = 1 << 20;

/// For messages.
fn shortened(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
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

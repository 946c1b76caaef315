//! Who decided what and when, read from the verdict and correction logs.

use rusqlite::{Connection, Row, params};

use super::columns::{optional_word, word};
use super::gestures::GestureAction;
use super::{Store, StoreError};
use crate::domain::{Basis, CandidateId, ClassId, CorrectionAct, ImageId, Verdict, VerdictRecord};

/// Which part of the log to read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryQuery {
    pub annotator: Option<String>,
    pub verdict: Option<Verdict>,
    /// Part of the image's name, case-insensitive; empty for all.
    pub image_name: String,
    /// Part of the image's name, the annotator, the verdict or correction, the class or the reason, case-insensitive; empty for all.
    pub text: String,
    /// Only the rows of this gesture: all candidates of one decision.
    pub gesture: Option<i64>,
    /// Only entries older than this one: the `seq` of the previous page's last entry; for [`Store::history_steps`] its `gesture`.
    pub before: Option<i64>,
}

/// One row of the log with the data that a list shows.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Position in the log: larger is later.
    pub seq: i64,
    /// Rows of one gesture were decided together.
    pub gesture: i64,
    pub action: GestureAction,
    pub record: VerdictRecord,
    pub reason: Option<String>,
    pub basis: Basis,
    pub image: ImageId,
    pub image_name: String,
}

/// One gesture of the logs with the first of its rows that matches the query, or one row of a gesture.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryStep {
    /// Position of the row in its log: larger is later.
    pub seq: i64,
    pub gesture: i64,
    pub action: GestureAction,
    pub annotator: String,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    pub what: Decided,
    pub image: ImageId,
    pub image_name: String,
    pub reason: Option<String>,
    /// Number of rows in the gesture, matching or not; 1 for a single row.
    pub count: u64,
}

/// The content of a log row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decided {
    /// `None`: undone.
    Verdict { candidate: CandidateId, verdict: Option<Verdict>, class: Option<ClassId> },
    /// For a ground truth object; the class is the one it had afterwards. `None`: undone.
    Correction { act: Option<CorrectionAct>, class: Option<ClassId> },
}

impl From<HistoryEntry> for HistoryStep {
    fn from(entry: HistoryEntry) -> Self {
        let VerdictRecord { candidate, annotator, verdict, class, time_ms } = entry.record;
        let HistoryEntry { seq, gesture, action, reason, image, image_name, .. } = entry;
        let what = Decided::Verdict { candidate, verdict, class };
        Self { seq, gesture, action, annotator, time_ms, what, image, image_name, reason, count: 1 }
    }
}

const SELECT: &str = "SELECT v.seq, v.gesture_id, g.action, v.candidate_id, a.name, v.verdict, v.time_ms, v.reason,
                             i.id, i.name, (SELECT coalesce(k.merged_into, k.id) FROM classes k WHERE k.id = v.class_id),
                             v.basis
                      FROM verdicts v JOIN gestures g ON g.id = v.gesture_id JOIN annotators a ON a.id = v.annotator_id
                      JOIN candidates c ON c.id = v.candidate_id JOIN images i ON i.id = c.image_id";

/// Condition for a log row to match a query: ?1 annotator, ?2 verdict, ?3 part of the name, ?4 search text.
const MATCHES: &str = "(?1 IS NULL OR a.name = ?1) AND (?2 IS NULL OR v.verdict = ?2)
    AND (?3 = '' OR instr(lower(i.name), ?3))
    AND (?4 = '' OR instr(lower(i.name || ' ' || a.name || ' ' || v.basis || ' ' || coalesce(v.reason, '') || ' '
        || coalesce((SELECT k.name FROM classes named JOIN classes k ON k.id = coalesce(named.merged_into, named.id)
                     WHERE named.id = v.class_id), '') || ' ' || coalesce(
        CASE v.verdict WHEN 'confirmed' THEN 'confirmed hard negative' WHEN 'missed_object' THEN 'missed_object missed object'
                       WHEN 'wrong_class' THEN 'wrong_class wrong class'
                       ELSE v.verdict END, 'undone')), ?4))";

const SELECT_CORRECTION: &str = "SELECT v.seq, v.gesture_id, g.action, a.name, v.time_ms, v.act, i.id, i.name,
                                        (SELECT coalesce(k.merged_into, k.id) FROM classes k WHERE k.id = v.class_id)
                                 FROM corrections v JOIN gestures g ON g.id = v.gesture_id
                                 JOIN annotators a ON a.id = v.annotator_id
                                 JOIN corrected_objects o ON o.id = v.object_id JOIN images i ON i.id = o.image_id";

/// [`MATCHES`] for corrections.
fn correction_matches() -> String {
    let texts = CorrectionAct::ALL.map(|act| format!("WHEN '{}' THEN '{}'", act.as_str(), act.text()));
    format!(
        "(?1 IS NULL OR a.name = ?1) AND ?2 IS NULL AND (?3 = '' OR instr(lower(i.name), ?3))
         AND (?4 = '' OR instr(lower(i.name || ' ' || a.name || ' ' || {CLASS_NAME} || ' '
             || CASE v.act {} ELSE 'undone' END), ?4))",
        texts.join(" ")
    )
}

/// The name of a row's class, or NULL.
const CLASS_NAME: &str =
    "coalesce((SELECT k.name FROM classes named JOIN classes k ON k.id = coalesce(named.merged_into, named.id)
    WHERE named.id = v.class_id), '')";

impl Store {
    /// Returns the newest `limit` matching entries of the log, newest first.
    pub fn history(&self, query: &HistoryQuery, limit: usize) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read(|c| {
            let of_gesture = query.gesture.map_or_else(String::new, |id| format!("AND v.gesture_id = {id}"));
            let sql = format!("{SELECT} WHERE {MATCHES} {of_gesture} AND v.seq < ?5 ORDER BY v.seq DESC LIMIT ?6");
            let verdict = query.verdict.map(Verdict::as_str);
            let (name, text) = (query.image_name.to_ascii_lowercase(), query.text.to_ascii_lowercase());
            let before = query.before.unwrap_or(i64::MAX);
            entries(c, &sql, params![query.annotator, verdict, name, text, before, limit as i64])
        })
    }

    /// Like [`Store::history`], but with one entry per gesture, including ground truth corrections: a decision on thousands is one entry.
    pub fn history_steps(&self, query: &HistoryQuery, limit: usize) -> Result<Vec<HistoryStep>, StoreError> {
        self.read(|c| {
            let of_gesture = query.gesture.map_or_else(String::new, |id| format!("AND s.id = {id}"));
            let sql = format!(
                "SELECT (SELECT min(v.seq) FROM verdicts v JOIN gestures g ON g.id = v.gesture_id
                         JOIN annotators a ON a.id = v.annotator_id JOIN candidates c ON c.id = v.candidate_id
                         JOIN images i ON i.id = c.image_id WHERE v.gesture_id = s.id AND {MATCHES}) AS first,
                        (SELECT min(v.seq) FROM corrections v JOIN gestures g ON g.id = v.gesture_id
                         JOIN annotators a ON a.id = v.annotator_id JOIN corrected_objects o ON o.id = v.object_id
                         JOIN images i ON i.id = o.image_id WHERE v.gesture_id = s.id AND {}) AS corrected,
                        (SELECT count(*) FROM verdicts v WHERE v.gesture_id = s.id),
                        (SELECT count(*) FROM corrections v WHERE v.gesture_id = s.id)
                 FROM gestures s WHERE s.id < ?5 {of_gesture} AND coalesce(first, corrected) IS NOT NULL
                 ORDER BY s.id DESC LIMIT ?6",
                correction_matches()
            );
            let verdict = query.verdict.map(Verdict::as_str);
            let (name, text) = (query.image_name.to_ascii_lowercase(), query.text.to_ascii_lowercase());
            let before = query.before.unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(&sql)?;
            let values = params![query.annotator, verdict, name, text, before, limit as i64];
            let read = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get::<_, i64>(2)? as u64, r.get::<_, i64>(3)? as u64));
            let found: Vec<(Option<i64>, Option<i64>, u64, u64)> =
                statement.query_map(values, read)?.collect::<Result<_, _>>()?;
            let mut verdict = c.prepare_cached(&format!("{SELECT} WHERE v.seq = ?1"))?;
            let mut correction = c.prepare_cached(&format!("{SELECT_CORRECTION} WHERE v.seq = ?1"))?;
            let mut steps = Vec::with_capacity(found.len());
            for (first, corrected, verdicts, corrections) in found {
                let step = match (first, corrected) {
                    (Some(seq), _) => verdict.query_row([seq], from_row)?.into(),
                    (None, Some(seq)) => correction.query_row([seq], correction_step)?,
                    (None, None) => continue,
                };
                steps.push(HistoryStep { count: verdicts + corrections, ..step });
            }
            Ok(steps)
        })
    }

    /// Returns the corrections of one gesture, last first, that are older than the query's `before`.
    pub fn corrections_of_gesture(&self, query: &HistoryQuery, limit: usize) -> Result<Vec<HistoryStep>, StoreError> {
        self.read(|c| {
            let sql = format!(
                "{SELECT_CORRECTION} WHERE v.gesture_id = ?1 AND v.seq < ?2 AND (?3 IS NULL OR a.name = ?3)
                 ORDER BY v.seq DESC LIMIT ?4"
            );
            let before = query.before.unwrap_or(i64::MAX);
            let values = params![query.gesture, before, query.annotator, limit as i64];
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map(values, correction_step)?.collect::<Result<_, _>>()?)
        })
    }

    /// Returns when an annotator decided, newest first: milliseconds since the Unix epoch and the number of candidates.
    pub fn recent_decisions(&self, annotator: &str, limit: usize) -> Result<Vec<(i64, u64)>, StoreError> {
        self.read(|c| {
            let sql = "SELECT g.time_ms, (SELECT count(*) FROM verdicts v WHERE v.gesture_id = g.id)
                       FROM gestures g JOIN annotators a ON a.id = g.annotator_id
                       WHERE a.name = ?1 AND g.action = 'decide' ORDER BY g.tick DESC LIMIT ?2";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement
                .query_map(params![annotator, limit as i64], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Returns each annotator's current verdict on a candidate, ordered by their first verdicts.
    pub fn current_verdicts(&self, candidate: CandidateId) -> Result<Vec<VerdictRecord>, StoreError> {
        let sql = format!(
            "{SELECT} WHERE v.seq IN (SELECT seq FROM standing_verdicts WHERE candidate_id = ?1) ORDER BY v.annotator_id"
        );
        let found = self.read(|c| entries(c, &sql, params![candidate.0]))?;
        Ok(found.into_iter().map(|entry| entry.record).collect())
    }
}

fn entries(c: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<HistoryEntry>, StoreError> {
    Ok(c.prepare_cached(sql)?.query_map(values, from_row)?.collect::<Result<_, _>>()?)
}

fn correction_step(row: &Row<'_>) -> rusqlite::Result<HistoryStep> {
    Ok(HistoryStep {
        seq: row.get(0)?,
        gesture: row.get(1)?,
        action: GestureAction::parse(&row.get::<_, String>(2)?).unwrap_or(GestureAction::Decide),
        annotator: row.get(3)?,
        time_ms: row.get(4)?,
        what: Decided::Correction { act: optional_word(row, 5)?, class: row.get::<_, Option<i64>>(8)?.map(ClassId) },
        image: ImageId(row.get(6)?),
        image_name: row.get(7)?,
        reason: None,
        count: 1,
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    Ok(HistoryEntry {
        seq: row.get(0)?,
        gesture: row.get(1)?,
        // The column's CHECK allows no other word.
        action: GestureAction::parse(&row.get::<_, String>(2)?).unwrap_or(GestureAction::Decide),
        record: VerdictRecord {
            candidate: CandidateId(row.get(3)?),
            annotator: row.get(4)?,
            verdict: optional_word(row, 5)?,
            class: row.get::<_, Option<i64>>(10)?.map(ClassId),
            time_ms: row.get(6)?,
        },
        reason: row.get(7)?,
        basis: word(row, 11)?,
        image: ImageId(row.get(8)?),
        image_name: row.get(9)?,
    })
}

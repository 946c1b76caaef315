//! Who decided what and when, from the verdict log. Must not change it.

use rusqlite::{Connection, Row, params};

use super::columns::optional_word;
use super::gestures::GestureAction;
use super::{Store, StoreError};
use crate::domain::{CandidateId, ClassId, ImageId, Verdict, VerdictRecord};

/// Which part of the log to read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryQuery {
    pub annotator: Option<String>,
    pub verdict: Option<Verdict>,
    /// Part of the image's name, case ignored; empty for all.
    pub image_name: String,
    /// Part of the image's name, the annotator, the verdict or the reason, case ignored; empty for all.
    pub text: String,
    /// Only the rows of this gesture: all candidates of one stroke.
    pub gesture: Option<i64>,
    /// Only entries older than this one: the `seq` of the last entry of the page before; of [`Store::history_steps`] its `gesture`.
    pub before: Option<i64>,
}

/// One row of the log, with what a list shows beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Place in the log: larger is later.
    pub seq: i64,
    /// Rows of one gesture were decided with one stroke.
    pub gesture: i64,
    pub action: GestureAction,
    pub record: VerdictRecord,
    pub reason: Option<String>,
    pub image: ImageId,
    pub image_name: String,
}

/// One gesture of the log with the first of its rows that the query asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryStep {
    pub entry: HistoryEntry,
    /// Rows of the gesture, whether they match or not.
    pub candidates: u64,
}

const SELECT: &str = "SELECT v.seq, v.gesture_id, g.action, v.candidate_id, a.name, v.verdict, v.time_ms, v.reason,
                             i.id, i.name, (SELECT coalesce(k.merged_into, k.id) FROM classes k WHERE k.id = v.class_id)
                      FROM verdicts v JOIN gestures g ON g.id = v.gesture_id JOIN annotators a ON a.id = v.annotator_id
                      JOIN candidates c ON c.id = v.candidate_id JOIN images i ON i.id = c.image_id";

/// What a row of the log has to be for a query: ?1 annotator, ?2 verdict, ?3 part of the name, ?4 words of the search field.
const MATCHES: &str = "(?1 IS NULL OR a.name = ?1) AND (?2 IS NULL OR v.verdict = ?2)
    AND (?3 = '' OR instr(lower(i.name), ?3))
    AND (?4 = '' OR instr(lower(i.name || ' ' || a.name || ' ' || coalesce(v.reason, '') || ' ' || coalesce(
        CASE v.verdict WHEN 'confirmed' THEN 'confirmed hard negative' WHEN 'missed_object' THEN 'missed_object missed object'
                       WHEN 'wrong_class' THEN 'wrong_class wrong class'
                       ELSE v.verdict END, 'undone taken back')), ?4))";

impl Store {
    /// The newest `limit` entries of the log that the query asks for, newest first.
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

    /// As [`Store::history`], but one step for each gesture: a stroke over thousands is one line.
    pub fn history_steps(&self, query: &HistoryQuery, limit: usize) -> Result<Vec<HistoryStep>, StoreError> {
        self.read(|c| {
            let of_gesture = query.gesture.map_or_else(String::new, |id| format!("AND s.id = {id}"));
            let sql = format!(
                "SELECT (SELECT min(v.seq) FROM verdicts v JOIN gestures g ON g.id = v.gesture_id
                         JOIN annotators a ON a.id = v.annotator_id JOIN candidates c ON c.id = v.candidate_id
                         JOIN images i ON i.id = c.image_id WHERE v.gesture_id = s.id AND {MATCHES}) AS first,
                        (SELECT count(*) FROM verdicts v WHERE v.gesture_id = s.id)
                 FROM gestures s WHERE s.id < ?5 {of_gesture} AND first IS NOT NULL ORDER BY s.id DESC LIMIT ?6"
            );
            let verdict = query.verdict.map(Verdict::as_str);
            let (name, text) = (query.image_name.to_ascii_lowercase(), query.text.to_ascii_lowercase());
            let before = query.before.unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(&sql)?;
            let values = params![query.annotator, verdict, name, text, before, limit as i64];
            let found: Vec<(i64, u64)> = statement
                .query_map(values, |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?
                .collect::<Result<_, _>>()?;
            let mut one = c.prepare_cached(&format!("{SELECT} WHERE v.seq = ?1"))?;
            let step = |(seq, candidates)| Ok(HistoryStep { entry: one.query_row([seq], from_row)?, candidates });
            found.into_iter().map(step).collect()
        })
    }

    /// When an annotator decided, newest first: milliseconds since the Unix epoch and how many candidates with one stroke.
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

    /// Everything that was ever decided on a candidate, oldest first.
    pub fn candidate_history(&self, candidate: CandidateId) -> Result<Vec<HistoryEntry>, StoreError> {
        let sql = format!("{SELECT} WHERE v.candidate_id = ?1 ORDER BY v.seq");
        self.read(|c| entries(c, &sql, params![candidate.0]))
    }

    /// What each annotator holds on a candidate now, in the order of the annotators' first verdicts.
    pub fn standing_verdicts(&self, candidate: CandidateId) -> Result<Vec<VerdictRecord>, StoreError> {
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
        image: ImageId(row.get(8)?),
        image_name: row.get(9)?,
    })
}

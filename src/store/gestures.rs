//! Gestures: undo and redo steps, as an append-only log.
//!
//! The stacks are never stored. An annotator's newest gesture determines both tops: after a decision, the top of undo is that decision and
//! nothing can be redone; an undo exposes its decision's `parent` and becomes the top of redo, above its own `parent`; a redo puts the
//! decision back on top of undo and exposes the `parent` of the undo that it reverted.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::StoreError;
use super::connection::new_uid;
use crate::domain::{CandidateId, CorrectionAct, GroundTruthId, ImageId, Verdict};

/// The kind of a gesture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GestureAction {
    Decide,
    Undo,
    Redo,
}

/// One step of an annotator: a verdict on one or more candidates, a correction of one or more objects, or an undo or redo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gesture {
    pub id: i64,
    pub action: GestureAction,
    pub annotator: String,
    /// The verdict that was given, undone or redone.
    pub verdict: Option<Verdict>,
    /// The ground truth correction that was made, undone or redone.
    pub act: Option<CorrectionAct>,
    /// The candidates of the verdicts.
    pub candidates: Vec<CandidateId>,
    /// The corrected objects that still exist.
    pub objects: Vec<GroundTruthId>,
    /// The images of corrected objects.
    pub images: Vec<ImageId>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
}

impl GestureAction {
    pub const ALL: [Self; 3] = [Self::Decide, Self::Undo, Self::Redo];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Undo => "undo",
            Self::Redo => "redo",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == word)
    }
}

/// What can be undone (a decision) and redone (an undo, with the decision that it reverted).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stacks {
    pub undo: Option<i64>,
    pub redo: Option<Undone>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undone {
    pub undo: i64,
    pub decision: i64,
}

/// A row that was just written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub id: i64,
    pub annotator: i64,
    pub tick: i64,
    pub time_ms: i64,
}

pub(super) fn stacks(c: &Connection, annotator: i64) -> Result<Stacks, StoreError> {
    let sql = "SELECT id, action, target FROM gestures
               WHERE annotator_id = ?1 AND merged = 0 ORDER BY id DESC LIMIT 1";
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get(2)?));
    let newest: Option<(i64, String, Option<i64>)> = c.prepare_cached(sql)?.query_row([annotator], read).optional()?;
    let Some((id, action, target)) = newest else { return Ok(Stacks::default()) };
    Ok(match (action.as_str(), target) {
        ("undo", Some(decision)) => {
            Stacks { undo: links(c, decision)?.parent, redo: Some(Undone { undo: id, decision }) }
        }
        ("redo", Some(undo)) => {
            let undone = links(c, undo)?;
            let below = match undone.parent {
                Some(undo) => links(c, undo)?.target.map(|decision| Undone { undo, decision }),
                None => None,
            };
            Stacks { undo: undone.target, redo: below }
        }
        _ => Stacks { undo: Some(id), redo: None },
    })
}

pub(super) fn append(
    tx: &Transaction<'_>,
    annotator: i64,
    action: GestureAction,
    (target, parent): (Option<i64>, Option<i64>),
    time_ms: i64,
) -> Result<Written, StoreError> {
    let tick = next_tick(tx, time_ms)?;
    let sql = "INSERT INTO gestures (uid, annotator_id, action, target, parent, merged, tick, time_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)";
    tx.prepare_cached(sql)?.execute(params![new_uid(), annotator, action.as_str(), target, parent, tick, time_ms])?;
    Ok(Written { id: tx.last_insert_rowid(), annotator, tick, time_ms })
}

/// Returns the gesture of another copy; creates it if new.
pub(super) fn of_other_copy(
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

/// Returns the clock in microseconds, but always above every earlier tick: a clock set back does not change the order.
fn next_tick(c: &Connection, time_ms: i64) -> Result<i64, StoreError> {
    let last: Option<i64> = c.prepare_cached("SELECT max(tick) FROM gestures")?.query_row([], |r| r.get(0))?;
    let now = time_ms.saturating_mul(1000);
    Ok(last.map_or(now, |last| now.max(last.saturating_add(1))))
}

struct Links {
    target: Option<i64>,
    parent: Option<i64>,
}

fn links(c: &Connection, gesture: i64) -> Result<Links, StoreError> {
    let mut statement = c.prepare_cached("SELECT target, parent FROM gestures WHERE id = ?1")?;
    Ok(statement.query_row([gesture], |r| Ok(Links { target: r.get(0)?, parent: r.get(1)? }))?)
}

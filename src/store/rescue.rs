//! Recovers the verdict log of a damaged database: as a whole if possible, otherwise row by row, with rows of damaged pages taken from the
//! backup if it has them.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::access::harden;
use super::columns::{optional_shape, optional_word, word};
use super::companions::wal_of;
use super::integrity::check;
use super::lines::{self, ClassLine, LogLine, ShapeLine, VerdictLine};
use super::{Store, StoreError, exchange, log_lines, waiting};
use crate::domain::{AnnotationSource, Basis, Verdict};

/// The recovered rows.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub lines: Vec<LogLine>,
    /// Rows that exist and could not be read.
    pub unreadable: u64,
}

impl Store {
    /// Returns the readable lines of the verdict log, and how many are unreadable. Works on damaged and intact databases.
    pub fn readable_verdicts(&self) -> (Vec<LogLine>, u64) {
        let log = read(&self.connection, None);
        (log.lines, log.unreadable)
    }
}

/// Recovers the log of the damaged database at `path`; `backup` is a backup of it and `sound` a connection to one.
pub(super) fn log_of(path: &Path, backup: &Path, sound: &Connection) -> Result<Log, StoreError> {
    let own = Store::open_read_only(path).map(|damaged| read(&damaged.connection, Some(sound)));
    if own.as_ref().is_ok_and(|log| log.unreadable == 0) {
        return own;
    }
    match backup_under_log(path, backup) {
        // What is readable in the damaged file may be newer still.
        Ok(Some(mut lines)) => {
            lines.extend(own.map(|log| log.lines).unwrap_or_default());
            Ok(Log { lines, unreadable: 0 })
        }
        _ => own,
    }
}

/// Reads the log of the backup with the damaged database's WAL applied: a backup is a page-by-page copy, so that later writes fit. `None`
/// if they do not, because the WAL was restarted since.
fn backup_under_log(path: &Path, backup: &Path) -> Result<Option<Vec<LogLine>>, StoreError> {
    let log = wal_of(path);
    if std::fs::metadata(&log).map_or(0, |m| m.len()) == 0 {
        return Ok(None);
    }
    let failed = |cause| StoreError::Io { path: path.to_owned(), cause };
    let dir = tempfile::tempdir().map_err(failed)?;
    let copy = dir.path().join("quarry.db");
    std::fs::copy(backup, &copy).map_err(failed)?;
    std::fs::copy(&log, wal_of(&copy)).map_err(failed)?;
    // A backup is in rollback mode; these two header bytes mean WAL.
    let mut file = std::fs::OpenOptions::new().write(true).open(&copy).map_err(failed)?;
    file.seek(SeekFrom::Start(18)).and_then(|_| file.write_all(&[2, 2])).map_err(failed)?;
    drop(file);
    let connection = Connection::open(&copy)?;
    harden(&connection)?;
    if check(&connection).is_err() {
        return Ok(None);
    }
    Ok(exchange::log(&connection).ok())
}

fn read(damaged: &Connection, sound: Option<&Connection>) -> Log {
    let mut log = match exchange::log(damaged) {
        Ok(lines) => Log { lines, unreadable: 0 },
        Err(_) => row_by_row(damaged, sound),
    };
    // Waiting lines are copies of other projects' logs.
    log.lines.extend(waiting::all(damaged).unwrap_or_default());
    log
}

fn row_by_row(damaged: &Connection, sound: Option<&Connection>) -> Log {
    let mut log = Log::default();
    if damaged.prepare("SELECT uid FROM verdicts WHERE seq = 1").is_err() {
        // The schema is unreadable, so no row can be read.
        let newest = |c: &Connection| c.query_row("SELECT count(*) FROM verdicts", [], |r| r.get::<_, i64>(0)).ok();
        log.unreadable = sound.and_then(newest).unwrap_or(1).max(1) as u64;
        return log;
    }
    for seq in 1..=last_seq(damaged, sound, "verdicts") {
        match line(damaged, sound, seq) {
            Ok(None) => {}
            Ok(Some(line)) => log.lines.push(LogLine::Verdict(line)),
            Err(_) => log.unreadable += 1,
        }
    }
    if damaged.prepare("SELECT uid FROM corrections WHERE seq = 1").is_ok() {
        for seq in 1..=last_seq(damaged, sound, "corrections") {
            // Rows that this one refers to may be lost with another page: then the backup's row is used as a whole.
            let found = log_lines::line(damaged, seq);
            let found = found.or_else(|error| sound.map_or(Err(error), |sound| log_lines::line(sound, seq)));
            match found {
                Ok(None) => {}
                Ok(Some(line)) => log.lines.push(LogLine::Correction(line)),
                Err(_) => log.unreadable += 1,
            }
        }
    }
    log
}

/// Returns the last row of the log; if unreadable, a value well beyond the backup's.
fn last_seq(damaged: &Connection, sound: Option<&Connection>, table: &str) -> i64 {
    let number = |c: &Connection, sql: &str| c.query_row(sql, [], |r| r.get::<_, Option<i64>>(0)).ok().flatten();
    let newest = format!("SELECT max(seq) FROM {table}");
    let counted = format!("SELECT seq FROM sqlite_sequence WHERE name = '{table}'");
    number(damaged, &counted)
        .or_else(|| number(damaged, &newest))
        .unwrap_or_else(|| sound.and_then(|c| number(c, &newest)).unwrap_or(0) + 100_000)
}

/// Returns the line of row `seq`; `None` if there is no such row.
fn line(damaged: &Connection, sound: Option<&Connection>, seq: i64) -> rusqlite::Result<Option<VerdictLine>> {
    // Databases of older formats have no classes.
    let has_classes = damaged.column_exists(None, "verdicts", "class_id")?;
    let class = if has_classes { "class_id" } else { "NULL" };
    let since = if damaged.column_exists(None, "verdicts", "since")? { "since" } else { "NULL" };
    let basis = if damaged.column_exists(None, "verdicts", "basis")? { "basis" } else { "'reviewed'" };
    let sql = format!(
        "SELECT uid, gesture_id, candidate_id, annotator_id, verdict, reason, tick, time_ms, shape, a, b, c, d, e, {class}, {since},
                {basis}
         FROM verdicts WHERE seq = ?1"
    );
    let Some(row) = damaged.prepare_cached(&sql)?.query_row([seq], verdict_row).optional()? else { return Ok(None) };
    let sql = "SELECT k.uid, k.name FROM classes named JOIN classes k ON k.id = coalesce(named.merged_into, named.id)
               WHERE named.id = ?1";
    let named = |r: &Row<'_>| Ok(ClassLine { uid: uid(r, 0)?, name: r.get(1)? });
    let class = row.class.map(|id| either(damaged, sound, sql, id, named)).transpose()?;
    let annotator = either(damaged, sound, "SELECT name FROM annotators WHERE id = ?1", row.annotator, |r| r.get(0))?;
    let sql = "SELECT uid, action FROM gestures WHERE id = ?1";
    let gesture = either(damaged, sound, sql, row.gesture, |r| Ok((uid(r, 0)?, r.get(1)?)));
    // Without its gesture, a verdict becomes a gesture of its own.
    let (gesture, action) = gesture.unwrap_or_else(|_| (row.uid, "decide".to_owned()));
    let sql = "SELECT c.uid, i.content_hash, c.x1, c.y1, c.x2, c.y2, r.number FROM candidates c
               JOIN images i ON i.id = c.image_id JOIN rounds r ON r.id = c.round_id WHERE c.id = ?1";
    let place =
        |r: &Row<'_>| Ok((uid(r, 0)?, r.get::<_, String>(1)?, [r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?], r.get(6)?));
    let (candidate, image, bbox, round) = either(damaged, sound, sql, row.candidate, place)?;
    let sql = "SELECT k.name FROM candidates c JOIN classes k ON k.id = c.class_id WHERE c.id = ?1";
    let candidate_class = either(damaged, sound, sql, row.candidate, |r| r.get(0)).ok();
    Ok(Some(VerdictLine {
        format: lines::format_of(row.basis),
        uid: row.uid,
        gesture,
        action,
        annotator,
        candidate,
        verdict: row.verdict,
        basis: row.basis,
        reason: row.reason,
        shape: row.shape,
        source: (row.verdict == Some(Verdict::MissedObject)).then_some(AnnotationSource::Promoted),
        tick: row.tick,
        since: row.since,
        time_ms: row.time_ms,
        image,
        bbox,
        round,
        class,
        candidate_class,
    }))
}

struct VerdictRow {
    uid: Uuid,
    gesture: i64,
    candidate: i64,
    annotator: i64,
    verdict: Option<Verdict>,
    reason: Option<String>,
    tick: i64,
    time_ms: i64,
    shape: Option<ShapeLine>,
    class: Option<i64>,
    since: Option<i64>,
    basis: Basis,
}

fn verdict_row(r: &Row<'_>) -> rusqlite::Result<VerdictRow> {
    Ok(VerdictRow {
        uid: uid(r, 0)?,
        gesture: r.get(1)?,
        candidate: r.get(2)?,
        annotator: r.get(3)?,
        verdict: optional_word(r, 4)?,
        reason: r.get(5)?,
        tick: r.get(6)?,
        time_ms: r.get(7)?,
        shape: optional_shape(r, 8)?.as_ref().map(ShapeLine::from),
        class: r.get(14)?,
        since: r.get(15)?,
        basis: word(r, 16)?,
    })
}

/// Reads the row with this id in the damaged database, or in its backup: ids are never reused.
fn either<T>(
    damaged: &Connection,
    sound: Option<&Connection>,
    sql: &str,
    id: i64,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let from = |c: &Connection| c.prepare_cached(sql)?.query_row([id], &read);
    from(damaged).or_else(|error| sound.map_or(Err(error), from))
}

fn uid(row: &Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(index).map(Uuid::from_bytes)
}

//! Finds decisions, corrections and changes of the project since the last check, from any connection. Reads only the ends of the logs.

use rusqlite::Connection;

use super::queue_index::{data_version, last_seq};
use super::settings::{SHARES, setting};
use super::{Store, StoreError};
use crate::domain::{CandidateId, ImageId};

/// How far the logs were read, and the project's state then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    version: i64,
    verdict: i64,
    correction: i64,
    project: ProjectState,
}

/// What is shown of a project besides its candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProjectState {
    shares: Option<String>,
    datasets: i64,
    /// The number and the state of each round.
    rounds: Option<String>,
}

/// New log rows, and whether more has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogNews {
    /// The gesture and the candidate of each verdict, oldest first.
    pub verdicts: Vec<(i64, CandidateId)>,
    /// The gesture and the image of each correction.
    pub corrections: Vec<(i64, ImageId)>,
    /// There are more rows than requested, so the lists are incomplete.
    pub is_cut: bool,
    /// The shares, the number of datasets or a round's state are not what they were.
    pub project_changed: bool,
}

impl Store {
    /// Returns the current ends of the logs.
    pub fn seen(&self) -> Result<Seen, StoreError> {
        self.read(seen)
    }

    /// Returns the rows since `seen_before`, which is updated; `None` if no other connection committed. At most `limit` rows of each log.
    pub fn log_news(&self, seen_before: &mut Seen, limit: usize) -> Result<Option<LogNews>, StoreError> {
        self.read(|c| {
            // Read before the rows: a commit in between is reported twice, never missed.
            let version = data_version(c)?;
            if version == seen_before.version {
                return Ok(None);
            }
            let last = last_seq(c)?;
            let rows = |sql: &str, after: i64, to: i64| -> Result<Vec<(i64, i64)>, StoreError> {
                let mut statement = c.prepare_cached(sql)?;
                let parameters = (after, to, limit as i64 + 1);
                Ok(statement.query_map(parameters, |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?)
            };
            let mut verdicts = rows(
                "SELECT gesture_id, candidate_id FROM verdicts WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
                seen_before.verdict,
                last.verdict,
            )?;
            let mut corrections = rows(
                "SELECT v.gesture_id, o.image_id FROM corrections v JOIN corrected_objects o ON o.id = v.object_id
                 WHERE v.seq > ?1 AND v.seq <= ?2 ORDER BY v.seq LIMIT ?3",
                seen_before.correction,
                last.correction,
            )?;
            let is_cut = verdicts.len() > limit || corrections.len() > limit;
            verdicts.truncate(limit);
            corrections.truncate(limit);
            let project = project_state(c)?;
            let project_changed = project != seen_before.project;
            *seen_before = Seen { version, verdict: last.verdict, correction: last.correction, project };
            Ok(Some(LogNews {
                verdicts: verdicts.into_iter().map(|(gesture, id)| (gesture, CandidateId(id))).collect(),
                corrections: corrections.into_iter().map(|(gesture, id)| (gesture, ImageId(id))).collect(),
                is_cut,
                project_changed,
            }))
        })
    }
}

fn seen(c: &Connection) -> Result<Seen, StoreError> {
    let version = data_version(c)?;
    let last = last_seq(c)?;
    Ok(Seen { version, verdict: last.verdict, correction: last.correction, project: project_state(c)? })
}

fn project_state(c: &Connection) -> Result<ProjectState, StoreError> {
    let mut datasets = c.prepare_cached("SELECT count(*) FROM datasets")?;
    let mut rounds = c.prepare_cached("SELECT group_concat(number || ' ' || state ORDER BY number) FROM rounds")?;
    Ok(ProjectState {
        shares: setting(c, SHARES)?,
        datasets: datasets.query_row([], |r| r.get(0))?,
        rounds: rounds.query_row([], |r| r.get(0))?,
    })
}

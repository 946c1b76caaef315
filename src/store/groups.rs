//! Groups of near-duplicate candidates. Must not know how they were found to be alike.

use rusqlite::{Transaction, params};

use super::connection::new_uid;
use super::{Store, StoreError, queue_index};
use crate::domain::{CandidateId, GroupId};

/// Waits for a verdict: ?2 names the annotator whose verdicts count, NULL: those that count over all.
const WAITS: &str = "CASE WHEN ?2 IS NULL
        THEN c.verdict IS NULL
        ELSE NOT EXISTS (SELECT 1 FROM standing_verdicts s JOIN annotators a ON a.id = s.annotator_id
                         WHERE s.candidate_id = c.id AND a.name = ?2) END
    AND c.kind <> 'duplicate'";

impl Store {
    /// Makes these the groups of the project, in one transaction; their order is that of [`Sort::Group`](super::Sort::Group). A candidate
    /// belongs to one group at most; groups of one are left out. No id is given twice: what a screen still holds of an older group
    /// finds nothing, never another group.
    pub fn set_groups(&mut self, groups: &[Vec<CandidateId>]) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut group = last_group(tx)?;
            tx.execute("UPDATE candidates SET group_id = NULL WHERE group_id IS NOT NULL", [])?;
            tx.execute("DELETE FROM groups", [])?;
            for members in groups.iter().filter(|members| 1 < members.len()) {
                group += 1;
                tx.prepare_cached("INSERT INTO groups (id, uid) VALUES (?1, ?2)")?
                    .execute(params![group, new_uid()])?;
                for member in members {
                    let sql = "UPDATE candidates SET group_id = ?2 WHERE id = ?1 AND group_id IS NULL";
                    if tx.prepare_cached(sql)?.execute(params![member.0, group])? == 0 {
                        let text = format!("candidate {member} is not in this project, or in two groups");
                        return Err(StoreError::Invalid(text));
                    }
                }
            }
            let sql = "INSERT INTO meta (key, value) VALUES ('last_group', ?1)
                       ON CONFLICT DO UPDATE SET value = excluded.value";
            tx.execute(sql, [group])?;
            queue_index::mark_changed(tx)
        })
    }

    /// The candidates of a group, highest score first.
    pub fn group_members(&self, group: GroupId) -> Result<Vec<CandidateId>, StoreError> {
        self.read(|c| {
            let sql = "SELECT id FROM candidates WHERE group_id = ?1 ORDER BY score DESC, id";
            let mut statement = c.prepare_cached(sql)?;
            Ok(statement.query_map([group.0], |r| r.get(0).map(CandidateId))?.collect::<Result<_, _>>()?)
        })
    }

    /// The candidates of a group that wait for a verdict, highest score first: what a stroke over the group decides on. With an
    /// annotator those wait that this one holds no verdict on, whatever others decided.
    pub fn undecided_of_group(&self, group: GroupId, annotator: Option<&str>) -> Result<Vec<CandidateId>, StoreError> {
        self.read(|c| {
            let sql =
                format!("SELECT c.id FROM candidates c WHERE c.group_id = ?1 AND {WAITS} ORDER BY c.score DESC, c.id");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![group.0, annotator], |r| r.get(0).map(CandidateId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// How many [`Store::undecided_of_group`] finds.
    pub fn count_undecided_of_group(&self, group: GroupId, annotator: Option<&str>) -> Result<u32, StoreError> {
        self.read(|c| {
            let sql = format!("SELECT count(*) FROM candidates c WHERE c.group_id = ?1 AND {WAITS}");
            Ok(c.prepare_cached(&sql)?.query_row(params![group.0, annotator], |r| r.get(0))?)
        })
    }
}

/// The highest id that a group ever had.
fn last_group(tx: &Transaction<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT max(coalesce((SELECT value FROM meta WHERE key = 'last_group'), 0),
                          coalesce((SELECT max(id) FROM groups), 0))";
    Ok(tx.query_row(sql, [], |r| r.get(0))?)
}

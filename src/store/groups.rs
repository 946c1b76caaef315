//! Groups of candidates that are decided together.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};

use super::connection::new_uid;
use super::left::{LEFT_FOR, is_present};
use super::{Store, StoreError, queue_index};
use crate::domain::{CandidateId, GroupId};

/// Maximum time, besides a commit, that a verdict waits for group changes.
const HELD_AT_MOST: Duration = Duration::from_millis(15);
/// Number of changes between two checks of the clock.
const UNWATCHED: usize = 16;

/// A group to create, initially without members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// An unused id: see [`Store::next_group`].
    pub id: GroupId,
    /// The member that all others are similar to.
    pub representative: CandidateId,
    /// One thing at a fixed place in many images.
    pub by_place: bool,
    /// Position in the chain order; ties in creation order.
    pub chain: i64,
}

/// One step of updating the groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    Make(NewGroup),
    /// Moves the candidate to this group, or to none.
    Place(CandidateId, Option<GroupId>),
    /// Removes the group once it is empty.
    Remove(GroupId),
    /// The candidate's group is final: see [`CandidateHashes::is_new`](super::CandidateHashes::is_new).
    Settled(CandidateId),
}

/// A group as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredGroup {
    pub id: GroupId,
    /// `None` for groups of older formats.
    pub representative: Option<CandidateId>,
    pub by_place: bool,
    pub chain: i64,
}

impl Store {
    /// Replaces the project's groups in one transaction; their order is that of [`Sort::Group`](super::Sort::Group), and the first member
    /// represents each. A candidate belongs to at most one group; groups of one are dropped. Group ids are never reused: a screen that
    /// still shows an older group finds nothing, never another group.
    pub fn set_groups(&mut self, groups: &[Vec<CandidateId>]) -> Result<(), StoreError> {
        self.write(|tx| {
            // The highest id must survive its group.
            remember_last(tx)?;
            tx.execute("UPDATE candidates SET group_id = NULL WHERE group_id IS NOT NULL", [])?;
            tx.execute("DELETE FROM groups", [])?;
            for (members, chain) in groups.iter().filter(|members| members.len() > 1).zip(1..) {
                let id = next_group(tx)?;
                make(tx, &NewGroup { id, representative: members[0], by_place: false, chain })?;
                let sql = "SELECT count(*) FROM candidates WHERE id = ?1 AND group_id IS NULL";
                let is_free = |member: &CandidateId| -> Result<bool, StoreError> {
                    Ok(tx.prepare_cached(sql)?.query_row([member.0], |r| r.get::<_, i64>(0))? == 1)
                };
                for member in members {
                    if !is_free(member)? {
                        let text = format!("candidate {member} is not in this project, or in two groups");
                        return Err(StoreError::Invalid(text));
                    }
                    place(tx, *member, Some(id))?;
                }
            }
            queue_index::mark_changed(tx)
        })
    }

    /// Returns all groups by id.
    pub fn groups(&self) -> Result<Vec<StoredGroup>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare("SELECT id, representative, by_place, chain FROM groups ORDER BY id")?;
            let rows = statement.query_map([], |r| {
                let representative = r.get::<_, Option<i64>>(1)?.map(CandidateId);
                Ok(StoredGroup { id: GroupId(r.get(0)?), representative, by_place: r.get(2)?, chain: r.get(3)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Returns an id above all that ever existed: a decision on an older group still on a screen never affects candidates that were not
    /// shown.
    pub fn next_group(&self) -> Result<GroupId, StoreError> {
        self.read(next_group)
    }

    /// Hides groups from this id on until [`Store::groups_are_found`]: while they are filled, a decision on a group would affect members
    /// that were added after it was shown. Groups of an interrupted grouping stay hidden too.
    pub fn fill_groups_from(&mut self, first: GroupId) -> Result<(), StoreError> {
        self.write(|tx| {
            let sql = "INSERT INTO meta (key, value) VALUES ('filling_groups_from', ?1) ON CONFLICT DO NOTHING";
            tx.execute(sql, [first.0])?;
            Ok(())
        })
    }

    /// Applies as many of `changes` as fit into one short transaction; returns their number. The commit does not wait for the disk: what a
    /// power failure reverts is found by the next grouping, and the next other commit syncs everything before it.
    pub fn change_groups(&mut self, changes: &[GroupChange]) -> Result<usize, StoreError> {
        self.write_without_waiting(|tx| {
            // The highest id must survive its group.
            if changes.iter().any(|change| matches!(change, GroupChange::Remove(_))) {
                remember_last(tx)?;
            }
            let begun = Instant::now();
            for (at, change) in (1..).zip(changes) {
                carry_out(tx, change)?;
                if at % UNWATCHED == 0 && begun.elapsed() > HELD_AT_MOST {
                    return Ok(at);
                }
            }
            Ok(changes.len())
        })
    }

    /// Shows the filled groups. Lists are refreshed if anything changed, now or in an interrupted grouping.
    pub fn groups_are_found(&mut self, is_changed: bool) -> Result<(), StoreError> {
        self.write(|tx| {
            let filled = tx.execute("DELETE FROM meta WHERE key = 'filling_groups_from'", [])?;
            if is_changed || filled > 0 { queue_index::mark_changed(tx) } else { Ok(()) }
        })
    }

    /// Refreshes lists after the changes of an interrupted grouping.
    pub fn groups_have_changed(&mut self) -> Result<(), StoreError> {
        self.write(|tx| queue_index::mark_changed(tx))
    }

    /// Returns the candidates of a group, by descending score.
    pub fn group_members(&self, group: GroupId) -> Result<Vec<CandidateId>, StoreError> {
        self.read(|c| {
            let shown = is_present(c)?;
            let sql =
                format!("SELECT c.id FROM candidates c WHERE c.group_id = ?1 AND {shown} ORDER BY c.score DESC, c.id");
            let mut statement = c.prepare_cached(&sql)?;
            Ok(statement.query_map([group.0], |r| r.get(0).map(CandidateId))?.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the undecided candidates of a group by descending score: what a decision on the group affects. With an annotator, those
    /// without a verdict of this annotator, whatever others decided.
    pub fn undecided_of_group(&self, group: GroupId, annotator: Option<&str>) -> Result<Vec<CandidateId>, StoreError> {
        self.read(|c| {
            let shown = is_present(c)?;
            let sql = format!(
                "SELECT c.id FROM candidates c WHERE c.group_id = ?1 AND {LEFT_FOR} AND {shown} ORDER BY c.score DESC, c.id"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![group.0, annotator], |r| r.get(0).map(CandidateId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the number of [`Store::undecided_of_group`].
    pub fn count_undecided_of_group(&self, group: GroupId, annotator: Option<&str>) -> Result<u32, StoreError> {
        self.read(|c| {
            let shown = is_present(c)?;
            let sql = format!("SELECT count(*) FROM candidates c WHERE c.group_id = ?1 AND {LEFT_FOR} AND {shown}");
            Ok(c.prepare_cached(&sql)?.query_row(params![group.0, annotator], |r| r.get(0))?)
        })
    }
}

fn carry_out(tx: &Transaction<'_>, change: &GroupChange) -> Result<(), StoreError> {
    match change {
        GroupChange::Make(new) => make(tx, new),
        GroupChange::Place(candidate, group) => place(tx, *candidate, *group),
        GroupChange::Remove(group) => {
            let sql = "DELETE FROM groups WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM candidates WHERE group_id = ?1)";
            tx.prepare_cached(sql)?.execute([group.0])?;
            Ok(())
        }
        GroupChange::Settled(candidate) => {
            tx.prepare_cached("DELETE FROM ungrouped WHERE candidate_id = ?1")?.execute([candidate.0])?;
            Ok(())
        }
    }
}

fn make(tx: &Transaction<'_>, new: &NewGroup) -> Result<(), StoreError> {
    let sql = "INSERT INTO groups (id, uid, representative, by_place, chain) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![new.id.0, new_uid(), new.representative.0, new.by_place, new.chain];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn place(tx: &Transaction<'_>, candidate: CandidateId, group: Option<GroupId>) -> Result<(), StoreError> {
    let sql = "UPDATE candidates SET group_id = ?2 WHERE id = ?1";
    let group = group.map(|group| group.0);
    if tx.prepare_cached(sql)?.execute(params![candidate.0, group])? == 0 && group.is_some() {
        return Err(StoreError::missing("candidate", candidate));
    }
    Ok(())
}

fn next_group(c: &Connection) -> Result<GroupId, StoreError> {
    let sql = "SELECT 1 + max(coalesce((SELECT value FROM meta WHERE key = 'last_group'), 0),
                              coalesce((SELECT max(id) FROM groups), 0))";
    Ok(c.prepare_cached(sql)?.query_row([], |r| r.get(0).map(GroupId))?)
}

/// Saves the highest group id before groups are deleted.
fn remember_last(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (key, value) SELECT 'last_group', coalesce(max(id), 0) FROM groups WHERE TRUE
               ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    tx.prepare_cached(sql)?.execute([])?;
    Ok(())
}

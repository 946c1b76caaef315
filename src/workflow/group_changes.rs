//! Computes the database changes for newly found groups, and writes them while annotators keep deciding.

use rayon::prelude::*;

use super::WorkflowError;
use super::retry::{let_verdicts_go_first, with_retries};
use crate::domain::{Cancel, GroupId};
use crate::mining::{Group, nearest_hashes, similarity_chain};
use crate::store::{CandidateHashes, GroupChange, NewGroup, Store, StoredGroup};

/// The stored groups.
pub(super) struct Before<'a> {
    candidates: &'a [CandidateHashes],
    /// Sorted by id.
    stored: &'a [StoredGroup],
    /// The index of each candidate's group in `stored`.
    group: Vec<Option<usize>>,
}

impl<'a> Before<'a> {
    pub fn new(candidates: &'a [CandidateHashes], stored: &'a [StoredGroup]) -> Self {
        let place = |c: &CandidateHashes| place_of(stored, c.group?);
        Self { candidates, stored, group: candidates.par_iter().map(place).collect() }
    }

    /// Returns the representative of each candidate by index, where that is still valid.
    pub fn known(&self) -> Vec<Option<usize>> {
        let mut representatives = vec![None; self.stored.len()];
        for (at, group) in self.group.iter().enumerate() {
            if let Some(group) = *group
                && self.stored[group].representative == Some(self.candidates[at].id)
            {
                representatives[group] = Some(at);
            }
        }
        let leader = |at: usize| {
            let candidate = &self.candidates[at];
            match self.group[at] {
                _ if candidate.is_new => None,
                Some(group) if self.stored[group].by_place => None,
                Some(group) => representatives[group],
                None => candidate.group.is_none().then_some(at),
            }
        };
        (0..self.candidates.len()).map(leader).collect()
    }

    /// Returns the changes that make the stored groups equal to `found`; new groups are numbered from `next`. Candidates are sorted by id,
    /// as in the file: in group order each would write another page.
    pub fn changes(&self, found: &[Group], next: GroupId) -> Vec<GroupChange> {
        let same = self.same(found);
        let mut is_kept = vec![false; self.stored.len()];
        same.iter().flatten().for_each(|group| is_kept[*group] = true);
        let new: Vec<&Group> =
            found.iter().zip(&same).filter(|(_, same)| same.is_none()).map(|(group, _)| group).collect();
        let mut in_a_chain: Vec<(i64, &Group)> = self.chain_places(&is_kept, &new).into_iter().zip(new).collect();
        in_a_chain.sort_by_key(|(chain, _)| *chain);
        let mut group_of: Vec<Option<GroupId>> = vec![None; self.candidates.len()];
        for (group, same) in found.iter().zip(&same) {
            let Some(same) = same else { continue };
            group.members.iter().for_each(|at| group_of[*at] = Some(self.stored[*same].id));
        }
        let mut changes = Vec::new();
        for ((chain, group), id) in in_a_chain.into_iter().zip(next.0..) {
            let representative = self.candidates[group.members[0]].id;
            changes.push(GroupChange::Make(NewGroup {
                id: GroupId(id),
                representative,
                by_place: group.by_place,
                chain,
            }));
            group.members.iter().for_each(|at| group_of[*at] = Some(GroupId(id)));
        }
        let is_settled = |c: &CandidateHashes| c.is_new && c.hashes.is_some();
        let mut touched: Vec<(&CandidateHashes, Option<GroupId>)> = self
            .candidates
            .iter()
            .zip(group_of)
            .filter(|(candidate, group)| candidate.group != *group || is_settled(candidate))
            .collect();
        touched.par_sort_unstable_by_key(|(candidate, _)| candidate.id);
        for (candidate, group) in touched {
            if candidate.group != group {
                changes.push(GroupChange::Place(candidate.id, group));
            }
            if is_settled(candidate) {
                changes.push(GroupChange::Settled(candidate.id));
            }
        }
        let gone = self.stored.iter().zip(is_kept).filter(|(_, is_kept)| !is_kept);
        changes.extend(gone.map(|(group, _)| GroupChange::Remove(group.id)));
        changes
    }

    /// Returns for each found group the index of the same stored one.
    fn same(&self, found: &[Group]) -> Vec<Option<usize>> {
        let mut sizes = vec![0; self.stored.len()];
        self.group.iter().flatten().for_each(|group| sizes[*group] += 1);
        let same = |group: &Group| {
            let representative = group.members[0];
            let place = self.group[representative]?;
            let stored = &self.stored[place];
            let is_same = stored.representative == Some(self.candidates[representative].id)
                && stored.by_place == group.by_place
                && sizes[place] == group.members.len()
                && group.members.iter().all(|at| self.group[*at] == Some(place));
            is_same.then_some(place)
        };
        found.par_iter().map(same).collect()
    }

    /// Returns each new group's position in the chain order: that of its best candidate's former group, otherwise next to the group with
    /// the most similar hash; if no group is kept, all of them are chained again. Groups whose images could not be read come last.
    fn chain_places(&self, is_kept: &[bool], new: &[&Group]) -> Vec<i64> {
        let hash = |at: usize| self.candidates[at].hashes.map(|hashes| hashes.perceptual);
        let of_group = |group: &Group| group.members.iter().find_map(|at| hash(*at));
        if !is_kept.contains(&true) {
            let mut places = vec![i64::MAX; new.len()];
            let seen: Vec<(usize, u64)> =
                new.iter().enumerate().filter_map(|(at, group)| Some((at, of_group(group)?))).collect();
            let hashes: Vec<u64> = seen.iter().map(|(_, hash)| *hash).collect();
            for (place, at) in (1..).zip(similarity_chain(&hashes)) {
                places[seen[at].0] = place;
            }
            return places;
        }
        let stood = |group: &Group| self.group[group.members[0]].map(|group| self.stored[group].chain);
        let wanted: Vec<u64> =
            new.iter().filter(|group| stood(group).is_none()).filter_map(|group| of_group(group)).collect();
        if wanted.is_empty() {
            return new.iter().map(|group| stood(group).unwrap_or(i64::MAX)).collect();
        }
        let neighbours: Vec<(u64, i64)> = (0..self.candidates.len())
            .filter_map(|at| {
                let group = self.group[at].filter(|group| is_kept[*group])?;
                let stored = &self.stored[group];
                let is_shown = stored.representative == Some(self.candidates[at].id);
                Some((hash(at).filter(|_| is_shown)?, stored.chain))
            })
            .collect();
        let hashes: Vec<u64> = neighbours.iter().map(|(hash, _)| *hash).collect();
        let mut nearest = nearest_hashes(&hashes, &wanted).into_iter();
        let mut beside = |group: &Group| {
            let nearest = of_group(group).and_then(|_| nearest.next().flatten());
            nearest.map_or(i64::MAX, |place| neighbours[place].1)
        };
        new.iter().map(|group| stood(group).unwrap_or_else(|| beside(group))).collect()
    }
}

/// Returns the index of the group with this id, in groups sorted by id.
fn place_of(stored: &[StoredGroup], id: GroupId) -> Option<usize> {
    // Most were created together: their ids have few gaps.
    let guess = usize::try_from(id.0 - stored.first()?.id.0).ok()?;
    if stored.get(guess).is_some_and(|group| group.id == id) {
        return Some(guess);
    }
    stored.binary_search_by_key(&id, |group| group.id).ok()
}

/// Writes briefly, then pauses: a verdict may be waiting. New groups are shown once all are complete.
pub(super) fn write(
    store: &mut Store,
    changes: &[GroupChange],
    tell: &mut impl FnMut(String),
    cancel: &Cancel,
) -> Result<(), WorkflowError> {
    let first =
        changes.iter().find_map(|change| if let GroupChange::Make(group) = change { Some(group.id) } else { None });
    if let Some(first) = first {
        with_retries(cancel, &mut *tell, || store.fill_groups_from(first))?;
    }
    let is_changed = changes.iter().any(|change| !matches!(change, GroupChange::Settled(_)));
    let mut left = changes;
    while !left.is_empty() {
        if cancel.is_cancelled() {
            if is_changed {
                with_retries(cancel, &mut *tell, || store.groups_have_changed())?;
            }
            return Err(WorkflowError::Cancelled);
        }
        let done = with_retries(cancel, &mut *tell, || store.change_groups(left))?;
        left = &left[done..];
        let_verdicts_go_first();
    }
    Ok(with_retries(cancel, tell, || store.groups_are_found(is_changed))?)
}

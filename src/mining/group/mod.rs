//! Groups of candidates that can be decided together: the same place in many images, the same region of an image in several rounds, crops
//! whose hashes differ in few bits, features at a small angle.
//!
//! Every member is similar to its group's representative, which is its best candidate; nothing is joined by way of a third one. Class and
//! kind of false positive are borders that no group crosses. A full group takes no more members: the next one alike leads another.

mod feature_index;
mod hash_index;
mod partition;
mod places;

use std::collections::HashMap;

use rayon::prelude::*;

use self::hash_index::HashIndex;
use crate::domain::{ClassId, FalsePositiveKind, FeatureSpace, ImageId, RoiFeature};
use crate::geometry::BoundingBox;

/// A candidate as grouping sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Groupable<'a> {
    pub class: ClassId,
    pub kind: FalsePositiveKind,
    pub image: ImageId,
    /// The same number for images that one camera may have taken: those of one size in one dataset.
    pub camera: u32,
    pub bbox: BoundingBox,
    /// The crop's perceptual hash; `None` where the image could not be read: grouped by its region alone.
    pub hash: Option<u64>,
    /// What a network saw; features of different spaces are never compared. `None` where it is not known.
    pub feature: Option<(FeatureSpace, &'a RoiFeature)>,
}

/// For each of `wanted` the place of the hash in `among` that differs from it in the fewest bits, the first of several; `None` where there is
/// none at all. Where none is near and there are many, one that differs in few bits: they look unlike each other anyway.
pub fn nearest_hashes(among: &[u64], wanted: &[u64]) -> Vec<Option<usize>> {
    let mut index = HashIndex::new(NEAR);
    index.fill((0..).zip(among).map(|(place, hash)| (*hash, place)).collect());
    let nearest = |hash: &u64| {
        let mut near: Option<(u32, u32)> = None;
        index.near(*hash, |place, distance| {
            near = Some(near.map_or((distance, place), |near| near.min((distance, place))));
        });
        let some = (0..among.len()).step_by(among.len() / COMPARED_MAX + 1);
        let of_all = || some.min_by_key(|place| (among[*place] ^ hash).count_ones());
        near.map_or_else(of_all, |(_, place)| Some(place as usize))
    };
    wanted.par_iter().map(nearest).collect()
}

/// Within this many bits nearly all find another.
const NEAR: u32 = 8;
/// About so many, evenly chosen, are compared with the few that do not.
const COMPARED_MAX: usize = 20_000;

/// When two candidates are similar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupConfig {
    /// Boxes of one image that overlap as much are on the same region.
    pub least_iou: f64,
    /// Perceptual hashes that differ in no more bits than this show the same; 0 wants equal hashes.
    pub most_distance: u32,
    /// Features of one space whose cosine is this or more show the same to the network; `None`: they are not compared.
    pub least_cosine: Option<f32>,
    /// In place of `least_cosine`, for each space the one that was found to keep groups in one verdict: [`GroupConfig::ROI_COSINE`],
    /// [`GroupConfig::EMBEDDING_COSINE`].
    pub recommended: bool,
}

impl GroupConfig {
    /// The largest distance that makes sense: of two crops that have nothing to do with each other some 32 of 64 bits differ.
    pub const DISTANCE_MAX: u32 = 16;
    /// The smallest cosine that can be asked for: below it, most candidates of a round are alike.
    pub const COSINE_MIN: f32 = 0.7;
    /// Measured on candidates that were judged one by one, without knowing their groups (docs/groups.md): features of a detector's RoIs.
    pub const ROI_COSINE: f32 = 0.75;
    /// The same for what the bundled backbone saw in crops: there even unlike ones lie close.
    pub const EMBEDDING_COSINE: f32 = 0.95;

    /// Features of this space show the same from this cosine on; `None`: they are not compared.
    pub fn cosine_in(&self, space: FeatureSpace) -> Option<f32> {
        match (self.recommended, space) {
            (true, FeatureSpace::Round(_)) => Some(Self::ROI_COSINE),
            (true, FeatureSpace::Backbone) => Some(Self::EMBEDDING_COSINE),
            (false, _) => self.least_cosine.map(|cosine| cosine.max(Self::COSINE_MIN)),
        }
    }

    /// Whether features are compared at all.
    pub fn compares_features(&self) -> bool {
        self.recommended || self.least_cosine.is_some()
    }
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self { least_iou: 0.5, most_distance: 6, least_cosine: None, recommended: false }
    }
}

/// Maximum number of members of a group.
pub const GROUP_MAX: usize = 1000;

/// A group of two or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Places of the candidates, best first. The first represents the group: all others are similar to it.
    pub members: Vec<usize>,
    /// One thing at one place in many images of one camera.
    pub by_place: bool,
}

/// Groups candidates that are in the order of their rank (best first). What is like no other is in no group.
pub fn group_alike(items: &[Groupable<'_>], config: &GroupConfig) -> Vec<Group> {
    regroup(items, config, &vec![None; items.len()])
}

/// As [`group_alike`], but what is grouped already stays so where nothing new is better: `known` says for each candidate which one represents
/// it (itself where it represents a group or is alone), by hash, region or features, found with the same `config`; `None` for what is new or
/// changed. Groups by place are found again each time, so their members are `None` too. Only new candidates are compared.
pub fn regroup(items: &[Groupable<'_>], config: &GroupConfig, known: &[Option<usize>]) -> Vec<Group> {
    let at_place = places::leaders(items);
    let mut representative: Vec<Option<usize>> = at_place.clone();
    let mut partitions: HashMap<(ClassId, FalsePositiveKind), Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate().filter(|(at, _)| at_place[*at].is_none()) {
        partitions.entry((item.class, item.kind)).or_default().push(at);
    }
    let still = |at: usize| {
        let leader = known.get(at).copied().flatten()?;
        let leads = known[leader] == Some(leader) && at_place[leader].is_none() && leader <= at;
        let (leads_for, item) = (&items[leader], &items[at]);
        (leads && leads_for.class == item.class && leads_for.kind == item.kind).then_some(leader)
    };
    let found: Vec<Vec<(usize, usize)>> =
        partitions.into_par_iter().map(|(_, members)| partition::settle(items, &members, config, still)).collect();
    for (at, leader) in found.into_iter().flatten() {
        representative[at] = Some(leader);
    }
    let leader = |at: usize| representative[at].unwrap_or(at);
    let mut sizes = vec![0_u32; items.len()];
    (0..items.len()).for_each(|at| sizes[leader(at)] += 1);
    let mut groups: Vec<Group> = Vec::new();
    let mut number: Vec<Option<usize>> = vec![None; items.len()];
    for at in (0..items.len()).filter(|at| sizes[leader(*at)] > 1) {
        let group = *number[leader(at)].get_or_insert_with(|| {
            let members = Vec::with_capacity(sizes[leader(at)] as usize);
            groups.push(Group { members, by_place: at_place[at].is_some() });
            groups.len() - 1
        });
        groups[group].members.push(at);
    }
    groups
}

//! Groups candidates that can be decided together: the same place in many images, the same region of an image in several rounds, boxes
//! that miss their objects in the same way, crops whose hashes differ in few bits, similar features.
//!
//! Every member is similar to its group's representative, which is its best candidate; similarity is not transitive. No group spans several
//! classes or kinds of false positive. A full group takes no more members: the next similar candidate starts another.

mod centre;
mod feature_index;
mod hash_index;
mod partition;
mod placement_index;
mod places;

use std::collections::HashMap;

use rayon::prelude::*;

pub use self::centre::Centre;
use self::hash_index::HashIndex;
use crate::domain::{ClassId, FalsePositiveKind, FeatureSpace, ImageId, RoiFeature};
use crate::geometry::{BoundingBox, ObjectFrame};

/// A candidate as input of grouping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Groupable<'a> {
    pub class: ClassId,
    pub kind: FalsePositiveKind,
    pub image: ImageId,
    /// Equal for images that may come from one camera: those of one size in one dataset.
    pub camera: u32,
    pub bbox: BoundingBox,
    /// The crop's perceptual hash; `None` if the image could not be read: then it is grouped only by region.
    pub hash: Option<u64>,
    /// For a badly localised object: the box in the frame of that object. Such a box is compared by it, not by its crop or features: a
    /// person's decision depends on how the box misses the object. `None` if unknown, and for other kinds.
    pub placement: Option<BoundingBox<ObjectFrame>>,
    /// A network's features; features of different spaces are never compared. `None` if unknown.
    pub feature: Option<(FeatureSpace, &'a RoiFeature)>,
}

/// Returns for each hash in `wanted` the index in `among` of the hash that differs in the fewest bits, the first on ties; `None` if `among`
/// is empty. If none is near and `among` is large, one that differs in few bits: such crops are dissimilar anyway.
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

/// Nearly all hashes have a neighbour within this many bits.
const NEAR: u32 = 8;
/// About so many, evenly chosen, are compared with the few that do not.
const COMPARED_MAX: usize = 20_000;

/// The similarity criteria.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupConfig {
    /// Boxes of one image with at least this IoU cover the same region.
    pub least_iou: f64,
    /// Crops whose hashes differ in at most this many bits are similar; 0 requires equal hashes.
    pub most_distance: u32,
    /// Features of one space with at least this cosine are similar; `None`: not compared.
    pub least_cosine: Option<f32>,
    /// Instead of `least_cosine`, use the recommended threshold of each space, at which groups were found to share one verdict:
    /// [`GroupConfig::ROI_COSINE`], [`GroupConfig::EMBEDDING_COSINE`].
    pub recommended: bool,
    /// Embeddings are given as seen from their [`Centre`]: the recommended threshold is [`GroupConfig::CENTRED_COSINE`] then.
    pub centred: bool,
}

impl GroupConfig {
    /// The largest sensible distance: unrelated crops differ in some 32 of 64 bits.
    pub const DISTANCE_MAX: u32 = 16;
    /// The smallest accepted cosine: below it, most candidates of a round are similar.
    pub const COSINE_MIN: f32 = 0.7;
    /// Measured on candidates that were judged individually, without knowledge of their groups (docs/groups.md): a detector's RoI features.
    pub const ROI_COSINE: f32 = 0.75;
    /// The same for crop embeddings from the bundled backbone, where even dissimilar crops are close.
    pub const EMBEDDING_COSINE: f32 = 0.95;
    /// The same about the centre of the embeddings, if there are enough to have one.
    pub const CENTRED_COSINE: f32 = 0.57;

    /// Measured likewise: badly localised boxes whose placements on their objects, or their mirror images, have at
    /// least this IoU are similar, whatever they show.
    pub const PLACEMENT_IOU: f64 = 0.75;

    /// Returns the cosine threshold of this space; `None`: not compared.
    pub fn cosine_in(&self, space: FeatureSpace) -> Option<f32> {
        match (self.recommended, space) {
            (true, FeatureSpace::Round(_)) => Some(Self::ROI_COSINE),
            (true, FeatureSpace::Backbone) if self.centred => Some(Self::CENTRED_COSINE),
            (true, FeatureSpace::Backbone) => Some(Self::EMBEDDING_COSINE),
            (false, _) => self.least_cosine.map(|cosine| cosine.max(Self::COSINE_MIN)),
        }
    }

    /// Whether features are compared.
    pub fn compares_features(&self) -> bool {
        self.recommended || self.least_cosine.is_some()
    }
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self { least_iou: 0.5, most_distance: 6, least_cosine: None, recommended: false, centred: false }
    }
}

/// Maximum number of members per group.
pub const GROUP_MAX: usize = 1000;

/// A group of two or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Indices of the candidates, best first. The first represents the group: all others are similar to it.
    pub members: Vec<usize>,
    /// One thing at a fixed place in many images of one camera.
    pub by_place: bool,
}

/// Groups candidates given in rank order (best first). A candidate without a similar one is in no group.
pub fn group_alike(items: &[Groupable<'_>], config: &GroupConfig) -> Vec<Group> {
    regroup(items, config, &vec![None; items.len()])
}

/// Like [`group_alike`], but keeps existing groups unless a better candidate appears. `known` gives each candidate's representative (itself
/// if it represents a group or is alone), found by hash, region or features with the same `config`; `None` for new or changed candidates.
/// Groups by place are always recomputed, so their members are `None` too. Only new candidates are compared.
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

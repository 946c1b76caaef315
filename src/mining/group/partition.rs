//! Groups the candidates of one class and kind: in rank order, each joins the nearest representative or becomes one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rayon::prelude::*;

use super::feature_index::{Centres, FeatureIndex, Near};
use super::hash_index::HashIndex;
use super::placement_index::{PlacementIndex, likeness};
use super::{GROUP_MAX, GroupConfig, Groupable};
use crate::domain::{FeatureSpace, ImageId, RoiFeature};

/// Number of candidates compared with all representatives at once, on all cores.
const BLOCK: usize = 512;

/// How a candidate is similar to a representative; the smallest is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alike {
    /// The same region of an image.
    Region,
    /// 1 minus the likeness of the placements on their objects, in millionths.
    Placement(u32),
    /// Number of bits in which the hashes differ.
    Hash(u32),
    /// 1 minus the cosine, in millionths.
    Feature(u32),
}

/// The result of a search.
struct Found {
    /// The nearest higher-ranked representative whose group is not full.
    nearest: Option<(Alike, u32)>,
    /// Similar lower-ranked representatives whose groups are not full.
    later: Vec<u32>,
}

/// Returns the representative of each of `members`, which are in rank order. `still` gives existing representatives.
pub(super) fn settle(
    items: &[Groupable<'_>],
    members: &[usize],
    config: &GroupConfig,
    still: impl Fn(usize) -> Option<usize>,
) -> Vec<(usize, usize)> {
    let own: Vec<Groupable<'_>> = members.iter().map(|at| compared(items[*at])).collect();
    let place = |at: usize| members.binary_search(&at).ok().map(|place| place as u32);
    let mut partition = Partition::new(&own, config);
    for (at, member) in (0..).zip(members) {
        partition.leader[at as usize] = still(*member).and_then(place);
    }
    partition.settle();
    let leader = |at: usize| partition.leader[at].map_or(at, |leader| leader as usize);
    (0..own.len()).map(|at| (members[at], members[leader(at)])).collect()
}

/// Returns the item with only what is compared.
fn compared(item: Groupable<'_>) -> Groupable<'_> {
    if item.placement.is_some() { Groupable { hash: None, feature: None, ..item } } else { item }
}

struct Partition<'a> {
    items: &'a [Groupable<'a>],
    config: GroupConfig,
    /// `None` while unassigned.
    leader: Vec<Option<u32>>,
    /// The members of each representative, without itself.
    members: Vec<Vec<u32>>,
    hashes: HashIndex,
    /// Initial representatives, by image.
    first_regions: Vec<(ImageId, u32)>,
    regions: HashMap<ImageId, Vec<u32>>,
    placements: PlacementIndex,
    features: HashMap<FeatureSpace, FeatureIndex>,
    near: HashMap<u32, Near>,
}

impl<'a> Partition<'a> {
    fn new(items: &'a [Groupable<'a>], config: &GroupConfig) -> Self {
        let mut partition = Self {
            items,
            config: *config,
            leader: vec![None; items.len()],
            members: vec![Vec::new(); items.len()],
            hashes: HashIndex::new(config.most_distance.min(GroupConfig::DISTANCE_MAX)),
            first_regions: Vec::new(),
            regions: HashMap::new(),
            placements: PlacementIndex::new(GroupConfig::PLACEMENT_IOU),
            features: HashMap::new(),
            near: HashMap::new(),
        };
        partition.prepare_features();
        partition
    }

    fn prepare_features(&mut self) {
        let mut spaces: HashMap<FeatureSpace, (Vec<u32>, Vec<&'a RoiFeature>)> = HashMap::new();
        for (at, item) in (0..).zip(self.items) {
            if let Some((space, feature)) = item.feature {
                let (places, features) = spaces.entry(space).or_default();
                places.push(at);
                features.push(feature);
            }
        }
        for (space, (places, features)) in spaces {
            let Some(least_cosine) = self.config.cosine_in(space) else { continue };
            let centres = Centres::of(&features);
            self.near.extend(places.into_iter().zip(centres.near(&features)));
            self.features.insert(space, FeatureIndex::new(&centres, least_cosine));
        }
    }

    /// Keeps existing assignments and assigns all others.
    fn settle(&mut self) {
        let (mut waiting, mut leading) = (BinaryHeap::new(), Vec::new());
        for at in 0..self.items.len() as u32 {
            match self.leader[at as usize] {
                Some(leader) if leader == at => leading.push(at),
                Some(leader) if self.leads(leader) && self.has_room(leader) => self.members[leader as usize].push(at),
                _ => {
                    self.leader[at as usize] = None;
                    waiting.push(Reverse(at));
                }
            }
        }
        if waiting.is_empty() {
            return;
        }
        leading.retain(|leader| self.has_room(*leader));
        self.lead_all(&leading);
        let mut block = Vec::with_capacity(BLOCK);
        while !waiting.is_empty() {
            block.clear();
            block.extend(std::iter::from_fn(|| waiting.pop()).take(BLOCK).map(|Reverse(at)| at));
            let found: Vec<Found> = block.par_iter().map(|at| self.find(*at)).collect();
            let mut new = Vec::new();
            for (at, found) in block.iter().zip(found) {
                for freed in self.place(*at, found, &mut new) {
                    waiting.push(Reverse(freed));
                }
            }
        }
    }

    /// Assigns a candidate, given what was `found` before those in `new` became representatives. Returns the candidates that must be
    /// reassigned as a result: members of lower-ranked groups that it is similar to, which now have a better candidate.
    fn place(&mut self, at: u32, found: Found, new: &mut Vec<u32>) -> Vec<u32> {
        let is_there = |(_, leader): &(Alike, u32)| self.leads(*leader) && self.has_room(*leader);
        let found = if found.nearest.as_ref().is_none_or(is_there) { found } else { self.find(at) };
        let Found { mut nearest, mut later } = found;
        for &leader in new.iter().filter(|leader| self.leads(**leader) && self.has_room(**leader)) {
            let Some(alike) = self.compare(at, leader) else { continue };
            if leader > at {
                later.push(leader);
            } else if nearest.is_none_or(|nearest| (alike, leader) < nearest) {
                nearest = Some((alike, leader));
            }
        }
        if let Some((_, leader)) = nearest {
            self.join(at, leader);
            return Vec::new();
        }
        self.lead(at);
        new.push(at);
        let mut freed = Vec::new();
        for leader in later {
            // It may have been found twice, or lost its group since.
            if self.leads(leader) && self.has_room(leader) {
                freed.extend(self.dissolve(leader));
            }
        }
        freed
    }

    fn find(&self, at: u32) -> Found {
        let item = &self.items[at as usize];
        let mut found = Found { nearest: None, later: Vec::new() };
        let mut saw = |alike: Alike, leader: u32| {
            if !self.leads(leader) || !self.has_room(leader) {
                return;
            }
            if leader > at {
                found.later.push(leader);
            } else if found.nearest.is_none_or(|nearest| (alike, leader) < nearest) {
                found.nearest = Some((alike, leader));
            }
        };
        let from = self.first_regions.partition_point(|(image, _)| *image < item.image);
        let first = self.first_regions[from..].iter().take_while(|(image, _)| *image == item.image);
        let later = self.regions.get(&item.image).into_iter().flatten();
        for leader in first.map(|(_, leader)| leader).chain(later) {
            if self.is_same_region(at, *leader) {
                saw(Alike::Region, *leader);
            }
        }
        if let Some(placement) = item.placement {
            self.placements.near(&placement, |leader, likeness| saw(Alike::Placement(below_one(likeness)), leader));
        }
        if let Some(hash) = item.hash {
            self.hashes.near(hash, |leader, distance| saw(Alike::Hash(distance), leader));
        }
        if let Some(((space, feature), near)) = item.feature.zip(self.near.get(&at))
            && let Some(index) = self.features.get(&space)
        {
            index.near(feature, near, |leader, cosine| saw(Alike::Feature(below_one(f64::from(cosine))), leader));
        }
        found
    }

    fn compare(&self, at: u32, leader: u32) -> Option<Alike> {
        if self.is_same_region(at, leader) {
            return Some(Alike::Region);
        }
        let (item, other) = (&self.items[at as usize], &self.items[leader as usize]);
        if let Some((a, b)) = item.placement.zip(other.placement)
            && likeness(&a, &b) >= GroupConfig::PLACEMENT_IOU
        {
            return Some(Alike::Placement(below_one(likeness(&a, &b))));
        }
        if let Some((a, b)) = item.hash.zip(other.hash)
            && (a ^ b).count_ones() <= self.config.most_distance
        {
            return Some(Alike::Hash((a ^ b).count_ones()));
        }
        let ((space, a), (other, b)) = item.feature.zip(other.feature)?;
        let cosine = a.cosine(b);
        let least = self.config.cosine_in(space)?;
        (space == other && cosine >= least).then(|| Alike::Feature(below_one(f64::from(cosine))))
    }

    fn is_same_region(&self, a: u32, b: u32) -> bool {
        let (a, b) = (&self.items[a as usize], &self.items[b as usize]);
        a.image == b.image && a.bbox.iou(&b.bbox) >= self.config.least_iou
    }

    fn leads(&self, at: u32) -> bool {
        self.leader[at as usize] == Some(at)
    }

    fn has_room(&self, leader: u32) -> bool {
        self.members[leader as usize].len() + 1 < GROUP_MAX
    }

    /// Indexes all of these at once: one by one takes several times as long.
    fn lead_all(&mut self, leading: &[u32]) {
        let item = |at: &u32| &self.items[*at as usize];
        let hashes = leading.iter().filter_map(|at| Some((item(at).hash?, *at))).collect();
        self.first_regions = leading.iter().map(|at| (item(at).image, *at)).collect();
        self.first_regions.par_sort_unstable();
        self.hashes.fill(hashes);
        for at in leading {
            if let Some(placement) = self.items[*at as usize].placement {
                self.placements.insert(&placement, *at);
            }
            if let Some((space, feature)) = self.items[*at as usize].feature
                && let (Some(index), Some(near)) = (self.features.get_mut(&space), self.near.get(at))
            {
                index.insert(feature, near, *at);
            }
        }
    }

    fn lead(&mut self, at: u32) {
        let item = &self.items[at as usize];
        self.leader[at as usize] = Some(at);
        self.regions.entry(item.image).or_default().push(at);
        if let Some(hash) = item.hash {
            self.hashes.insert(hash, at);
        }
        if let Some(placement) = item.placement {
            self.placements.insert(&placement, at);
        }
        if let Some((space, feature)) = item.feature
            && let (Some(index), Some(near)) = (self.features.get_mut(&space), self.near.get(&at))
        {
            index.insert(feature, near, at);
        }
    }

    fn join(&mut self, at: u32, leader: u32) {
        self.leader[at as usize] = Some(leader);
        self.members[leader as usize].push(at);
        if !self.has_room(leader) {
            self.forget(leader);
        }
    }

    /// Dissolves a group: its representative and members must be reassigned.
    fn dissolve(&mut self, leader: u32) -> Vec<u32> {
        let mut freed = std::mem::take(&mut self.members[leader as usize]);
        self.forget(leader);
        freed.push(leader);
        for at in &freed {
            self.leader[*at as usize] = None;
        }
        freed
    }

    /// Removes this representative from the search; an initial one is skipped when found.
    fn forget(&mut self, leader: u32) {
        let item = &self.items[leader as usize];
        if let Some(here) = self.regions.get_mut(&item.image) {
            here.retain(|other| *other != leader);
        }
        if let Some(hash) = item.hash {
            self.hashes.remove(hash, leader);
        }
        if let Some(placement) = item.placement {
            self.placements.remove(&placement, leader);
        }
        if let Some((space, _)) = item.feature
            && let (Some(index), Some(near)) = (self.features.get_mut(&space), self.near.get(&leader))
        {
            index.remove(near, leader);
        }
    }
}

fn below_one(similarity: f64) -> u32 {
    ((1.0 - similarity).max(0.0) * 1e6) as u32
}

//! Near-duplicates among candidates: the same region of an image in one round or several, the same content, a look that differs in
//! few bits, features at a small angle. Must not know pixels, files or verdicts.

use std::collections::{BTreeMap, HashMap};

use super::alike_features;
use crate::domain::{ImageId, Look, RoiFeature, RoundId};
use crate::geometry::BoundingBox;

/// A candidate as grouping sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Groupable {
    pub round: RoundId,
    pub image: ImageId,
    pub bbox: BoundingBox,
    /// `None` where the photograph could not be read: grouped by its region alone.
    pub look: Option<Look>,
    /// What the round's detector saw; `None` where it is not known.
    pub feature: Option<RoiFeature>,
}

/// When two candidates are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupConfig {
    /// Boxes of one image that overlap as much lie on the same region.
    pub least_iou: f64,
    /// Perceptual hashes that differ in no more bits than this show the same; 0 wants equal hashes.
    pub most_distance: u32,
    /// Features of one round whose cosine is this or more show the same to the detector; `None`: they are not compared.
    pub least_cosine: Option<f32>,
}

impl GroupConfig {
    /// The largest distance that makes sense: of two crops that have nothing to do with each other some 32 of 64 bits differ.
    pub const DISTANCE_MAX: u32 = 16;
    /// The smallest cosine that can be asked for: below it, most candidates of a round are alike.
    pub const COSINE_MIN: f32 = 0.8;
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self { least_iou: 0.5, most_distance: 6, least_cosine: None }
    }
}

/// Groups candidates that are in the order of their rank (best first): first by region, then by equal content, then by look, then by
/// the detector's features. The places of each group's members, in rank order; candidates that are like no other make groups of one.
pub fn group_alike(items: &[Groupable], config: &GroupConfig) -> Vec<Vec<usize>> {
    let mut leader_of: Vec<usize> = (0..items.len()).collect();
    join_regions(items, config.least_iou, &mut leader_of);
    join_contents(items, &mut leader_of);
    join_looks(items, config.most_distance, &mut leader_of);
    if let Some(least_cosine) = config.least_cosine {
        join_features(items, least_cosine.max(GroupConfig::COSINE_MIN), &mut leader_of);
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut number: HashMap<usize, usize> = HashMap::new();
    for at in 0..items.len() {
        let group = *number.entry(leader(&leader_of, at)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(at);
    }
    groups
}

/// Groups boxes that are in the order of their rank (best first): each box joins the first group whose leader, its best box, it
/// overlaps with an IoU of `least_iou` or more, or leads a new one. Leaders keep a chain of overlaps from growing into one group.
/// Returns for each box the index of its group, numbered in the order in which their leaders come.
pub fn group_boxes(boxes: &[BoundingBox], least_iou: f64) -> Vec<usize> {
    let mut leaders: Vec<&BoundingBox> = Vec::new();
    let join = |bbox| {
        let known = leaders.iter().position(|leader| least_iou <= leader.iou(bbox));
        known.unwrap_or_else(|| {
            leaders.push(bbox);
            leaders.len() - 1
        })
    };
    boxes.iter().map(join).collect()
}

fn leader(leader_of: &[usize], mut at: usize) -> usize {
    while leader_of[at] != at {
        at = leader_of[at];
    }
    at
}

/// Lets the later of two groups follow the earlier one.
fn unite(leader_of: &mut [usize], a: usize, b: usize) {
    let (a, b) = (leader(leader_of, a), leader(leader_of, b));
    leader_of[a.max(b)] = a.min(b);
}

fn join_regions(items: &[Groupable], least_iou: f64, leader_of: &mut [usize]) {
    let mut of_image: HashMap<ImageId, Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        of_image.entry(item.image).or_default().push(at);
    }
    for members in of_image.values() {
        let boxes: Vec<BoundingBox> = members.iter().map(|at| items[*at].bbox).collect();
        let mut first: HashMap<usize, usize> = HashMap::new();
        for (at, group) in members.iter().zip(group_boxes(&boxes, least_iou)) {
            unite(leader_of, *first.entry(group).or_insert(*at), *at);
        }
    }
}

fn join_contents(items: &[Groupable], leader_of: &mut [usize]) {
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    for (at, look) in items.iter().enumerate().filter_map(|(at, item)| Some((at, item.look?))) {
        unite(leader_of, *first.entry(look.content).or_insert(at), at);
    }
}

/// Each group's best candidate joins the first one before it that looks alike and joined nobody itself.
fn join_looks(items: &[Groupable], most_distance: u32, leader_of: &mut [usize]) {
    let mut leaders = Leaders::new(most_distance);
    for (at, item) in items.iter().enumerate() {
        let Some(look) = item.look.filter(|_| leader_of[at] == at) else { continue };
        match leaders.first_alike(&look) {
            Some(known) => unite(leader_of, known, at),
            None => leaders.add(at, look),
        }
    }
}

/// Each group's best candidate joins the first one of its round before it that looks alike to the detector and joined nobody itself.
fn join_features(items: &[Groupable], least_cosine: f32, leader_of: &mut [usize]) {
    let mut of_round: BTreeMap<RoundId, Vec<(usize, RoiFeature)>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate().filter(|(at, _)| leader_of[*at] == *at) {
        if let Some(feature) = item.feature {
            of_round.entry(item.round).or_default().push((at, feature));
        }
    }
    for members in of_round.values() {
        let features: Vec<RoiFeature> = members.iter().map(|(_, feature)| *feature).collect();
        for (place, first) in alike_features::first_alike(&features, least_cosine).into_iter().enumerate() {
            if let Some(first) = first {
                unite(leader_of, members[first].0, members[place].0);
            }
        }
    }
}

/// Looks, found by their distance. Two hashes that differ in d bits agree on at least one of d + 1 bands of their bits: only those
/// that share a band are compared.
struct Leaders {
    most_distance: u32,
    looks: Vec<(usize, Look)>,
    by_band: HashMap<(u32, u64), Vec<usize>>,
}

impl Leaders {
    fn new(most_distance: u32) -> Self {
        let most_distance = most_distance.min(GroupConfig::DISTANCE_MAX);
        Self { most_distance, looks: Vec::new(), by_band: HashMap::new() }
    }

    fn first_alike(&self, look: &Look) -> Option<usize> {
        let shared = self.bands(look).filter_map(|band| self.by_band.get(&band)).flatten();
        let alike = shared.filter(|place| self.looks[**place].1.distance(look) <= self.most_distance);
        alike.min().map(|place| self.looks[*place].0)
    }

    fn add(&mut self, at: usize, look: Look) {
        let place = self.looks.len();
        let bands: Vec<(u32, u64)> = self.bands(&look).collect();
        for band in bands {
            self.by_band.entry(band).or_default().push(place);
        }
        self.looks.push((at, look));
    }

    fn bands(&self, look: &Look) -> impl Iterator<Item = (u32, u64)> + use<> {
        let (count, bits) = (self.most_distance + 1, look.perceptual);
        (0..count).map(move |band| {
            let (from, to) = (band * 64 / count, (band + 1) * 64 / count);
            (band, bits >> from & (u64::MAX >> (64 - (to - from))))
        })
    }
}

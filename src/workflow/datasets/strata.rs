//! Assigns groups of images to splits, so that each split has its share of the images and of each class as closely as whole groups allow.
//! Pure, and the same for the same seed in any import order.
//!
//! The cost of a division is the sum, over all splits and classes, of the squared difference between a split's objects of a class and its
//! share of them, relative to all objects of the class; images count like a class that weighs as much as all classes together. Groups are
//! assigned one by one, those with the largest part of a class (or of the images) first, each to the split with the lowest cost. Then
//! groups are moved as long as that lowers the cost.

use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of passes that move groups. Each lowers the cost; the last ones by almost nothing.
const PASSES_MAX: usize = 50;
/// Smaller improvements are rounding noise.
const EPSILON: f64 = 1e-12;

/// Groups of images with their content.
pub(super) struct Strata<'a> {
    groups: Vec<Group<'a>>,
    images: usize,
    /// The total of each stratum: images first, then the classes by name.
    totals: Vec<f64>,
}

struct Group<'a> {
    /// Indices of its images.
    images: &'a [usize],
    /// Each stratum and its amount in the group, ascending.
    holds: Vec<(usize, f64)>,
    /// The hash of one image, the same in any import order.
    smallest_hash: &'a str,
}

impl<'a> Strata<'a> {
    /// `hashes` and `classes` (a name for each object) are parallel to the images.
    pub fn new(groups: &'a [Vec<usize>], hashes: &[&'a str], classes: &[Vec<&str>]) -> Self {
        let names: BTreeSet<&str> = classes.iter().flatten().copied().collect();
        let stratum: BTreeMap<&str, usize> = names.into_iter().zip(1..).collect();
        let mut totals = vec![0.0; stratum.len() + 1];
        let group = |images: &'a Vec<usize>| {
            let mut holds = BTreeMap::from([(0, images.len() as f64)]);
            for name in images.iter().filter_map(|at| classes.get(*at)).flatten() {
                if let Some(class) = stratum.get(name) {
                    *holds.entry(*class).or_default() += 1.0;
                }
            }
            for (stratum, count) in &holds {
                totals[*stratum] += count;
            }
            let smallest_hash = images.iter().filter_map(|at| hashes.get(*at)).min().copied().unwrap_or_default();
            Group { images, holds: holds.into_iter().collect(), smallest_hash }
        };
        let groups = groups.iter().map(group).collect();
        Self { groups, images: hashes.len(), totals }
    }

    /// Returns the weight of a squared difference in the stratum.
    fn weight(&self, stratum: usize) -> f64 {
        let classes = (self.totals.len() - 1).max(1) as f64;
        let weight = if stratum == 0 { classes } else { 1.0 };
        weight / (self.totals[stratum] * self.totals[stratum])
    }
}

/// The current and target content of the splits.
struct Division {
    /// Missing amount by split and stratum.
    lacks: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Division {
    /// Returns by how much the cost grows when the split gets this.
    fn cost(&self, split: usize, holds: &[(usize, f64)]) -> f64 {
        let grows = |(stratum, count): &(usize, f64)| {
            self.weights[*stratum] * count * (count - 2.0 * self.lacks[split][*stratum])
        };
        holds.iter().map(grows).sum()
    }

    fn give(&mut self, split: usize, holds: &[(usize, f64)], sign: f64) {
        for (stratum, count) in holds {
            self.lacks[split][*stratum] -= sign * count;
        }
    }

    /// Returns the split with the lowest cost; on ties the first, so that equal shares fill in order.
    fn cheapest(&self, holds: &[(usize, f64)]) -> (usize, f64) {
        let costs = (0..self.lacks.len()).map(|split| (split, self.cost(split, holds)));
        costs.reduce(|best, next| if next.1 < best.1 - EPSILON { next } else { best }).unwrap_or((0, 0.0))
    }
}

/// Assigns a split to each image; `shares` are relative to their sum.
pub(super) fn assign<'p>(strata: &Strata<'_>, shares: &'p [(String, f64)], seed: u64) -> Vec<&'p str> {
    let key = |group: &Group<'_>| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(group.smallest_hash.as_bytes());
        *hasher.finalize().as_bytes()
    };
    let part = |group: &Group<'_>| {
        group.holds.iter().map(|(stratum, count)| count / strata.totals[*stratum]).fold(0.0_f64, f64::max)
    };
    let mut order: Vec<(&Group<'_>, f64, [u8; 32])> =
        strata.groups.iter().map(|group| (group, part(group), key(group))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.2.cmp(&b.2)));
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    let share = |share: f64| strata.totals.iter().map(|total| share / sum * total).collect();
    let mut division = Division {
        lacks: shares.iter().map(|(_, of)| share(*of)).collect(),
        weights: (0..strata.totals.len()).map(|stratum| strata.weight(stratum)).collect(),
    };
    let mut split_of: Vec<usize> = Vec::with_capacity(order.len());
    for (group, ..) in &order {
        let (split, _) = division.cheapest(&group.holds);
        division.give(split, &group.holds, 1.0);
        split_of.push(split);
    }
    for _ in 0..PASSES_MAX {
        let mut moved = false;
        for ((group, ..), split) in order.iter().zip(&mut split_of) {
            // With the group removed, compare the cost of its current split with the others.
            division.give(*split, &group.holds, -1.0);
            let (best, cost) = division.cheapest(&group.holds);
            if cost < division.cost(*split, &group.holds) - EPSILON {
                *split = best;
                moved = true;
            }
            division.give(*split, &group.holds, 1.0);
        }
        if !moved {
            break;
        }
    }
    let mut assigned = vec![""; strata.images];
    for ((group, ..), split) in order.iter().zip(split_of) {
        for at in group.images {
            assigned[*at] = shares[split].0.as_str();
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shares = Vec<(String, f64)>;

    fn shares(of: &[(&str, f64)]) -> Shares {
        of.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|k| format!("hash {k}")).collect()
    }

    fn division<'p>(
        groups: &[Vec<usize>],
        hashes: &[&str],
        classes: &[Vec<&str>],
        shares: &'p Shares,
        seed: u64,
    ) -> Vec<&'p str> {
        assign(&Strata::new(groups, hashes, classes), shares, seed)
    }

    #[test]
    fn shares_are_met_a_seed_gives_the_same_again_and_groups_stay_whole() {
        let hashes = names(1000);
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let mut groups: Vec<Vec<usize>> = (0..50).map(|k| (k * 4..k * 4 + 4).collect()).collect();
        groups.extend((200..1000).map(|k| vec![k]));
        let classes = vec![Vec::new(); 1000];
        let first = shares(&[("train", 0.8), ("val", 0.1), ("test", 0.1)]);
        let assigned = division(&groups, &hashes, &classes, &first, 7);
        let count = |assigned: &[&str], name: &str| assigned.iter().filter(|split| **split == name).count();
        assert_eq!((count(&assigned, "train"), count(&assigned, "val"), count(&assigned, "test")), (800, 100, 100));
        assert!(groups.iter().all(|group| group.iter().all(|at| assigned[*at] == assigned[group[0]])));
        assert_eq!(division(&groups, &hashes, &classes, &first, 7), assigned);
        assert_ne!(division(&groups, &hashes, &classes, &first, 8), assigned);
        // In another import order each image gets the same split.
        let turned: Vec<&str> = hashes.iter().rev().copied().collect();
        let turned_groups: Vec<Vec<usize>> =
            groups.iter().map(|group| group.iter().rev().map(|at| 999 - at).collect()).collect();
        let again = division(&turned_groups, &turned, &classes, &first, 7);
        assert!(again.iter().rev().eq(assigned.iter()));
    }

    #[test]
    fn a_rare_class_is_in_each_split_by_its_share() {
        let hashes = names(1000);
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let groups: Vec<Vec<usize>> = (0..1000).map(|k| vec![k]).collect();
        let classes: Vec<Vec<&str>> = (0..1000)
            .map(|k| match k {
                0..10 => vec!["rare"],
                10..300 => vec!["common", "common"],
                300..310 => vec!["rare", "common"],
                _ => Vec::new(),
            })
            .collect();
        for seed in 0..5 {
            let shares = shares(&[("train", 80.0), ("val", 10.0), ("test", 10.0)]);
            let assigned = division(&groups, &hashes, &classes, &shares, seed);
            let count = |split: &str, class: &str| {
                let of = assigned.iter().zip(&classes).filter(|(at, _)| **at == split);
                of.flat_map(|(_, classes)| classes).filter(|name| **name == class).count()
            };
            let images = |split: &str| assigned.iter().filter(|at| **at == split).count();
            assert_eq!(["train", "val", "test"].map(|split| count(split, "rare")), [16, 2, 2], "seed {seed}");
            for (split, common, all) in [("train", 472, 800), ("val", 59, 100), ("test", 59, 100)] {
                assert!(count(split, "common").abs_diff(common) <= 2, "{split}: {}", count(split, "common"));
                assert!(images(split).abs_diff(all) <= 1, "{split}: {}", images(split));
            }
        }
    }

    /// Computes the cost defined at the top of this file from scratch.
    fn measure(split_of: &[&str], classes: &[Vec<&str>], shares: &Shares) -> f64 {
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        let names: BTreeSet<&str> = classes.iter().flatten().copied().collect();
        let of = |count: &dyn Fn(usize) -> usize| {
            let total: usize = (0..classes.len()).map(count).sum();
            let difference = |(name, share): &(String, f64)| {
                let has: usize = (0..classes.len()).filter(|at| split_of[*at] == name).map(count).sum();
                ((has as f64 - share / sum * total as f64) / total as f64).powi(2)
            };
            shares.iter().map(difference).sum::<f64>()
        };
        let of_class = |name: &&str| of(&|at: usize| classes[at].iter().filter(|class| *class == name).count());
        names.iter().map(of_class).sum::<f64>() + names.len().max(1) as f64 * of(&|_| 1)
    }

    #[test]
    fn no_group_can_be_moved_to_a_better_place() {
        let mut state = 3_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let known = ["a", "b", "c", "d", "e"];
        for case in 0..40 {
            let count = 5 + random(40) as usize;
            let hashes = names(count);
            let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
            let mut groups: Vec<Vec<usize>> = Vec::new();
            for at in 0..count {
                match groups.last_mut() {
                    Some(last) if random(3) == 0 => last.push(at),
                    _ => groups.push(vec![at]),
                }
            }
            let classes: Vec<Vec<&str>> = (0..count)
                .map(|_| (0..random(6)).map(|_| known[random(5).min(random(5)) as usize]).collect())
                .collect();
            let shares = shares(match case % 3 {
                0 => &[("a", 1.0), ("b", 1.0)],
                1 => &[("train", 0.7), ("val", 0.2), ("test", 0.1)],
                _ => &[("1", 1.0), ("2", 1.0), ("3", 1.0), ("4", 1.0), ("5", 1.0)],
            });
            let assigned = division(&groups, &hashes, &classes, &shares, case as u64);
            let best = measure(&assigned, &classes, &shares);
            for group in &groups {
                assert!(group.iter().all(|at| assigned[*at] == assigned[group[0]]), "case {case}: a group is torn");
                for (name, _) in &shares {
                    let mut other = assigned.clone();
                    for at in group {
                        other[*at] = name.as_str();
                    }
                    let moved = measure(&other, &classes, &shares);
                    assert!(moved >= best - 1e-9, "case {case}: {moved} is less than {best}");
                }
            }
        }
    }
}

//! Divides images into named splits by share: seeded, and grouped, so that near-duplicates are never in two splits; a test image whose
//! near-duplicate is trained on measures memorisation. Each split gets its share of each class too (`strata.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use serde::Serialize;

use super::super::image_files::files_of;
use super::super::{Observer, WorkEvent, WorkflowError};
use super::strata::{Strata, assign};
use crate::dataset::decode_rgb;
use crate::domain::{Cancel, ClassId, DatasetId, ImageId, ImageRecord, Progress, counted, counted_as, printable};
use crate::geometry::BoundingBox;
use crate::mining::hashes_of;
use crate::store::Store;

/// How to divide the images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitPlan {
    /// Name of each split and its fraction of the images.
    pub shares: Vec<(String, f64)>,
    pub seed: u64,
    /// Images whose perceptual hashes differ in at most this many of 64 bits stay together; `None`: only identical files do.
    pub distance: Option<u32>,
}

/// The result of the division, or of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    #[serde(flatten)]
    pub plan: SplitPlan,
    pub images: usize,
    /// Images and objects by split.
    pub splits: BTreeMap<String, SplitCounts>,
    /// Groups of two or more near-duplicates.
    pub groups: usize,
    pub grouped_images: usize,
    /// Names of near-duplicates, one list per group; the first hundred groups.
    pub examples: Vec<Vec<String>>,
    /// Images that could not be read; these are grouped only by content.
    pub unread: Vec<String>,
}

/// The counts of one split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    pub images: usize,
    pub objects: usize,
    /// Number of objects by class name, without ignored ones.
    pub classes: BTreeMap<String, usize>,
}

/// Maximum number of groups named in a report.
const EXAMPLES: usize = 100;
/// Number of images decoded between two checks for cancellation.
const BATCH: usize = 64;
/// A larger distance would group unrelated images.
pub const DISTANCE_MAX: u32 = 16;

/// Fractions and percentages may miss their whole by this much: three thirds are also written 0.33,0.33,0.33.
const ROUNDING: f64 = 0.0101;

/// How a list of shares is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// `80%`: all of them together are 100 %.
    Percent,
    /// `0.8`: all of them together are 1.
    Fraction,
    /// `8`, `1`, `1`: whole numbers, relative to their sum.
    Parts,
}

/// Parses shares and returns each split's fraction of the images: fractions (`train=0.8,val=0.1,test=0.1`) or percentages (`train=80%,…`)
/// that add up, or whole numbers as parts (`train=8,val=1,test=1`). The error says what to write.
pub fn parse_shares(text: &str) -> Result<Vec<(String, f64)>, String> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    let mut unit = None;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let bad = || format!("`{part}` is not a share: write e.g. train=0.8,val=0.1,test=0.1");
        let (name, share) = part.split_once('=').ok_or_else(bad)?;
        let (name, written) = (name.trim(), share.trim());
        let number = written.strip_suffix('%').unwrap_or(written).trim();
        let share: f64 = number.parse().map_err(|_| bad())?;
        if name.is_empty() || !share.is_finite() || share <= 0.0 {
            return Err(bad());
        }
        if shares.iter().any(|(known, _)| known == name) {
            return Err(format!("the split `{name}` is named twice"));
        }
        let own = unit_of(written, share).ok_or_else(bad)?;
        if *unit.get_or_insert(own) != own {
            return Err(
                "the shares are written in different ways: write all as fractions (train=0.8,val=0.2), as percentages \
                 (train=80%,val=20%) or as whole parts (train=4,val=1)"
                    .to_owned(),
            );
        }
        shares.push((name.to_owned(), share));
    }
    let Some(unit) = unit else {
        return Err("no split is named: write e.g. train=0.8,val=0.1,test=0.1".to_owned());
    };
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    let whole = match unit {
        Unit::Percent => 100.0,
        Unit::Fraction => 1.0,
        Unit::Parts => sum,
    };
    if (sum / whole - 1.0).abs() > ROUNDING {
        let percent = if unit == Unit::Percent { " %" } else { "" };
        return Err(format!(
            "the shares add up to {}{percent}, not to {whole}{percent}: change one of them, or write whole parts (train=4,val=1), which \
             need not add up",
            rounded(sum)
        ));
    }
    Ok(shares.into_iter().map(|(name, share)| (name, share / whole)).collect())
}

fn unit_of(written: &str, share: f64) -> Option<Unit> {
    match share {
        _ if written.ends_with('%') => Some(Unit::Percent),
        _ if share < 1.0 => Some(Unit::Fraction),
        _ if share.fract() == 0.0 => Some(Unit::Parts),
        _ => None,
    }
}

/// A number to four decimals, without zeros at its end.
fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

/// Divides the images of one dataset, or of all, according to the plan; `dry_run` only returns the result.
pub fn divide(
    store: &mut Store,
    dataset: Option<&str>,
    plan: &SplitPlan,
    dry_run: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<SplitReport, WorkflowError> {
    let only: Option<DatasetId> = match dataset {
        Some(name) => Some(super::dataset_named(store, name)?.id),
        None => None,
    };
    if plan.distance.is_some_and(|distance| distance > DISTANCE_MAX) {
        let text = format!("a distance over {DISTANCE_MAX} of 64 bits matches different images; the default is 6.");
        return Err(WorkflowError::Refused(text));
    }
    let images: Vec<ImageRecord> =
        store.images()?.into_iter().filter(|image| only.is_none_or(|id| id == image.dataset)).collect();
    if images.is_empty() {
        return Err(WorkflowError::Refused("there are no images to divide.".to_owned()));
    }
    let (perceptual, unread) = match plan.distance {
        Some(_) => perceptual_hashes(store, &images, observer, cancel)?,
        None => (vec![None; images.len()], Vec::new()),
    };
    let hashes: Vec<&str> = images.iter().map(|image| image.content_hash.as_str()).collect();
    let groups = near_duplicates(&hashes, &perceptual, plan.distance.unwrap_or(0));
    let truth = store.all_ground_truth()?;
    let names: HashMap<ClassId, String> = store.classes()?.into_iter().map(|class| (class.id, class.name)).collect();
    let classes: Vec<Vec<&str>> = images
        .iter()
        .map(|image| {
            let counted = truth.get(&image.id).into_iter().flatten().filter(|object| !object.ignored);
            counted.filter_map(|object| names.get(&object.class).map(String::as_str)).collect()
        })
        .collect();
    let assigned = assign(&Strata::new(&groups, &hashes, &classes), &plan.shares, plan.seed);
    let mut report = SplitReport {
        plan: plan.clone(),
        images: images.len(),
        splits: plan.shares.iter().map(|(name, _)| (name.clone(), SplitCounts::default())).collect(),
        groups: 0,
        grouped_images: 0,
        examples: Vec::new(),
        unread,
    };
    for ((image, split), classes) in images.iter().zip(&assigned).zip(&classes) {
        if let Some(counts) = report.splits.get_mut(*split) {
            counts.images += 1;
            for class in classes {
                *counts.classes.entry((*class).to_owned()).or_default() += 1;
            }
            counts.objects += truth.get(&image.id).map_or(0, Vec::len);
        }
    }
    for group in groups.iter().filter(|group| group.len() > 1) {
        report.groups += 1;
        report.grouped_images += group.len();
        if report.examples.len() < EXAMPLES {
            report.examples.push(group.iter().map(|at| images[*at].name.clone()).collect());
        }
    }
    if !dry_run {
        write(store, &images, &assigned, plan)?;
    }
    Ok(report)
}

fn write(store: &mut Store, images: &[ImageRecord], assigned: &[&str], plan: &SplitPlan) -> Result<(), WorkflowError> {
    let text = serde_json::json!(plan).to_string();
    let mut by_dataset: BTreeMap<DatasetId, Vec<(ImageId, Option<String>)>> = BTreeMap::new();
    for (image, split) in images.iter().zip(assigned) {
        by_dataset.entry(image.dataset).or_default().push((image.id, Some((*split).to_owned())));
    }
    by_dataset.into_iter().try_for_each(|(dataset, splits)| Ok(store.set_splits(dataset, &splits, Some(&text))?))
}

/// Computes perceptual hashes of whole images; `None` for unreadable ones, whose names are also returned.
fn perceptual_hashes(
    store: &Store,
    images: &[ImageRecord],
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<(Vec<Option<u64>>, Vec<String>), WorkflowError> {
    let (files, sources) = files_of(store, images.iter().map(|image| image.id))?;
    // Without its images, near-duplicates would be divided.
    sources.check()?;
    let mut perceptual = Vec::with_capacity(images.len());
    for batch in files.chunks(BATCH) {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let found: Vec<Option<u64>> = batch
            .par_iter()
            .map(|file| {
                let image = decode_rgb(file).ok()?;
                let whole = BoundingBox::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
                Some(hashes_of(&image, &whole).perceptual)
            })
            .collect();
        perceptual.extend(found);
        let (done, total) = (perceptual.len() as u64, images.len() as u64);
        observer(WorkEvent::Progress(Progress { what: "Computing hashes of the images".into(), done, total }));
    }
    let unread = images.iter().zip(&perceptual).filter(|(_, hash)| hash.is_none()).map(|(image, _)| image.name.clone());
    let unread = unread.collect();
    Ok((perceptual, unread))
}

/// Groups images with identical content, or whose hashes differ in at most `distance` bits, transitively: returns the ascending indices of
/// each group's images.
fn near_duplicates(hashes: &[&str], perceptual: &[Option<u64>], distance: u32) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..hashes.len()).collect();
    let mut first_of: HashMap<&str, usize> = HashMap::new();
    for (at, hash) in hashes.iter().enumerate() {
        let first = *first_of.entry(hash).or_insert(at);
        join(&mut parent, first, at);
    }
    // Of distance + 1 parts of the bits, one must be equal.
    let parts = distance + 1;
    for part in 0..parts {
        let (from, to) = (64 * part / parts, 64 * (part + 1) / parts);
        let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, hash) in perceptual.iter().enumerate() {
            if let Some(hash) = hash {
                let bits = hash.checked_shr(from).unwrap_or(0) & (u64::MAX >> (64 - (to - from)));
                buckets.entry(bits).or_default().push(at);
            }
        }
        let pairs: Vec<(usize, usize)> = buckets
            .par_iter()
            .flat_map_iter(|(_, members)| {
                members.iter().enumerate().flat_map(move |(k, a)| {
                    members[k + 1..]
                        .iter()
                        .filter(move |b| is_near(perceptual[*a], perceptual[**b], distance))
                        .map(move |b| (*a, *b))
                })
            })
            .collect();
        for (a, b) in pairs {
            join(&mut parent, a, b);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..hashes.len() {
        let root = root(&mut parent, at);
        groups.entry(root).or_default().push(at);
    }
    groups.into_values().collect()
}

fn is_near(a: Option<u64>, b: Option<u64>, distance: u32) -> bool {
    matches!((a, b), (Some(a), Some(b)) if (a ^ b).count_ones() <= distance)
}

fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

fn join(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parent, a), root(parent, b));
    let (low, high) = (a.min(b), a.max(b));
    parent[high] = low;
}

impl std::fmt::Display for SplitReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", counted(self.images, "image"))?;
        let classes: BTreeSet<&String> = self.splits.values().flat_map(|counts| counts.classes.keys()).collect();
        let several = classes.len() > 1;
        for (name, share) in &self.plan.shares {
            let counts = self.splits.get(name).cloned().unwrap_or_default();
            let percent = (share * 1000.0).round() / 10.0;
            let (images, objects) = (counted(counts.images, "image"), counted(counts.objects, "object"));
            write!(f, "\n{} ({percent} %): {images}, {objects}", printable(name))?;
            if several {
                let of = classes.iter().map(|class| {
                    format!("{} {}", counts.classes.get(*class).copied().unwrap_or_default(), printable(class))
                });
                write!(f, " ({})", of.collect::<Vec<_>>().join(", "))?;
            }
        }
        if self.groups > 0 {
            write!(
                f,
                "\n{}, {} images in all, are nearly the same or have the same bytes; each group is in one split, e.g. {}",
                counted(self.groups, "group"),
                self.grouped_images,
                self.examples.first().map_or(String::new(), |names| {
                    names.iter().take(3).map(|name| printable(name).into_owned()).collect::<Vec<_>>().join(" = ")
                })
            )?;
        }
        if let Some(first) = self.unread.first() {
            let count = self.unread.len();
            write!(
                f,
                "\n{} compared by bytes alone, e.g. {}",
                counted_as(count, "image could not be read and was", "images could not be read and were"),
                printable(first)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_people_write_them() {
        let check = |text: &str, expected: &[(&str, f64)]| {
            let expected: Vec<(String, f64)> =
                expected.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
            assert_eq!(parse_shares(text).unwrap(), expected, "{text}");
        };
        check("train=0.8,val=0.2", &[("train", 0.8), ("val", 0.2)]);
        check(" train = 80% , held out=20 % ", &[("train", 0.8), ("held out", 0.2)]);
        check("1=1,2=1", &[("1", 0.5), ("2", 0.5)]);
        check("train=8,val=1,test=1", &[("train", 0.8), ("val", 0.1), ("test", 0.1)]);
        check("a=0.33,b=0.33,c=0.33", &[("a", 0.33), ("b", 0.33), ("c", 0.33)]);
        check("a=25%,b=50%,c=24.5%", &[("a", 0.25), ("b", 0.5), ("c", 0.245)]);
        check("all=100%", &[("all", 1.0)]);
        for bad in
            ["", "train", "train=", "=1", "train=0", "train=-1", "train=nan", "train=inf", "a=1,a=2", "a=50%%,b=50%"]
        {
            assert!(parse_shares(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_that_do_not_add_up_or_mix_units_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = parse_shares(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("train=60%,val=0.2", "different ways");
        check("train=0.8,val=20%", "different ways");
        check("train=0.8,val=20", "different ways");
        check("train=0.9,val=0.2", "add up to 1.1, not to 1:");
        check("train=0.8,val=0.1", "add up to 0.9, not to 1:");
        check("train=80%,val=30%", "add up to 110 %, not to 100 %:");
        check("train=80%", "add up to 80 %");
        check("train=1.5,val=1", "`train=1.5` is not a share");
    }

    #[test]
    fn nearly_equal_hashes_and_equal_bytes_are_one_group_also_through_others() {
        let check = |hashes: &[&str], perceptual: &[Option<u64>], distance: u32, expected: &[&[usize]]| {
            assert_eq!(near_duplicates(hashes, perceptual, distance), expected, "{perceptual:?} at {distance}");
        };
        let names = ["a", "b", "c", "d"];
        let chain = [Some(0), Some(0b111_111), Some(0b111_111_111_111), Some(u64::MAX)];
        check(&names, &chain, 6, &[&[0, 1, 2], &[3]]);
        check(&names, &chain, 5, &[&[0], &[1], &[2], &[3]]);
        check(&names, &[Some(1 << 63), Some(0), None, None], 1, &[&[0, 1], &[2], &[3]]);
        check(&["a", "b", "a", "b"], &[None, None, None, Some(9)], 0, &[&[0, 2], &[1, 3]]);
        check(&names, &[Some(7), Some(7), Some(7), None], 0, &[&[0, 1, 2], &[3]]);
    }

    #[test]
    fn banding_finds_what_comparing_all_pairs_finds() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state
        };
        // A few centres with up to nine bits flipped.
        let centres: Vec<u64> = (0..20).map(|_| random()).collect();
        let perceptual: Vec<Option<u64>> = (0..300)
            .map(|k| {
                let flips = (0..random() % 10).fold(0, |bits, _| bits | 1 << (random() >> 58));
                Some(centres[k % 20] ^ flips)
            })
            .collect();
        let hashes: Vec<String> = (0..300).map(|k| k.to_string()).collect();
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        for distance in [0, 1, 6, 16] {
            let groups = near_duplicates(&hashes, &perceptual, distance);
            let mut group_of = vec![0; 300];
            for (k, group) in groups.iter().enumerate() {
                for at in group {
                    group_of[*at] = k;
                }
            }
            for a in 0..300 {
                for b in 0..a {
                    assert!(
                        group_of[a] == group_of[b] || !is_near(perceptual[a], perceptual[b], distance),
                        "{a} {b} at {distance}"
                    );
                }
            }
        }
    }
}

//! Determines the error type of each detection in an image, and the effect of fixing it (`TIDEExample`, `TIDERun._eval_image`).

use super::super::set::{SetDetection, SetImage, SetObject, best_first};
use super::{ErrorKind, Tide};

/// Maximum number of detections per image, over all classes.
const MOST_DETECTIONS: usize = 100;

/// A detection in a class's list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub class: usize,
    pub score: f64,
    pub correct: bool,
}

/// The result of fixing an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fix {
    /// The detection is removed.
    Gone,
    /// It matches the object.
    Hit { class: usize, score: f64 },
    /// A missed object is removed from its class.
    ObjectGone { class: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ErrorRecord {
    pub kind: ErrorKind,
    /// The false positive as counted; `None` for a missed object and for a detection in an ignored region.
    pub original: Option<Point>,
    pub fixed: Fix,
}

/// One image after matching.
#[derive(Debug, Default)]
pub(super) struct ImageErrors {
    /// The classes of the counted objects.
    pub objects: Vec<usize>,
    /// The classes of the objects that no detection finds.
    pub missed: Vec<usize>,
    /// Best first.
    pub points: Vec<Point>,
    pub errors: Vec<ErrorRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Hit,
    Unused,
    Ignored,
}

/// The object that an error would match if it were fixed.
#[derive(Debug, Clone, Copy)]
struct Claim {
    object: usize,
    detection: usize,
}

impl ImageErrors {
    pub fn new(image: &SetImage, tide: &Tide) -> Self {
        let objects: Vec<&SetObject> = image.objects.iter().filter(|o| !o.crowd).collect();
        let mut found: Vec<&SetDetection> = image.detections.iter().collect();
        found.sort_by(|a, b| best_first(a.score, b.score));
        found.truncate(MOST_DETECTIONS);
        let overlaps = Overlaps::new(&found, &objects);
        let (mut uses, used) = match_objects(&overlaps, tide.iou);
        ignore_regions(image, &found, tide.iou, &mut uses);

        let point = |k: usize, correct| Point { class: found[k].class, score: found[k].score, correct };
        let kept = (0..found.len()).filter(|&k| uses[k] != Use::Ignored);
        let points = kept.map(|k| point(k, uses[k] == Use::Hit)).collect();
        let wrong = (0..found.len()).filter(|&k| uses[k] != Use::Hit);
        let judged: Vec<(usize, ErrorKind, Option<Claim>)> = wrong
            .map(|k| {
                let (kind, object) = overlaps.kind_of(k, &used, tide);
                let claim = object.filter(|&object| !used[object]).map(|object| Claim { object, detection: k });
                (k, kind, claim)
            })
            .collect();
        let claims: Vec<Claim> = judged.iter().filter_map(|j| j.2).collect();
        let winner = winners(&claims, objects.len(), &found);
        let fixed = |claim: Option<Claim>| match claim {
            Some(claim) if winner[claim.object] == Some(claim.detection) => {
                Fix::Hit { class: objects[claim.object].class, score: found[claim.detection].score }
            }
            _ => Fix::Gone,
        };
        let mut errors: Vec<ErrorRecord> = judged
            .iter()
            .map(|&(k, kind, claim)| ErrorRecord {
                kind,
                original: (uses[k] == Use::Unused).then(|| point(k, false)),
                fixed: fixed(claim),
            })
            .collect();
        let unused = || objects.iter().enumerate().filter(|(g, _)| !used[*g]);
        errors.extend(unused().filter(|(g, _)| winner[*g].is_none()).map(|(_, object)| ErrorRecord {
            kind: ErrorKind::Missed,
            original: None,
            fixed: Fix::ObjectGone { class: object.class },
        }));
        Self {
            missed: unused().map(|(_, object)| object.class).collect(),
            objects: objects.iter().map(|o| o.class).collect(),
            points,
            errors,
        }
    }
}

/// Among the errors that would match the same object, selects the one with the highest score, the first on ties.
fn winners(claims: &[Claim], objects: usize, found: &[&SetDetection]) -> Vec<Option<usize>> {
    let mut winner: Vec<Option<usize>> = vec![None; objects];
    for claim in claims {
        let best = &mut winner[claim.object];
        if best.is_none_or(|k| found[k].score < found[claim.detection].score) {
            *best = Some(claim.detection);
        }
    }
    winner
}

/// Best first, matches each detection with the free object of its class that it overlaps most.
fn match_objects(overlaps: &Overlaps, threshold: f64) -> (Vec<Use>, Vec<bool>) {
    let mut used = vec![false; overlaps.objects];
    let uses = (0..overlaps.detections)
        .map(|k| match overlaps.largest(k, |g, same| same && !used[g]) {
            Some((g, iou)) if iou >= threshold => {
                used[g] = true;
                Use::Hit
            }
            _ => Use::Unused,
        })
        .collect();
    (uses, used)
}

/// An unmatched detection inside a crowd of its class is not counted.
fn ignore_regions(image: &SetImage, found: &[&SetDetection], threshold: f64, uses: &mut [Use]) {
    for region in image.objects.iter().filter(|o| o.crowd) {
        for (detection, used) in found.iter().zip(uses.iter_mut()) {
            let inside = || detection.bbox.share_inside(&region.bbox) > threshold;
            if *used == Use::Unused && region.class == detection.class && inside() {
                *used = Use::Ignored;
            }
        }
    }
}

struct Overlaps {
    detections: usize,
    objects: usize,
    /// IoU in row-major order (one row per detection), and whether the classes are equal.
    values: Vec<(f64, bool)>,
}

impl Overlaps {
    fn new(found: &[&SetDetection], objects: &[&SetObject]) -> Self {
        let each = found.iter().flat_map(|d| objects.iter().map(|o| (d.bbox.iou(&o.bbox), d.class == o.class)));
        Self { detections: found.len(), objects: objects.len(), values: each.collect() }
    }

    /// Returns the first largest overlap of detection `k` among objects for which `counts(object, same class)` holds; `None` if all are 0.
    fn largest(&self, k: usize, counts: impl Fn(usize, bool) -> bool) -> Option<(usize, f64)> {
        let row = &self.values[k * self.objects..(k + 1) * self.objects];
        let mut best: Option<(usize, f64)> = None;
        for (g, &(iou, same)) in row.iter().enumerate() {
            if iou > best.map_or(0.0, |b| b.1) && counts(g, same) {
                best = Some((g, iou));
            }
        }
        best
    }

    /// Returns the error type of an unmatched detection, and the object that it would match if it were fixed.
    fn kind_of(&self, k: usize, used: &[bool], tide: &Tide) -> (ErrorKind, Option<usize>) {
        let (foreground, background) = (tide.iou, tide.background_iou);
        if let Some((g, iou)) = self.largest(k, |_, same| same)
            && background <= iou
            && iou <= foreground
        {
            return (ErrorKind::Localisation, Some(g));
        }
        if let Some((g, iou)) = self.largest(k, |_, same| !same)
            && iou >= foreground
        {
            return (ErrorKind::Classification, Some(g));
        }
        if self.largest(k, |g, same| same && used[g]).is_some_and(|(_, iou)| iou >= foreground) {
            return (ErrorKind::Duplicate, None);
        }
        let touches = self.largest(k, |_, _| true).is_some_and(|(_, iou)| iou > background);
        (if touches { ErrorKind::Both } else { ErrorKind::Background }, None)
    }
}

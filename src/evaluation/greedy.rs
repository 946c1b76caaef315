//! Greedy matching at one IoU threshold as in COCO and Dollár's toolbox, shared by precision-recall and miss rate.

use super::coco::best;
use super::set::{EvaluationSet, SetClass, SetDetection, SetImage, best_first};

/// The outcome of a detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Hit,
    FalsePositive,
    /// Matched an ignored object.
    Ignored,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    pub score: f64,
    pub fate: Fate,
}

/// One class over all images.
#[derive(Debug)]
pub(super) struct JudgedClass<'a> {
    pub class: &'a SetClass,
    /// Number of counted objects.
    pub objects: usize,
    /// Best first; ties in image order.
    pub detections: Vec<Judged>,
}

/// How ignored objects absorb detections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignoring {
    /// A crowd absorbs several, by the fraction of the detection inside; a difficult object absorbs one, by IoU.
    CrowdsAsRegions,
    /// Every ignored object absorbs several, by the fraction of the detection inside.
    AllAsRegions,
}

/// Matches all images for the classes that the dataset lists.
pub(super) fn judge(set: &EvaluationSet, iou: f64, ignoring: Ignoring) -> Vec<JudgedClass<'_>> {
    use rayon::prelude::*;
    let matched: Vec<Vec<(usize, Judged)>> =
        set.images.par_iter().map(|image| judge_image(image, iou, ignoring)).collect();
    let new = |class| JudgedClass { class, objects: 0, detections: Vec::new() };
    let mut classes: Vec<JudgedClass> = set.classes.iter().map(new).collect();
    matched.into_iter().flatten().for_each(|(class, judged)| classes[class].detections.push(judged));
    for object in set.images.iter().flat_map(|image| &image.objects).filter(|o| !o.ignored()) {
        classes[object.class].objects += 1;
    }
    classes.retain(|class| class.class.listed);
    classes.par_iter_mut().for_each(|class| class.detections.sort_by(|a, b| best_first(a.score, b.score)));
    classes
}

fn judge_image(image: &SetImage, threshold: f64, ignoring: Ignoring) -> Vec<(usize, Judged)> {
    let objects = &image.objects;
    let is_region = |g: usize| objects[g].crowd || (ignoring == Ignoring::AllAsRegions && objects[g].ignored());
    let overlaps = |d: &SetDetection| {
        let same = objects.iter().enumerate().filter(|(_, o)| o.class == d.class);
        let overlap =
            same.map(|(g, o)| (g, if is_region(g) { d.bbox.share_inside(&o.bbox) } else { d.bbox.iou(&o.bbox) }));
        overlap.filter(|(_, iou)| *iou > 0.0).collect::<Vec<_>>()
    };
    let mut order: Vec<usize> = (0..image.detections.len()).collect();
    order.sort_by(|&a, &b| best_first(image.detections[a].score, image.detections[b].score));
    let mut taken = vec![false; objects.len()];
    let mut judge = |k: usize| {
        let d = &image.detections[k];
        let found = best(&overlaps(d), threshold, |g| !taken[g] || is_region(g), |g| objects[g].ignored());
        if let Some(g) = found {
            taken[g] = true;
        }
        let fate = match found {
            Some(g) if objects[g].ignored() => Fate::Ignored,
            Some(_) => Fate::Hit,
            None => Fate::FalsePositive,
        };
        (d.class, Judged { score: d.score, fate })
    };
    order.into_iter().map(&mut judge).collect()
}

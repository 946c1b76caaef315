//! One thing at one place in many images of one camera: a rock that is detected every night. Such candidates are one group even where light
//! and weather change the crop more than other groups allow.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::{GROUP_MAX, Groupable};
use crate::geometry::BoundingBox;

/// Boxes of two images that overlap as much lie at the same place.
const LEAST_IOU: f64 = 0.7;
/// Bits in which the hashes at one place may differ; of unrelated crops some 32 do.
const MOST_DISTANCE: u32 = 12;
/// Images on which the thing is found at least.
pub(super) const LEAST_IMAGES: usize = 5;
/// Different things that are told apart at one place; a busy corner does not become quadratic.
const THINGS_MAX: usize = 64;

/// Which candidate represents each, for those that are one thing at one place; best candidates are the first.
pub(super) fn leaders(items: &[Groupable<'_>]) -> Vec<Option<usize>> {
    let mut cameras: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate().filter(|(_, item)| item.hash.is_some()) {
        cameras.entry((item.camera, item.class, item.kind)).or_default().push(at);
    }
    let parts: Vec<Vec<usize>> = cameras.into_values().filter(|part| part.len() >= LEAST_IMAGES).collect();
    let found: Vec<(usize, usize)> = parts.par_iter().flat_map_iter(|part| of_camera(items, part)).collect();
    let mut leaders = vec![None; items.len()];
    for (at, leader) in found {
        leaders[at] = Some(leader);
    }
    leaders
}

/// Each member with its representative.
fn of_camera(items: &[Groupable<'_>], part: &[usize]) -> Vec<(usize, usize)> {
    let images: HashSet<_> = part.iter().map(|at| items[*at].image).take(LEAST_IMAGES * 64).collect();
    if images.len() < LEAST_IMAGES {
        return Vec::new();
    }
    let mut things: Vec<Vec<usize>> = Vec::new();
    // What each thing looks like and where it lies, with its number.
    let mut cells: HashMap<Cell, Vec<(u64, BoundingBox, usize)>> = HashMap::new();
    for at in part {
        let (bbox, Some(hash)) = (&items[*at].bbox, items[*at].hash) else { continue };
        let near = neighbours(bbox).into_iter().filter_map(|cell| cells.get(&cell)).flatten();
        let alike = near.filter(|(other, place, thing)| {
            (other ^ hash).count_ones() <= MOST_DISTANCE
                && place.iou(bbox) >= LEAST_IOU
                && things[*thing].len() < GROUP_MAX
        });
        if let Some(thing) = alike.map(|(.., thing)| *thing).min() {
            things[thing].push(*at);
            continue;
        }
        let here = cells.entry(cell(bbox)).or_default();
        if here.len() < THINGS_MAX {
            here.push((hash, *bbox, things.len()));
            things.push(vec![*at]);
        }
    }
    let in_many = |members: &&Vec<usize>| {
        let images: HashSet<_> = members.iter().map(|at| items[*at].image).collect();
        images.len() >= LEAST_IMAGES
    };
    let groups = things.iter().filter(in_many);
    groups.flat_map(|members| members.iter().map(|at| (*at, members[0]))).collect()
}

/// Where a box's centre lies and how large it is, coarsely: steps of its width, height and centre.
type Cell = [i32; 4];

/// In steps: boxes with an IoU of 0.7 differ by half of one at most.
fn size_steps(b: &BoundingBox) -> (f64, f64) {
    let steps = |side: f64| side.max(1e-3).log2() / 1.04;
    (steps(b.width()), steps(b.height()))
}

/// The centre in steps of boxes of this size.
fn centre_steps(b: &BoundingBox, w: i32, h: i32) -> (f64, f64) {
    let (x, y) = b.center();
    let step = |size: i32| 0.37 * (f64::from(size + 1) * 1.04).exp2();
    (x / step(w), y / step(h))
}

fn cell(b: &BoundingBox) -> Cell {
    let (w, h) = size_steps(b);
    let (w, h) = (w.floor() as i32, h.floor() as i32);
    let (x, y) = centre_steps(b, w, h);
    [w, h, x.floor() as i32, y.floor() as i32]
}

/// The cells of all boxes that overlap this one enough.
fn neighbours(b: &BoundingBox) -> Vec<Cell> {
    let both = |v: f64| {
        let (low, high) = ((v - 0.5).floor() as i32, (v + 0.5).floor() as i32);
        low..=high
    };
    let (w, h) = size_steps(b);
    let mut cells = Vec::with_capacity(16);
    for w in both(w) {
        for h in both(h) {
            let (x, y) = centre_steps(b, w, h);
            for x in both(x) {
                cells.extend(both(y).map(|y| [w, h, x, y]));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn boxes_that_overlap_enough_lie_in_neighbouring_cells(
            x in 0.0..900.0_f64, y in 0.0..900.0_f64, w in 1.0..300.0_f64, h in 1.0..300.0_f64,
            dx in -0.2..0.2_f64, dy in -0.2..0.2_f64, dw in 0.7..1.43_f64, dh in 0.7..1.43_f64,
        ) {
            let a = BoundingBox::from_xywh(x, y, w, h);
            let b = BoundingBox::from_xywh(x + dx * w, y + dy * h, w * dw, h * dh);
            if a.iou(&b) >= LEAST_IOU {
                prop_assert!(neighbours(&b).contains(&cell(&a)), "{a:?} {b:?}");
            }
        }
    }
}

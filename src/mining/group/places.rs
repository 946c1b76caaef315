//! Groups by place: one thing at a fixed place in many images of one camera, such as a rock detected every night. Such candidates form one
//! group even if light and weather change the crop more than the other criteria allow.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use rayon::prelude::*;

use super::{GROUP_MAX, Groupable};
use crate::geometry::BoundingBox;

/// Boxes of two images with at least this IoU are at the same place.
const LEAST_IOU: f64 = 0.7;
/// Maximum number of differing hash bits at one place; unrelated crops differ in some 32.
const MOST_DISTANCE: u32 = 12;
/// Minimum number of images with the same thing.
pub(super) const LEAST_IMAGES: usize = 5;
/// Maximum number of distinct things at one place, so that a busy corner does not become quadratic.
const THINGS_MAX: usize = 64;

/// Returns the representative of each candidate in a group by place; the best candidates come first.
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

/// Returns each member with its representative.
fn of_camera(items: &[Groupable<'_>], part: &[usize]) -> Vec<(usize, usize)> {
    let images: HashSet<_> = part.iter().map(|at| items[*at].image).take(LEAST_IMAGES * 64).collect();
    if images.len() < LEAST_IMAGES {
        return Vec::new();
    }
    let mut things: Vec<Vec<usize>> = Vec::new();
    let mut cells: HashMap<Cell, Here, BuildHasherDefault<CellHasher>> = HashMap::default();
    for at in part {
        let (bbox, Some(hash)) = (&items[*at].bbox, items[*at].hash) else { continue };
        let near = neighbours(bbox).filter_map(|cell| cells.get(&cell)).flat_map(|here| here.alike(hash));
        let alike = near.filter(|(place, thing)| place.iou(bbox) >= LEAST_IOU && things[*thing].len() < GROUP_MAX);
        if let Some(thing) = alike.map(|(_, thing)| *thing).min() {
            things[thing].push(*at);
            continue;
        }
        let here = cells.entry(cell(bbox)).or_default();
        if here.hashes.len() < THINGS_MAX {
            here.hashes.push(hash);
            here.things.push((*bbox, things.len()));
            things.push(vec![*at]);
        }
    }
    let in_many = |members: &&Vec<usize>| {
        if members.len() < LEAST_IMAGES {
            return false;
        }
        let images: HashSet<_> = members.iter().map(|at| items[*at].image).collect();
        images.len() >= LEAST_IMAGES
    };
    let groups = things.iter().filter(in_many);
    groups.flat_map(|members| members.iter().map(|at| (*at, members[0]))).collect()
}

/// The things in a cell. Hashes are stored separately: nearly all things are skipped by their hash, which reads less memory.
#[derive(Default)]
struct Here {
    /// The hash of each thing.
    hashes: Vec<u64>,
    /// The box of each thing, with its number.
    things: Vec<(BoundingBox, usize)>,
}

impl Here {
    /// Returns those with similar hashes.
    fn alike(&self, hash: u64) -> impl Iterator<Item = &(BoundingBox, usize)> {
        let seen = self.hashes.iter().zip(&self.things);
        seen.filter(move |(other, _)| (*other ^ hash).count_ones() <= MOST_DISTANCE).map(|(_, thing)| thing)
    }
}

/// A box's quantised position and size: steps of its width, height and centre.
type Cell = [i32; 4];

/// Binary logarithm of the size step: boxes with an IoU of 0.7 differ by at most half a step.
const SIZE_STEP: f64 = 1.04;

/// The lower bound of this size, in pixels.
fn begin_of(size: i32) -> f64 {
    (f64::from(size) * SIZE_STEP).exp2()
}

fn size_steps(side: f64) -> f64 {
    side.max(1e-3).log2() / SIZE_STEP
}

/// The step of the centres of boxes of this size: with an IoU of 0.7 they differ by at most half a step.
fn centre_step(size: i32) -> f64 {
    0.37 * begin_of(size + 1)
}

fn cell(b: &BoundingBox) -> Cell {
    let (w, h) = (size_steps(b.width()).floor() as i32, size_steps(b.height()).floor() as i32);
    let (x, y) = b.center();
    [w, h, (x / centre_step(w)).floor() as i32, (y / centre_step(h)).floor() as i32]
}

/// Returns the cells of all boxes that may overlap this one enough.
///
/// The IoU of two boxes is at most `1 / (1 + loss_x + loss_y)`, where a loss is `1 / IoU - 1` of their extents along one axis. This excludes
/// most of the sixteen cells around a box.
fn neighbours(b: &BoundingBox) -> impl Iterator<Item = Cell> {
    let (x, y) = b.center();
    let (across, down) = (along(x, b.width()), along(y, b.height()));
    across.into_iter().flat_map(move |(w, x, loss_x)| {
        let fitting = down.into_iter().filter(move |(_, _, loss_y)| loss_x + loss_y <= MOST_LOSS);
        fitting.map(move |(h, y, _)| [w, h, x, y])
    })
}

/// Includes a margin for rounding.
const MOST_LOSS: f64 = 1.0 / LEAST_IOU - 1.0 + 1e-6;

/// Returns the size and centre steps along one axis that nearby extents may have, each with the minimum loss that it implies.
fn along(centre: f64, side: f64) -> [(i32, i32, f64); 4] {
    let steps = size_steps(side);
    let own = steps.floor() as i32;
    let other = if steps - steps.floor() < 0.5 { own - 1 } else { own + 1 };
    let of_size = |size: i32| {
        let (begin, end) = (begin_of(size), begin_of(size + 1));
        let ratio = if size == own { 1.0 } else { (begin / side).max(side / end) };
        let step = centre_step(size);
        let at = centre / step;
        let own = at.floor() as i32;
        let (other, edge) = if at - at.floor() < 0.5 { (own - 1, own) } else { (own + 1, own + 1) };
        let apart = (centre - f64::from(edge) * step).abs();
        // A longer other extent loses less by the distance.
        let half = f64::midpoint(side, end.min(side / LEAST_IOU));
        let by_distance = if apart < half { 2.0 * apart / (half - apart) } else { f64::INFINITY };
        let by_size = ratio - 1.0;
        [(size, own, by_size), (size, other, by_size.max(by_distance))]
    };
    let ([a, b], [c, d]) = (of_size(own), of_size(other));
    [a, b, c, d]
}

/// Several cells are looked up per candidate: the standard hasher would take half of that time. Collision attacks are not a concern.
#[derive(Default)]
struct CellHasher(u64);

impl Hasher for CellHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_i32(&mut self, value: i32) {
        self.write_u64(u64::from(value.cast_unsigned()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn boxes_that_overlap_enough_lie_in_neighbouring_cells(
            x in 0.0..900.0_f64, y in 0.0..900.0_f64, w in 1.0..300.0_f64, h in 1.0..300.0_f64,
            dx in -0.2..0.2_f64, dy in -0.2..0.2_f64, dw in 0.7..1.43_f64, dh in 0.7..1.43_f64, is_square in any::<bool>(),
        ) {
            // Some differ along one axis alone, as far as may be.
            let (dy, dh) = if is_square { (0.0, 1.0) } else { (dy, dh) };
            let a = BoundingBox::from_xywh(x, y, w, h);
            let b = BoundingBox::from_xywh(x + dx * w, y + dy * h, w * dw, h * dh);
            if a.iou(&b) >= LEAST_IOU {
                prop_assert!(neighbours(&b).any(|near| near == cell(&a)), "{a:?} {b:?}");
            }
        }
    }
}

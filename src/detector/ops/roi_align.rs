//! RoIAlign: features of each box on a fixed grid, equal to torchvision's, differentiable in the feature map on every device.
//!
//! Shapes: B images, C channels, H, W cells of a feature map; N boxes; `oh`, `ow` bins per box.
//!
//! A feature map is a table of H * W rows of C numbers (channels-last memory, so this is a view); a bin is a weighted sum of a few rows.
//! That is libtorch's `embedding_bag`: one call over all boxes, images and levels, with its own gradient on CPU and CUDA, and no copy of a
//! feature map per box. Bilinear weights are separable, so a bin's rows and columns are computed separately and samples in the same cell
//! are merged.

use tch::{Kind, Tensor};

use super::overlap::Corners;
use crate::detector::device::upload;

/// Row indices are sent to a device in two parts of this size.
const ROW_BASE: i64 = 1 << 20;
/// `embedding_bag`'s mode "sum".
const SUM: i64 = 0;

/// How the sampling grid is placed on a box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Bins (rows, columns).
    pub out: (i64, i64),
    /// Samples per bin along each axis; 0 or less: as many as the bin has cells.
    pub sampling_ratio: i64,
    /// Subtracts half a cell, so that a cell's value is at its centre.
    pub aligned: bool,
}

/// Selects the pyramid level of a box (feature pyramid networks, equation 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canonical {
    /// A box with this square root of its area ..
    pub size: f64,
    /// .. is read from the level with stride two to the power of this.
    pub level: f64,
}

impl Default for Canonical {
    fn default() -> Self {
        Self { size: 224.0, level: 4.0 }
    }
}

/// Returns features `[N, C, oh, ow]` of `rois` `[N, 5]` (image index, x1, y1, x2, y2 in pixels; without gradient) on `feature` `[B, C, H,
/// W]`, whose cells are `1 / spatial_scale` pixels apart.
#[expect(clippy::panic, reason = "only this crate creates the tensor; a wrong shape is a bug, as in tch itself")]
pub fn roi_align(
    feature: &Tensor,
    rois: &Tensor,
    out: (i64, i64),
    spatial_scale: f64,
    sampling_ratio: i64,
    aligned: bool,
) -> Tensor {
    let [b, _, h, w] = feature.size()[..] else { panic!("features have shape [B, C, H, W], got {:?}", feature.size()) };
    assert!(matches!(rois.size()[..], [_, 5]), "rois have shape [N, 5], got {:?}", rois.size());
    let mut lookup = Lookup::new(Grid { out, sampling_ratio, aligned });
    for roi in floats(rois).chunks_exact(5) {
        assert!(roi[0] >= 0.0 && roi[0] < b as f32, "box of image {} in a batch of {b}", roi[0]);
        let map = Map { first_row: roi[0] as i64 * h * w, height: h, width: w, scale: spatial_scale as f32 };
        lookup.push_box(&map, [roi[1], roi[2], roi[3], roi[4]]);
    }
    lookup.gather(&table(feature))
}

/// Returns features `[N, C, oh, ow]` of all boxes of all images (one `[N_b, 4]` each, pixels), each from the level for its size
/// (torchvision `MultiScaleRoIAlign`, not aligned). `features` are the levels, finest first; `image` is the largest (height, width) of the
/// batch before padding, which determines the strides as in torchvision.
pub fn multiscale_roi_align(
    features: &[&Tensor],
    boxes: &[Tensor],
    image: (i64, i64),
    out: (i64, i64),
    sampling_ratio: i64,
    canonical: Canonical,
) -> Tensor {
    assert!(!features.is_empty(), "at least one feature level");
    let scales: Vec<f64> = features.iter().map(|f| spatial_scale(f, image)).collect();
    let boxes: Vec<Vec<f32>> = boxes.iter().map(floats).collect();
    let levels: Vec<Vec<usize>> =
        boxes.iter().map(|b| b.chunks_exact(4).map(|c| level(c, &scales, canonical)).collect()).collect();
    let (table, first_rows) = joined_table(features, &levels);
    let map = |image: usize, k: usize| {
        let (height, width) = (features[k].size()[2], features[k].size()[3]);
        let first_row = first_rows[k] + image as i64 * height * width;
        Map { first_row, height, width, scale: scales[k] as f32 }
    };
    let of_image = |(image, (boxes, levels)): (usize, (&Vec<f32>, &Vec<usize>))| -> Vec<(Map, Corners)> {
        boxes.as_chunks::<4>().0.iter().zip(levels).map(|(corners, &k)| (map(image, k), *corners)).collect()
    };
    let placed: Vec<(Map, Corners)> = boxes.iter().zip(&levels).enumerate().flat_map(of_image).collect();
    let grid = Grid { out, sampling_ratio, aligned: false };
    if table.device().is_cuda() && sampling_ratio > 0 {
        return gather_on_device(&table, &placed, grid);
    }
    let mut lookup = Lookup::new(grid);
    for (map, corners) in &placed {
        lookup.push_box(map, *corners);
    }
    lookup.gather(&table)
}

/// Returns the power of two nearest to cells / pixels.
fn spatial_scale(feature: &Tensor, image: (i64, i64)) -> f64 {
    let approximate = feature.size()[2] as f32 / image.0 as f32;
    f64::from(approximate).log2().round_ties_even().exp2()
}

/// Returns the index of the level for the box `corners`.
fn level(corners: &[f32], scales: &[f64], canonical: Canonical) -> usize {
    let (finest, coarsest) = (-scales[0].log2(), -scales[scales.len() - 1].log2());
    let size = ((corners[2] - corners[0]) * (corners[3] - corners[1])).sqrt();
    let target = (canonical.level as f32 + (size / canonical.size as f32).log2() + 1e-6).floor();
    // An empty box (log2 = -inf) or a NaN goes to the finest level.
    (f64::from(target).max(finest).min(coarsest) - finest) as usize
}

/// Concatenates the rows of all levels that any box needs; returns them with each level's first row.
fn joined_table(features: &[&Tensor], levels: &[Vec<usize>]) -> (Tensor, Vec<i64>) {
    let used = |k: usize| levels.iter().flatten().any(|&l| l == k);
    let mut tables = Vec::new();
    let mut first_rows = vec![0; features.len()];
    let mut rows = 0;
    for (k, feature) in features.iter().enumerate().filter(|&(k, _)| used(k)) {
        first_rows[k] = rows;
        tables.push(table(feature));
        rows += tables[tables.len() - 1].size()[0];
    }
    match tables.len() {
        0 => (table(features[0]), first_rows),
        1 => (tables.remove(0), first_rows),
        _ => (Tensor::cat(&tables, 0), first_rows),
    }
}

/// Views `feature` `[B, C, H, W]` as `[B * H * W, C]`, at least f32; no copy if the memory is channels-last.
fn table(feature: &Tensor) -> Tensor {
    let channels = feature.size()[1];
    let feature = match feature.kind() {
        Kind::Half | Kind::BFloat16 => feature.to_kind(Kind::Float),
        _ => feature.shallow_clone(),
    };
    feature.permute([0, 2, 3, 1]).reshape([-1, channels])
}

/// One image of one level in the table.
#[derive(Debug, Clone, Copy)]
struct Map {
    first_row: i64,
    height: i64,
    width: i64,
    scale: f32,
}

/// The weighted rows of every bin so far: a bin's rows are `rows[starts[bin]..starts[bin + 1]]`.
struct Lookup {
    grid: Grid,
    rows: Vec<i32>,
    weights: Vec<f32>,
    starts: Vec<i32>,
    /// Scratch space for one box: cells and weights of each bin along y and along x.
    vertical: Axis,
    horizontal: Axis,
}

impl Lookup {
    fn new(grid: Grid) -> Self {
        let (vertical, horizontal) = (Axis::default(), Axis::default());
        Self { grid, rows: Vec::new(), weights: Vec::new(), starts: vec![0], vertical, horizontal }
    }

    fn push_box(&mut self, map: &Map, [x1, y1, x2, y2]: [f32; 4]) {
        let Grid { out: (oh, ow), sampling_ratio, aligned } = self.grid;
        self.vertical.lay(y1 * map.scale, y2 * map.scale, map.height, oh, sampling_ratio, aligned);
        self.horizontal.lay(x1 * map.scale, x2 * map.scale, map.width, ow, sampling_ratio, aligned);
        for row in 0..oh as usize {
            for column in 0..ow as usize {
                for &(y, wy) in self.vertical.bin(row) {
                    let start = map.first_row + y * map.width;
                    for &(x, wx) in self.horizontal.bin(column) {
                        self.rows.push((start + x) as i32);
                        self.weights.push(wy * wx);
                    }
                }
                self.starts.push(self.rows.len() as i32);
            }
        }
    }

    /// Computes `[N, C, oh, ow]` (channels-last memory) from the table `[rows, C]`.
    fn gather(&self, table: &Tensor) -> Tensor {
        let (oh, ow) = self.grid.out;
        let channels = table.size()[1];
        let boxes = (self.starts.len() as i64 - 1) / (oh * ow).max(1);
        if self.rows.is_empty() {
            // No box, or none that touches its map. The empty sum keeps the autograd graph connected.
            return table.narrow(0, 0, 0).sum(table.kind())
                + Tensor::zeros([boxes, channels, oh, ow], (table.kind(), table.device()));
        }
        let device = table.device();
        let rows = upload(&Tensor::from_slice(&self.rows), device);
        let starts = upload(&Tensor::from_slice(&self.starts), device);
        let weights = upload(&Tensor::from_slice(&self.weights).to_kind(table.kind()), device);
        let (bins, ..) = Tensor::embedding_bag(table, &rows, &starts, false, SUM, false, Some(&weights), true);
        bins.reshape([boxes, oh, ow, channels]).permute([0, 3, 1, 2])
    }
}

/// Like [`Lookup::gather`], with the weighted rows of every bin computed on the table's device. Samples in one cell are not merged.
/// `grid.sampling_ratio` is positive.
fn gather_on_device(table: &Tensor, placed: &[(Map, Corners)], grid: Grid) -> Tensor {
    let (device, channels) = (table.device(), table.size()[1]);
    let (oh, ow) = grid.out;
    let boxes = placed.len() as i64;
    if placed.is_empty() {
        return Lookup::new(grid).gather(table);
    }
    // One upload: corners and sizes, and each box's first row as two numbers, since a float is only exact up to 2^24.
    let row = |(map, [x1, y1, x2, y2]): &(Map, Corners)| {
        let (high, low) = (map.first_row / ROW_BASE, map.first_row % ROW_BASE);
        let scaled = [x1, y1, x2, y2].map(|v| v * map.scale);
        [scaled[0], scaled[1], scaled[2], scaled[3], map.width as f32, map.height as f32, high as f32, low as f32]
    };
    let values: Vec<f32> = placed.iter().flat_map(row).collect();
    let values = upload(&Tensor::from_slice(&values).reshape([boxes, 8]), device);
    let column = |k: i64| values.select(1, k);
    let (width, height) = (column(4), column(5));
    let first_row = column(6).to_kind(Kind::Int64) * ROW_BASE + column(7).to_kind(Kind::Int64);
    let (x, x_weights) = lay_on_device(&column(0), &column(2), &width, ow, grid);
    let (y, y_weights) = lay_on_device(&column(1), &column(3), &height, oh, grid);
    // `[N, oh, ow, cells along y, cells along x]`
    let (along_y, along_x) = ([boxes, oh, 1, -1, 1], [boxes, 1, ow, 1, -1]);
    let rows = first_row.reshape([boxes, 1, 1, 1, 1])
        + y.reshape(along_y) * width.to_kind(Kind::Int64).reshape([boxes, 1, 1, 1, 1])
        + x.reshape(along_x);
    let weights = y_weights.reshape(along_y) * x_weights.reshape(along_x);
    let cells = (2 * grid.sampling_ratio) * (2 * grid.sampling_ratio);
    let starts = Tensor::arange(boxes * oh * ow, (Kind::Int64, device)) * cells;
    let (rows, weights) = (rows.reshape([-1]), weights.reshape([-1]).to_kind(table.kind()));
    let (bins, ..) = Tensor::embedding_bag(table, &rows, &starts, false, SUM, false, Some(&weights), false);
    bins.reshape([boxes, oh, ow, channels]).permute([0, 3, 1, 2])
}

/// [`Axis::lay`] for all boxes at once: cells and weights `[N, bins, 2 * samples]`. A sample outside has weight 0.
fn lay_on_device(start: &Tensor, end: &Tensor, size: &Tensor, bins: i64, grid: Grid) -> (Tensor, Tensor) {
    let samples = grid.sampling_ratio;
    let offset = if grid.aligned { 0.5 } else { 0.0 };
    let start = start - offset;
    let length = end - offset - &start;
    let length = if grid.aligned { length } else { length.clamp_min(1.0) };
    let bin_size = (length / bins as f64).reshape([-1, 1, 1]);
    let count = |count: i64| Tensor::arange(count, (Kind::Float, start.device()));
    let along = (count(samples) + 0.5).reshape([1, 1, -1]) * &bin_size / samples as f64;
    let position = start.reshape([-1, 1, 1]) + count(bins).reshape([1, -1, 1]) * &bin_size + along;
    let size = size.reshape([-1, 1, 1]);
    let is_inside = position.ge(-1.0).logical_and(&position.le_tensor(&size));
    let last = &size - 1.0;
    // A NaN counts as outside; as an index it would be arbitrary.
    let position = position.nan_to_num(0.0, 0.0, 0.0).clamp_min(0.0).minimum(&last);
    let low = position.floor();
    let share = position - &low;
    let high = (&low + 1.0).minimum(&last);
    let weight = is_inside.to_kind(Kind::Float) / samples as f64;
    let cells = Tensor::stack(&[low, high], 3).to_kind(Kind::Int64);
    let weights = Tensor::stack(&[(share.ones_like() - &share) * &weight, share * &weight], 3);
    let shape = [-1, bins, 2 * samples];
    (cells.reshape(shape), weights.reshape(shape))
}

/// The cells and weights of each bin along one axis.
#[derive(Default)]
struct Axis {
    cells: Vec<(i64, f32)>,
    starts: Vec<usize>,
}

impl Axis {
    /// Places `bins` bins over `start..end` (in cells) of an axis of `size` cells.
    fn lay(&mut self, start: f32, end: f32, size: i64, bins: i64, sampling_ratio: i64, aligned: bool) {
        self.cells.clear();
        self.starts.clear();
        self.starts.push(0);
        let offset = if aligned { 0.5 } else { 0.0 };
        let start = start - offset;
        let length = end - offset - start;
        let length = if aligned { length } else { length.max(1.0) };
        let bin_size = length / bins as f32;
        let samples = if sampling_ratio > 0 { sampling_ratio } else { bin_size.ceil() as i64 };
        for bin in 0..bins {
            for sample in 0..samples {
                let along = (sample as f32 + 0.5) * bin_size / samples as f32;
                self.sample(start + bin as f32 * bin_size + along, size, 1.0 / samples as f32);
            }
            self.starts.push(self.cells.len());
        }
    }

    /// Adds one sample: the two cells around `position`. If it is outside by more than a cell (or NaN) it counts as 0.
    fn sample(&mut self, position: f32, size: i64, weight: f32) {
        if !(-1.0..=size as f32).contains(&position) {
            return;
        }
        let position = position.max(0.0);
        let low = position as i64;
        if size - 1 <= low {
            return self.add(size - 1, weight);
        }
        let share = position - low as f32;
        self.add(low, (1.0 - share) * weight);
        self.add(low + 1, share * weight);
    }

    /// Samples are ascending, so an equal cell of the same bin is one of the last two.
    fn add(&mut self, cell: i64, weight: f32) {
        let from = self.starts[self.starts.len() - 1];
        match self.cells[from..].iter_mut().rev().take(2).find(|c| c.0 == cell) {
            Some(known) => known.1 += weight,
            None => self.cells.push((cell, weight)),
        }
    }

    fn bin(&self, index: usize) -> &[(i64, f32)] {
        &self.cells[self.starts[index]..self.starts[index + 1]]
    }
}

/// Invariant: the buffer has the tensor's length, so the copy cannot fail.
fn floats(values: &Tensor) -> Vec<f32> {
    let values = values.detach().to_kind(Kind::Float).contiguous();
    let mut out = vec![0.0; values.numel()];
    values.copy_data(&mut out, values.numel());
    out
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn tables_made_by_the_device_give_what_the_plain_loops_give() {
        let maps = [
            Map { first_row: 0, height: 24, width: 32, scale: 0.25 },
            Map { first_row: 24 * 32, height: 12, width: 16, scale: 0.125 },
        ];
        // Inside, across the borders, outside, tiny, empty, inverted, not finite.
        let corners: [Corners; 9] = [
            [10.0, 12.0, 60.5, 50.25],
            [-30.0, -9.0, 40.0, 130.0],
            [100.0, 70.0, 131.0, 99.0],
            [500.0, 500.0, 600.0, 600.0],
            [20.0, 20.0, 20.5, 20.5],
            [33.0, 44.0, 33.0, 44.0],
            [50.0, 50.0, 20.0, 10.0],
            [f32::NAN, 0.0, 10.0, 10.0],
            [-4.0, -4.0, 0.0, 0.0],
        ];
        let placed: Vec<(Map, Corners)> =
            maps.iter().flat_map(|map| corners.iter().map(move |corners| (*map, *corners))).collect();
        let values =
            || Tensor::arange(960 * 5, (Kind::Float, Device::Cpu)).sin().reshape([960, 5]).set_requires_grad(true);
        for (out, sampling_ratio, aligned) in [((7, 7), 2, false), ((3, 5), 1, true), ((2, 2), 4, false)] {
            let grid = Grid { out, sampling_ratio, aligned };
            let (plain_table, other_table) = (values(), values());
            let mut lookup = Lookup::new(grid);
            for (map, corners) in &placed {
                lookup.push_box(map, *corners);
            }
            let (plain, other) = (lookup.gather(&plain_table), gather_on_device(&other_table, &placed, grid));
            assert_eq!(plain.size(), other.size());
            let largest = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            assert!(largest(&plain, &other) < 1e-5, "{grid:?}: {}", largest(&plain, &other));
            let seed = plain.detach().cos();
            (&plain * &seed).sum(Kind::Float).backward();
            (&other * &seed).sum(Kind::Float).backward();
            // Many samples fall into one cell and are summed in another order.
            let apart = largest(&plain_table.grad(), &other_table.grad());
            let scale = plain_table.grad().abs().max().double_value(&[]);
            assert!(apart < 1e-5 * scale, "{grid:?}: gradients {apart} of {scale} apart");
        }
        assert_eq!(
            gather_on_device(&values(), &[], Grid { out: (2, 2), sampling_ratio: 2, aligned: false }).size(),
            [0, 5, 2, 2]
        );
    }
}

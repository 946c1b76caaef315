//! The region proposal network: predicts a score and a box for each anchor, and returns the best as proposals. Only the few anchors that
//! the loss samples are computed with gradient.
//!
//! Shapes: B images, L levels, A anchors per cell, N anchors per image over all levels (level by level, row by row, cell by cell); logits
//! `[B, N]`, codes `[B, N, 4]`; proposals of an image `[P, 4]` on the CPU.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::config::{DetectorConfig, RpnConfig, RpnLimits};
use super::device::upload;
use super::layers::{Convolution, ConvolutionShape, in_kind_of};
use super::ops::anchors::AnchorGenerator;
use super::ops::box_coder::BoxCoder;
use super::ops::nms;
use super::ops::overlap::Corners;
use super::parameters::{Builder, Init};
use super::prepared::{Prepared, detecting};
use super::truth::{floats, plain};

const INIT: Init = Init::Normal(0.01);
/// Number of image sizes whose anchors are cached: at 600 x 1000 pixels they take 5 MB each.
const CACHED_SIZES: usize = 8;

#[derive(Debug)]
pub(super) struct Rpn {
    shared: Convolution,
    logits: Convolution,
    codes: Convolution,
    anchors: AnchorGenerator,
    config: RpnConfig,
    /// Both output layers as one convolution.
    prepared: Prepared,
    /// Anchors of the most recent sizes, oldest first.
    cache: RefCell<Vec<(MapSizes, Anchors)>>,
}

/// The grids (rows, columns) of the maps, and (height, width) of the padded image.
type MapSizes = (Vec<(i64, i64)>, (i64, i64));

/// The RPN's output for a batch.
#[derive(Debug)]
pub(super) struct RpnOutput {
    /// `[B, N]`, without gradient; always `f32`.
    pub logits: Tensor,
    /// `[B, N, 4]`, without gradient.
    pub codes: Tensor,
    /// The same for all images in the batch.
    pub anchors: Anchors,
    /// Number of anchors per level.
    pub level_sizes: Vec<i64>,
}

impl Rpn {
    /// Creates the parameters `rpn.head.*`.
    pub fn new(b: &mut Builder, config: &DetectorConfig, channels: i64) -> Self {
        let anchors = AnchorGenerator { sizes: config.anchors.sizes.clone(), ratios: config.anchors.ratios.clone() };
        let per_cell = anchors.per_cell(0) as i64;
        let mut layer = |name: &str, to: i64, kernel: i64| {
            let shape = ConvolutionShape { from: channels, to, kernel, stride: 1 };
            Convolution::with_bias(b, &format!("rpn.head.{name}"), shape, INIT, false)
        };
        Self {
            shared: layer("conv.0.0", channels, 3),
            logits: layer("cls_logits", per_cell, 1),
            codes: layer("bbox_pred", 4 * per_cell, 1),
            anchors,
            config: config.rpn,
            prepared: Prepared::default(),
            cache: RefCell::new(Vec::new()),
        }
    }

    /// Computes all anchors without gradient; `image` is the padded (height, width) of the batch.
    pub fn forward(&self, maps: &[Tensor], image: (i64, i64)) -> RpnOutput {
        let _guard = detecting();
        let per_cell = self.anchors.per_cell(0) as i64;
        let (weight, bias) = self.both();
        let (mut logits, mut codes) = (Vec::new(), Vec::new());
        for map in maps {
            // In bf16, rounding a code would move a box by up to half a percent of its size, so the outputs stay f32.
            let shared = self.shared.forward_relu(map).to_kind(Kind::Float);
            let both = shared.conv2d(&weight, Some(&bias), 1, 0, 1, 1).permute([0, 2, 3, 1]);
            let batch = both.size()[0];
            logits.push(both.narrow(3, 0, per_cell).reshape([batch, -1]));
            codes.push(both.narrow(3, per_cell, 4 * per_cell).reshape([batch, -1, 4]));
        }
        let grids: Vec<(i64, i64)> = maps.iter().map(|m| (m.size()[2], m.size()[3])).collect();
        RpnOutput {
            level_sizes: logits.iter().map(|l| l.size()[1]).collect(),
            logits: Tensor::cat(&logits, 1),
            codes: Tensor::cat(&codes, 1),
            anchors: self.anchors_of(grids, image, maps[0].device()),
        }
    }

    /// Returns weight and bias of both outputs as one convolution, which reads the shared map once.
    fn both(&self) -> (Tensor, Tensor) {
        let ((w1, b1), (w2, b2)) = (self.logits.tensors(), self.codes.tensors());
        let both = || (Tensor::cat(&[w1, w2], 0), Tensor::cat(&[b1, b2], 0));
        self.prepared.get(&[w1, b1, w2, b2], Kind::Float, both)
    }

    /// Returns the logits `[S]` and the codes `[S, 4]` of single anchors, with gradient; anchor k of image b is number b * N + k.
    ///
    /// They are computed again from the 3x3 cells around each: a backward pass through the convolution over whole maps, for gradients that
    /// are zero but at a few hundred of a hundred thousand anchors, would be a sixth of a step's multiplications.
    pub fn at(&self, maps: &[Tensor], anchors: &[usize]) -> (Tensor, Tensor) {
        let per_cell = self.anchors.per_cell(0);
        let grids: Vec<(usize, usize)> = maps.iter().map(grid).collect();
        let cells = Cells::of(anchors, &grids, per_cell);
        let (x, device) = (&maps[0], maps[0].device());
        let rows = upload(&Tensor::from_slice(&cells.rows), device);
        let is_inside = upload(&Tensor::from_slice(&cells.is_inside).unsqueeze(1), device).to_kind(x.kind());
        let mut start = 0;
        let mut of_level = |(map, count): (&Tensor, &usize)| {
            let own = rows.narrow(0, start, *count as i64);
            start += *count as i64;
            map.permute([0, 2, 3, 1]).reshape([-1, map.size()[1]]).index_select(0, &own)
        };
        let around: Vec<Tensor> = maps.iter().zip(&cells.of_level).map(&mut of_level).collect();
        let (weight, bias) = self.shared.tensors();
        let channels = weight.size()[0];
        let weight = in_kind_of(x, &weight.permute([0, 2, 3, 1]).reshape([channels, -1]));
        let around = (Tensor::cat(&around, 0) * is_inside).reshape([anchors.len() as i64, -1]);
        let shared = around.linear(&weight, Some(&in_kind_of(x, bias))).relu_().to_kind(Kind::Float);
        let (weight, bias) = self.both();
        let all = shared.linear(&weight.flatten(1, -1), Some(&bias));
        let own = upload(&Tensor::from_slice(&cells.own).unsqueeze(1), device);
        let order = upload(&Tensor::from_slice(&cells.order), device);
        let codes = &own * 4 + (per_cell as i64 + Tensor::arange(4, (Kind::Int64, device)));
        let in_order = |values: Tensor| values.index_select(0, &order);
        (in_order(all.gather(1, &own, false)).squeeze_dim(1), in_order(all.gather(1, &codes, false)))
    }

    /// Returns proposals `[P, 4]` of each image on the CPU, best first, clipped to its `size` (width, height), without gradient.
    pub fn proposals(&self, output: &RpnOutput, sizes: &[(u32, u32)], limits: RpnLimits) -> Vec<Tensor> {
        let _guard = tch::no_grad_guard();
        let best = Best::of(output, sizes, limits.pre_nms);
        // Tensors cannot be shared between threads; corners can.
        let (Best { images, levels }, config) = (best, self.config);
        let of_image = |found: &Decoded| found.proposals(&levels, config, limits.post_nms);
        let kept: Vec<Vec<Corners>> = images.par_iter().map(of_image).collect();
        kept.iter().map(|kept| Tensor::from_slice(kept.as_flattened()).reshape([-1, 4])).collect()
    }

    /// Returns the anchors of maps with these grids on a padded image of this (height, width), cached by size.
    fn anchors_of(&self, grids: Vec<(i64, i64)>, image: (i64, i64), device: Device) -> Anchors {
        let mut cache = self.cache.borrow_mut();
        let size = (grids, image);
        if let Some((_, anchors)) = cache.iter().find(|(known, _)| *known == size) {
            return anchors.shared();
        }
        let boxes = Tensor::cat(&self.anchors.levels(&size.0, image, Device::Cpu), 0);
        let anchors = Anchors { corners: plain(&boxes).into(), on_device: boxes.to_device(device), boxes };
        if cache.len() == CACHED_SIZES {
            drop(cache.remove(0));
        }
        cache.push((size, anchors.shared()));
        anchors
    }
}

/// Returns the rows and columns of a map's grid.
fn grid(map: &Tensor) -> (usize, usize) {
    let size = map.size();
    (size[2] as usize, size[3] as usize)
}

/// The 3x3 cells around S anchors, as rows of the levels' tables, level by level.
#[derive(Debug, PartialEq)]
struct Cells {
    /// `[9 * S]`: row by row around an anchor; 0 outside the map.
    rows: Vec<i64>,
    /// `[9 * S]`: 1, or 0 outside the map.
    is_inside: Vec<f32>,
    /// Number of `rows` of each level.
    of_level: Vec<usize>,
    /// `[S]`: number of the anchor in its cell.
    own: Vec<i64>,
    /// `[S]`: place of each of the given anchors among those above.
    order: Vec<i64>,
}

impl Cells {
    /// `grids` are the (rows, columns) of the levels.
    fn of(anchors: &[usize], grids: &[(usize, usize)], per_cell: usize) -> Self {
        let sizes: Vec<usize> = grids.iter().map(|(rows, columns)| rows * columns * per_cell).collect();
        let in_image: usize = sizes.iter().sum();
        let place = |&number: &usize| {
            let (image, mut at, mut level) = (number / in_image, number % in_image, 0);
            while at >= sizes[level] {
                at -= sizes[level];
                level += 1;
            }
            (level, image, at)
        };
        let places: Vec<(usize, usize, usize)> = anchors.iter().map(place).collect();
        let mut by_level: Vec<usize> = (0..places.len()).collect();
        by_level.sort_by_key(|&k| places[k].0);
        let mut cells = Self {
            rows: Vec::with_capacity(9 * anchors.len()),
            is_inside: Vec::with_capacity(9 * anchors.len()),
            of_level: vec![0; grids.len()],
            own: Vec::with_capacity(anchors.len()),
            order: vec![0; anchors.len()],
        };
        for (k, &given) in by_level.iter().enumerate() {
            let (level, image, at) = places[given];
            cells.order[given] = k as i64;
            cells.of_level[level] += 9;
            cells.own.push((at % per_cell) as i64);
            cells.push_around(image, at / per_cell, grids[level]);
        }
        cells
    }

    fn push_around(&mut self, image: usize, cell: usize, (rows, columns): (usize, usize)) {
        let (row, column) = (cell / columns, cell % columns);
        for y in row..row + 3 {
            for x in column..column + 3 {
                // Both are one too large.
                let is_inside = (1..=rows).contains(&y) && (1..=columns).contains(&x);
                let at = if is_inside { (image * rows + y - 1) * columns + x - 1 } else { 0 };
                self.rows.push(at as i64);
                self.is_inside.push(f32::from(u8::from(is_inside)));
            }
        }
    }
}

/// All anchors of an image, N over all levels.
#[derive(Debug)]
pub(super) struct Anchors {
    /// `[N, 4]` on the CPU.
    pub boxes: Tensor,
    pub corners: Arc<[Corners]>,
    /// `[N, 4]` on the network's device.
    on_device: Tensor,
}

impl Anchors {
    /// Returns the same anchors in the same memory.
    fn shared(&self) -> Self {
        let Self { boxes, corners, on_device } = self;
        Self { boxes: boxes.shallow_clone(), corners: Arc::clone(corners), on_device: on_device.shallow_clone() }
    }
}

/// The best-scored anchors of each level, K per image.
struct Best {
    images: Vec<Decoded>,
    /// The index ranges in K of each level.
    levels: Vec<Range<usize>>,
}

/// K boxes with their logits.
struct Decoded {
    boxes: Vec<Corners>,
    scores: Vec<f32>,
}

impl Decoded {
    /// `levels` are the index ranges of the boxes of each level.
    fn proposals(&self, levels: &[Range<usize>], config: RpnConfig, most: usize) -> Vec<Corners> {
        let least = config.min_size as f32;
        // A diverged network returns NaN: then there are no proposals, and the loss reports it.
        let is_usable = |b: &Corners| b.iter().all(|v| v.is_finite()) && b[2] - b[0] >= least && b[3] - b[1] >= least;
        let (mut boxes, mut scores, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for level in levels {
            let start = boxes.len();
            let own = self.boxes[level.clone()].iter().zip(&self.scores[level.clone()]);
            for (corners, score) in own.filter(|(corners, _)| is_usable(corners)) {
                boxes.push(*corners);
                scores.push(*score);
            }
            groups.push(start..boxes.len());
        }
        let kept = nms::grouped_nms(&boxes, &scores, &groups, config.nms_iou, most);
        kept.into_iter().map(|k| boxes[k]).collect()
    }
}

impl Best {
    /// Selects, decodes and clips on the device, and reads the result for all images at once.
    fn of(output: &RpnOutput, sizes: &[(u32, u32)], pre_nms: usize) -> Self {
        let mut chosen = Vec::with_capacity(output.level_sizes.len());
        let (mut levels, mut count) = (Vec::new(), 0);
        let mut start = 0;
        for &size in &output.level_sizes {
            let best = size.min(pre_nms as i64);
            let (_, top) = output.logits.narrow(1, start, size).topk(best, 1, true, true);
            chosen.push(top + start);
            levels.push(count..count + best as usize);
            count += best as usize;
            start += size;
        }
        let chosen = Tensor::cat(&chosen, 1);
        let images = chosen.size()[0];
        let scores = output.logits.gather(1, &chosen, false).unsqueeze(2);
        let codes = output.codes.gather(1, &chosen.unsqueeze(2).expand([-1, -1, 4], false), false);
        let anchors = output.anchors.on_device.index_select(0, &chosen.flatten(0, 1));
        let boxes = BoxCoder::RPN.decode(&codes.reshape([-1, 4]), &anchors).reshape([images, -1, 4]);
        let limits: Vec<f32> = sizes.iter().flat_map(|&(w, h)| [w, h, w, h].map(|side| side as f32)).collect();
        let limits = upload(&Tensor::from_slice(&limits).reshape([images, 1, 4]), boxes.device());
        let boxes = boxes.clamp_min(0.0).minimum(&limits);
        let read = floats(&Tensor::cat(&[boxes, scores], 2));
        let of_image = |values: &[f32]| {
            let rows = values.as_chunks::<5>().0.iter();
            let (boxes, scores) = rows.map(|&[x1, y1, x2, y2, score]| ([x1, y1, x2, y2], score)).unzip();
            Decoded { boxes, scores }
        };
        Self { images: read.chunks_exact((count * 5).max(1)).map(of_image).collect(), levels }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Source;
    use super::*;
    use crate::detector::Architecture;

    /// Two levels for two images, with random values; the first has a border on every side of some anchor.
    fn network(kind: Kind) -> (Rpn, Vec<Tensor>) {
        let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
        config.anchors.sizes.truncate(2);
        let mut builder = Builder::new(Source::Seed(3), Device::Cpu);
        let rpn = Rpn::new(&mut builder, &config, 8);
        tch::manual_seed(1);
        let map = |h, w| Tensor::randn([2, 8, h, w], (Kind::Float, Device::Cpu)).to_kind(kind).set_requires_grad(true);
        (rpn, vec![map(5, 7), map(3, 4)])
    }

    #[test]
    fn single_anchors_are_those_of_the_whole_maps_with_their_gradients() {
        let (rpn, maps) = network(Kind::Float);
        let output = rpn.forward(&maps, (80, 112));
        let count = output.logits.numel();
        // Every anchor, in an order that mixes levels and images, some twice.
        let anchors: Vec<usize> = (0..count + 9).map(|k| k * 37 % count).collect();
        let (logits, codes) = rpn.at(&maps, &anchors);
        let order = Tensor::from_slice(&anchors.iter().map(|&k| k as i64).collect::<Vec<_>>());
        let difference = |found: &Tensor, whole: &Tensor| (found - whole).abs().max().double_value(&[]);
        assert!(difference(&logits, &output.logits.flatten(0, 1).index_select(0, &order)) < 1e-5);
        assert!(difference(&codes, &output.codes.flatten(0, 1).index_select(0, &order)) < 1e-5);

        // The same through the convolution over whole maps.
        let factors = Tensor::randn([anchors.len() as i64, 4], (Kind::Float, Device::Cpu));
        let score = |logits: &Tensor, codes: &Tensor| {
            (logits.square() + (codes * &factors).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float))
                .sum(Kind::Float)
        };
        let parameters = [rpn.shared.tensors(), rpn.logits.tensors(), rpn.codes.tensors()];
        let leaves: Vec<&Tensor> = parameters.iter().flat_map(|(w, b)| [*w, *b]).chain(&maps).collect();
        let of_single = Tensor::run_backward(&[score(&logits, &codes)], &leaves, false, false);
        let (mut all_logits, mut all_codes) = (Vec::new(), Vec::new());
        for map in &maps {
            let shared = rpn.shared.forward_relu(map);
            let cells = |x: Tensor, values: i64| x.permute([0, 2, 3, 1]).reshape([2, -1, values]);
            all_logits.push(cells(rpn.logits.forward(&shared), 1).squeeze_dim(2));
            all_codes.push(cells(rpn.codes.forward(&shared), 4));
        }
        let logits = Tensor::cat(&all_logits, 1).flatten(0, 1).index_select(0, &order);
        let codes = Tensor::cat(&all_codes, 1).flatten(0, 1).index_select(0, &order);
        let of_whole = Tensor::run_backward(&[score(&logits, &codes)], &leaves, false, false);
        for (k, (single, whole)) in of_single.iter().zip(&of_whole).enumerate() {
            let scale = whole.abs().max().double_value(&[]);
            assert!(scale > 0.0 && difference(single, whole) < 1e-4 * scale, "gradient {k} of scale {scale}");
        }
    }

    #[test]
    fn in_bf16_single_anchors_are_nearly_those_of_the_whole_maps() {
        let (rpn, maps) = network(Kind::BFloat16);
        let output = rpn.forward(&maps, (80, 112));
        let anchors: Vec<usize> = (0..output.logits.numel()).collect();
        let (logits, codes) = rpn.at(&maps, &anchors);
        assert_eq!((logits.kind(), codes.kind()), (Kind::Float, Kind::Float));
        let off = (&logits - output.logits.flatten(0, 1)).abs().max().double_value(&[]);
        assert!(off < 1e-2 * output.logits.abs().max().double_value(&[]).max(0.01), "{off}");
    }

    #[test]
    fn cells_outside_a_map_are_marked() {
        // Anchor 1 of the first cell of the second level of the second image; the levels have 2 x 3 and 1 x 2 cells.
        let cells = Cells::of(&[16 + 12 + 1, 0], &[(2, 3), (1, 2)], 2);
        assert_eq!((&cells.of_level[..], &cells.own[..], &cells.order[..]), (&[9, 9][..], &[0, 1][..], &[1, 0][..]));
        assert_eq!(cells.rows, [0, 0, 0, 0, 0, 1, 0, 3, 4, 0, 0, 0, 0, 2, 3, 0, 0, 0]);
        let inside: Vec<f32> = [0, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0].map(|v| v as f32).into();
        assert_eq!(cells.is_inside, inside);
    }
}

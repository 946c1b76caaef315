//! The region proposal network: predicts a score and a box for each anchor, and returns the best as proposals.
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
use super::layers::{Convolution, ConvolutionShape};
use super::ops::anchors::AnchorGenerator;
use super::ops::box_coder::BoxCoder;
use super::ops::nms;
use super::ops::overlap::Corners;
use super::parameters::{Builder, Init};
use super::prepared::Prepared;
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
    /// `[B, N]`, with gradient; always `f32`.
    pub logits: Tensor,
    /// `[B, N, 4]`, with gradient.
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

    /// `image` is the padded (height, width) of the batch.
    pub fn forward(&self, maps: &[Tensor], image: (i64, i64)) -> RpnOutput {
        let per_cell = self.anchors.per_cell(0) as i64;
        // Both outputs in one convolution, which reads the shared map once.
        let ((w1, b1), (w2, b2)) = (self.logits.tensors(), self.codes.tensors());
        let (weight, bias) = self
            .prepared
            .get(&[w1, b1, w2, b2], Kind::Float, || (Tensor::cat(&[w1, w2], 0), Tensor::cat(&[b1, b2], 0)));
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

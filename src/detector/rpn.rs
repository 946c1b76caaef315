//! The region proposal network: a score and a box for each anchor, and the best of them as proposals. Must not know ground truth.
//!
//! Shapes: B images, L levels, A anchors a cell, N anchors of an image over all levels (level by level, row by row, cell by
//! cell); logits `[B, N]`, codes `[B, N, 4]`; proposals of an image `[P, 4]` on the CPU.

use std::cell::RefCell;

use tch::{Device, Kind, Tensor};

use super::config::{DetectorConfig, RpnConfig, RpnLimits};
use super::layers::{Convolution, ConvolutionShape, in_kind_of};
use super::ops::anchors::AnchorGenerator;
use super::ops::box_coder::BoxCoder;
use super::ops::{boxes, nms};
use super::parameters::{Builder, Init};
use super::truth::finite_rows;

const INIT: Init = Init::Normal(0.01);
/// Sizes whose anchors are kept: at 600 x 1000 pixels they take 2.5 MB.
const CACHED_SIZES: usize = 8;

#[derive(Debug)]
pub(super) struct Rpn {
    shared: Convolution,
    logits: Convolution,
    codes: Convolution,
    anchors: AnchorGenerator,
    config: RpnConfig,
    /// Anchors of the latest sizes, oldest first.
    cache: RefCell<Vec<(MapSizes, Tensor)>>,
}

/// The grids (rows, columns) of the maps, and (height, width) of the padded image.
type MapSizes = (Vec<(i64, i64)>, (i64, i64));

/// What the RPN says about a batch.
#[derive(Debug)]
pub(super) struct RpnOutput {
    /// `[B, N]`, with gradient; `f32` whatever the maps' kind.
    pub logits: Tensor,
    /// `[B, N, 4]`, with gradient.
    pub codes: Tensor,
    /// `[N, 4]` on the CPU, the same for all images of the batch.
    pub anchors: Tensor,
    /// Anchors of each level.
    pub level_sizes: Vec<i64>,
}

impl Rpn {
    /// Parameters `rpn.head.*`.
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
            cache: RefCell::new(Vec::new()),
        }
    }

    /// `image` is the padded (height, width) of the batch.
    pub fn forward(&self, maps: &[Tensor], image: (i64, i64)) -> RpnOutput {
        let per_cell = self.anchors.per_cell(0) as i64;
        // One convolution for both outputs reads the shared map once.
        let ((w1, b1), (w2, b2)) = (self.logits.tensors(), self.codes.tensors());
        let (weight, bias) = (Tensor::cat(&[w1, w2], 0), Tensor::cat(&[b1, b2], 0));
        let (mut logits, mut codes) = (Vec::new(), Vec::new());
        for map in maps {
            let (weight, bias) = (in_kind_of(map, &weight), in_kind_of(map, &bias));
            let both = self.shared.forward_relu(map).conv2d(&weight, Some(&bias), 1, 0, 1, 1);
            let both = both.permute([0, 2, 3, 1]).to_kind(Kind::Float);
            let batch = both.size()[0];
            logits.push(both.narrow(3, 0, per_cell).reshape([batch, -1]));
            codes.push(both.narrow(3, per_cell, 4 * per_cell).reshape([batch, -1, 4]));
        }
        let grids: Vec<(i64, i64)> = maps.iter().map(|m| (m.size()[2], m.size()[3])).collect();
        RpnOutput {
            level_sizes: logits.iter().map(|l| l.size()[1]).collect(),
            logits: Tensor::cat(&logits, 1),
            codes: Tensor::cat(&codes, 1),
            anchors: self.anchors_of(grids, image),
        }
    }

    /// Proposals `[P, 4]` of each image, best first, inside its `size` (width, height). No gradient flows through them.
    pub fn proposals(&self, output: &RpnOutput, sizes: &[(u32, u32)], limits: RpnLimits) -> Vec<Tensor> {
        let _guard = tch::no_grad_guard();
        let best = Best::of(output, limits.pre_nms);
        let of_image = |(image, &size)| self.proposals_of_image(output, &best, image as i64, size, limits);
        sizes.iter().enumerate().map(of_image).collect()
    }

    fn proposals_of_image(
        &self,
        output: &RpnOutput,
        best: &Best,
        image: i64,
        (width, height): (u32, u32),
        limits: RpnLimits,
    ) -> Tensor {
        let anchors = output.anchors.index_select(0, &best.anchors.select(0, image));
        let decoded = BoxCoder::RPN.decode(&best.codes.select(0, image), &anchors).squeeze_dim(1);
        let clipped = boxes::clip(&decoded, f64::from(width), f64::from(height));
        // A network that has run away gives NaN: no proposals then, and the loss says so.
        let usable = finite_rows(&clipped);
        let usable =
            usable.index_select(0, &boxes::keep_large(&clipped.index_select(0, &usable), self.config.min_size));
        let clipped = clipped.index_select(0, &usable);
        let kept = nms::batched_nms(
            &clipped,
            &best.scores.select(0, image).index_select(0, &usable),
            &best.levels.index_select(0, &usable),
            self.config.nms_iou,
            limits.post_nms,
        );
        clipped.index_select(0, &kept)
    }

    /// The anchors `[N, 4]` of maps with these grids on a padded image of this (height, width), computed once for each size.
    fn anchors_of(&self, grids: Vec<(i64, i64)>, image: (i64, i64)) -> Tensor {
        let mut cache = self.cache.borrow_mut();
        let size = (grids, image);
        if let Some((_, anchors)) = cache.iter().find(|(known, _)| *known == size) {
            return anchors.shallow_clone();
        }
        let anchors = Tensor::cat(&self.anchors.levels(&size.0, image, Device::Cpu), 0);
        if cache.len() == CACHED_SIZES {
            drop(cache.remove(0));
        }
        cache.push((size, anchors.shallow_clone()));
        anchors
    }
}

/// The best-scored anchors of each level, K of each image, on the CPU.
struct Best {
    /// `[B, K]`, indices.
    anchors: Tensor,
    /// `[B, K]`.
    scores: Tensor,
    /// `[B, K, 4]`.
    codes: Tensor,
    /// `[K]`.
    levels: Tensor,
}

impl Best {
    /// Chooses on the device and reads the choice of all images at once.
    fn of(output: &RpnOutput, pre_nms: usize) -> Self {
        let mut anchors = Vec::with_capacity(output.level_sizes.len());
        let mut levels = Vec::new();
        let mut start = 0;
        for (level, &size) in output.level_sizes.iter().enumerate() {
            let count = size.min(pre_nms as i64);
            let (_, top) = output.logits.narrow(1, start, size).topk(count, 1, true, true);
            anchors.push(top + start);
            levels.extend(std::iter::repeat_n(level as i64, count as usize));
            start += size;
        }
        let anchors = Tensor::cat(&anchors, 1).unsqueeze(2);
        let scores = output.logits.unsqueeze(2).gather(1, &anchors, false);
        let codes = output.codes.gather(1, &anchors.expand([-1, -1, 4], false), false);
        // A double holds indices and floats exactly.
        let read =
            Tensor::cat(&[anchors, scores, codes].map(|part| part.to_kind(Kind::Double)), 2).to_device(Device::Cpu);
        Self {
            anchors: read.select(2, 0).to_kind(Kind::Int64),
            scores: read.select(2, 1).to_kind(Kind::Float),
            codes: read.narrow(2, 2, 4).to_kind(Kind::Float),
            levels: Tensor::from_slice(&levels),
        }
    }
}

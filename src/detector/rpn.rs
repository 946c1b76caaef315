//! The region proposal network: a score and a box for each anchor, and the best of them as proposals. Must not know ground truth.
//!
//! Shapes: B images, L levels, A anchors a cell, N anchors of an image over all levels (level by level, row by row, cell by
//! cell); logits `[B, N]`, codes `[B, N, 4]`; proposals of an image `[P, 4]` on the CPU.

use tch::{Device, Kind, Tensor};

use super::config::{DetectorConfig, RpnConfig, RpnLimits};
use super::layers::{Convolution, ConvolutionShape, in_kind_of};
use super::ops::anchors::AnchorGenerator;
use super::ops::box_coder::BoxCoder;
use super::ops::{boxes, nms};
use super::parameters::{Builder, Init};
use super::truth::finite_rows;

const INIT: Init = Init::Normal(0.01);

#[derive(Debug)]
pub(super) struct Rpn {
    shared: Convolution,
    logits: Convolution,
    codes: Convolution,
    anchors: AnchorGenerator,
    config: RpnConfig,
}

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
            anchors: Tensor::cat(&self.anchors.levels(&grids, image, Device::Cpu), 0),
        }
    }

    /// Proposals `[P, 4]` of each image, best first, inside its `size` (width, height). No gradient flows through them.
    pub fn proposals(&self, output: &RpnOutput, sizes: &[(u32, u32)], limits: RpnLimits) -> Vec<Tensor> {
        let _guard = tch::no_grad_guard();
        let of_image = |(k, &size): (usize, &(u32, u32))| {
            let logits = output.logits.select(0, k as i64);
            let codes = output.codes.select(0, k as i64);
            self.proposals_of_image(output, &logits, &codes, size, limits)
        };
        sizes.iter().enumerate().map(of_image).collect()
    }

    fn proposals_of_image(
        &self,
        output: &RpnOutput,
        logits: &Tensor,
        codes: &Tensor,
        (width, height): (u32, u32),
        limits: RpnLimits,
    ) -> Tensor {
        let best = best_of_levels(logits, &output.level_sizes, limits.pre_nms);
        let scores = logits.index_select(0, &best.anchors).to_device(Device::Cpu);
        let codes = codes.index_select(0, &best.anchors).to_device(Device::Cpu);
        let anchors = output.anchors.index_select(0, &best.anchors.to_device(Device::Cpu));
        let decoded = BoxCoder::RPN.decode(&codes, &anchors).squeeze_dim(1);
        let clipped = boxes::clip(&decoded, f64::from(width), f64::from(height));
        // A network that has run away gives NaN: no proposals then, and the loss says so.
        let usable = finite_rows(&clipped);
        let usable =
            usable.index_select(0, &boxes::keep_large(&clipped.index_select(0, &usable), self.config.min_size));
        let clipped = clipped.index_select(0, &usable);
        let kept = nms::batched_nms(
            &clipped,
            &scores.index_select(0, &usable),
            &best.levels.index_select(0, &usable),
            self.config.nms_iou,
            limits.post_nms,
        );
        clipped.index_select(0, &kept)
    }
}

/// The best-scored anchors of each level: `[K]` their indices on the logits' device, `[K]` their levels on the CPU.
struct Best {
    anchors: Tensor,
    levels: Tensor,
}

fn best_of_levels(logits: &Tensor, level_sizes: &[i64], pre_nms: usize) -> Best {
    let mut anchors = Vec::with_capacity(level_sizes.len());
    let mut levels = Vec::new();
    let mut start = 0;
    for (level, &size) in level_sizes.iter().enumerate() {
        let count = size.min(pre_nms as i64);
        let (_, top) = logits.narrow(0, start, size).topk(count, 0, true, true);
        anchors.push(top + start);
        levels.extend(std::iter::repeat_n(level as i64, count as usize));
        start += size;
    }
    Best { anchors: Tensor::cat(&anchors, 0), levels: Tensor::from_slice(&levels) }
}

//! The feature pyramid (Lin et al. 2017), as in torchvision.
//!
//! Shapes: stages conv2_x .. conv5_x `[B, C_k, H / 2^k, W / 2^k]` -> five maps `[B, P, ..]` with strides 4, 8, 16, 32, 64.

use tch::Tensor;

use super::layers::{Convolution, ConvolutionShape};
use super::parameters::{Builder, Init};

const INIT: Init = Init::FanIn { gain: 3.0 };

#[derive(Debug)]
pub(super) struct Pyramid {
    /// 1x1 convolutions to P channels, finest first.
    lateral: Vec<Convolution>,
    /// 3x3 convolutions that smooth the sums, finest first.
    output: Vec<Convolution>,
}

impl Pyramid {
    /// Creates the parameters `<prefix>.inner_blocks.*` and `<prefix>.layer_blocks.*`.
    pub fn new(b: &mut Builder, prefix: &str, stage_channels: &[i64], channels: i64) -> Self {
        let lateral = |(k, &from): (usize, &i64)| {
            let shape = ConvolutionShape { from, to: channels, kernel: 1, stride: 1 };
            Convolution::with_bias(b, &format!("{prefix}.inner_blocks.{k}.0"), shape, INIT, false)
        };
        let lateral = stage_channels.iter().enumerate().map(lateral).collect();
        let shape = ConvolutionShape { from: channels, to: channels, kernel: 3, stride: 1 };
        let output = (0..stage_channels.len())
            .map(|k| Convolution::with_bias(b, &format!("{prefix}.layer_blocks.{k}.0"), shape, INIT, false))
            .collect();
        Self { lateral, output }
    }

    /// Finest first; the last map takes every second cell of the previous one.
    pub fn forward(&self, stages: &[Tensor]) -> Vec<Tensor> {
        assert_eq!(stages.len(), self.lateral.len(), "one stage a level");
        let mut maps = Vec::with_capacity(stages.len() + 1);
        let mut coarser: Option<Tensor> = None;
        for ((stage, lateral), output) in stages.iter().zip(&self.lateral).zip(&self.output).rev() {
            let mut inner = lateral.forward(stage);
            if let Some(coarser) = coarser {
                let size = inner.size();
                inner += coarser.upsample_nearest2d([size[2], size[3]], None, None);
            }
            maps.push(output.forward(&inner));
            coarser = Some(inner);
        }
        maps.reverse();
        let last = maps[maps.len() - 1].max_pool2d(1, 2, 0, 1, false);
        maps.push(last);
        maps
    }
}

//! ResNets with frozen batch norm (He et al. 2016), in torchvision's and Caffe's flavours.
//!
//! Shapes: images `[B, 3, H, W]`; stage k = 2..=5 returns `[B, C_k, H / 2^k, W / 2^k]`.

use tch::Tensor;

use super::config::{Architecture, BackboneFlavour, DetectorConfig};
use super::layers::{Convolution, ConvolutionShape, NormStart};
use super::parameters::Builder;

/// Channels of conv1; the half-width ResNet-50 keeps all 64.
const STEM_CHANNELS: i64 = 64;
/// Typical magnitude of pixels 0..=255 minus their mean; a new Caffe stem divides by it.
const CAFFE_PIXEL_SCALE: f64 = 64.0;

/// A ResNet's dimensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResNetShape {
    /// Residual blocks of conv2_x to conv5_x.
    blocks: [usize; 4],
    /// Width of conv2_x's inner convolutions; doubles with each stage.
    width: i64,
    /// Blocks are 1x1, 3x3, 1x1 with four times the channels at the end, instead of two 3x3.
    bottleneck: bool,
}

impl ResNetShape {
    /// `None` for VGG.
    pub fn of(architecture: Architecture) -> Option<Self> {
        let resnet50 = |width| Some(Self { blocks: [3, 4, 6, 3], width, bottleneck: true });
        match architecture {
            Architecture::ResNet50C4 | Architecture::ResNet50Fpn => resnet50(64),
            Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => resnet50(32),
            Architecture::ResNet18Fpn => Some(Self { blocks: [2, 2, 2, 2], width: 64, bottleneck: false }),
            Architecture::Vgg16 => None,
        }
    }

    /// Returns the output channels of stage 2..=5.
    pub fn channels(&self, stage: usize) -> i64 {
        (self.width << (stage - 2)) * if self.bottleneck { 4 } else { 1 }
    }
}

/// conv1 with its pooling, and the following stages.
#[derive(Debug)]
pub(super) struct ResNet {
    stem: Convolution,
    stages: Vec<Stage>,
    flavour: BackboneFlavour,
    stem_frozen: bool,
}

impl ResNet {
    /// Builds conv1 up to `last_stage` under `prefix` (`backbone.body`).
    pub fn new(b: &mut Builder, prefix: &str, config: &DetectorConfig, shape: ResNetShape, last_stage: usize) -> Self {
        let stem_frozen = config.frozen_stages >= 1;
        let gain = match config.flavour {
            BackboneFlavour::Torchvision => 1.0,
            BackboneFlavour::Caffe => 1.0 / CAFFE_PIXEL_SCALE,
        };
        let stem = Convolution::with_norm(
            b,
            (&format!("{prefix}.conv1"), &format!("{prefix}.bn1")),
            ConvolutionShape { from: 3, to: STEM_CHANNELS, kernel: 7, stride: 2 },
            NormStart { gain, eps: config.batch_norm_eps },
            stem_frozen,
        );
        let stages = (2..=last_stage).map(|stage| Stage::new(b, prefix, config, shape, stage)).collect();
        Self { stem, stages, flavour: config.flavour, stem_frozen }
    }

    /// Returns the outputs of all stages, conv2_x first. Frozen stages record no gradients.
    pub fn forward(&self, images: &Tensor) -> Vec<Tensor> {
        let mut x = without_gradient_if(self.stem_frozen, || self.pool(&self.stem.forward_relu(images)));
        let mut outputs = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = stage.forward(&x);
            outputs.push(x.shallow_clone());
        }
        outputs
    }

    fn pool(&self, x: &Tensor) -> Tensor {
        match self.flavour {
            BackboneFlavour::Torchvision => x.max_pool2d(3, 2, 1, 1, false),
            // Caffe rounds sizes up: a window may extend beyond the end, which is only padded there.
            BackboneFlavour::Caffe => x.max_pool2d(3, 2, 0, 1, true),
        }
    }
}

/// One of conv2_x .. conv5_x (`layer1` .. `layer4`).
#[derive(Debug)]
pub(super) struct Stage {
    blocks: Vec<Block>,
    channels: i64,
    frozen: bool,
}

impl Stage {
    /// Builds stage 2..=5 as `<prefix>.layer<stage - 1>`.
    pub fn new(b: &mut Builder, prefix: &str, config: &DetectorConfig, shape: ResNetShape, stage: usize) -> Self {
        let frozen = usize::from(config.frozen_stages) >= stage;
        let input = if stage == 2 { STEM_CHANNELS } else { shape.channels(stage - 1) };
        let block = |index: usize| BlockPlan {
            name: format!("{prefix}.layer{}.{index}", stage - 1),
            from: if index == 0 { input } else { shape.channels(stage) },
            width: shape.width << (stage - 2),
            to: shape.channels(stage),
            stride: if index == 0 && stage > 2 { 2 } else { 1 },
            frozen,
        };
        let blocks = (0..shape.blocks[stage - 2]).map(|index| Block::new(b, config, shape, &block(index))).collect();
        Self { blocks, channels: shape.channels(stage), frozen }
    }

    /// Returns the mean features `[0, C]` for empty input.
    pub fn empty(&self, x: &Tensor) -> Tensor {
        Tensor::zeros([0, self.channels], (x.kind(), x.device()))
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        without_gradient_if(self.frozen, || self.blocks.iter().fold(x.shallow_clone(), |x, block| block.forward(&x)))
    }
}

struct BlockPlan {
    name: String,
    from: i64,
    width: i64,
    to: i64,
    stride: i64,
    frozen: bool,
}

/// A residual block: relu(x + convolutions of x).
#[derive(Debug)]
struct Block {
    /// All convolutions but the last, each followed by an activation.
    first: Vec<Convolution>,
    last: Convolution,
    shortcut: Option<Convolution>,
}

impl Block {
    fn new(b: &mut Builder, config: &DetectorConfig, shape: ResNetShape, plan: &BlockPlan) -> Self {
        let eps = config.batch_norm_eps;
        // Without statistics for normalisation, a new branch starts with small values, so that the sum over all blocks stays bounded.
        let last_gain = 1.0 / (shape.blocks.iter().sum::<usize>() as f64).sqrt();
        let (first, last) = plan.convolutions(shape.bottleneck, config.flavour);
        let mut norm = |name: &str, norm_name: &str, shape, gain| {
            let names = (format!("{}.{name}", plan.name), format!("{}.{norm_name}", plan.name));
            Convolution::with_norm(b, (&names.0, &names.1), shape, NormStart { gain, eps }, plan.frozen)
        };
        let mut numbered = |k: usize, shape, gain| norm(&format!("conv{k}"), &format!("bn{k}"), shape, gain);
        let first: Vec<Convolution> =
            first.into_iter().enumerate().map(|(k, shape)| numbered(k + 1, shape, 1.0)).collect();
        let last = numbered(first.len() + 1, last, last_gain);
        let shortcut = (plan.stride != 1 || plan.from != plan.to).then(|| {
            let shape = ConvolutionShape { from: plan.from, to: plan.to, kernel: 1, stride: plan.stride };
            norm("downsample.0", "downsample.1", shape, 1.0)
        });
        Self { first, last, shortcut }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let inner = self.first.iter().fold(x.shallow_clone(), |x, convolution| convolution.forward_relu(&x));
        let mut sum = self.last.forward(&inner);
        sum += self.shortcut.as_ref().map_or_else(|| x.shallow_clone(), |s| s.forward(x));
        sum.relu_()
    }
}

impl BlockPlan {
    /// Returns all convolutions but the last, and the last.
    fn convolutions(&self, bottleneck: bool, flavour: BackboneFlavour) -> (Vec<ConvolutionShape>, ConvolutionShape) {
        let shape = |from, to, kernel, stride| ConvolutionShape { from, to, kernel, stride };
        let &Self { from, width, to, stride, .. } = self;
        if !bottleneck {
            return (vec![shape(from, width, 3, stride)], shape(width, to, 3, 1));
        }
        let (first, second) = match flavour {
            BackboneFlavour::Torchvision => (1, stride),
            BackboneFlavour::Caffe => (stride, 1),
        };
        (vec![shape(from, width, 1, first), shape(width, width, 3, second)], shape(width, to, 1, 1))
    }
}

/// Runs `f` without recording gradients if `frozen`. The previous mode is restored, also if `f` panics.
pub(super) fn without_gradient_if<T>(frozen: bool, f: impl FnOnce() -> T) -> T {
    let _guard = frozen.then(tch::no_grad_guard);
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_recorded_again_after_a_panic() {
        let weight = Tensor::from_slice(&[1.0_f32]).set_requires_grad(true);
        let records = || (&weight * 2.0).requires_grad();
        assert!(!without_gradient_if(true, records) && without_gradient_if(false, records) && records());
        let panicked = std::panic::catch_unwind(|| without_gradient_if(true, || panic!("CUDA out of memory")));
        assert!(panicked.is_err() && records());
    }
}

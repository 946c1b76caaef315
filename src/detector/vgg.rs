//! VGG16's convolutions (Simonyan and Zisserman 2015) up to conv5_3.
//!
//! Shapes: images `[B, 3, H, W]` -> `[B, 512, H / 16, W / 16]`.

use tch::Tensor;

use super::config::DetectorConfig;
use super::layers::{Convolution, ConvolutionShape};
use super::parameters::{Builder, Init};
use super::resnet::without_gradient_if;

/// Channels of the features.
pub(super) const CHANNELS: i64 = 512;

/// Channels of each convolution, stage by stage.
const STAGES: [&[i64]; 5] = [&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]];

#[derive(Debug)]
pub(super) struct Vgg {
    stages: Vec<Vec<Convolution>>,
    frozen_stages: usize,
}

impl Vgg {
    /// Creates the parameters `<prefix>.<index>.*` with torchvision's indices, which count activations and poolings too.
    pub fn new(b: &mut Builder, prefix: &str, config: &DetectorConfig) -> Self {
        let frozen_stages = usize::from(config.frozen_stages);
        let (mut index, mut from) = (0, 3);
        let mut stages = Vec::with_capacity(STAGES.len());
        for (stage, channels) in STAGES.iter().enumerate() {
            let mut convolutions = Vec::with_capacity(channels.len());
            for &to in *channels {
                let shape = ConvolutionShape { from, to, kernel: 3, stride: 1 };
                let name = format!("{prefix}.{index}");
                convolutions.push(Convolution::with_bias(b, &name, shape, Init::FanOut, stage < frozen_stages));
                (index, from) = (index + 2, to);
            }
            index += 1;
            stages.push(convolutions);
        }
        Self { stages, frozen_stages }
    }

    pub fn forward(&self, images: &Tensor) -> Tensor {
        let mut x = images.shallow_clone();
        for (stage, convolutions) in self.stages.iter().enumerate() {
            x = without_gradient_if(stage < self.frozen_stages, || {
                let x = if stage == 0 { x.shallow_clone() } else { x.max_pool2d(2, 2, 0, 1, false) };
                convolutions.iter().fold(x, |x, convolution| convolution.forward_relu(&x))
            });
        }
        x
    }
}

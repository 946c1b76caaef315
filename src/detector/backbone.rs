//! Computes the feature maps that carry anchors from pixels.
//!
//! Shapes: images `[B, 3, H, W]` with H, W multiples of 32 -> one map `[B, C, H / 16, W / 16]`, or five of a pyramid.

use tch::Tensor;

use super::config::DetectorConfig;
use super::parameters::Builder;
use super::pyramid::Pyramid;
use super::resnet::{ResNet, ResNetShape};
use super::vgg::{self, Vgg};

#[derive(Debug)]
pub(super) enum Backbone {
    Pyramid {
        body: ResNet,
        pyramid: Pyramid,
        channels: i64,
    },
    /// conv1 to conv4_x; conv5_x belongs to the box head.
    Shared {
        body: ResNet,
        channels: i64,
    },
    Vgg(Vgg),
}

impl Backbone {
    pub fn new(b: &mut Builder, config: &DetectorConfig) -> Self {
        let Some(shape) = ResNetShape::of(config.architecture) else {
            return Self::Vgg(Vgg::new(b, "backbone.features", config));
        };
        if !config.architecture.has_pyramid() {
            let body = ResNet::new(b, "backbone.body", config, shape, 4);
            return Self::Shared { body, channels: shape.channels(4) };
        }
        let body = ResNet::new(b, "backbone.body", config, shape, 5);
        let stage_channels: Vec<i64> = (2..=5).map(|stage| shape.channels(stage)).collect();
        let channels = config.pyramid_channels;
        Self::Pyramid { body, pyramid: Pyramid::new(b, "backbone.fpn", &stage_channels, channels), channels }
    }

    /// Returns the channels of every feature map.
    pub fn channels(&self) -> i64 {
        match self {
            Self::Pyramid { channels, .. } | Self::Shared { channels, .. } => *channels,
            Self::Vgg(_) => vgg::CHANNELS,
        }
    }

    /// Returns the outputs of the network's stages before any pyramid: conv2_x onwards, or VGG16's last.
    pub fn stages(&self, images: &Tensor) -> Vec<Tensor> {
        match self {
            Self::Pyramid { body, .. } | Self::Shared { body, .. } => body.forward(images),
            Self::Vgg(vgg) => vec![vgg.forward(images)],
        }
    }

    pub fn forward(&self, images: &Tensor) -> Vec<Tensor> {
        match self {
            Self::Pyramid { body, pyramid, .. } => pyramid.forward(&body.forward(images)),
            Self::Shared { body, .. } => body.forward(images).split_off(2),
            Self::Vgg(vgg) => vec![vgg.forward(images)],
        }
    }
}

//! Faster R-CNN on libtorch: backbones, RPN, RoI heads, losses, detection, checkpoints. Everything runs on a `Device` that is
//! handed in. Must not know datasets, the database, optimisers or the window.

mod config;
mod error;
mod network_image;
#[cfg(feature = "torch")]
pub mod ops;
mod sampler_config;
mod training_sample;

pub use config::{
    Anchors, Architecture, BackboneFlavour, DetectionConfig, DetectorConfig, RoiHeadConfig, RpnConfig, RpnLimits,
};
pub use error::DetectorError;
pub use network_image::NetworkImage;
pub use sampler_config::{SamplerConfig, SamplerCounts, SamplerKind};
pub use training_sample::TrainingSample;

//! Faster R-CNN on libtorch: backbones, RPN, RoI heads, losses, detection, checkpoints. Everything runs on the `Device` passed in.
//!
//! Pipeline: [`Detector`] runs transform -> backbone (ResNet or VGG, pyramid) -> RPN -> RoI heads -> postprocessing.

mod checksums;
mod config;
mod error;
#[cfg(feature = "torch")]
mod from_arrays;
mod gpu_state;
mod network_image;
mod sampler_config;
mod training_sample;
pub mod weights;

#[cfg(feature = "torch")]
mod backbone;
#[cfg(feature = "torch")]
mod checkpoint;
#[cfg(feature = "torch")]
mod device;
#[cfg(feature = "torch")]
mod ellipse_coder;
#[cfg(feature = "torch")]
mod layers;
#[cfg(feature = "torch")]
mod model;
#[cfg(feature = "torch")]
pub mod ops;
#[cfg(feature = "torch")]
mod parameters;
#[cfg(feature = "torch")]
mod postprocess;
#[cfg(feature = "torch")]
mod prepared;
#[cfg(feature = "torch")]
mod pyramid;
#[cfg(feature = "torch")]
mod resnet;
#[cfg(feature = "torch")]
mod roi_features;
#[cfg(feature = "torch")]
mod roi_head;
#[cfg(feature = "torch")]
mod roi_loss;
#[cfg(feature = "torch")]
mod rpn;
#[cfg(feature = "torch")]
mod rpn_loss;
#[cfg(feature = "torch")]
mod sampling;
#[cfg(feature = "torch")]
mod transform;
#[cfg(feature = "torch")]
mod truth;
#[cfg(feature = "torch")]
mod vgg;

pub use checksums::{CHECKSUMS_FILE, checksums_of, verify_bytes, verify_file};
pub use config::{
    Anchors, Architecture, BackboneFlavour, CONFIG_KEY, DetectionConfig, DetectorConfig, Precision, RoiHeadConfig,
    RpnConfig, RpnLimits,
};
pub use error::DetectorError;
#[cfg(feature = "torch")]
pub(crate) use error::{libtorch_message, panic_text};
pub use gpu_state::{CudaLibrary, Driver, Gpu, GpuState, Libtorch, OLDEST_DRIVER, Unused, diagnose};
pub use network_image::NetworkImage;
pub(crate) use sampler_config::add_each;
#[cfg(feature = "torch")]
pub(crate) use sampler_config::count_labels;
pub use sampler_config::{BoxLoss, ForcedOrder, SMOOTH_L1_BETA, SamplerConfig, SamplerCounts, SamplerKind};
pub use training_sample::TrainingSample;

#[cfg(feature = "torch")]
pub use {
    device::{choose_device, cuda_index, libtorch, load_cuda, use_threads},
    model::{Detector, FoundObject, LossReport, Preparer},
    postprocess::LabelledDetection,
};

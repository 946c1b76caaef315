//! The complete detector: transform, backbone, RPN, RoI heads, postprocessing.
//!
//! Shapes: B images `[B, 3, H, W]`; all others are documented in the file of their stage.

use std::collections::HashMap;

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::backbone::Backbone;
use super::config::{DetectionConfig, Precision};
use super::error::panic_text;
use super::parameters::{Builder, Parameter, Source};
use super::postprocess::{self, LabelledDetection};
use super::prepared::detecting;
use super::roi_features;
use super::roi_head::RoiHead;
use super::roi_loss::{Candidates, RoiBatch};
use super::rpn::Rpn;
use super::rpn_loss::rpn_loss;
use super::sampler_config::{ForcedOrder, SamplerKind};
use super::sampling::Draw;
use super::transform;
use super::truth::Truth;
use super::{DetectorConfig, DetectorError, NetworkImage, SamplerConfig, SamplerCounts, TrainingSample};
use crate::domain::{Detection, RoiFeature, caught};

/// A Faster R-CNN with its weights on a device.
///
/// Trainable weights are changed in place through [`Detector::trainable`]; all others never change.
#[derive(Debug)]
pub struct Detector {
    config: DetectorConfig,
    device: Device,
    parameters: Vec<Parameter>,
    backbone: Backbone,
    rpn: Rpn,
    roi: RoiHead,
}

/// The losses of a step under torchvision's names (scalars with gradient), their sum, and what the samplers drew.
#[derive(Debug)]
pub struct LossReport {
    pub loss_classifier: Tensor,
    pub loss_box_reg: Tensor,
    pub loss_objectness: Tensor,
    pub loss_rpn_box_reg: Tensor,
    /// 0 without an ellipse head or an ellipse in the batch.
    pub loss_ellipse: Tensor,
    pub total: Tensor,
    pub counts: SamplerCounts,
}

/// An object detected in an image, with its second-stage features if requested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundObject {
    pub object: LabelledDetection,
    pub feature: Option<RoiFeature>,
}

/// Prepares images for a detector; does not hold its weights, so that it can be used on any thread.
#[derive(Debug, Clone)]
pub struct Preparer {
    /// Scaled to the detection size.
    config: DetectorConfig,
    for_gpu: bool,
}

impl Preparer {
    pub fn prepare(&self, image: &RgbImage) -> Result<NetworkImage, DetectorError> {
        if self.for_gpu {
            NetworkImage::prepare_for_gpu(image, &self.config)
        } else {
            NetworkImage::prepare(image, &self.config)
        }
    }
}
/// Number of crops per forward pass of the backbone.
const EMBEDDED_AT_ONCE: usize = 32;

/// Postprocessed proposals of one image.
struct Found {
    /// Each with the index of its proposal.
    detections: Vec<(LabelledDetection, usize)>,
    /// `[proposals, F]`.
    features: Tensor,
}

impl Detector {
    /// Initialises new weights. The same seed gives the same weights on every device.
    pub fn new(config: &DetectorConfig, device: Device, seed: u64) -> Result<Self, DetectorError> {
        Self::build(config, device, Source::Seed(seed))
    }

    /// Loads weights from a state dict with exactly this architecture's names and shapes (see [`Detector::state`]).
    pub fn from_state(
        config: &DetectorConfig,
        device: Device,
        state: HashMap<String, Tensor>,
    ) -> Result<Self, DetectorError> {
        Self::build(config, device, Source::State(state))
    }

    fn build(config: &DetectorConfig, device: Device, source: Source) -> Result<Self, DetectorError> {
        config.validate()?;
        super::load_cuda();
        guarded("building the network", || {
            let _guard = tch::no_grad_guard();
            let mut builder = Builder::new(source, device);
            let backbone = Backbone::new(&mut builder, config);
            let rpn = Rpn::new(&mut builder, config, backbone.channels());
            let roi = RoiHead::new(&mut builder, config, backbone.channels());
            let parameters = builder.finish(config.architecture.as_str())?;
            Ok(Self { config: config.clone(), device, parameters, backbone, rpn, roi })
        })
    }

    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Sets the detection settings.
    pub fn set_detection(&mut self, detection: DetectionConfig) {
        self.config.detection = detection;
    }

    /// Sets the network's precision.
    pub fn set_precision(&mut self, precision: Precision) {
        self.config.precision = precision;
    }

    /// Returns the batch size suited to the device. One image keeps all CPU cores busy.
    pub fn batch_images(&self) -> usize {
        if self.device.is_cuda() { CUDA_BATCH } else { 1 }
    }

    /// Returns the trainable tensors by name, sharing memory with the detector.
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        let learns = self.parameters.iter().filter(|p| p.trainable);
        learns.map(|p| (p.name.clone(), p.tensor.shallow_clone())).collect()
    }

    /// Returns all tensors of the state dict under torchvision's names, sharing memory with the detector.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().map(|p| (p.name.clone(), p.tensor.shallow_clone())).collect()
    }

    /// Computes one step's losses in the config's precision; losses and gradients are `f32`. All randomness comes from `rng`. Images
    /// without objects are all background.
    pub fn losses(
        &self,
        batch: &[TrainingSample],
        sampler: &SamplerConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<LossReport, DetectorError> {
        guarded("computing the losses", || self.losses_unguarded(batch, sampler, rng))
    }

    fn losses_unguarded(
        &self,
        batch: &[TrainingSample],
        sampler: &SamplerConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<LossReport, DetectorError> {
        let images: Vec<&NetworkImage> = batch.iter().map(|s| &s.image).collect();
        let truths: Vec<Truth> = batch.iter().map(Truth::of).collect();
        let mut counts = SamplerCounts::default();

        let (x, padded) = timed("images", || {
            let x = transform::batch(&images, self.config.flavour, self.device)?;
            let padded = (x.size()[2], x.size()[3]);
            Ok::<_, DetectorError>((x.to_kind(kind(self.config.precision)), padded))
        })?;
        let maps = timed("backbone", || self.backbone.forward(&x));
        let rpn = timed("rpn", || self.rpn.forward(&maps, padded));
        let (loss_objectness, loss_rpn_box_reg) =
            timed("rpn loss", || rpn_loss(&rpn, &truths, sampler, &mut counts, rng, |drawn| self.rpn.at(&maps, drawn)));

        let proposals = timed("proposals", || self.rpn.proposals(&rpn, &sizes(&images), self.config.rpn.train));
        let mut candidates: Vec<Candidates> = timed("candidates", || {
            proposals.iter().zip(&truths).map(|(p, truth)| Candidates::new(p, truth, sampler)).collect()
        });
        let drawn = match sampler.kind {
            SamplerKind::Random => {
                if sampler.forced_order == ForcedOrder::Loss {
                    self.prioritise(&maps, padded, &mut candidates, &truths, sampler);
                }
                candidates.iter().map(|c| c.draw(sampler, rng)).collect()
            }
            SamplerKind::Ohem | SamplerKind::MinedOhem => self.hardest(&maps, padded, &candidates, &truths, sampler),
        };
        for ((candidates, truth), drawn) in candidates.iter().zip(&truths).zip(&drawn) {
            candidates.count(drawn, truth, &mut counts);
        }
        let rois = timed("targets", || roi_batch(&candidates, &truths, &drawn, self.device));
        let output = timed("head", || self.roi.forward(&maps, &rois.rois, padded, Some(rng)));
        let (loss_classifier, loss_box_reg, loss_ellipse) = timed("roi losses", || rois.losses(&output, sampler));

        let total = &loss_classifier + &loss_box_reg + &loss_objectness + &loss_rpn_box_reg + &loss_ellipse;
        Ok(LossReport { loss_classifier, loss_box_reg, loss_objectness, loss_rpn_box_reg, loss_ellipse, total, counts })
    }

    /// OHEM: computes every candidate's loss, then selects the hardest of each image.
    fn hardest(
        &self,
        maps: &[Tensor],
        padded: (i64, i64),
        candidates: &[Candidates],
        truths: &[Truth],
        sampler: &SamplerConfig,
    ) -> Vec<Draw> {
        let all: Vec<Draw> = candidates.iter().map(|c| c.all(sampler)).collect();
        let losses = self.loss_of_each(maps, padded, candidates, truths, &all, sampler);
        let of_image = candidates.iter().zip(&all).zip(&losses);
        of_image.map(|((c, all), losses)| c.hardest(all, losses, sampler)).collect()
    }

    /// Orders the hard negatives by loss in images that have more than can be selected.
    fn prioritise(
        &self,
        maps: &[Tensor],
        padded: (i64, i64),
        candidates: &mut [Candidates],
        truths: &[Truth],
        sampler: &SamplerConfig,
    ) {
        let crowded: Vec<Draw> = candidates.iter().map(|c| c.crowded(sampler)).collect();
        if crowded.iter().all(|drawn| drawn.background.is_empty()) {
            return;
        }
        let losses = self.loss_of_each(maps, padded, candidates, truths, &crowded, sampler);
        for ((candidates, crowded), losses) in candidates.iter_mut().zip(&crowded).zip(&losses) {
            candidates.prioritise(crowded, losses);
        }
    }

    /// Computes the losses of the `drawn` RoIs of each image without gradient.
    fn loss_of_each(
        &self,
        maps: &[Tensor],
        padded: (i64, i64),
        candidates: &[Candidates],
        truths: &[Truth],
        drawn: &[Draw],
        sampler: &SamplerConfig,
    ) -> Vec<Vec<f32>> {
        let _guard = tch::no_grad_guard();
        let rois = roi_batch(candidates, truths, drawn, self.device);
        rois.loss_of_each(&self.roi.forward(maps, &rois.rois, padded, None), sampler)
    }

    /// Returns this detector's image preparer.
    pub fn preparer(&self) -> Preparer {
        Preparer { config: self.config.resized(self.config.detection.scale), for_gpu: self.device.is_cuda() }
    }

    /// Detects objects in an image, in its pixels, best first. Their classes are the labels of [`DetectorConfig::class_names`], from 1;
    /// higher labels, which external weights may have, are dropped.
    pub fn detect(&self, image: &RgbImage) -> Result<Vec<Detection>, DetectorError> {
        let prepared = self.preparer().prepare(image)?;
        let found = self.detect_prepared(&[&prepared])?.remove(0);
        Ok(found.into_iter().filter(|d| self.knows(d.label)).map(|d| d.detection).collect())
    }

    /// Whether a label is one of [`DetectorConfig::class_names`]; external weights may have more.
    pub fn knows(&self, label: i64) -> bool {
        label <= self.config.class_names().len() as i64
    }

    /// Returns the detections of each prepared image in pixels of the original, best first, with all labels. Images of one batch are padded
    /// to the largest.
    pub fn detect_prepared(&self, images: &[&NetworkImage]) -> Result<Vec<Vec<LabelledDetection>>, DetectorError> {
        let found = self.detect_batch(images, false)?;
        Ok(found.into_iter().map(|image| image.into_iter().map(|found| found.object).collect()).collect())
    }

    /// [`Detector::detect_prepared`], each object with its proposal's features if requested.
    pub fn detect_batch(
        &self,
        images: &[&NetworkImage],
        with_features: bool,
    ) -> Result<Vec<Vec<FoundObject>>, DetectorError> {
        guarded("detecting", || {
            let _guard = detecting();
            let of_images = self.detect_unguarded(images)?;
            Ok(of_images.into_iter().map(|found| self.with_features(&found, with_features)).collect())
        })
    }

    fn with_features(&self, found: &Found, are_wanted: bool) -> Vec<FoundObject> {
        let objects = found.detections.iter().map(|(object, _)| *object);
        if !are_wanted {
            return objects.map(|object| FoundObject { object, feature: None }).collect();
        }
        let rows: Vec<i64> = found.detections.iter().map(|(_, proposal)| *proposal as i64).collect();
        let rows = Tensor::from_slice(&rows).to_device(self.device);
        let features = roi_features::short(&found.features.index_select(0, &rows));
        objects.zip(features).map(|(object, feature)| FoundObject { object, feature }).collect()
    }

    /// [`Detector::detect`], each object with its proposal's features.
    pub fn detect_with_features(
        &self,
        image: &RgbImage,
    ) -> Result<Vec<(Detection, Option<RoiFeature>)>, DetectorError> {
        let prepared = self.preparer().prepare(image)?;
        let found = self.detect_batch(&[&prepared], true)?.remove(0);
        let known = found.into_iter().filter(|found| self.knows(found.object.label));
        Ok(known.map(|found| (found.object.detection, found.feature)).collect())
    }

    /// Returns the outputs of the backbone's stages (conv2_x onwards, `[1, C, H, W]` each) for a prepared image, to compare or inspect
    /// weights.
    pub fn stage_features(&self, image: &NetworkImage) -> Result<Vec<Tensor>, DetectorError> {
        guarded("computing features", || {
            let _guard = detecting();
            let x = transform::batch(&[image], self.config.flavour, self.device)?;
            Ok(self.backbone.stages(&x))
        })
    }

    /// Side length of the crops for [`Detector::embed`], in pixels.
    pub const EMBEDDED_SIDE: u32 = 112;

    /// Returns embeddings of crops of size [`Detector::EMBEDDED_SIDE`]: the backbone's last stage, averaged over each crop and projected.
    pub fn embed(&self, crops: &[RgbImage]) -> Result<Vec<Option<RoiFeature>>, DetectorError> {
        let mut embeddings = Vec::with_capacity(crops.len());
        let config = DetectorConfig { shorter_side: Self::EMBEDDED_SIDE, ..self.config.clone() };
        for batch in crops.chunks(EMBEDDED_AT_ONCE) {
            let prepared: Vec<NetworkImage> =
                batch.iter().map(|crop| NetworkImage::prepare(crop, &config)).collect::<Result<_, _>>()?;
            let images: Vec<&NetworkImage> = prepared.iter().collect();
            embeddings.extend(guarded("computing embeddings", || {
                let _guard = detecting();
                let x = transform::batch(&images, self.config.flavour, self.device)?;
                let stages = self.backbone.stages(&x);
                let none = || DetectorError::Torch {
                    during: "computing embeddings",
                    message: "the backbone has no stages".to_owned(),
                };
                let last = stages.last().ok_or_else(none)?;
                Ok(roi_features::short(&last.mean_dim([2_i64, 3].as_slice(), false, Kind::Float)))
            })?);
        }
        Ok(embeddings)
    }

    fn detect_unguarded(&self, images: &[&NetworkImage]) -> Result<Vec<Found>, DetectorError> {
        let (x, padded) = timed("images", || {
            let x = transform::batch(images, self.config.flavour, self.device)?;
            let padded = (x.size()[2], x.size()[3]);
            Ok::<_, DetectorError>((x.to_kind(kind(self.config.precision)), padded))
        })?;
        let maps = timed("backbone", || self.backbone.forward(&x));
        let rpn = timed("rpn", || self.rpn.forward(&maps, padded));
        let proposals = timed("proposals", || self.rpn.proposals(&rpn, &sizes(images), self.config.rpn.test));
        let output = timed("head", || self.roi.forward(&maps, &proposals, padded, None));
        let of_images =
            timed("detections", || postprocess::detections(&output, &proposals, images, &self.config.detection));
        let mut start = 0;
        let mut of_image = |(detections, proposals): (_, &Tensor)| {
            let features = output.features.narrow(0, start, proposals.size()[0]);
            start += proposals.size()[0];
            Found { detections, features }
        };
        Ok(of_images.into_iter().zip(&proposals).map(&mut of_image).collect())
    }
}

/// Batch size of detection on a GPU.
const CUDA_BATCH: usize = 8;

fn kind(precision: Precision) -> Kind {
    match precision {
        Precision::F32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
    }
}

fn sizes(images: &[&NetworkImage]) -> Vec<(u32, u32)> {
    images.iter().map(|i| (i.width, i.height)).collect()
}

fn roi_batch(candidates: &[Candidates], truths: &[Truth], drawn: &[Draw], device: Device) -> RoiBatch {
    let parts: Vec<(&Candidates, &Truth, &Draw)> =
        candidates.iter().zip(truths).zip(drawn).map(|((c, t), d)| (c, t, d)).collect();
    RoiBatch::new(&parts, device)
}

/// Runs a part of a step in its own span, for the benchmark that breaks down a step's time.
fn timed<T>(part: &'static str, f: impl FnOnce() -> T) -> T {
    tracing::trace_span!("step", part).in_scope(f)
}

/// Converts libtorch errors reported as panics (out of memory, a lost device) to errors.
///
/// Invariant: inside, gradients are disabled by a guard (`no_grad_guard`, `detecting`) and never by `tch::no_grad`, which leaves them
/// disabled after a panic.
pub(super) fn guarded<T>(
    during: &'static str,
    f: impl FnOnce() -> Result<T, DetectorError>,
) -> Result<T, DetectorError> {
    caught(f).unwrap_or_else(|panic| Err(DetectorError::Torch { during, message: panic_text(panic) }))
}

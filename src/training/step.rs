//! One optimiser step: mini-batches from the loader, losses, gradients, guards, update.

use std::time::Instant;

use tch::{Device, Kind, TchError, Tensor, no_grad_guard};

use super::average::Average;
use super::config::RoundConfig;
use super::error::TrainingError;
use super::events::{Losses, StepReport};
use super::loader::{Loaded, Loader};
use super::optimiser::Sgd;
use super::order::batch_rng;
use super::records::Records;
use crate::detector::{Detector, LossReport, SamplerCounts, TrainingSample};
use crate::domain::Cancel;

/// The samples of a mini-batch with the indices of their images.
type Samples = (Vec<TrainingSample>, Vec<usize>);

/// The state needed for a step.
pub(super) struct Stepper {
    pub detector: Detector,
    pub sgd: Sgd,
    /// The averaged weights, if the round averages them.
    pub average: Option<Average>,
    pub loader: Loader,
    /// True while weights are being updated: a step that fails then cannot be retried.
    pub updating: bool,
    /// Indices of the images of the latest step.
    pub seen: Vec<usize>,
}

/// The total and its five parts.
const LOSSES: usize = 6;

/// A mini-batch with computed gradients.
struct MiniBatch {
    /// `[LOSSES]` doubles, still on their device.
    losses: Tensor,
    counts: SamplerCounts,
    samples: Vec<TrainingSample>,
    /// The indices of their images.
    images: Vec<usize>,
}

/// A completed step.
pub(super) struct Stepped {
    /// The caller fills in throughput and remaining time.
    pub report: StepReport,
    pub counts: SamplerCounts,
}

impl Stepper {
    /// Makes step `step` (counted from 1), or returns `None` after a cancel, with the weights unchanged.
    pub fn step(
        &mut self,
        config: &RoundConfig,
        step: u64,
        lr: f64,
        records: &mut Records,
        cancel: &Cancel,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<Stepped>, TrainingError> {
        let start = Instant::now();
        let mut report = StepReport { step, lr, ..StepReport::default() };
        let mut counts = SamplerCounts::default();
        let share = 1.0 / f64::from(config.accumulate);
        self.sgd.zero_grad()?;
        self.seen.clear();
        let mut learnt = Vec::new();
        for mini_batch in 0..config.accumulate {
            let waiting = Instant::now();
            let Some((samples, images)) = self.load(config, cancel, warn)? else { return Ok(None) };
            report.loader_wait_s += waiting.elapsed().as_secs_f64();
            self.seen.extend(&images);
            learnt.push(self.learn(config, step, mini_batch, samples, images, share)?);
        }
        let norm = self.sgd.grad_norm()?;
        let read = read_together(&learnt, &norm).map_err(TrainingError::torch("reading the losses"))?;
        for (mini_batch, (learnt, values)) in learnt.iter().zip(&read.losses).enumerate() {
            let total = values[0];
            if !total.is_finite() || total > config.max_loss {
                return Err(diverged(step, total, self.culprits(config, &learnt.samples, &learnt.images)));
            }
            report.total += total * share;
            report.losses = added(report.losses, losses(values), share);
            counts += learnt.counts.clone();
            self.record(step, mini_batch as u32, learnt, records)?;
        }
        report.grad_norm = read.norm;
        #[cfg(test)]
        fault::spoil(step, &mut report.grad_norm);
        if !report.grad_norm.is_finite() {
            let images = format!("{}; its gradient is NaN or infinite", self.image_names());
            return Err(diverged(step, report.total, images));
        }
        self.updating = true;
        self.sgd.step(lr, report.grad_norm)?;
        if let Some(average) = &mut self.average {
            average.add(step)?;
        }
        #[cfg(test)]
        fault::spoil_weights(step, &self.detector);
        self.updating = false;
        report.seconds = start.elapsed().as_secs_f64();
        Ok(Some(Stepped { report, counts }))
    }

    /// Returns the weights that detect: the averaged ones if there are any.
    pub fn detecting(&self) -> &Detector {
        self.average.as_ref().map_or(&self.detector, Average::detector)
    }

    /// [`Self::detecting`], to change its detection settings.
    pub fn detecting_mut(&mut self) -> &mut Detector {
        self.average.as_mut().map_or(&mut self.detector, Average::detector_mut)
    }

    /// Loads the samples of a mini-batch with their images' indices.
    fn load(
        &mut self,
        config: &RoundConfig,
        cancel: &Cancel,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<Samples>, TrainingError> {
        let (mut samples, mut images) = (Vec::new(), Vec::new());
        for _ in 0..config.batch_images {
            let Some(Loaded { slot, sample }) = self.loader.next(cancel, warn)? else { return Ok(None) };
            samples.push(sample);
            images.push(slot.image);
        }
        Ok(Some((samples, images)))
    }

    /// Accumulates the gradients of a mini-batch without synchronising with the device.
    fn learn(
        &self,
        config: &RoundConfig,
        step: u64,
        mini_batch: u32,
        samples: Vec<TrainingSample>,
        images: Vec<usize>,
        share: f64,
    ) -> Result<MiniBatch, TrainingError> {
        #[cfg(test)]
        fault::strike(step);
        let mut rng = batch_rng(config.seed, step, mini_batch);
        let found = self.detector.losses(&samples, &config.sampler, &mut rng)?;
        let doing = TrainingError::torch("computing the gradients");
        let scaled =
            if config.accumulate == 1 { Ok(found.total.shallow_clone()) } else { found.total.f_mul_scalar(share) };
        scaled.and_then(|scaled| scaled.f_backward()).map_err(&doing)?;
        let losses = stacked(&found).map_err(doing)?;
        Ok(MiniBatch { losses, counts: found.counts, samples, images })
    }

    fn record(
        &self,
        step: u64,
        mini_batch: u32,
        learnt: &MiniBatch,
        records: &mut Records,
    ) -> Result<(), TrainingError> {
        let ids: Vec<String> = learnt.images.iter().map(|&index| self.loader.image(index).id.to_string()).collect();
        let given: Vec<i64> = learnt.samples.iter().flat_map(|sample| sample.hard_negative_labels.clone()).collect();
        records.mini_batch(step, mini_batch, &ids, &given, &learnt.counts)
    }

    /// Returns the images of a mini-batch that individually make the loss explode; all of them if none does.
    fn culprits(&self, config: &RoundConfig, samples: &[TrainingSample], images: &[usize]) -> String {
        let _guard = no_grad_guard();
        let explodes = |sample: &TrainingSample| {
            let mut rng = batch_rng(config.seed, 0, 0);
            let loss = self.detector.losses(std::slice::from_ref(sample), &config.sampler, &mut rng);
            let total = loss.ok().and_then(|found| found.total.f_double_value(&[]).ok());
            total.is_none_or(|total| !total.is_finite() || total > config.max_loss)
        };
        let mut guilty: Vec<usize> =
            images.iter().zip(samples).filter(|(_, sample)| explodes(sample)).map(|(&index, _)| index).collect();
        if guilty.is_empty() {
            guilty = images.to_vec();
        }
        self.names(&guilty)
    }

    /// Returns the paths of the latest step's images.
    pub fn image_names(&self) -> String {
        self.names(&self.seen)
    }

    fn names(&self, images: &[usize]) -> String {
        let names: Vec<String> = images.iter().map(|&i| self.loader.image(i).path.display().to_string()).collect();
        names.join(", ")
    }
}

fn diverged(step: u64, total: f64, images: String) -> TrainingError {
    TrainingError::Diverged { step, total, images, last: String::new() }
}

/// Returns the total and the five losses of a mini-batch as `[LOSSES]` doubles on their device.
fn stacked(report: &LossReport) -> Result<Tensor, TchError> {
    let losses = [
        &report.total,
        &report.loss_classifier,
        &report.loss_box_reg,
        &report.loss_objectness,
        &report.loss_rpn_box_reg,
        &report.loss_ellipse,
    ];
    Tensor::f_stack(&losses, 0)?.f_detach()?.f_to_kind(Kind::Double)
}

fn losses([_, classifier, box_reg, objectness, rpn_box_reg, ellipse]: &[f64; LOSSES]) -> Losses {
    Losses {
        classifier: *classifier,
        box_reg: *box_reg,
        objectness: *objectness,
        rpn_box_reg: *rpn_box_reg,
        ellipse: *ellipse,
    }
}

/// The values that a step reads from its device.
struct Read {
    /// For each mini-batch, as in [`stacked`].
    losses: Vec<[f64; LOSSES]>,
    norm: f64,
}

/// Reads all losses and the gradient norm at once: the step's only synchronisation with its device.
fn read_together(learnt: &[MiniBatch], norm: &Tensor) -> Result<Read, TchError> {
    let norm = norm.f_reshape([1])?;
    let all: Vec<&Tensor> = learnt.iter().map(|learnt| &learnt.losses).chain([&norm]).collect();
    let all: Vec<f64> = Vec::try_from(Tensor::f_cat(&all, 0)?.f_to_device(Device::Cpu)?)?;
    let (losses, norm) = all.as_chunks::<LOSSES>();
    Ok(Read { losses: losses.to_vec(), norm: norm.first().copied().unwrap_or(f64::NAN) })
}

fn added(sum: Losses, more: Losses, share: f64) -> Losses {
    Losses {
        classifier: sum.classifier + more.classifier * share,
        box_reg: sum.box_reg + more.box_reg * share,
        objectness: sum.objectness + more.objectness * share,
        rpn_box_reg: sum.rpn_box_reg + more.rpn_box_reg * share,
        ellipse: sum.ellipse + more.ellipse * share,
    }
}

/// Injects out-of-memory errors and non-finite gradients and weights, for tests.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
        static ARMED_NORM: Cell<u32> = const { Cell::new(0) };
        static SPOILT: Cell<u64> = const { Cell::new(0) };
        static SPOILT_WEIGHTS: Cell<u64> = const { Cell::new(0) };
    }

    /// Makes the gradient of `step` on this thread NaN.
    pub fn arm_gradient(step: u64) {
        SPOILT.set(step);
    }

    /// Makes the weights after `step` on this thread NaN.
    pub fn arm_weights(step: u64) {
        SPOILT_WEIGHTS.set(step);
    }

    pub fn spoil_weights(step: u64, detector: &super::Detector) {
        if SPOILT_WEIGHTS.get() == step {
            for (_, mut weights) in detector.trainable() {
                let _guard = tch::no_grad_guard();
                drop(weights.fill_(f64::NAN));
            }
        }
    }

    pub fn spoil(step: u64, grad_norm: &mut f64) {
        if SPOILT.get() == step {
            *grad_norm = f64::NAN;
        }
    }

    /// The `call`th gradient norm measured on this thread from now on (from 1) panics like libtorch when memory runs out.
    pub fn arm_norm(call: u32) {
        ARMED_NORM.set(call);
    }

    pub fn strike_in_norm() {
        let left = ARMED_NORM.get();
        ARMED_NORM.set(left.saturating_sub(1));
        assert!(left != 1, "CUDA out of memory. Tried to allocate 20.00 MiB");
    }

    /// The first `times` mini-batches of `step` on this thread fail like libtorch when memory runs out.
    pub fn arm(step: u64, times: u32) {
        ARMED.set((step, times));
    }

    pub fn strike(step: u64) {
        let (armed, times) = ARMED.get();
        if armed == step && times > 0 {
            ARMED.set((armed, times - 1));
            panic!("CUDA out of memory. Tried to allocate 2.00 GiB");
        }
    }
}

//! One step of the optimiser: mini-batches from the loader, losses, gradients, guards, update. Must not know checkpoints nor when a
//! round ends.

use std::time::Instant;

use tch::Tensor;

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

/// What a step works on.
pub(super) struct Stepper {
    pub detector: Detector,
    pub sgd: Sgd,
    pub loader: Loader,
    /// True while the weights are being changed: a step that fails then cannot be made again.
    pub updating: bool,
    /// Indices of the images of the latest step.
    pub seen: Vec<usize>,
}

/// A mini-batch that was learnt from.
struct MiniBatch {
    losses: Losses,
    total: f64,
    counts: SamplerCounts,
}

/// A finished step.
pub(super) struct Stepped {
    /// Throughput and the time to the end are the caller's to fill in.
    pub report: StepReport,
    pub counts: SamplerCounts,
}

impl Stepper {
    /// Makes step `step` (counted from 1), or returns `None` after a cancel, with the weights as they were.
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
        self.sgd.zero_grad();
        self.seen.clear();
        for mini_batch in 0..config.accumulate {
            let waiting = Instant::now();
            let Some((samples, slots)) = self.load(config, cancel, warn)? else { return Ok(None) };
            report.loader_wait_s += waiting.elapsed().as_secs_f64();
            self.seen.extend(&slots);
            let learnt = self.learn(config, step, mini_batch, &samples, &slots, share)?;
            report.total += learnt.total * share;
            report.losses = added(report.losses, learnt.losses, share);
            counts += learnt.counts;
            let ids: Vec<String> = slots.iter().map(|&index| self.loader.image(index).id.to_string()).collect();
            let given = samples.iter().map(|sample| sample.hard_negatives.len()).sum();
            records.mini_batch(step, mini_batch, &ids, given, &learnt.counts)?;
        }
        report.grad_norm = self.sgd.grad_norm()?;
        #[cfg(test)]
        fault::spoil(step, &mut report.grad_norm);
        if !report.grad_norm.is_finite() {
            let images = format!("{}; its gradient is no number", self.image_names());
            return Err(diverged(step, report.total, images));
        }
        self.updating = true;
        self.sgd.step(lr, report.grad_norm)?;
        #[cfg(test)]
        fault::spoil_weights(step, &self.detector);
        self.updating = false;
        report.seconds = start.elapsed().as_secs_f64();
        Ok(Some(Stepped { report, counts }))
    }

    /// The samples of a mini-batch with their images' indices.
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

    fn learn(
        &self,
        config: &RoundConfig,
        step: u64,
        mini_batch: u32,
        samples: &[TrainingSample],
        images: &[usize],
        share: f64,
    ) -> Result<MiniBatch, TrainingError> {
        #[cfg(test)]
        fault::strike(step);
        let mut rng = batch_rng(config.seed, step, mini_batch);
        let found = self.detector.losses(samples, &config.sampler, &mut rng)?;
        let total = value(&found.total)?;
        if !total.is_finite() || total > config.max_loss {
            return Err(diverged(step, total, self.culprits(config, samples, images)));
        }
        let scaled = if config.accumulate == 1 { found.total.shallow_clone() } else { &found.total * share };
        scaled.f_backward().map_err(TrainingError::torch("computing the gradients"))?;
        Ok(MiniBatch { losses: values(&found)?, total, counts: found.counts })
    }

    /// Which images of a mini-batch make the loss explode on their own; all of them when none does.
    fn culprits(&self, config: &RoundConfig, samples: &[TrainingSample], images: &[usize]) -> String {
        let explodes = |sample: &TrainingSample| {
            let mut rng = batch_rng(config.seed, 0, 0);
            let loss = tch::no_grad(|| self.detector.losses(std::slice::from_ref(sample), &config.sampler, &mut rng));
            let total = loss.ok().and_then(|found| value(&found.total).ok());
            total.is_none_or(|total| !total.is_finite() || total > config.max_loss)
        };
        let mut guilty: Vec<usize> =
            images.iter().zip(samples).filter(|(_, sample)| explodes(sample)).map(|(&index, _)| index).collect();
        if guilty.is_empty() {
            guilty = images.to_vec();
        }
        self.names(&guilty)
    }

    /// The images of the latest step by their paths.
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

fn value(loss: &Tensor) -> Result<f64, TrainingError> {
    loss.f_double_value(&[]).map_err(TrainingError::torch("reading the loss"))
}

fn values(report: &LossReport) -> Result<Losses, TrainingError> {
    Ok(Losses {
        classifier: value(&report.loss_classifier)?,
        box_reg: value(&report.loss_box_reg)?,
        objectness: value(&report.loss_objectness)?,
        rpn_box_reg: value(&report.loss_rpn_box_reg)?,
        ellipse: value(&report.loss_ellipse)?,
    })
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

/// Out of memory, gradients and weights that are no numbers on demand, for tests on machines where all is well.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
        static SPOILT: Cell<u64> = const { Cell::new(0) };
        static SPOILT_WEIGHTS: Cell<u64> = const { Cell::new(0) };
    }

    /// The gradient of `step` on this thread is no number.
    pub fn arm_gradient(step: u64) {
        SPOILT.set(step);
    }

    /// The weights after `step` on this thread are no numbers.
    pub fn arm_weights(step: u64) {
        SPOILT_WEIGHTS.set(step);
    }

    pub fn spoil_weights(step: u64, detector: &super::Detector) {
        if SPOILT_WEIGHTS.get() == step {
            for (_, mut weights) in detector.trainable() {
                tch::no_grad(|| drop(weights.fill_(f64::NAN)));
            }
        }
    }

    pub fn spoil(step: u64, grad_norm: &mut f64) {
        if SPOILT.get() == step {
            *grad_norm = f64::NAN;
        }
    }

    /// The first `times` mini-batches of `step` on this thread fail as libtorch does when memory runs out.
    pub fn arm(step: u64, times: u32) {
        ARMED.set((step, times));
    }

    pub fn strike(step: u64) {
        let (armed, times) = ARMED.get();
        if armed == step && 0 < times {
            ARMED.set((armed, times - 1));
            panic!("CUDA out of memory. Tried to allocate 2.00 GiB");
        }
    }
}

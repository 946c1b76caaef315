//! The exponential moving average of a round's weights: a second detector on the same device, which evaluation, mining and the finished
//! round use.
//!
//! For each trainable weight w after t steps: `a += (1 - d) * (w - a)` with `d = min(decay, (1 + t) / (10 + t))`, so that the initial weights
//! are soon forgotten. Everything that does not learn is equal in both detectors.

use std::path::Path;

use tch::{TchError, Tensor, no_grad_guard};

use super::error::TrainingError;
use super::flat::Flat;
use super::optimiser::Sgd;
use crate::detector::Detector;

/// The averaged weights.
pub(super) struct Average {
    detector: Detector,
    /// The averaged parameters with the trained ones' buffer.
    pairs: Vec<(Flat, Tensor)>,
    decay: f64,
}

impl Average {
    /// Starts with the weights of `trained`.
    pub fn start(trained: &Detector, sgd: &Sgd, decay: f64) -> Result<Self, TrainingError> {
        let state = trained.state().into_iter().collect();
        Self::of(Detector::from_state(trained.config(), trained.device(), state)?, sgd, decay)
    }

    /// Continues with the averaged weights in a checkpoint.
    pub fn load(path: &Path, trained: &Detector, sgd: &Sgd, decay: f64) -> Result<Self, TrainingError> {
        Self::of(Detector::load_as(path, trained.config(), trained.device())?, sgd, decay)
    }

    /// `sgd` trains a detector of the same config.
    fn of(detector: Detector, sgd: &Sgd, decay: f64) -> Result<Self, TrainingError> {
        let buffers = Sgd::grouped(detector.trainable()).map(Flat::of);
        let pairs: Result<_, TchError> =
            buffers.into_iter().zip(sgd.buffers()).map(|(average, trained)| Ok((average?, trained))).collect();
        Ok(Self { detector, pairs: pairs.map_err(TrainingError::torch("averaging the weights"))?, decay })
    }

    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    pub fn detector_mut(&mut self) -> &mut Detector {
        &mut self.detector
    }

    /// Adds the weights after `step` steps. In place, without synchronising with the device.
    pub fn add(&mut self, step: u64) -> Result<(), TrainingError> {
        let _guard = no_grad_guard();
        let share = 1.0 - decay_at(self.decay, step);
        let add = |(average, trained): &mut (Flat, Tensor)| {
            let _ = average.values().shallow_clone().f_lerp_(trained, share)?;
            average.written()
        };
        let added: Result<(), TchError> = self.pairs.iter_mut().try_for_each(add);
        added.map_err(TrainingError::torch("averaging the weights"))
    }
}

/// Returns the decay after `step` steps.
fn decay_at(decay: f64, step: u64) -> f64 {
    let steps = step as f64;
    decay.min((1.0 + steps) / (10.0 + steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decay_grows_to_its_setting() {
        let check = |step: u64, expected: f64| assert!((decay_at(0.99, step) - expected).abs() < 1e-12, "{step}");
        check(1, 2.0 / 11.0);
        check(90, 91.0 / 100.0);
        check(891, 0.99);
        check(1_000_000, 0.99);
    }
}

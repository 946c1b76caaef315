//! Events of a running round. Plain data, without tensors.
//!
//! Order: `Started` once (not if the round fails before its first step), then `Step`, `Warning`, `Checkpoint`, `Evaluating`/`Evaluated` and
//! `Paused`/`Resumed` as they happen, then `Finished` exactly once and last, after success, cancel, error or panic. A cancel while paused
//! is not followed by `Resumed`.

use std::collections::VecDeque;
use std::path::PathBuf;

/// One event of a running round.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainEvent {
    Started(RoundStart),
    Step(StepReport),
    /// A warning that does not stop the round, e.g. an unreadable image.
    Warning(String),
    /// A checkpoint is complete on disk; `path` is its folder.
    Checkpoint {
        step: u64,
        path: PathBuf,
    },
    /// `RoundHooks::evaluate` is about to be called.
    Evaluating {
        step: u64,
    },
    /// It returned; `score` is its figure of merit, higher is better.
    Evaluated {
        step: u64,
        score: Option<f64>,
    },
    /// The round is paused; everything up to `step` is in its checkpoint.
    Paused {
        step: u64,
    },
    /// It resumed.
    Resumed {
        step: u64,
    },
    Finished {
        outcome: Outcome,
    },
}

/// A round's start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoundStart {
    /// Steps completed by earlier sessions.
    pub step: u64,
    pub iterations: u64,
    pub images: u64,
    pub faces: u64,
    pub hard_negatives: u64,
    pub ignored: u64,
    /// Number of trainable parameters.
    pub trainable: u64,
    pub device: String,
}

/// One optimiser step. Losses have torchvision's names and are means over the step's mini-batches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepReport {
    /// Completed steps, including this one.
    pub step: u64,
    pub total: f64,
    pub losses: Losses,
    pub lr: f64,
    /// L2 norm of all gradients before clipping.
    pub grad_norm: f64,
    pub images_per_s: f64,
    /// Estimated seconds to the end, from the median of recent steps.
    pub eta_s: f64,
    pub seconds: f64,
    /// Seconds of it spent waiting for the loader.
    pub loader_wait_s: f64,
    pub usage: Usage,
}

/// Resource usage of training; measured at most once per second, so steps in between repeat the last measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory of the process in bytes; `None` if unknown.
    pub memory_bytes: Option<u64>,
    /// `None` on a CPU, or if NVIDIA's library is not found.
    pub gpu: Option<GpuUsage>,
}

/// The GPU that the round trains on; includes usage by other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuUsage {
    /// Utilisation in the last sampling period in percent, 0..=100.
    pub percent: u32,
    pub memory_bytes: u64,
    pub memory_total_bytes: u64,
}

/// The loss components.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    pub classifier: f64,
    pub box_reg: f64,
    pub objectness: f64,
    pub rpn_box_reg: f64,
    /// 0 without an ellipse head.
    pub ellipse: f64,
}

impl Losses {
    /// torchvision's names, in the order of `values`.
    pub const NAMES: [&'static str; 5] =
        ["loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg", "loss_ellipse"];

    pub fn values(&self) -> [f64; 5] {
        [self.classifier, self.box_reg, self.objectness, self.rpn_box_reg, self.ellipse]
    }
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Cancelled,
    /// What went wrong and what to do.
    Failed(String),
}

/// Recent step times; an evaluation or a checkpoint in between does not affect their median.
#[derive(Debug, Clone, Default)]
pub struct StepClock {
    recent: VecDeque<f64>,
}

impl StepClock {
    /// Number of recent steps.
    const RECENT: usize = 51;

    pub fn record(&mut self, seconds: f64) {
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(seconds);
    }

    /// Returns the median of the recent steps in seconds, 0 before the first.
    pub fn median(&self) -> f64 {
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }

    /// Returns the estimated seconds for `steps` more steps.
    pub fn eta(&self, steps: u64) -> f64 {
        self.median() * steps as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eta_follows_the_median_of_recent_steps() {
        let mut clock = StepClock::default();
        assert_eq!(clock.eta(10), 0.0);
        for seconds in [2.0, 2.0, 90.0] {
            clock.record(seconds);
        }
        assert_eq!(clock.eta(10), 20.0);
        for _ in 0..StepClock::RECENT {
            clock.record(1.0);
        }
        assert_eq!(clock.eta(3), 3.0, "old steps are forgotten");
    }
}

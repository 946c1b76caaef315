//! The learning rate at a step: a linear warm-up, then constant, stepped or cosine. All points are fractions of the round's iterations, so
//! that a shorter round runs the same schedule faster. Torch-free.

use serde::{Deserialize, Serialize};

/// The shape of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// `base_lr` throughout.
    Constant,
    /// Multiplied by `lr_factor` at each milestone (as in the paper).
    Step,
    /// Half a cosine from `base_lr` down to `base_lr * lr_factor`.
    Cosine,
}

/// A learning rate for each step of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pub kind: ScheduleKind,
    pub base_lr: f64,
    /// Steps of the round.
    pub iterations: u64,
    /// First steps of the stages after the first, ascending.
    pub milestones: Vec<u64>,
    /// Factor of the rate at each milestone; for a cosine, the fraction that remains at the end.
    pub factor: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// The fraction of the rate at step 0 of the warm-up.
    pub warmup_factor: f64,
}

impl Schedule {
    /// Returns the rate of step `step`, counted from 0.
    pub fn lr(&self, step: u64) -> f64 {
        self.base_lr * self.decay(step) * self.warmup_at(step)
    }

    fn warmup_at(&self, step: u64) -> f64 {
        if self.warmup <= step {
            return 1.0;
        }
        let progress = step as f64 / self.warmup as f64;
        self.warmup_factor + (1.0 - self.warmup_factor) * progress
    }

    fn decay(&self, step: u64) -> f64 {
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Step => {
                let passed = self.milestones.iter().filter(|&&milestone| milestone <= step).count();
                self.factor.powi(passed as i32)
            }
            ScheduleKind::Cosine => {
                let after_warmup = self.iterations.saturating_sub(self.warmup).max(1);
                let progress = step.saturating_sub(self.warmup) as f64 / after_warmup as f64;
                let wave = f64::midpoint(1.0, (std::f64::consts::PI * progress.min(1.0)).cos());
                self.factor + (1.0 - self.factor) * wave
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Schedule {
        Schedule {
            kind: ScheduleKind::Step,
            base_lr: 0.001,
            iterations: 70_000,
            milestones: vec![50_000],
            factor: 0.1,
            warmup: 0,
            warmup_factor: 0.1,
        }
    }

    #[test]
    fn rates_of_known_steps() {
        let check = |schedule: &Schedule, step: u64, expected: f64| {
            let lr = schedule.lr(step);
            assert!((lr - expected).abs() < 1e-12, "step {step}: {lr} instead of {expected}");
        };
        check(&paper(), 0, 0.001);
        check(&paper(), 49_999, 0.001);
        check(&paper(), 50_000, 0.0001);
        check(&paper(), 69_999, 0.0001);

        let warm = Schedule { warmup: 10, warmup_factor: 0.2, ..paper() };
        check(&warm, 0, 0.0002);
        check(&warm, 5, 0.0006);
        check(&warm, 10, 0.001);

        let cosine = Schedule { kind: ScheduleKind::Cosine, iterations: 110, warmup: 10, factor: 0.0, ..paper() };
        check(&cosine, 10, 0.001);
        check(&cosine, 60, 0.0005);
        check(&cosine, 110, 0.0);
        check(&cosine, 1000, 0.0);

        let constant = Schedule { kind: ScheduleKind::Constant, ..paper() };
        check(&constant, 69_999, 0.001);
        let two = Schedule { milestones: vec![10, 20], ..paper() };
        check(&two, 25, 0.000_01);
    }
}

//! The settings of one round, as in `round.toml`, with the paper's values as defaults. `config_text.rs` reads and writes the file,
//! `presets.rs` defines the presets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::overlay::{ConfigError, KeyLines};
use super::schedule::{Schedule, ScheduleKind};
use crate::detector::{DetectionConfig, DetectorConfig, SamplerConfig};
use crate::domain::{HardNegativeSource, RoundInit, TruthSource, fold_number};

/// One round's settings. The fields' doc comments are the settings' documentation: see `documented.rs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundConfig {
    /// The preset that provides all settings not written here: paper, paper-vgg16, paper-fpn, quick, overnight, cpu or sample.
    pub preset: String,
    /// Seed of all randomness of the round: order, flips, samples, initial weights.
    pub seed: u64,
    /// auto, cpu or cuda:N.
    pub device: String,

    /// Splits that the round is tested on and not trained on. FDDB's folds are splits called 1 to 10. Older files call this
    /// `test_folds`.
    pub test_splits: Vec<String>,
    /// Name of a dataset that is tested on and not trained on, whatever its splits (FDDB's unrestricted protocol).
    pub test_dataset: String,
    /// Splits to train on. Empty: all but the test splits and those that a dataset sets aside (val, test and the like). Images
    /// without a split are always trained on. Older files call this `train_folds`.
    pub train_splits: Vec<String>,
    /// Which hard negatives of earlier rounds are used: none, unreviewed (the paper's: all that nobody rejected), confirmed (by an
    /// annotator, or estimated from a random sample) or reviewed (confirmed, without estimated ones). Default where `sampler.kind` is
    /// ohem: none.
    #[schemars(with = "String")]
    pub hard_negatives: HardNegativeSource,
    /// Imported models (`quarry import detections --name`) whose false positives are hard negatives too. Empty: only those of
    /// Quarry's own rounds.
    #[serde(default)]
    pub hard_negative_models: Vec<String>,
    /// Which objects are trained on: imported (the dataset's own; rejected regions are background), corrected (with promoted and
    /// edited objects; rejected regions are ignored) or auto (imported where `hard_negatives` is none, else corrected).
    #[serde(default)]
    #[schemars(with = "String")]
    pub ground_truth: TruthSource,
    /// Initial weights: backbone (the paper's: pretrained) or previous (the last round's).
    #[schemars(with = "String")]
    pub init: RoundInit,
    /// Probability that an image is mirrored.
    pub flip: f64,
    /// Images are resized by a random factor from 1 / (1 + this) to 1 + this. 0 (the paper's): one size.
    #[serde(default)]
    pub scale_jitter: f64,

    /// Number of optimiser steps. Milestones and warm-up are fractions of it; omitted intervals scale with it.
    pub iterations: u64,
    /// Images in a mini-batch; those of similar shape share one.
    pub batch_images: u32,
    /// Mini-batches whose gradients are averaged for one step.
    pub accumulate: u32,

    /// Learning rate of SGD before the first milestone.
    pub base_lr: f64,
    /// Learning rate schedule: step (the paper's), cosine or constant.
    #[schemars(with = "String")]
    pub schedule: ScheduleKind,
    /// Where the step schedule lowers the learning rate, as fractions of the iterations (the paper's: after 50k of 70k).
    pub milestones: Vec<f64>,
    /// Factor of the learning rate at a milestone; at the end of a cosine, the fraction that remains.
    pub lr_factor: f64,
    /// Length of the linear warm-up as a fraction of the iterations. 0: none.
    pub warmup: f64,
    /// Fraction of the learning rate at the first step of the warm-up.
    pub warmup_factor: f64,
    /// Momentum of SGD.
    pub momentum: f64,
    /// L2 penalty on the weights.
    pub weight_decay: f64,
    /// Factor of the learning rate for biases and norms (Caffe: 2, torchvision: 1).
    pub bias_lr_factor: f64,
    /// Whether weight decay applies to biases and norms too (Caffe: false, torchvision: true).
    pub bias_weight_decay: bool,
    /// Maximum gradient norm (L2, all gradients together). 0: not clipped.
    pub clip_norm: f64,
    /// A total loss above this stops the round as diverged.
    pub max_loss: f64,
    /// Decay of the exponential moving average of the weights, e.g. 0.999; after t steps at most (1 + t) / (10 + t). Evaluation, mining,
    /// detection and a following round use the averaged weights. 0: no average.
    #[serde(default)]
    pub ema: f64,

    /// Every this many steps the current weights detect on `mine_images` training images, whose false positives (limits: `[mining]`)
    /// become hard negatives for the rest of this round. Nobody reviews these. 0: never.
    #[serde(default)]
    pub mine_every: u64,
    /// Training images that a round mines at a time, drawn at random each time.
    #[serde(default = "mined_at_once")]
    pub mine_images: u64,

    /// Steps between two evaluations on the test splits. 0: only at the end. Default: the preset's, scaled with the iterations.
    pub evaluate_every: u64,
    /// Steps between two checkpoints. 0: only at the end and when stopped. Default: the preset's, scaled with the iterations.
    pub checkpoint_every: u64,
    /// Every k-th checkpoint is kept. 0: only the last and the best.
    pub keep_every: u64,
    /// Threads that decode and resize images.
    pub workers: u32,
    /// Images prepared ahead of the step.
    pub prefetch: u32,

    /// The network.
    pub detector: DetectorConfig,
    /// How mini-batches of anchors and RoIs are sampled.
    pub sampler: SamplerConfig,
    /// Which detections on the training images are mined.
    #[serde(default = "mining")]
    pub mining: DetectionConfig,
}

/// Mining's own limits: a low threshold, so that the reviewer decides where to stop.
pub(super) const MINING: DetectionConfig = DetectionConfig::DEFAULT;

fn mining() -> DetectionConfig {
    MINING
}

/// Images that are mined at a time within a round.
pub(super) const MINED_AT_ONCE: u64 = 200;

fn mined_at_once() -> u64 {
    MINED_AT_ONCE
}

/// Settings that do not affect training: a round may resume with other values.
pub(super) const FREE_SETTINGS: [&str; 6] =
    ["device", "workers", "prefetch", "evaluate_every", "checkpoint_every", "keep_every"];

/// Settings that affect how fast, not what, the round learns: a stopped round may resume with other values, and one that diverged has to.
pub(super) const RATE_SETTINGS: [&str; 7] =
    ["base_lr", "lr_factor", "milestones", "warmup", "warmup_factor", "clip_norm", "max_loss"];

/// The largest integer in TOML, and so in `round.toml`.
pub(crate) const LARGEST_WHOLE: u64 = i64::MAX as u64;

impl RoundConfig {
    /// Returns the learning rate schedule.
    pub fn lr_schedule(&self) -> Schedule {
        let at = |fraction: f64| (fraction * self.iterations as f64).round() as u64;
        Schedule {
            kind: self.schedule,
            base_lr: self.base_lr,
            iterations: self.iterations,
            milestones: self.milestones.iter().map(|&fraction| at(fraction)).collect(),
            factor: self.lr_factor,
            warmup: at(self.warmup),
            warmup_factor: self.warmup_factor,
        }
    }

    /// Changes the length of the round: test and checkpoint intervals scale with it, if they have the preset's frequency.
    pub fn set_iterations(&mut self, iterations: u64) {
        (self.evaluate_every, self.checkpoint_every) = self.intervals_at(iterations);
        self.iterations = iterations;
    }

    /// Extends a finished round by `steps`. Test and checkpoint intervals and the warm-up keep their length in steps; the rest of the
    /// schedule stretches.
    pub fn lengthen(&mut self, steps: u64) {
        let iterations = self.iterations.saturating_add(steps);
        self.warmup *= self.iterations as f64 / iterations.max(1) as f64;
        self.iterations = iterations;
    }

    /// Returns `evaluate_every` and `checkpoint_every` for this many iterations. Computed from the preset's values, so that changing the
    /// length back restores them; an interval set by the user is kept.
    pub(super) fn intervals_at(&self, iterations: u64) -> (u64, u64) {
        let preset = Self::preset(&self.preset).unwrap_or_else(|_| self.clone());
        let follow = |own: u64, of_preset: u64| {
            let at = |iterations| stretched(of_preset, preset.iterations, iterations);
            if own == at(self.iterations) { at(iterations) } else { own }
        };
        (follow(self.evaluate_every, preset.evaluate_every), follow(self.checkpoint_every, preset.checkpoint_every))
    }

    /// Returns these settings with the rates of `other`, as used to resume a stopped round. Milestones only apply to `schedule = "step"`
    /// and are only copied between two such rounds.
    #[must_use]
    pub fn with_rates_of(&self, other: &Self) -> Self {
        let milestones = match (self.schedule, other.schedule) {
            (ScheduleKind::Step, ScheduleKind::Step) => other.milestones.clone(),
            (ScheduleKind::Step, _) => self.milestones.clone(),
            _ => Vec::new(),
        };
        Self {
            base_lr: other.base_lr,
            lr_factor: other.lr_factor,
            milestones,
            warmup: other.warmup,
            warmup_factor: other.warmup_factor,
            clip_norm: other.clip_norm,
            max_loss: other.max_loss,
            ..self.clone()
        }
    }

    /// Whether the round trains on annotators' corrections: promoted and edited objects, with rejected regions ignored.
    pub fn learns_corrections(&self) -> bool {
        match self.ground_truth {
            TruthSource::Auto => self.hard_negatives != HardNegativeSource::None,
            TruthSource::Imported => false,
            TruthSource::Corrected => true,
        }
    }

    /// Returns the number of images per optimiser step.
    pub fn images_per_step(&self) -> u64 {
        u64::from(self.batch_images) * u64::from(self.accumulate)
    }

    /// Whether the round trains on images of this split; images without one (background sets) are always included.
    pub fn trains_on(&self, split: Option<&str>) -> bool {
        let Some(split) = split else { return true };
        let names = |splits: &[String]| splits.iter().any(|name| name == split);
        let is_chosen =
            if self.train_splits.is_empty() { !is_reserved_split(split) } else { names(&self.train_splits) };
        is_chosen && !names(&self.test_splits)
    }

    /// Whether the round is tested on images of this split.
    pub fn tests_on(&self, split: Option<&str>) -> bool {
        split.is_some_and(|split| self.test_splits.iter().any(|name| name == split))
    }

    /// Returns an error for contradictory or nonsensical settings, whatever their source.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_with(&KeyLines::named("the settings of the round")).map_err(ConfigError::without_line)
    }

    pub(super) fn check_with(&self, lines: &KeyLines) -> Result<(), ConfigError> {
        self.check_whole_numbers(lines)?;
        self.check_data(lines)?;
        self.check_schedule(lines)?;
        self.check_optimiser(lines)?;
        self.check_sampler(lines)?;
        check_mining(lines, &self.mining)?;
        self.detector.validate().map_err(|error| lines.error("detector", error.to_string()))
    }

    fn check_whole_numbers(&self, lines: &KeyLines) -> Result<(), ConfigError> {
        let numbers = [
            ("seed", self.seed),
            ("iterations", self.iterations),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep_every", self.keep_every),
            ("mine_every", self.mine_every),
            ("mine_images", self.mine_images),
        ];
        match numbers.into_iter().find(|(_, value)| *value > LARGEST_WHOLE) {
            Some((key, value)) => {
                Err(lines.error(key, format!("{value} is above {LARGEST_WHOLE}, the largest that can be kept")))
            }
            None => Ok(()),
        }
    }

    fn check_data(&self, lines: &KeyLines) -> Result<(), ConfigError> {
        if !self.test_dataset.is_empty() && !self.test_splits.is_empty() {
            let message = format!(
                "the round is tested on the dataset `{}` (`test_dataset`); it cannot have test splits as well",
                self.test_dataset
            );
            return Err(lines.error("test_splits", message));
        }
        if let Some(both) = self.train_splits.iter().find(|split| self.test_splits.contains(split)) {
            let message =
                format!("{} is in `test_splits` too; a split is either trained on or tested on", split_in_words(both));
            return Err(lines.error("train_splits", message));
        }
        for (key, splits) in [("test_splits", &self.test_splits), ("train_splits", &self.train_splits)] {
            if splits.iter().any(|split| split.trim().is_empty() || split == "0") {
                return Err(lines.error(key, "a split needs a name, and folds are numbered from 1"));
            }
        }
        within(lines, "scale_jitter", self.scale_jitter, 0.0, 4.0)?;
        within(lines, "flip", self.flip, 0.0, 1.0)
    }

    fn check_schedule(&self, lines: &KeyLines) -> Result<(), ConfigError> {
        counted(lines, "iterations", self.iterations)?;
        counted(lines, "batch_images", u64::from(self.batch_images))?;
        counted(lines, "accumulate", u64::from(self.accumulate))?;
        counted(lines, "workers", u64::from(self.workers))?;
        counted(lines, "prefetch", u64::from(self.prefetch))?;
        counted(lines, "mine_images", self.mine_images)?;
        within(lines, "warmup", self.warmup, 0.0, 1.0)?;
        within(lines, "warmup_factor", self.warmup_factor, 0.0, 1.0)?;
        within(lines, "lr_factor", self.lr_factor, 0.0, 1.0)?;
        for &milestone in &self.milestones {
            within(lines, "milestones", milestone, 0.0, 1.0)?;
        }
        if !self.milestones.is_sorted() {
            return Err(lines.error("milestones", "the fractions must ascend"));
        }
        if self.schedule == ScheduleKind::Step && self.milestones.first().is_some_and(|&first| first < self.warmup) {
            return Err(lines.error("warmup", "the warm-up lasts beyond the first of the `milestones`"));
        }
        if self.schedule != ScheduleKind::Step && !self.milestones.is_empty() {
            return Err(lines.error("milestones", "only `schedule = \"step\"` has milestones"));
        }
        Ok(())
    }

    fn check_optimiser(&self, lines: &KeyLines) -> Result<(), ConfigError> {
        if !(self.base_lr > 0.0 && self.base_lr <= MOST_LR) {
            let text = format!("{:?} is not above 0 and at most {MOST_LR}", self.base_lr);
            return Err(lines.error("base_lr", text));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(lines.error("momentum", format!("{} is not at least 0 and below 1", self.momentum)));
        }
        within(lines, "weight_decay", self.weight_decay, 0.0, 1.0)?;
        within(lines, "bias_lr_factor", self.bias_lr_factor, 0.0, 100.0)?;
        within(lines, "clip_norm", self.clip_norm, 0.0, f64::MAX)?;
        if !(0.0..1.0).contains(&self.ema) {
            return Err(lines.error("ema", format!("{} is not at least 0 and below 1", self.ema)));
        }
        if self.max_loss <= 0.0 || self.max_loss.is_nan() {
            return Err(lines.error("max_loss", "a loss is always above 0: every step would stop the round"));
        }
        Ok(())
    }

    fn check_sampler(&self, lines: &KeyLines) -> Result<(), ConfigError> {
        let sampler = &self.sampler;
        within(lines, "sampler.positive_fraction", sampler.positive_fraction, 0.0, 1.0)?;
        within(lines, "sampler.fg_iou", sampler.fg_iou, 0.0, 1.0)?;
        let (low, high) = sampler.bg_iou;
        if !(0.0..=1.0).contains(&low) || !(low..=1.0).contains(&high) {
            return Err(lines.error("sampler.bg_iou", format!("[{low}, {high}] is not an interval of IoU")));
        }
        if sampler.fg_iou < high {
            let message = format!("its upper end {high} is above `fg_iou` ({}): a RoI would be both", sampler.fg_iou);
            return Err(lines.error("sampler.bg_iou", message));
        }
        counted(lines, "sampler.batch_per_image", sampler.batch_per_image as u64)?;
        counted(lines, "sampler.rpn_batch_per_image", sampler.rpn_batch_per_image as u64)?;
        within(lines, "sampler.ohem_nms_iou", sampler.ohem_nms_iou, 0.0, 1.0)?;
        within(lines, "sampler.rpn_positive_fraction", sampler.rpn_positive_fraction, 0.0, 1.0)?;
        within(lines, "sampler.rpn_fg_iou", sampler.rpn_fg_iou, 0.0, 1.0)?;
        within(lines, "sampler.rpn_bg_iou", sampler.rpn_bg_iou, 0.0, 1.0)?;
        within(lines, "sampler.forced_fraction", sampler.forced_fraction, 0.0, 1.0)?;
        within(lines, "sampler.rpn_forced_below", sampler.rpn_forced_below, 0.0, 1.0)?;
        within(lines, "sampler.rpn_forced_fraction", sampler.rpn_forced_fraction, 0.0, 1.0)?;
        within(lines, "sampler.box_beta", sampler.box_beta, 1e-6, 100.0)?;
        within(lines, "sampler.box_weight", sampler.box_weight, 0.0, 1000.0)?;
        within(lines, "sampler.focal_gamma", sampler.focal_gamma, 0.0, 10.0)?;
        within(lines, "sampler.background_weight", sampler.background_weight, 0.0, 1000.0)?;
        if sampler.rpn_fg_iou < sampler.rpn_bg_iou {
            let (fg, bg) = (sampler.rpn_fg_iou, sampler.rpn_bg_iou);
            let message = format!("{bg} is above `rpn_fg_iou` ({fg}): an anchor would be both");
            return Err(lines.error("sampler.rpn_bg_iou", message));
        }
        Ok(())
    }
}

/// Whether a dataset reserves a split of this name for testing: it is not trained on by default.
pub fn is_reserved_split(split: &str) -> bool {
    const ASIDE: [&str; 7] = ["val", "valid", "validation", "minival", "dev", "test", "testing"];
    // Split names may include a year: val2017.
    let name = split.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_']).to_ascii_lowercase();
    ASIDE.contains(&name.as_str())
}

/// Formats `fold 8`, or ``split `val` ``.
pub fn split_in_words(split: &str) -> String {
    match fold_number(split) {
        Some(number) => format!("fold {number}"),
        None => format!("split `{split}`"),
    }
}

/// Scales an interval of `every` steps in a round of `of` to a round of `iterations`; 0 means never.
fn stretched(every: u64, of: u64, iterations: u64) -> u64 {
    if every == 0 {
        return 0;
    }
    let steps = u128::from(every) * u128::from(iterations) / u128::from(of.max(1));
    u64::try_from(steps).unwrap_or(u64::MAX).max(1)
}

fn check_mining(lines: &KeyLines, mining: &DetectionConfig) -> Result<(), ConfigError> {
    within(lines, "mining.score_threshold", mining.score_threshold, 0.0, 1.0)?;
    within(lines, "mining.nms_iou", mining.nms_iou, 0.0, 1.0)?;
    let scales = DetectionConfig::SCALES;
    within(lines, "mining.scale", mining.scale, *scales.start(), *scales.end())?;
    counted(lines, "mining.max_detections", mining.max_detections as u64)
}

fn within(lines: &KeyLines, key: &str, value: f64, low: f64, high: f64) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let range = if high == f64::MAX { format!("at least {low}") } else { format!("within {low} and {high}") };
    // Debug writes large numbers with an exponent instead of hundreds of digits.
    let shown = if value.abs() < 1e6 { value.to_string() } else { format!("{value:?}") };
    Err(lines.error(key, format!("{shown} is not {range}")))
}

/// A higher learning rate leaves the numbers of f32 within a few steps; real ones are below 1.
const MOST_LR: f64 = 100.0;

/// Upper bounds of counts, each far above real values, with the consequence of exceeding it.
const MOST: [(&str, u64, &str); 8] = [
    ("iterations", 1_000_000_000, "at a millisecond a step that is eleven days"),
    ("batch_images", 1024, "all of them are in memory at once; `accumulate` makes a step of more images"),
    ("accumulate", 65_536, "a step would take hours"),
    ("workers", 512, "each is a thread"),
    ("prefetch", 4096, "each image that is held ready takes some megabytes of memory"),
    ("sampler.batch_per_image", 100_000, "there are not as many proposals"),
    ("sampler.rpn_batch_per_image", 1_000_000, "there are not as many anchors"),
    ("mining.max_detections", 100_000, "all of them are compared with each other"),
];

/// Checks that the value is at least 1 and within [`MOST`].
fn counted(lines: &KeyLines, key: &str, value: u64) -> Result<(), ConfigError> {
    let (_, most, why) = MOST.iter().find(|(known, ..)| *known == key).copied().unwrap_or((key, u64::MAX, ""));
    match value {
        0 => Err(lines.error(key, "must be at least 1")),
        value if value > most => Err(lines.error(key, format!("{value} is above {most}: {why}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_upper_bounds_with_reasons() {
        let check = |change: fn(&mut RoundConfig), parts: [&str; 2]| {
            let mut config = RoundConfig::default();
            change(&mut config);
            let message = config.check().unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        };
        check(|c| c.iterations = 1 << 60, ["`iterations`", "eleven days"]);
        check(|c| c.batch_images = 2_000_000, ["`batch_images`", "`accumulate`"]);
        check(|c| c.accumulate = u32::MAX, ["`accumulate`", "hours"]);
        check(|c| c.workers = 100_000, ["`workers`", "thread"]);
        check(|c| c.prefetch = u32::MAX, ["`prefetch`", "4096"]);
        check(|c| c.sampler.batch_per_image = 1 << 40, ["`sampler.batch_per_image`", "proposals"]);
        check(|c| c.sampler.rpn_batch_per_image = 1 << 40, ["`sampler.rpn_batch_per_image`", "anchors"]);
        check(|c| c.mining.max_detections = 1 << 40, ["`mining.max_detections`", "100000"]);
        check(|c| c.detector.num_classes = 100_000_000, ["num_classes", "10000"]);
    }
}

//! Presets of a round's settings.

use super::config::{MINED_AT_ONCE, MINING, RoundConfig};
use super::overlay::{self, ConfigError};
use super::schedule::ScheduleKind;
use crate::detector::{Architecture, DetectorConfig, RpnConfig, SamplerConfig};
use crate::domain::{HardNegativeSource, RoundInit, TruthSource};

/// Each preset's name and purpose.
pub const PRESETS: &[(&str, &str)] = &[
    ("paper", "The paper's run: ResNet-50 (C4), shorter side 600, 70 000 steps. For a GPU"),
    ("paper-vgg16", "The paper's baseline FRCNN_VGG16: as paper, with VGG16. For a GPU"),
    ("paper-fpn", "As paper, with torchvision's ResNet-50 pyramid. For a GPU"),
    ("quick", "A first look: a few minutes on two CPU cores"),
    ("overnight", "One night on two CPU cores, under an hour on a GPU"),
    ("cpu", "The half-width detector at shorter side 300, for two CPU cores"),
    ("sample", "For the built-in sample: two minutes on two CPU cores"),
];

impl Default for RoundConfig {
    /// The paper's.
    fn default() -> Self {
        paper()
    }
}

impl RoundConfig {
    /// Returns the settings of one of [`PRESETS`].
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        let config = match name {
            "paper" => paper(),
            "paper-vgg16" => paper_with(name, Architecture::Vgg16),
            "paper-fpn" => paper_with(name, Architecture::ResNet50Fpn),
            "quick" => quick(),
            "overnight" => overnight(),
            "cpu" => cpu(),
            "sample" => sample(),
            _ => {
                let names = || PRESETS.iter().map(|(name, _)| *name);
                return Err(ConfigError::Preset {
                    name: name.to_owned(),
                    nearest: overlay::nearest(name, names()),
                    known: names().map(str::to_owned).collect(),
                });
            }
        };
        Ok(config)
    }

    /// Returns the proposed settings of the following round: the same with confirmed hard negatives. The sample's starts from this round's
    /// weights: so few steps should not repeat the same learning.
    #[must_use]
    pub fn next_round(&self) -> Self {
        let init = if self.preset == "sample" { RoundInit::Previous } else { self.init };
        let mut next = Self { hard_negatives: HardNegativeSource::Confirmed, init, ..self.clone() };
        // The classes are those of the project when the next round begins.
        next.detector.classes.clear();
        next
    }

    /// For a cross-validation, where nobody reviews between rounds: each starts from the backbone and, if it uses hard negatives, trains on
    /// every mined candidate.
    #[must_use]
    pub fn without_review(&self) -> Self {
        let hard_negatives = match self.hard_negatives {
            HardNegativeSource::None => HardNegativeSource::None,
            _ if !self.sampler.kind.forces_hard_negatives() => HardNegativeSource::None,
            HardNegativeSource::Confirmed | HardNegativeSource::Reviewed | HardNegativeSource::Unreviewed => {
                HardNegativeSource::Unreviewed
            }
        };
        let mut config =
            Self { hard_negatives, init: RoundInit::Backbone, test_dataset: String::new(), ..self.clone() };
        config.detector.classes.clear();
        config
    }
}

/// The paper's settings with another network.
fn paper_with(preset: &str, architecture: Architecture) -> RoundConfig {
    RoundConfig { preset: preset.to_owned(), detector: paper_detector(architecture), ..paper() }
}

/// If the paper does not say, its detector follows py-faster-rcnn (docs/paper.md compares each number with its source).
fn paper_detector(architecture: Architecture) -> DetectorConfig {
    let detector = DetectorConfig::of(architecture);
    let rpn = RpnConfig { min_size: 16.0, ..detector.rpn };
    DetectorConfig { rpn, ..detector }
}

/// The mini-batches of the paper and of py-faster-rcnn.
fn paper_sampler() -> SamplerConfig {
    SamplerConfig { fg_exclusive: true, rpn_inside_only: true, box_beta: 1.0, ..SamplerConfig::default() }
}

/// SGD at 0.001 for 50k steps, then 0.0001 for 20k; flips; one image per step as in py-faster-rcnn, biases at twice the rate.
pub(super) fn paper() -> RoundConfig {
    RoundConfig {
        preset: "paper".to_owned(),
        seed: 1,
        device: "auto".to_owned(),
        test_splits: vec!["10".to_owned()],
        test_dataset: String::new(),
        train_splits: Vec::new(),
        hard_negatives: HardNegativeSource::Confirmed,
        hard_negative_models: Vec::new(),
        ground_truth: TruthSource::Auto,
        init: RoundInit::Backbone,
        flip: 0.5,
        scale_jitter: 0.0,
        iterations: 70_000,
        batch_images: 1,
        accumulate: 1,
        base_lr: 0.001,
        schedule: ScheduleKind::Step,
        milestones: vec![5.0 / 7.0],
        lr_factor: 0.1,
        warmup: 0.0,
        warmup_factor: 0.1,
        momentum: 0.9,
        weight_decay: 0.0005,
        bias_lr_factor: 2.0,
        bias_weight_decay: true,
        clip_norm: 0.0,
        max_loss: 1000.0,
        ema: 0.0,
        mine_every: 0,
        mine_images: MINED_AT_ONCE,
        evaluate_every: 10_000,
        checkpoint_every: 1000,
        keep_every: 10,
        workers: 2,
        prefetch: 8,
        detector: paper_detector(Architecture::ResNet50C4),
        sampler: paper_sampler(),
        mining: MINING,
    }
}

/// Two images per step, processed one after the other: images of different shapes are not padded to each other. Few RoIs per image, so that
/// hard negatives carry weight and none are wasted on an image with one object.
fn cpu() -> RoundConfig {
    RoundConfig {
        preset: "cpu".to_owned(),
        iterations: 1200,
        batch_images: 1,
        accumulate: 2,
        scale_jitter: 0.25,
        base_lr: 0.01,
        schedule: ScheduleKind::Cosine,
        milestones: Vec::new(),
        lr_factor: 0.01,
        warmup: 0.1,
        weight_decay: 0.0001,
        bias_lr_factor: 1.0,
        clip_norm: 10.0,
        evaluate_every: 350,
        checkpoint_every: 70,
        keep_every: 0,
        workers: 1,
        prefetch: 4,
        detector: DetectorConfig::of(Architecture::ResNet50HalfFpn),
        sampler: SamplerConfig { batch_per_image: 64, ..SamplerConfig::default() },
        ..paper()
    }
}

fn quick() -> RoundConfig {
    RoundConfig { preset: "quick".to_owned(), iterations: 300, evaluate_every: 150, checkpoint_every: 30, ..cpu() }
}

fn overnight() -> RoundConfig {
    let detector = DetectorConfig { shorter_side: 400, longer_side_cap: 667, ..cpu().detector };
    RoundConfig {
        preset: "overnight".to_owned(),
        iterations: 10_000,
        warmup: 0.02,
        evaluate_every: 2500,
        checkpoint_every: 250,
        keep_every: 10,
        detector,
        ..cpu()
    }
}

/// The sample's scenes are drawn at 320x240: a small image size and few steps suffice. Samples background of any overlap below 0.5,
/// torchvision's rule: with so few steps, the paper's [0.1, 0.5) leaves plain background unlearnt.
fn sample() -> RoundConfig {
    let detector = DetectorConfig { shorter_side: 192, longer_side_cap: 288, ..cpu().detector };
    let sampler = SamplerConfig { bg_iou: (0.0, 0.5), ..SamplerConfig::default() };
    let (evaluate_every, checkpoint_every) = (100, 30);
    RoundConfig {
        preset: "sample".to_owned(),
        iterations: 300,
        batch_images: 2,
        accumulate: 1,
        scale_jitter: 0.0,
        schedule: ScheduleKind::Step,
        milestones: vec![0.75],
        lr_factor: 0.1,
        evaluate_every,
        checkpoint_every,
        detector,
        sampler,
        ..cpu()
    }
}

//! Settings of mini-batch sampling for anchors and RoIs and of the RoIs' losses, and the sampling counts. Torch-free.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where torchvision's smooth L1 losses change from quadratic to linear.
pub const SMOOTH_L1_BETA: f64 = 1.0 / 9.0;

/// How RoIs of a mini-batch are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// Fast R-CNN's: at random, with hard negatives always selected.
    #[default]
    Random,
    /// Shrivastava et al. 2016: those with the highest loss, after NMS (`ohem_nms_iou`).
    Ohem,
    /// Hard negatives first, by highest loss up to `forced_fraction`, then as in OHEM.
    MinedOhem,
}

impl SamplerKind {
    /// All kinds, in the order of a menu.
    pub const ALL: [Self; 3] = [Self::Random, Self::Ohem, Self::MinedOhem];

    /// Returns the word in `round.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Ohem => "ohem",
            Self::MinedOhem => "mined-ohem",
        }
    }

    /// Returns the kind with this word in `round.toml`.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether the second stage selects hard negatives first. OHEM finds its own.
    pub fn forces_hard_negatives(self) -> bool {
        self != Self::Ohem
    }
}

/// Which hard negatives of an image are selected if there are more than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForcedOrder {
    /// Those with the highest detection score; each epoch starts where the previous one ended.
    #[default]
    Score,
    /// Those with the highest loss of the current weights.
    Loss,
}

/// The loss of the box head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxLoss {
    /// Of the four codes (Girshick 2015).
    #[default]
    SmoothL1,
    /// Of the decoded boxes (Rezatofighi et al. 2019).
    Giou,
}

/// Defaults are the paper's (Fast R-CNN's for RoIs, Faster R-CNN's for anchors).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// How RoIs are sampled: random (hard negatives always selected), ohem (those with the highest loss; needs no hard negatives.
    /// Where they are named all the same, they are forced for the RPN only) or mined-ohem (hard negatives first, by highest loss up to
    /// forced_fraction, then as with ohem).
    #[schemars(with = "String")]
    pub kind: SamplerKind,
    /// RoIs of each image in a mini-batch.
    pub batch_per_image: usize,
    /// Maximum share of foreground RoIs; 0.25 is background to foreground 3:1.
    pub positive_fraction: f64,
    /// Maximum share of an image's RoIs that are forced hard negatives. 1 (the paper's): no limit but the foreground's share.
    pub forced_fraction: f64,
    /// Which hard negatives are selected with random if an image has more than may be: score (the highest detection score, another part
    /// in each epoch) or loss (the highest loss of the current weights; takes a second pass through the head for such images).
    #[schemars(with = "String")]
    pub forced_order: ForcedOrder,
    /// A RoI with at least this IoU with an object is foreground.
    pub fg_iou: f64,
    /// Whether foreground needs an IoU above fg_iou (the paper's) instead of at least fg_iou.
    pub fg_exclusive: bool,
    /// A RoI is background if its largest IoU is at least the first and below the second. In images without objects, and for hard
    /// negatives, the first does not apply.
    pub bg_iou: (f64, f64),
    /// IoU threshold of NMS with ohem and mined-ohem: of two RoIs that overlap by more, the one of lower loss is dropped. Unused with
    /// random.
    pub ohem_nms_iou: f64,
    /// Anchors of each image in the RPN's mini-batch.
    pub rpn_batch_per_image: usize,
    /// Maximum share of foreground anchors.
    pub rpn_positive_fraction: f64,
    /// An anchor with at least this IoU is foreground; so are the best anchors of each object.
    pub rpn_fg_iou: f64,
    /// An anchor below this IoU is background.
    pub rpn_bg_iou: f64,
    /// An anchor on a hard negative is forced as background only below this IoU with every object.
    pub rpn_forced_below: f64,
    /// Maximum share of the RPN's mini-batch that is forced as background.
    pub rpn_forced_fraction: f64,
    /// Whether anchors that leave the image are left out of training (py-faster-rcnn's rule).
    pub rpn_inside_only: bool,
    /// Where the smooth L1 loss of the box head turns from quadratic to linear: 1 in py-faster-rcnn, 1/9 in torchvision.
    pub box_beta: f64,
    /// Loss of the box head: smooth-l1 (the paper's, of the codes) or giou (of the decoded boxes). Both are summed over foreground RoIs
    /// and divided by the number of all.
    #[schemars(with = "String")]
    pub box_loss: BoxLoss,
    /// Factor of the box head's loss. A giou loss is at most 2 a RoI and may need more than 1.
    pub box_weight: f64,
    /// Exponent of the focal loss of the RoI classifier: a RoI classified with probability p of its class counts (1 - p)^this times. 0 (the
    /// paper's): cross entropy.
    pub focal_gamma: f64,
    /// Factor of the classifier's loss on background RoIs; below 1 misses count more than false positives, above 1 less.
    pub background_weight: f64,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            kind: SamplerKind::Random,
            batch_per_image: 128,
            positive_fraction: 0.25,
            forced_fraction: 1.0,
            forced_order: ForcedOrder::Score,
            fg_iou: 0.5,
            fg_exclusive: false,
            bg_iou: (0.1, 0.5),
            ohem_nms_iou: 0.7,
            rpn_batch_per_image: 256,
            rpn_positive_fraction: 0.5,
            rpn_fg_iou: 0.7,
            rpn_bg_iou: 0.3,
            rpn_forced_below: 0.3,
            rpn_forced_fraction: 0.25,
            rpn_inside_only: false,
            box_beta: SMOOTH_L1_BETA,
            box_loss: BoxLoss::SmoothL1,
            box_weight: 1.0,
            focal_gamma: 0.0,
            background_weight: 1.0,
        }
    }
}

/// The content of a step's mini-batches, summed over its images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplerCounts {
    pub foreground: u64,
    /// All background RoIs, including forced ones.
    pub background: u64,
    /// Hard negatives selected as background RoIs.
    pub forced: u64,
    /// RoIs on an ignored region, which are not trained on; an object's RoI there is trained on and not counted.
    pub ignored: u64,
    pub rpn_foreground: u64,
    /// All background anchors, including forced ones.
    pub rpn_background: u64,
    /// Background anchors on a hard negative.
    pub rpn_forced: u64,
    /// Anchors on an ignored region, which are not trained on; an object's anchor there is trained on and not counted.
    pub rpn_ignored: u64,
    /// Foreground RoIs by label, label 1 first; trailing labels without RoIs may be omitted.
    #[serde(default)]
    pub foreground_of: Vec<u64>,
    /// Foreground anchors by label, in the same format.
    #[serde(default)]
    pub rpn_foreground_of: Vec<u64>,
    /// Hard negatives selected as background RoIs, by predicted label, in the same format.
    #[serde(default)]
    pub forced_of: Vec<u64>,
}

impl std::ops::AddAssign for SamplerCounts {
    fn add_assign(&mut self, other: Self) {
        self.foreground += other.foreground;
        self.background += other.background;
        self.forced += other.forced;
        self.ignored += other.ignored;
        self.rpn_foreground += other.rpn_foreground;
        self.rpn_background += other.rpn_background;
        self.rpn_forced += other.rpn_forced;
        self.rpn_ignored += other.rpn_ignored;
        add_each(&mut self.foreground_of, &other.foreground_of);
        add_each(&mut self.rpn_foreground_of, &other.rpn_foreground_of);
        add_each(&mut self.forced_of, &other.forced_of);
    }
}

/// Adds counts to sums element by element.
pub(crate) fn add_each(sums: &mut Vec<u64>, counts: &[u64]) {
    sums.resize(sums.len().max(counts.len()), 0);
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// Counts `labels`, from 1, into `of`.
#[cfg(feature = "torch")]
pub(crate) fn count_labels(of: &mut Vec<u64>, labels: impl Iterator<Item = i64>) {
    for place in labels.filter_map(|label| usize::try_from(label - 1).ok()) {
        of.resize(of.len().max(place + 1), 0);
        of[place] += 1;
    }
}

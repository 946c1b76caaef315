//! The settings of a detector, and its presets. Torch-free, so that forms and round files can be read without libtorch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DetectorError;

/// The metadata key with the settings as JSON in a checkpoint.
pub const CONFIG_KEY: &str = "quarry.detector";

/// The network: the paper's, torchvision's, or a smaller one for CPUs and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Architecture {
    /// The paper's: conv1-conv4 shared (stride 16), RoI features 14x14 through conv5.
    #[serde(rename = "resnet50-c4")]
    ResNet50C4,
    /// The paper's baseline: 13 convolutions (stride 16), RoI features 7x7 through fc6 and fc7.
    #[serde(rename = "vgg16")]
    Vgg16,
    /// torchvision's `fasterrcnn_resnet50_fpn`: strides 4 to 64.
    #[serde(rename = "resnet50-fpn")]
    ResNet50Fpn,
    /// Half the channels of resnet50-c4.
    #[serde(rename = "resnet50-half-c4")]
    ResNet50HalfC4,
    /// Half the channels of resnet50-fpn: the CPU preset.
    #[serde(rename = "resnet50-half-fpn")]
    ResNet50HalfFpn,
    /// For tests and the sample.
    #[serde(rename = "resnet18-fpn")]
    ResNet18Fpn,
}

impl Architecture {
    pub const ALL: [Self; 6] = [
        Self::ResNet50C4,
        Self::Vgg16,
        Self::ResNet50Fpn,
        Self::ResNet50HalfC4,
        Self::ResNet50HalfFpn,
        Self::ResNet18Fpn,
    ];

    /// The preset's name in round files, checkpoints and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResNet50C4 => "resnet50-c4",
            Self::Vgg16 => "vgg16",
            Self::ResNet50Fpn => "resnet50-fpn",
            Self::ResNet50HalfC4 => "resnet50-half-c4",
            Self::ResNet50HalfFpn => "resnet50-half-fpn",
            Self::ResNet18Fpn => "resnet18-fpn",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == word)
    }

    /// Number of feature maps with anchors: five in a pyramid (strides 4 to 64), otherwise one (stride 16).
    pub fn levels(self) -> usize {
        if self.has_pyramid() { 5 } else { 1 }
    }

    pub fn has_pyramid(self) -> bool {
        matches!(self, Self::ResNet50Fpn | Self::ResNet50HalfFpn | Self::ResNet18Fpn)
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The position of a ResNet's strides and its pixel format. Part of the checkpoint: weights of one flavour are wrong in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackboneFlavour {
    /// Stride in the 3x3 convolution; RGB in 0..=1 by ImageNet's mean and deviation; pooling padded on all sides.
    Torchvision,
    /// Stride in the first 1x1 of a stage and its shortcut; BGR 0..=255 minus (104, 117, 123); ceil-mode pooling.
    Caffe,
}

/// Number format of training and detection. Weights, losses, gradients, scores and boxes stay `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    F32,
    /// Backbone, pyramid, RPN and box head in bfloat16: about half the memory, and faster where the device has instructions for it.
    Bf16,
}

impl Precision {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "f32" => Some(Self::F32),
            "bf16" => Some(Self::Bf16),
            _ => None,
        }
    }
}

/// Anchor boxes: sizes (square roots of areas, network pixels) of each level, and ratios height / width for all levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchors {
    /// Square roots of the anchors' areas in network pixels, a list for each feature level.
    pub sizes: Vec<Vec<f64>>,
    /// Aspect ratios (height / width) of the anchors, for every level.
    pub ratios: Vec<f64>,
}

/// How many proposals the RPN keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RpnLimits {
    /// Anchors of each level that become proposals, best first.
    pub pre_nms: usize,
    /// Maximum proposals of an image after NMS.
    pub post_nms: usize,
}

/// The region proposal network (Ren et al. 2015; torchvision's semantics).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RpnConfig {
    /// Proposals while training.
    pub train: RpnLimits,
    /// Proposals when detecting.
    pub test: RpnLimits,
    /// IoU threshold of NMS: of two proposals that overlap by more, the lower score is dropped.
    pub nms_iou: f64,
    /// Proposals with a shorter side below this many network pixels are dropped.
    pub min_size: f64,
}

/// The second stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoiHeadConfig {
    /// Cells along each side of a pooled RoI.
    pub resolution: i64,
    /// RoIAlign's sampling points along each side of a cell.
    pub sampling_ratio: i64,
    /// Width of the two fully connected layers; unused in C4.
    pub hidden: i64,
    /// Dropout after each fully connected layer while training (VGG16's: 0.5).
    pub dropout: f64,
}

/// What a detection run keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectionConfig {
    /// Detections below this score are dropped.
    pub score_threshold: f64,
    /// IoU threshold of NMS: of two detections that overlap by more, the lower score is dropped.
    pub nms_iou: f64,
    /// Maximum detections of an image, best first.
    pub max_detections: usize,
    /// Size of the images relative to training (the paper's: 1); time grows with its square.
    // Source: Touvron et al., "Fixing the train-test resolution discrepancy" (2019).
    #[serde(default = "same_scale")]
    pub scale: f64,
}

impl DetectionConfig {
    /// The defaults of a detector without settings of its own.
    pub const DEFAULT: Self = Self { score_threshold: 0.05, nms_iou: 0.5, max_detections: 100, scale: 1.0 };

    /// Accepted detection scales: at a quarter faces become too small to detect, beyond four times memory runs out.
    pub const SCALES: std::ops::RangeInclusive<f64> = 0.25..=4.0;
}

fn same_scale() -> f64 {
    1.0
}

/// Everything that defines a detector except its weights. Stored in each checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// resnet50-c4 (the paper's), vgg16, resnet50-fpn, resnet50-half-c4, resnet50-half-fpn or resnet18-fpn. Another one than the
    /// preset's resets this table to its own defaults.
    #[schemars(with = "String")]
    pub architecture: Architecture,
    /// Origin of the backbone's weights: torchvision or caffe. They differ in strides, colours and padding.
    #[schemars(with = "String")]
    pub flavour: BackboneFlavour,
    /// Classes with background: 2 for one class. Follows `classes` where those are named.
    pub num_classes: i64,
    /// Names of the classes, label 1 first. Empty: all classes of the project, in its order, when the round begins.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Shorter side of an image in the network, in pixels (the paper's: 600).
    pub shorter_side: u32,
    /// Maximum longer side in pixels; an image that exceeds it is scaled down further.
    pub longer_side_cap: u32,
    /// Frozen stages of the backbone, from the first: 0 none, 2 the usual, 5 all.
    pub frozen_stages: u8,
    /// Epsilon of batch norm; must be that of the pretrained weights (0 in torchvision's COCO_V1).
    pub batch_norm_eps: f64,
    /// Channels of the pyramid's maps; unused without a pyramid.
    pub pyramid_channels: i64,
    /// Anchor boxes of the region proposal network.
    pub anchors: Anchors,
    /// The region proposal network.
    pub rpn: RpnConfig,
    /// The second stage.
    pub roi: RoiHeadConfig,
    /// Which detections are kept.
    pub detection: DetectionConfig,
    /// Whether to train ellipses in addition to boxes, if the ground truth has them.
    pub ellipse_head: bool,
    /// Precision of training and detection: f32, or bf16 on processors with bfloat16 instructions.
    #[serde(default)]
    #[schemars(with = "String")]
    pub precision: Precision,
}

/// FDDB's ellipse boxes have a median height / width of 1.49.
const FACE_RATIOS: [f64; 3] = [1.0, 1.5, 2.0];
const TORCHVISION_EPS: f64 = 1e-5;

impl DetectorConfig {
    /// Returns the settings for a name of [`Architecture`]: the paper's for faces, or settings suited to a CPU.
    pub fn preset(name: &str) -> Result<Self, DetectorError> {
        let architecture = Architecture::parse(name).ok_or_else(|| DetectorError::UnknownPreset {
            word: name.to_owned(),
            known: Architecture::ALL.map(Architecture::as_str).join(", "),
        })?;
        Ok(Self::of(architecture))
    }

    /// Returns the preset of an architecture.
    pub fn of(architecture: Architecture) -> Self {
        match architecture {
            Architecture::ResNet50C4 => paper(architecture, RoiHeadConfig { resolution: 14, hidden: 0, ..ROI }),
            Architecture::Vgg16 => paper(architecture, RoiHeadConfig { hidden: 4096, dropout: 0.5, ..ROI }),
            Architecture::ResNet50Fpn => Self {
                anchors: pyramid_anchors([32.0, 64.0, 128.0, 256.0, 512.0], &FACE_RATIOS),
                rpn: rpn((2000, 2000), (1000, 1000)),
                ..paper(architecture, ROI)
            },
            Architecture::ResNet50HalfC4 => Self {
                anchors: Anchors { sizes: vec![vec![16.0, 32.0, 64.0, 128.0, 256.0]], ratios: FACE_RATIOS.to_vec() },
                rpn: rpn((2000, 1000), (1000, 300)),
                ..small(architecture, RoiHeadConfig { resolution: 14, hidden: 0, ..ROI })
            },
            Architecture::ResNet50HalfFpn => small(architecture, ROI),
            Architecture::ResNet18Fpn => Self {
                flavour: BackboneFlavour::Torchvision,
                frozen_stages: 0,
                pyramid_channels: 64,
                batch_norm_eps: TORCHVISION_EPS,
                rpn: rpn((500, 300), (300, 150)),
                ..small(architecture, RoiHeadConfig { hidden: 256, ..ROI })
            },
        }
    }

    /// Returns the names of labels 1, 2 ...; a detector without names gets that of its first class, since checkpoints from before class
    /// names only know faces.
    pub fn class_names(&self) -> Vec<String> {
        if self.classes.is_empty() { vec!["face".to_owned()] } else { self.classes.clone() }
    }

    /// Sets the classes, label 1 first.
    pub fn set_classes(&mut self, names: &[String]) {
        self.num_classes = names.len() as i64 + 1;
        self.classes = names.to_vec();
    }

    /// Returns the settings for images `factor` times as large.
    #[must_use]
    pub fn resized(&self, factor: f64) -> Self {
        let side = |pixels: u32| (f64::from(pixels) * factor).round().max(1.0) as u32;
        Self { shorter_side: side(self.shorter_side), longer_side_cap: side(self.longer_side_cap), ..self.clone() }
    }

    /// The settings of torchvision's `fasterrcnn_resnet50_fpn(weights=COCO_V1)`: its anchors, sizes, 91 classes and batch norm eps.
    pub fn torchvision_coco() -> Self {
        Self {
            num_classes: 91,
            shorter_side: 800,
            longer_side_cap: 1333,
            batch_norm_eps: 0.0,
            anchors: pyramid_anchors([32.0, 64.0, 128.0, 256.0, 512.0], &[0.5, 1.0, 2.0]),
            ..Self::of(Architecture::ResNet50Fpn)
        }
    }

    /// Refuses settings that contradict each other or the architecture; the error names the key.
    pub fn validate(&self) -> Result<(), DetectorError> {
        let refuse =
            |key, value: String, rule: &str| Err(DetectorError::InvalidConfig { key, value, rule: rule.to_owned() });
        if !(2..=most::CLASSES).contains(&self.num_classes) {
            let rule = format!(
                "background and one class make at least 2, and each class adds weights: at most {} are allowed",
                most::CLASSES
            );
            return refuse("num_classes", self.num_classes.to_string(), &rule);
        }
        let count = self.classes.len() as i64 + 1;
        if !self.classes.is_empty() && count != self.num_classes {
            let rule = format!("`classes` names {} classes, which makes {count} with background", self.classes.len());
            return refuse("num_classes", self.num_classes.to_string(), &rule);
        }
        if let Some(name) =
            self.classes.iter().enumerate().find_map(|(k, c)| self.classes[..k].contains(c).then_some(c))
        {
            return refuse("classes", name.clone(), "class names must be unique");
        }
        if self.shorter_side < 16 || self.longer_side_cap < self.shorter_side {
            let value = format!("{} (cap {})", self.shorter_side, self.longer_side_cap);
            return refuse("shorter_side", value, "it must be at least 16 and at most longer_side_cap");
        }
        let largest = f64::from(self.longer_side_cap) * self.detection.scale.max(1.0);
        if largest > f64::from(most::SIDE_PX) {
            let value = format!("{} (detection.scale {})", self.longer_side_cap, self.detection.scale);
            let rule = format!(
                "an image of more than {} pixels on a side takes tens of GB in the first layers alone: lower shorter_side, longer_side_cap \
                 or detection.scale",
                most::SIDE_PX
            );
            return refuse("longer_side_cap", value, &rule);
        }
        if self.frozen_stages > 5 {
            return refuse("frozen_stages", self.frozen_stages.to_string(), "there are 5 stages");
        }
        if self.anchors.sizes.len() != self.architecture.levels() {
            let rule = format!("{} has {} feature levels", self.architecture, self.architecture.levels());
            return refuse("anchors.sizes", format!("{} lists", self.anchors.sizes.len()), &rule);
        }
        let per_level = self.anchors.sizes[0].len();
        let even =
            self.anchors.sizes.iter().all(|s| s.len() == per_level && s.iter().all(|v| most::ANCHOR_PX.contains(v)));
        if per_level == 0 || !even {
            return refuse(
                "anchors.sizes",
                format!("{:?}", self.anchors.sizes),
                "all levels need the same number of sizes, each at least 1 and at most 16384 pixels",
            );
        }
        if per_level > most::ANCHORS || self.anchors.ratios.len() > most::ANCHORS {
            let value = format!("{per_level} sizes, {} ratios", self.anchors.ratios.len());
            let rule = format!(
                "each is an output at every position of the image: at most {} of each are allowed",
                most::ANCHORS
            );
            return refuse("anchors.sizes", value, &rule);
        }
        let unfit = self.numbers().into_iter().find(|number| !number.fits);
        unfit.map_or(Ok(()), |Number { key, value, rule, .. }| refuse(key, value, rule))
    }

    /// A lower bound of the network's weight count, mostly in the first fully connected layer. It follows from the settings alone, so it is
    /// checked before anything is allocated.
    pub fn fewest_parameters(&self) -> u64 {
        if !self.has_fully_connected_head() {
            return 0;
        }
        let channels = if self.architecture.has_pyramid() { self.pyramid_channels } else { VGG_CHANNELS };
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let (hidden, cells) = (count(self.roi.hidden), count(self.roi.resolution).saturating_pow(2));
        let first = count(channels).saturating_mul(cells).saturating_mul(hidden);
        first
            .saturating_add(hidden.saturating_mul(hidden))
            .saturating_add(hidden.saturating_mul(5 * count(self.num_classes)))
    }

    /// Whether the box head is two fully connected layers; otherwise it is conv5.
    fn has_fully_connected_head(&self) -> bool {
        self.architecture.has_pyramid() || self.architecture == Architecture::Vgg16
    }

    /// Returns every individual number with its valid range.
    fn numbers(&self) -> Vec<Number> {
        fn number(key: &'static str, value: impl std::fmt::Debug, fits: bool, rule: &'static str) -> Number {
            Number { key, value: format!("{value:?}"), fits, rule }
        }
        let share = |key, value: f64| number(key, value, (0.0..=1.0).contains(&value), "it must be in 0..=1");
        let count =
            |key, value: i64, (most, rule): (i64, &'static str)| number(key, value, (1..=most).contains(&value), rule);
        let limit = |key, value: usize| number(key, value, (1..=most::BOXES).contains(&value), most::BOXES_RULE);
        let upto = |key, value: f64, most: f64, rule| number(key, value, (0.0..=most).contains(&value), rule);
        let Self { anchors, rpn, roi, detection, .. } = self;
        let ratios = !anchors.ratios.is_empty() && anchors.ratios.iter().all(|r| most::RATIO.contains(r));
        let mut numbers = vec![
            upto("batch_norm_eps", self.batch_norm_eps, 1.0, "it is added to a variance and must be within 0 and 1"),
            number("anchors.ratios", &anchors.ratios, ratios, "at least one ratio is needed, each within 0.01 and 100"),
            limit("rpn.train.pre_nms", rpn.train.pre_nms),
            limit("rpn.train.post_nms", rpn.train.post_nms),
            limit("rpn.test.pre_nms", rpn.test.pre_nms),
            limit("rpn.test.post_nms", rpn.test.post_nms),
            share("rpn.nms_iou", rpn.nms_iou),
            upto("rpn.min_size", rpn.min_size, f64::from(most::SIDE_PX), "it is a side in pixels, within 0 and 16384"),
            count("roi.resolution", roi.resolution, most::RESOLUTION),
            count("roi.sampling_ratio", roi.sampling_ratio, most::SAMPLING_RATIO),
            number("roi.dropout", roi.dropout, (0.0..1.0).contains(&roi.dropout), "it must be at least 0 and below 1"),
            share("detection.score_threshold", detection.score_threshold),
            share("detection.nms_iou", detection.nms_iou),
            limit("detection.max_detections", detection.max_detections),
            number(
                "detection.scale",
                detection.scale,
                DetectionConfig::SCALES.contains(&detection.scale),
                "it must be in 0.25..=4",
            ),
        ];
        if self.has_fully_connected_head() {
            numbers.push(count("roi.hidden", roi.hidden, most::HIDDEN));
        }
        if self.architecture.has_pyramid() {
            numbers.push(count("pyramid_channels", self.pyramid_channels, most::CHANNELS));
        }
        numbers
    }
}

/// Upper bounds of settings, each far above what detectors use and below what would exhaust memory. One rule checks both bounds.
mod most {
    /// Classes including background. Open Images has 601, LVIS 1204.
    pub const CLASSES: i64 = 10_000;
    /// Longer side of a network input in pixels.
    pub const SIDE_PX: u32 = 16_384;
    /// Side of a square anchor in network pixels.
    pub const ANCHOR_PX: std::ops::RangeInclusive<f64> = 1.0..=16_384.0;
    /// Height of an anchor over its width.
    pub const RATIO: std::ops::RangeInclusive<f64> = 0.01..=100.0;
    /// Anchor sizes per level, and ratios.
    pub const ANCHORS: usize = 32;
    /// Proposals or detections per image.
    pub const BOXES: usize = 100_000;
    pub const BOXES_RULE: &str = "it must be at least 1 and at most 100000: all of them are compared with each other";
    pub const RESOLUTION: (i64, &str) =
        (64, "it must be at least 1 and at most 64: a RoI has as many cells as its square");
    pub const SAMPLING_RATIO: (i64, &str) =
        (16, "it must be at least 1 and at most 16: a cell has as many points as its square");
    pub const HIDDEN: (i64, &str) =
        (16_384, "it must be at least 1 and at most 16384: the layer has as many weights as its square");
    pub const CHANNELS: (i64, &str) =
        (4096, "it must be at least 1 and at most 4096: each map of the pyramid has so many channels");
}

/// Channels of VGG16's last feature map.
const VGG_CHANNELS: i64 = 512;

/// A number to validate.
struct Number {
    key: &'static str,
    value: String,
    fits: bool,
    rule: &'static str,
}

const ROI: RoiHeadConfig = RoiHeadConfig { resolution: 7, sampling_ratio: 2, hidden: 1024, dropout: 0.0 };

/// Shorter side 600; the anchors of Faster R-CNN with two smaller sizes for faces.
fn paper(architecture: Architecture, roi: RoiHeadConfig) -> DetectorConfig {
    DetectorConfig {
        architecture,
        flavour: BackboneFlavour::Torchvision,
        num_classes: 2,
        classes: Vec::new(),
        shorter_side: 600,
        longer_side_cap: 1000,
        frozen_stages: 2,
        batch_norm_eps: TORCHVISION_EPS,
        pyramid_channels: 256,
        anchors: Anchors { sizes: vec![vec![32.0, 64.0, 128.0, 256.0, 512.0]], ratios: FACE_RATIOS.to_vec() },
        rpn: rpn((12_000, 2000), (6000, 300)),
        roi,
        detection: DetectionConfig::DEFAULT,
        ellipse_head: true,
        precision: Precision::F32,
    }
}

/// Shorter side 300 and fewer proposals, for two cores. Flavour and batch norm match the half-width weights.
fn small(architecture: Architecture, roi: RoiHeadConfig) -> DetectorConfig {
    DetectorConfig {
        flavour: BackboneFlavour::Caffe,
        batch_norm_eps: 0.0,
        shorter_side: 300,
        longer_side_cap: 500,
        pyramid_channels: 128,
        anchors: face_anchors(),
        rpn: rpn((1000, 1000), (500, 300)),
        ..paper(architecture, roi)
    }
}

fn pyramid_anchors(sizes: [f64; 5], ratios: &[f64]) -> Anchors {
    Anchors { sizes: sizes.map(|s| vec![s]).to_vec(), ratios: ratios.to_vec() }
}

/// Two sizes per octave and two ratios: all but 0.4 % of FDDB's faces (folds 1-7, shorter side 300) have an IoU >= 0.7 with an anchor at
/// the right position. With one size per octave and ratios 1, 1.5, 2 only half of them do, and the RPN learns the others from badly fitting
/// anchors.
fn face_anchors() -> Anchors {
    let sizes = [16.0, 32.0, 64.0, 128.0, 256.0].map(|s: f64| vec![s, (s * std::f64::consts::SQRT_2).round()]);
    Anchors { sizes: sizes.to_vec(), ratios: vec![1.2, 1.6] }
}

fn rpn(train: (usize, usize), test: (usize, usize)) -> RpnConfig {
    let limits = |(pre_nms, post_nms)| RpnLimits { pre_nms, post_nms };
    RpnConfig { train: limits(train), test: limits(test), nms_iou: 0.7, min_size: 1e-3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_survives_json() {
        for architecture in Architecture::ALL {
            let config = DetectorConfig::preset(architecture.as_str()).unwrap();
            config.validate().unwrap();
            let json = serde_json::to_string(&config).unwrap();
            assert!(json.contains(architecture.as_str()), "{json}");
            assert_eq!(serde_json::from_str::<DetectorConfig>(&json).unwrap(), config);
        }
        DetectorConfig::torchvision_coco().validate().unwrap();
    }

    #[test]
    fn bad_settings_are_named() {
        let check = |change: fn(&mut DetectorConfig), expected: &str| {
            let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(|c| c.num_classes = 1, "num_classes");
        check(|c| c.classes = vec!["cat".to_owned(), "dog".to_owned()], "which makes 3 with background");
        check(|c| c.set_classes(&["cat".to_owned(), "cat".to_owned()]), "classes is cat");
        check(|c| c.frozen_stages = 6, "frozen_stages");
        check(|c| c.longer_side_cap = 20, "longer_side_cap");
        check(|c| c.anchors.sizes.truncate(2), "5 feature levels");
        check(|c| c.anchors.sizes[1].clear(), "anchors.sizes");
        check(|c| c.anchors.sizes[1][0] = f64::INFINITY, "anchors.sizes");
        check(|c| c.anchors.ratios.clear(), "anchors.ratios");
        check(|c| c.anchors.ratios[0] = f64::NAN, "anchors.ratios");
        check(|c| c.anchors.ratios[0] = -1.0, "anchors.ratios");
        check(|c| c.anchors.ratios[0] = 1e-30, "each within 0.01 and 100");
        check(|c| c.anchors.sizes[0][0] = 1e38, "anchors.sizes");
        check(|c| c.anchors.sizes[0][0] = 1e-3, "anchors.sizes");
        check(|c| c.rpn.min_size = 1e30, "rpn.min_size is 1e30");
        check(|c| c.batch_norm_eps = 1e30, "batch_norm_eps is 1e30");
        check(|c| c.batch_norm_eps = -1e-5, "batch_norm_eps is -1e-5");
        check(|c| c.batch_norm_eps = f64::NAN, "batch_norm_eps");
        check(|c| c.rpn.train.pre_nms = 0, "rpn.train.pre_nms");
        check(|c| c.rpn.train.post_nms = 0, "rpn.train.post_nms");
        check(|c| c.rpn.test.pre_nms = 0, "rpn.test.pre_nms");
        check(|c| c.rpn.test.post_nms = 0, "rpn.test.post_nms");
        check(|c| c.rpn.nms_iou = 1.1, "rpn.nms_iou is 1.1");
        check(|c| c.rpn.nms_iou = f64::NAN, "rpn.nms_iou");
        check(|c| c.rpn.min_size = -1.0, "rpn.min_size");
        check(|c| c.roi.resolution = 0, "roi.resolution");
        check(|c| c.roi.sampling_ratio = 0, "roi.sampling_ratio");
        check(|c| c.roi.hidden = 0, "roi.hidden");
        check(|c| c.roi.dropout = 1.0, "roi.dropout");
        check(|c| c.pyramid_channels = 0, "pyramid_channels");
        check(|c| c.detection.score_threshold = -0.1, "detection.score_threshold");
        check(|c| c.detection.nms_iou = 50.0, "detection.nms_iou");
        check(|c| c.detection.max_detections = 0, "detection.max_detections");
        check(|c| c.detection.scale = 0.0, "detection.scale");
        check(|c| c.detection.scale = f64::NAN, "detection.scale");
        check(|c| c.num_classes = 100_000_000, "at most 10000 are allowed");
        check(|c| c.shorter_side = 1_000_000, "at most longer_side_cap");
        check(|c| (c.shorter_side, c.longer_side_cap) = (1_000_000, 1_000_000), "tens of GB");
        check(|c| (c.longer_side_cap, c.detection.scale) = (8000, 4.0), "detection.scale");
        check(|c| c.roi.hidden = 400_000, "at most 16384");
        check(|c| c.roi.resolution = 1 << 40, "at most 64");
        check(|c| c.pyramid_channels = i64::MAX, "at most 4096");
        check(|c| c.rpn.train.pre_nms = usize::MAX, "at most 100000");
        check(|c| c.detection.max_detections = 1 << 40, "at most 100000");
        check(|c| c.anchors.ratios = vec![1.0; 1000], "1000 ratios");
        let message = DetectorConfig::preset("resnet51").unwrap_err().to_string();
        assert!(message.contains("resnet50-half-fpn"), "{message}");
    }
}

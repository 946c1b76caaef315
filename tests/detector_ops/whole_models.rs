//! ResNet-50 C4 and VGG16 as whole models against Faster R-CNNs put together from torchvision's own parts: losses, gradients, steps and
//! detections (`scripts/whole_model_fixture.py`). Weights and image are made by the script's formula, so that only answers are stored.

use std::collections::{BTreeMap, HashMap};

use quarry::detector::{
    Architecture, BackboneFlavour, Detector, DetectorConfig, NetworkImage, SamplerConfig, TrainingSample,
};
use quarry::geometry::BoundingBox;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

const HEIGHT: u32 = 128;
const WIDTH: u32 = 176;
/// So many that every anchor and RoI is drawn.
const ALL: usize = 10_000_000;
const OBJECTS: [[f64; 4]; 3] = [[12.0, 20.0, 70.0, 96.0], [80.0, 8.0, 170.0, 120.0], [100.0, 60.0, 118.0, 90.0]];
const LABELS: [i64; 3] = [1, 2, 1];

/// Two programs sum in different orders: f32 losses agree to about 1e-6, gradients through 50 layers to about 1e-4.
const LOSS_TOLERANCE: f64 = 1e-4;
const GRADIENT_TOLERANCE: f64 = 2e-3;
const BOX_TOLERANCE_PX: f64 = 0.01;
const SCORE_TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Answers {
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    architecture: String,
    flavour: BackboneFlavour,
    /// The learning rate of the steps.
    rate: f64,
    /// Of each step.
    losses: Vec<BTreeMap<String, f64>>,
    /// The norm and the projection on the formula's numbers, in the first step.
    gradients: BTreeMap<String, [f64; 2]>,
    detections: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    label: i64,
    score: f64,
    #[serde(rename = "box")]
    corners: [f64; 4],
}

/// `count` numbers in -1..1 of a name: splitmix64 from the name's FNV-1a hash; the upper 24 bits, exact in f32.
fn values(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let of = |index: u64| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (1..=count as u64).map(of).collect()
}

/// (offset, scale) of the numbers that a tensor starts with.
fn start(name: &str, shape: &[i64], flavour: BackboneFlavour) -> (f32, f32) {
    let last = name.rsplit('.').next().unwrap();
    if last == "running_var" {
        return (1.0, 0.5);
    }
    if last == "running_mean" || last == "bias" {
        return (0.0, 0.1);
    }
    if name.contains(".bn") || name.contains("downsample.1") {
        return if name.contains("bn3") { (0.3, 0.1) } else { (0.8, 0.2) };
    }
    let fan_in: i64 = shape[1..].iter().product();
    let gains = [("cls_logits", 0.8), ("bbox_pred", 0.3), ("cls_score", 3.0)];
    let known = gains.into_iter().find(|(part, _)| name.contains(part));
    let mut gain: f64 = known.map_or(2.0_f64.powf(0.5), |(_, gain)| gain);
    if flavour == BackboneFlavour::Caffe && name.ends_with("conv1.weight") && shape[1] == 3 {
        gain /= 64.0;
    }
    (0.0, (gain * (3.0 / fan_in as f64).sqrt()) as f32)
}

fn detector(model: &Model) -> Detector {
    let architecture = Architecture::parse(&model.architecture).unwrap();
    let mut config = DetectorConfig {
        flavour: model.flavour,
        num_classes: 3,
        shorter_side: HEIGHT,
        longer_side_cap: 1000,
        frozen_stages: 2,
        batch_norm_eps: 1e-5,
        ellipse_head: false,
        ..DetectorConfig::of(architecture)
    };
    config.anchors.sizes = vec![vec![16.0, 32.0, 64.0, 128.0]];
    config.anchors.ratios = vec![0.5, 1.0, 2.0];
    for limits in [&mut config.rpn.train, &mut config.rpn.test] {
        (limits.pre_nms, limits.post_nms) = (500, 24);
    }
    config.rpn.min_size = 1e-3;
    config.roi.dropout = 0.0;
    config.detection.score_threshold = 0.001;
    if architecture == Architecture::Vgg16 {
        config.roi.hidden = 128;
    }
    // The names and shapes that the network wants, with the formula's numbers.
    let named = Detector::new(&config, Device::Cpu, 0).unwrap().state();
    let state: HashMap<String, Tensor> = named
        .into_iter()
        .map(|(name, tensor)| {
            let shape = tensor.size();
            let (offset, scale) = start(&name, &shape, model.flavour);
            let made: Vec<f32> = values(&name, tensor.numel()).into_iter().map(|v| offset + scale * v).collect();
            (name, Tensor::from_slice(&made).reshape(shape))
        })
        .collect();
    Detector::from_state(&config, Device::Cpu, state).unwrap()
}

/// Blocks of 8 pixels with noise.
fn picture() -> image::RgbImage {
    let (blocks, noise) = (values("blocks", 3 * 128 * 176 / 64), values("noise", 3 * 128 * 176));
    image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let block = (y / 8 * (WIDTH / 8) + x / 8) as usize * 3;
        let pixel = (y * WIDTH + x) as usize * 3;
        image::Rgb(std::array::from_fn(|c| (128.0 + 100.0 * blocks[block + c] + 20.0 * noise[pixel + c]) as u8))
    })
}

fn check_detections(name: &str, detector: &Detector, image: &NetworkImage, theirs: &[Found]) {
    let ours = detector.detect_prepared(&[image]).unwrap().remove(0);
    assert!(theirs.len() > 5, "{name}: too few detections to compare");
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (our, their) in ours.iter().zip(theirs) {
        let b = &our.detection.bbox;
        let off = [b.x1, b.y1, b.x2, b.y2].iter().zip(their.corners).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let score_off = (f64::from(our.detection.score) - their.score).abs();
        assert_eq!(our.label, their.label, "{name}: {our:?}");
        assert!(
            off <= BOX_TOLERANCE_PX && score_off <= SCORE_TOLERANCE,
            "{name}: {our:?} is off by {off} px, {score_off}"
        );
    }
}

fn check_losses(name: &str, ours: &quarry::detector::LossReport, theirs: &BTreeMap<String, f64>) {
    let parts = [
        ("loss_classifier", &ours.loss_classifier),
        ("loss_box_reg", &ours.loss_box_reg),
        ("loss_objectness", &ours.loss_objectness),
        ("loss_rpn_box_reg", &ours.loss_rpn_box_reg),
    ];
    assert_eq!(theirs.len(), parts.len());
    for (part, value) in parts {
        let (our, their) = (value.double_value(&[]), theirs[part]);
        assert!((our - their).abs() <= LOSS_TOLERANCE * their.abs(), "{name}: {part} is {our}, torchvision's {their}");
    }
}

fn check_gradients(name: &str, detector: &Detector, theirs: &BTreeMap<String, [f64; 2]>) {
    let ours = detector.trainable();
    let names: Vec<&String> = ours.iter().map(|(name, _)| name).collect();
    assert!(ours.len() == theirs.len() && names.iter().all(|n| theirs.contains_key(*n)), "{name}: {names:?} learn");
    for (tensor, weight) in &ours {
        let gradient = weight.grad().flatten(0, -1).to_kind(Kind::Double);
        let probe = Tensor::from_slice(&values(&format!("{tensor}.probe"), gradient.numel())).to_kind(Kind::Double);
        let (norm, projection) = (gradient.norm().double_value(&[]), gradient.dot(&probe).double_value(&[]));
        let [their_norm, their_projection] = theirs[tensor];
        // A projection on numbers of variance 1/3 is about as large as the norm.
        let off = (norm - their_norm).abs().max((projection - their_projection).abs());
        assert!(off <= GRADIENT_TOLERANCE * their_norm, "{name}: gradient of {tensor} is off by {off} of {their_norm}");
    }
}

#[test]
fn c4_and_vgg16_equal_models_of_torchvisions_parts() {
    let answers: Answers = serde_json::from_str(include_str!("../fixtures/models/whole_models.json")).unwrap();
    for model in &answers.models {
        let name = format!("{} {:?}", model.architecture, model.flavour);
        let detector = detector(model);
        let image = NetworkImage::prepare(&picture(), detector.config()).unwrap();
        check_detections(&name, &detector, &image, &model.detections);
        let sample = TrainingSample {
            faces: OBJECTS.iter().map(|&[x1, y1, x2, y2]| BoundingBox::new(x1, y1, x2, y2)).collect(),
            labels: LABELS.to_vec(),
            ellipses: vec![None; OBJECTS.len()],
            hard_negatives: vec![],
            hard_negative_labels: vec![],
            misclassified: vec![],
            ignored: vec![],
            image,
        };
        let sampler = SamplerConfig {
            batch_per_image: ALL,
            bg_iou: (0.0, 0.5),
            rpn_batch_per_image: ALL,
            ..SamplerConfig::default()
        };
        for (step, theirs) in model.losses.iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let report = detector.losses(std::slice::from_ref(&sample), &sampler, &mut rng).unwrap();
            check_losses(&format!("{name}, step {step}"), &report, theirs);
            report.total.backward();
            if step == 0 {
                check_gradients(&name, &detector, &model.gradients);
            }
            tch::no_grad(|| {
                for (_, mut weight) in detector.trainable() {
                    let mut gradient = weight.grad();
                    let _ = weight.g_sub_(&(&gradient * model.rate));
                    let _ = gradient.zero_();
                }
            });
        }
    }
}

//! Whole detectors: losses and gradients of a step, sampling, bfloat16, detections and features.

use std::collections::HashMap;

use image::{Rgb, RgbImage};
use quarry::detector::{
    Architecture, BoxLoss, Detector, DetectorConfig, NetworkImage, Precision, SamplerConfig, SamplerCounts,
    SamplerKind, TrainingSample,
};
use quarry::geometry::{BoundingBox, Ellipse};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::on_gpu;

/// Large enough to sample every anchor and RoI, so that there is no randomness.
const ALL: usize = 10_000_000;
/// Mantissa bits of float32, TF32 and bfloat16.
const FLOAT_BITS: u32 = 23;
const TF32_BITS: u32 = 10;
const BF16_BITS: u32 = 7;
/// Rounded weights approximate rounded weights and activations in every layer, and one rounding approximates another.
const MARGIN: f64 = 8.0;

/// The losses of one step by name, the gradients by name, what was sampled, and how much of the generator was used.
struct Step {
    losses: Vec<f64>,
    gradients: Vec<(String, Tensor)>,
    counts: SamplerCounts,
    random_words: u128,
}

fn config(architecture: Architecture) -> DetectorConfig {
    let mut config = DetectorConfig::of(architecture);
    (config.shorter_side, config.longer_side_cap) = (96, 160);
    if architecture.has_pyramid() {
        config.pyramid_channels = 32;
    }
    if config.roi.hidden > 0 {
        config.roi.hidden = 64;
    }
    (config.rpn.train.pre_nms, config.rpn.train.post_nms) = (500, 60);
    config
}

fn face() -> Ellipse {
    Ellipse::new(30.0, 20.0, std::f64::consts::FRAC_PI_2, 60.0, 50.0)
}

/// A bright ellipse on a dark background.
fn picture() -> RgbImage {
    RgbImage::from_fn(120, 96, |x, y| {
        let inside = face().contains(f64::from(x) + 0.5, f64::from(y) + 0.5);
        if inside { Rgb([230, 180, 150]) } else { Rgb([(x % 40) as u8, 30, (y % 60) as u8]) }
    })
}

fn sample(config: &DetectorConfig, with_negatives: bool) -> TrainingSample {
    let image = NetworkImage::prepare(&picture(), config).unwrap();
    let faces = vec![image.fit.bounding_box(&face().bounding_box())];
    let ellipses = vec![Some(image.fit.ellipse(&face()))];
    let region = |x: f64| if with_negatives { vec![BoundingBox::new(x, 4.0, x + 24.0, 36.0)] } else { vec![] };
    TrainingSample {
        image,
        faces,
        labels: vec![],
        misclassified: vec![],
        ellipses,
        hard_negatives: region(2.0),
        hard_negative_labels: vec![],
        ignored: region(90.0),
    }
}

fn step(detector: &Detector, batch: &[TrainingSample], sampler: &SamplerConfig) -> Step {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let report = detector.losses(batch, sampler, &mut rng).unwrap();
    report.total.backward();
    let losses = [
        &report.loss_classifier,
        &report.loss_box_reg,
        &report.loss_objectness,
        &report.loss_rpn_box_reg,
        &report.loss_ellipse,
    ];
    let gradients = detector.trainable().into_iter().map(|(name, weight)| (name, weight.grad()));
    let gradients = gradients.filter(|(_, g)| g.defined()).map(|(n, g)| (n, g.to_device(Device::Cpu).copy()));
    Step {
        losses: losses.map(|loss| loss.double_value(&[])).into(),
        gradients: gradients.collect(),
        counts: report.counts,
        random_words: rng.get_word_pos(),
    }
}

/// Returns the same weights with `bits` mantissa bits.
fn rounded(detector: &Detector, bits: u32) -> Detector {
    let dropped = FLOAT_BITS - bits;
    let round = |value: f32| f32::from_bits((value.to_bits() + (1 << (dropped - 1))) >> dropped << dropped);
    let state: HashMap<String, Tensor> = detector
        .state()
        .into_iter()
        .map(|(name, tensor)| {
            let values: Vec<f32> = Vec::try_from(tensor.detach().to_device(Device::Cpu).flatten(0, -1)).unwrap();
            let values: Vec<f32> = values.into_iter().map(round).collect();
            (name, Tensor::from_slice(&values).reshape(tensor.size()))
        })
        .collect();
    Detector::from_state(detector.config(), Device::Cpu, state).unwrap()
}

/// Returns the largest relative difference of two steps' losses.
fn deviation(a: &Step, b: &Step) -> f64 {
    let of_each = a.losses.iter().zip(&b.losses).map(|(a, b)| (a - b).abs() / (a.abs() + 0.01));
    of_each.fold(0.0, f64::max)
}

/// Returns 1 minus the cosine of all gradients together.
fn angle(a: &Step, b: &Step) -> f64 {
    let names = |step: &Step| step.gradients.iter().map(|g| g.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), names(b));
    let dot = |x: &Step, y: &Step| {
        let products = x.gradients.iter().zip(&y.gradients).map(|((_, x), (_, y))| x * y);
        products.map(|p| p.sum(Kind::Double).double_value(&[])).sum::<f64>()
    };
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Returns the parameters whose gradients differ most, relative to their norm.
fn furthest(a: &Step, b: &Step) -> String {
    let length = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]).sqrt();
    let apart = a.gradients.iter().zip(&b.gradients).map(|((name, x), (_, y))| (length(&(x - y)) / length(x), name));
    let mut apart: Vec<(f64, &String)> = apart.collect();
    apart.sort_by(|a, b| b.0.total_cmp(&a.0));
    let worst: Vec<String> = apart.iter().take(4).map(|(by, name)| format!("{name} {by:.1e}")).collect();
    worst.join(", ")
}

/// One step from the same new weights on the CPU, on the CPU with rounded weights, and on `device`.
fn agree(
    config: &DetectorConfig,
    device: Device,
    sampler: &SamplerConfig,
    with_negatives: bool,
    bits: u32,
) -> [Step; 2] {
    let batch = [sample(config, with_negatives)];
    let exact = DetectorConfig { precision: Precision::F32, ..config.clone() };
    let reference = Detector::new(&exact, Device::Cpu, 1).unwrap();
    let cpu = step(&reference, &batch, sampler);
    let coarse = step(&rounded(&reference, bits), &batch, sampler);
    let other = step(&Detector::new(config, device, 1).unwrap(), &batch, sampler);
    let (allowed, found) = (deviation(&cpu, &coarse), deviation(&cpu, &other));
    let (allowed_angle, found_angle) = (angle(&cpu, &coarse), angle(&cpu, &other));
    println!(
        "{} {:?}: losses differ by {found:.2e} (rounded weights: {allowed:.2e}), gradients by {found_angle:.2e} ({allowed_angle:.2e})",
        config.architecture, config.precision
    );
    println!("furthest apart: {}", furthest(&cpu, &other));
    assert!(found <= MARGIN * allowed + 1e-4, "CPU {:?}, {device:?} {:?}", cpu.losses, other.losses);
    assert!(found_angle <= MARGIN * allowed_angle + 1e-4, "{found_angle} against {allowed_angle}");
    [cpu, other]
}

fn everything() -> SamplerConfig {
    SamplerConfig { batch_per_image: ALL, rpn_batch_per_image: ALL, ..SamplerConfig::default() }
}

#[test]
fn losses_and_gradients_of_every_kind_of_network() {
    on_gpu("losses and gradients of FPN, C4 and VGG16", |device| {
        for architecture in [Architecture::ResNet18Fpn, Architecture::ResNet50HalfC4, Architecture::Vgg16] {
            let mut config = config(architecture);
            // Masks are generated on the device, and even equal ones would apply to proposals in another order.
            config.roi.dropout = 0.0;
            agree(&config, device, &everything(), false, TF32_BITS);
        }
    });
}

#[test]
fn losses_and_gradients_in_bfloat16() {
    on_gpu("losses and gradients in bfloat16", |device| {
        let config = DetectorConfig { precision: Precision::Bf16, ..config(Architecture::ResNet18Fpn) };
        agree(&config, device, &everything(), false, BF16_BITS);
    });
}

#[test]
fn the_other_losses_of_the_second_stage() {
    on_gpu("focal and GIoU losses", |device| {
        let other = SamplerConfig { box_loss: BoxLoss::Giou, focal_gamma: 1.5, background_weight: 0.7, ..everything() };
        agree(&config(Architecture::ResNet18Fpn), device, &other, true, TF32_BITS);
    });
}

/// Anchors are on the CPU and independent of the weights: the RPN's samples are equal one by one, and so is the generator's state.
/// Proposals come from the device; their counts are equal.
#[test]
fn the_samplers_draw_the_same_with_hard_negatives_and_ohem() {
    on_gpu("draws of the samplers", |device| {
        for kind in SamplerKind::ALL {
            let sampler =
                SamplerConfig { kind, batch_per_image: 32, rpn_batch_per_image: 64, ..SamplerConfig::default() };
            let [cpu, other] = agree(&config(Architecture::ResNet18Fpn), device, &sampler, true, TF32_BITS);
            let (a, b) = (&cpu.counts, &other.counts);
            let of_rpn = |c: &SamplerCounts| [c.rpn_foreground, c.rpn_background, c.rpn_forced, c.rpn_ignored];
            assert_eq!(of_rpn(a), of_rpn(b), "{kind:?}");
            let by_label = |c: &SamplerCounts| c.rpn_foreground_of.clone();
            assert_eq!(by_label(a), by_label(b), "{kind:?}");
            assert_eq!((a.foreground + a.background, a.forced), (b.foreground + b.background, b.forced), "{kind:?}");
            assert!(a.rpn_forced > 0 && (kind == SamplerKind::Ohem || a.forced > 0), "{kind:?}: {a:?}");
            assert_eq!(cpu.random_words, other.random_words, "{kind:?}");
        }
    });
}

fn learn(detector: &Detector) {
    let batch = [sample(detector.config(), false)];
    for _ in 0..60 {
        step(detector, &batch, &SamplerConfig::default());
        let _guard = tch::no_grad_guard();
        for (_, mut weight) in detector.trainable() {
            let gradient = weight.grad();
            let norm = gradient.norm().double_value(&[]).max(1.0);
            let _ = weight.g_sub_(&(gradient * (0.02 / norm)));
            weight.zero_grad();
        }
    }
}

#[test]
fn what_is_learnt_on_the_gpu_detects_the_same_on_the_cpu() {
    on_gpu("detections and features", |device| {
        let config = config(Architecture::ResNet18Fpn);
        let learnt = Detector::new(&config, device, 1).unwrap();
        learn(&learnt);
        let copy = Detector::from_state(&config, Device::Cpu, learnt.state().into_iter().collect()).unwrap();
        let best = |detector: &Detector| detector.detect_with_features(&picture()).unwrap().remove(0);
        let ((gpu, gpu_feature), (cpu, cpu_feature)) = (best(&learnt), best(&copy));
        let (rough, _) = best(&rounded(&copy, TF32_BITS));
        println!("CPU {cpu:?}\nrounded {rough:?}\n{device:?} {gpu:?}");
        let score_tolerance = MARGIN * f64::from((cpu.score - rough.score).abs()) + 1e-4;
        assert!(f64::from((gpu.score - cpu.score).abs()) <= score_tolerance, "{gpu:?} {cpu:?}");
        let box_tolerance = MARGIN * (1.0 - cpu.bbox.iou(&rough.bbox)) + 1e-4;
        assert!(1.0 - gpu.bbox.iou(&cpu.bbox) <= box_tolerance, "{gpu:?} {cpu:?}");
        assert!(gpu.bbox.iou(&face().bounding_box()) > 0.5, "{gpu:?}");
        let cosine = gpu_feature.unwrap().cosine(&cpu_feature.unwrap());
        assert!(cosine > 0.999, "the features' cosine is {cosine}");
    });
}

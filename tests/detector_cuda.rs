//! The detector on a GPU says what it says on the CPU. Without a GPU this is skipped, loudly; with `QUARRY_REQUIRE_CUDA=1` it fails then.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use image::{Rgb, RgbImage};
use quarry::detector::{Architecture, Detector, DetectorConfig, NetworkImage, SamplerConfig, TrainingSample};
use quarry::geometry::Ellipse;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Cuda, Device, Kind, Tensor};

/// So many that every anchor and RoI is drawn, which leaves nothing to chance.
const ALL: usize = 10_000_000;
/// A GPU convolves in TF32, with ten bits after the point.
const LOSS_TOLERANCE: f64 = 0.03;

fn config() -> DetectorConfig {
    let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
    (config.shorter_side, config.longer_side_cap) = (96, 160);
    (config.pyramid_channels, config.roi.hidden) = (32, 64);
    config
}

fn face() -> Ellipse {
    Ellipse::new(30.0, 20.0, std::f64::consts::FRAC_PI_2, 60.0, 50.0)
}

/// A bright ellipse on dark ground.
fn picture() -> RgbImage {
    RgbImage::from_fn(120, 96, |x, y| {
        let inside = face().contains(f64::from(x) + 0.5, f64::from(y) + 0.5);
        if inside { Rgb([230, 180, 150]) } else { Rgb([(x % 40) as u8, 30, (y % 60) as u8]) }
    })
}

fn sample() -> TrainingSample {
    let image = NetworkImage::prepare(&picture(), &config()).unwrap();
    let faces = vec![image.fit.bounding_box(&face().bounding_box())];
    let ellipses = vec![Some(image.fit.ellipse(&face()))];
    TrainingSample { image, faces, ellipses, hard_negatives: vec![], ignored: vec![] }
}

/// The five losses of one step, and the gradients by name, on the CPU.
fn step(detector: &Detector, sampler: &SamplerConfig) -> ([f64; 5], Vec<(String, Tensor)>) {
    let report = detector.losses(&[sample()], sampler, &mut ChaCha8Rng::seed_from_u64(5)).unwrap();
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
    (losses.map(|loss| loss.double_value(&[])), gradients.collect())
}

fn learn(detector: &Detector) {
    for _ in 0..60 {
        step(detector, &SamplerConfig::default());
        let _guard = tch::no_grad_guard();
        for (_, mut weight) in detector.trainable() {
            let gradient = weight.grad();
            let norm = gradient.norm().double_value(&[]).max(1.0);
            let _ = weight.g_sub_(&(gradient * (0.02 / norm)));
            weight.zero_grad();
        }
    }
}

fn cosine(a: &[(String, Tensor)], b: &[(String, Tensor)]) -> f64 {
    assert_eq!(a.iter().map(|a| &a.0).collect::<Vec<_>>(), b.iter().map(|b| &b.0).collect::<Vec<_>>());
    let dot = |x: &[(String, Tensor)], y: &[(String, Tensor)]| {
        x.iter().zip(y).map(|((_, x), (_, y))| (x * y).sum(Kind::Double).double_value(&[])).sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// One step's losses and gradients from the same new weights, then what a detector that learnt on `device` finds on either.
fn agrees_with_the_cpu(device: Device) {
    let sampler = SamplerConfig { batch_per_image: ALL, rpn_batch_per_image: ALL, ..SamplerConfig::default() };
    let on = |device| step(&Detector::new(&config(), device, 1).unwrap(), &sampler);
    let ((cpu, cpu_gradients), (gpu, gpu_gradients)) = (on(Device::Cpu), on(device));
    for (a, b) in cpu.iter().zip(&gpu) {
        assert!((a - b).abs() <= LOSS_TOLERANCE * a.abs() + 1e-3, "CPU {cpu:?}, {device:?} {gpu:?}");
    }
    let cosine = cosine(&cpu_gradients, &gpu_gradients);
    assert!(0.99 < cosine, "the gradients' cosine is {cosine}");

    let learnt = Detector::new(&config(), device, 1).unwrap();
    learn(&learnt);
    let copy = Detector::from_state(&config(), Device::Cpu, learnt.state().into_iter().collect()).unwrap();
    let (gpu, cpu) = (learnt.detect(&picture()).unwrap(), copy.detect(&picture()).unwrap());
    let (gpu, cpu) = (gpu.first().expect("a face on the GPU"), cpu.first().expect("a face on the CPU"));
    assert!(0.97 < gpu.bbox.iou(&cpu.bbox) && (gpu.score - cpu.score).abs() < 0.02, "{gpu:?} {cpu:?}");
    assert!(0.5 < gpu.bbox.iou(&face().bounding_box()), "{gpu:?}");
    println!("CPU {cpu:?}\n{device:?} {gpu:?}\ngradients' cosine {cosine}");
}

#[test]
fn a_step_and_a_detection_are_the_same_on_the_gpu() {
    if Cuda::is_available() {
        agrees_with_the_cpu(Device::Cuda(0));
        return;
    }
    eprintln!("SKIPPED: no CUDA device; losses, gradients and detections on cuda:0 were not compared with the CPU's");
    let required = std::env::var("QUARRY_REQUIRE_CUDA").is_ok_and(|value| value == "1");
    assert!(!required, "QUARRY_REQUIRE_CUDA=1, but libtorch finds no CUDA device");
}

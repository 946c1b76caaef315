//! Seconds per training step (SGD with momentum) and per detected picture on random pixels, and peak memory. Usage:
//! `cargo bench --bench detector_step -- PRESET SHORTER_SIDE BATCH STEPS [THREADS] [f32|bf16]`. The preset `torchvision` is resnet50-fpn with
//! torchvision's classes, anchors, proposals and 512 RoIs an image: for a quick look beside `make bench-torchvision`.

use std::time::Instant;

use image::RgbImage;
use quarry::detector::{
    Detector, DetectorConfig, NetworkImage, Precision, SamplerConfig, TrainingSample, choose_device, cuda_index,
};
use quarry::geometry::BoundingBox;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let number = |k: usize, default: u32| words.get(k).and_then(|w| w.parse().ok()).unwrap_or(default);
    let preset = words.first().map_or("resnet50-half-fpn", String::as_str);
    tch::set_num_threads(number(4, 2) as i32);
    let peer = preset == "torchvision";
    let mut config =
        if peer { DetectorConfig::torchvision_coco() } else { DetectorConfig::preset(preset).expect("a preset") };
    config.ellipse_head &= !peer;
    let side = number(1, config.shorter_side);
    (config.shorter_side, config.longer_side_cap) = (side, side * 5 / 3);
    if words.get(5).is_some_and(|word| word == "bf16") {
        config.precision = Precision::Bf16;
    }
    let device = choose_device("auto").expect("a device");
    let detector = Detector::new(&config, device, 1).expect("a detector");

    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut pixels = vec![0_u8; (side * (side * 4 / 3) * 3) as usize];
    rng.fill_bytes(&mut pixels);
    let picture = RgbImage::from_raw(side * 4 / 3, side, pixels).expect("pixels");
    let image = NetworkImage::prepare(&picture, &config).expect("a picture");
    let s = f64::from(side);
    let faces = vec![
        BoundingBox::new(0.1 * s, 0.1 * s, 0.3 * s, 0.4 * s),
        BoundingBox::new(0.6 * s, 0.3 * s, 0.9 * s, 0.75 * s),
        BoundingBox::new(0.4 * s, 0.6 * s, 0.45 * s, 0.68 * s),
    ];
    let sample = TrainingSample {
        labels: vec![],
        misclassified: vec![],
        image,
        ellipses: vec![None; 3],
        faces,
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    };
    let batch = vec![sample; number(2, 2) as usize];
    let steps = number(3, 10);

    let mut sampler = SamplerConfig::default();
    if peer {
        (sampler.batch_per_image, sampler.bg_iou) = (512, (0.0, 0.5));
    }
    let mut velocities: Vec<_> = detector.trainable().iter().map(|(_, weight)| weight.zeros_like()).collect();
    let (mut forward, mut backward, mut update) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..steps + 2 {
        let start = Instant::now();
        let report = detector.losses(&batch, &sampler, &mut rng).expect("losses");
        wait(device);
        forward.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        report.total.backward();
        wait(device);
        backward.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let guard = tch::no_grad_guard();
        for ((_, mut weight), velocity) in detector.trainable().into_iter().zip(&mut velocities) {
            let _ = velocity.g_mul_scalar_(0.9).g_add_(&weight.grad());
            let _ = weight.g_sub_(&(&*velocity * 1e-9));
            weight.zero_grad();
        }
        drop(guard);
        wait(device);
        update.push(start.elapsed().as_secs_f64());
    }
    let mut detect = Vec::new();
    for _ in 0..steps + 2 {
        let start = Instant::now();
        let _ = detector.detect(&picture).expect("detections");
        detect.push(start.elapsed().as_secs_f64());
    }
    let median = |v: &mut Vec<f64>| {
        v.drain(..2);
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let (f, b, u, d) = (median(&mut forward), median(&mut backward), median(&mut update), median(&mut detect));
    println!(
        "{preset} s={side} batch {} {:?} on {device:?}: step {:.3} s (forward {f:.3}, backward {b:.3}, update {u:.3}), detect {d:.3} s, peak {} MiB",
        batch.len(),
        config.precision,
        f + b + u,
        peak_mib()
    );
}

/// Waits until a GPU has done what it was given.
fn wait(device: tch::Device) {
    if let Some(index) = cuda_index(device) {
        tch::Cuda::synchronize(index.into());
    }
}

/// Largest resident memory so far (Linux); 0 elsewhere.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

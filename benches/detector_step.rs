//! Seconds per training step (SGD with momentum) and per detected image on random pixels, and peak memory. Usage: `cargo bench --bench
//! detector_step -- PRESET SHORTER_SIDE BATCH STEPS [THREADS] [f32|bf16]`. The preset `torchvision` is resnet50-fpn with torchvision's
//! classes, anchors, proposals and 512 RoIs per image: for a quick comparison with `make bench-torchvision`. `QUARRY_PARTS=1` also breaks
//! down a step's time, synchronising with the device after each part.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Instant;

use image::RgbImage;
use quarry::detector::{Detector, DetectorConfig, Precision, SamplerConfig, TrainingSample, choose_device, cuda_index};
use quarry::geometry::BoundingBox;
use quarry::training::{RoundConfig, Sgd};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

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
    let image = detector.preparer().prepare(&picture).expect("a picture");
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
    // Plain SGD with momentum, as in scripts/gpu_peer.py.
    let mut settings = RoundConfig::preset("cpu").expect("a preset");
    (settings.weight_decay, settings.clip_norm, settings.momentum) = (0.0, 0.0, 0.9);
    let mut sgd = Sgd::new(detector.trainable(), &settings).expect("an optimiser");
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
        sgd.step(1e-9, 0.0).and_then(|()| sgd.zero_grad()).expect("a step");
        wait(device);
        update.push(start.elapsed().as_secs_f64());
    }
    let mut detect = Vec::new();
    for _ in 0..steps + 2 {
        let start = Instant::now();
        let _ = detector.detect(&picture).expect("detections");
        detect.push(start.elapsed().as_secs_f64());
    }
    let images: Vec<_> = batch.iter().map(|sample| &sample.image).collect();
    let mut detect_batch = Vec::new();
    for _ in 0..steps + 2 {
        let start = Instant::now();
        let _ = detector.detect_prepared(&images).expect("detections");
        detect_batch.push(start.elapsed().as_secs_f64());
    }
    let median = |v: &mut Vec<f64>| {
        v.drain(..2);
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let (f, b, u, d) = (median(&mut forward), median(&mut backward), median(&mut update), median(&mut detect));
    let all = median(&mut detect_batch);
    println!(
        "{preset} s={side} batch {} {:?} on {device:?}: step {:.4} s (forward {f:.4}, backward {b:.4}, update {u:.4}), detect {d:.4} s, batch {all:.4} s, peak {} MiB",
        batch.len(),
        config.precision,
        f + b + u,
        peak_mib()
    );
    if std::env::var_os("QUARRY_PARTS").is_some() {
        parts(device, steps, "training", || drop(detector.losses(&batch, &sampler, &mut rng)));
        parts(device, steps, "detection", || drop(detector.detect_prepared(&images)));
    }
}

/// Prints the mean milliseconds of each part of `work`.
fn parts(device: tch::Device, times: u32, name: &str, mut work: impl FnMut()) {
    let spent = Mutex::new(BTreeMap::new());
    let subscriber = tracing_subscriber::registry().with(Stopwatch { device, spent });
    let dispatch = tracing::Dispatch::new(subscriber);
    tracing::dispatcher::with_default(&dispatch, || (0..times).for_each(|_| work()));
    let Some(stopwatch) = dispatch.downcast_ref::<Stopwatch>() else { return };
    let spent = stopwatch.spent.lock().expect("no thread has panicked");
    let parts: Vec<String> =
        spent.iter().map(|(part, seconds)| format!("{part} {:.2}", 1e3 * seconds / f64::from(times))).collect();
    println!("parts of {name}, ms: {}", parts.join(", "));
}

/// Adds up the time in spans by their field `part`.
struct Stopwatch {
    device: tch::Device,
    spent: Mutex<BTreeMap<String, f64>>,
}

struct Running {
    part: String,
    since: Instant,
}

struct Part(String);

impl Visit for Part {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.0 = format!("{value:?}");
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Stopwatch {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut part = Part(String::new());
        attributes.record(&mut part);
        wait(self.device);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Running { part: part.0, since: Instant::now() });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        wait(self.device);
        let Some(span) = context.span(&id) else { return };
        let extensions = span.extensions();
        if let Some(running) = extensions.get::<Running>() {
            let mut spent = self.spent.lock().expect("no thread has panicked");
            *spent.entry(running.part.clone()).or_default() += running.since.elapsed().as_secs_f64();
        }
    }
}

/// Waits until a GPU has finished its work.
fn wait(device: tch::Device) {
    if let Some(index) = cuda_index(device) {
        tch::Cuda::synchronize(index.into());
    }
}

/// Peak resident memory so far (Linux); 0 elsewhere.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

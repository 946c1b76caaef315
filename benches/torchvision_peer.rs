//! Quarry's side of scripts/compare_torchvision.py and scripts/bench_peers.py: reads torchvision's weights and an image, prints detections
//! or timings as JSON.
//!
//! `torchvision_peer detect WEIGHTS IMAGE SHORTER_SIDE EPS [0] [SAVE_TO]` (EPS: batch norm's epsilon; 0 for COCO_V1)
//! `torchvision_peer time WEIGHTS IMAGE SHORTER_SIDE EPS [STEPS] [f32|bf16] [BATCH]`

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use image::RgbImage;
use quarry::detector::weights::{read, torchvision_names};
use quarry::detector::{Detector, DetectorConfig, NetworkImage, Precision, SamplerConfig, TrainingSample};
use quarry::geometry::BoundingBox;
use quarry::training::{RoundConfig, Sgd};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const THREADS: i32 = 2;
/// Steps before timing starts.
const WARM_UP: usize = 2;
const MOMENTUM: f64 = 0.9;
const WEIGHT_DECAY: f64 = 1e-4;
/// Small, so that random weights stay stable over the run; the cost is the same.
const LEARNING_RATE: f64 = 1e-6;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    if words.is_empty() {
        println!("torchvision_peer: scripts/bench_torchvision.sh runs this with its arguments");
        return Ok(());
    }
    let [task, weights, picture, side, eps, rest @ ..] = &words[..] else {
        bail!("too few arguments, see the head of this file")
    };
    tch::set_num_threads(THREADS);
    tch::set_num_interop_threads(1);
    let mut detector = load(Path::new(weights), side.parse()?, eps.parse()?)?;
    if task == "time"
        && let Some(word) = rest.get(1)
    {
        detector.set_precision(Precision::parse(word).with_context(|| format!("f32 or bf16, not {word}"))?);
    }
    let picture = image::open(picture).with_context(|| picture.clone())?.to_rgb8();
    let json = match task.as_str() {
        "detect" => {
            if let Some(path) = rest.get(1) {
                export(Path::new(weights), &detector, Path::new(path))?;
            }
            detections(&detector, &picture)?
        }
        "time" => {
            let steps = rest.first().map_or(Ok(5), |w| w.parse())?;
            timings(&detector, &picture, steps, rest.get(2).map_or(Ok(1), |w| w.parse())?)?
        }
        other => bail!("unknown task {other}"),
    };
    println!("{json}");
    Ok(())
}

/// `quarry weights export` of the same weights in the form of a round's checkpoint: with Quarry's ellipse head.
fn export(weights: &Path, detector: &Detector, to: &Path) -> Result<()> {
    let config = DetectorConfig { ellipse_head: true, ..detector.config().clone() };
    let adapted = torchvision_names(read(weights)?.arrays);
    let checkpoint = to.with_extension("checkpoint");
    Detector::from_arrays(&config, &adapted.arrays, &["roi_heads.box_predictor.ellipse_pred."])?.0.save(&checkpoint)?;
    quarry::workflow::weights::export(&checkpoint, to)?;
    Ok(())
}

/// torchvision's own architecture, anchors and limits with the state dict of `weights`.
fn load(weights: &Path, side: u32, eps: f64) -> Result<Detector> {
    let adapted = torchvision_names(read(weights)?.arrays);
    let predictor = adapted.arrays.iter().find(|a| a.name == "roi_heads.box_predictor.cls_score.weight");
    let classes = predictor.context("no box predictor in the state dict")?.shape[0] as i64;
    let config = DetectorConfig {
        num_classes: classes,
        ellipse_head: false,
        shorter_side: side,
        batch_norm_eps: eps,
        ..DetectorConfig::torchvision_coco()
    };
    Ok(Detector::from_arrays(&config, &adapted.arrays, &[])?.0)
}

fn detections(detector: &Detector, picture: &RgbImage) -> Result<serde_json::Value> {
    let prepared = NetworkImage::prepare(picture, detector.config())?;
    let found = detector.detect_prepared(&[&prepared])?.remove(0);
    let rows: Vec<serde_json::Value> = found
        .iter()
        .map(|d| {
            let b = &d.detection.bbox;
            serde_json::json!({ "label": d.label, "score": d.detection.score, "box": [b.x1, b.y1, b.x2, b.y2] })
        })
        .collect();
    Ok(serde_json::json!({ "detections": rows }))
}

fn timings(detector: &Detector, picture: &RgbImage, steps: usize, images: usize) -> Result<serde_json::Value> {
    let mut detect = Vec::new();
    let memory_start = status_mib("VmRSS:");
    let cpu = cpu_seconds();
    for _ in 0..steps + WARM_UP {
        let start = Instant::now();
        let _ = detector.detect(picture)?;
        detect.push(start.elapsed().as_secs_f64());
    }
    let runs = (steps + WARM_UP) as f64;
    let detect_cpu = (cpu_seconds() - cpu) / runs;
    let memory_detect = status_mib("VmHWM:");
    let image = NetworkImage::prepare(picture, detector.config())?;
    let (w, h) = (f64::from(image.width), f64::from(image.height));
    // The same fractions of the image as in compare_torchvision.py.
    let shares = [(0.1, 0.1, 0.3, 0.4), (0.6, 0.3, 0.9, 0.75), (0.4, 0.6, 0.45, 0.68)];
    let faces: Vec<_> = shares.iter().map(|s| BoundingBox::new(s.0 * w, s.1 * h, s.2 * w, s.3 * h)).collect();
    let ellipses = vec![None; faces.len()];
    let sample = TrainingSample {
        labels: vec![],
        misclassified: vec![],
        image,
        faces,
        ellipses,
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    };
    let batch = vec![sample; images];
    // torchvision's sampler: 512 RoIs, background from IoU 0 on.
    let sampler = SamplerConfig { batch_per_image: 512, bg_iou: (0.0, 0.5), ..SamplerConfig::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut settings = RoundConfig::preset("cpu")?;
    (settings.momentum, settings.weight_decay, settings.bias_weight_decay) = (MOMENTUM, WEIGHT_DECAY, true);
    (settings.bias_lr_factor, settings.clip_norm) = (1.0, 0.0);
    let mut sgd = Sgd::new(detector.trainable(), &settings)?;
    let (mut train, mut parts) = (Vec::new(), Vec::new());
    let cpu = cpu_seconds();
    for _ in 0..steps + WARM_UP {
        let start = Instant::now();
        let report = detector.losses(&batch, &sampler, &mut rng)?;
        let forward = start.elapsed().as_secs_f64();
        report.total.backward();
        let backward = start.elapsed().as_secs_f64() - forward;
        sgd.step(LEARNING_RATE, 0.0)?;
        sgd.zero_grad()?;
        train.push(start.elapsed().as_secs_f64());
        parts.push((forward, backward));
    }
    let train_cpu = (cpu_seconds() - cpu) / runs;
    let last = parts[parts.len() - 1];
    Ok(serde_json::json!({
        "detect_s": median(detect), "train_s": median(train), "forward_s": last.0, "backward_s": last.1,
        "detect_cpu_s": detect_cpu, "train_cpu_s": train_cpu,
        "memory_start_mib": memory_start, "memory_detect_mib": memory_detect, "memory_mib": status_mib("VmHWM:"),
    }))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.drain(..WARM_UP);
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// CPU time of this process over all threads: the measure least affected by other programs.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// `VmRSS` (now) or `VmHWM` (peak) of this process.
fn status_mib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(key));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

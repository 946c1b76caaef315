//! The individual operators, on boxes and maps from a seed.

use quarry::detector::ops::box_coder::BoxCoder;
use quarry::detector::ops::matcher::Matcher;
use quarry::detector::ops::roi_align::{Canonical, multiscale_roi_align, roi_align};
use quarry::detector::ops::{boxes, nms};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::on_gpu;

fn floats(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// `count` boxes `[count, 4]` inside `side` pixels, some of them equal.
fn random_boxes(count: usize, side: f32, seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || {
        let (x, y) = (rng.random_range(0.0..side * 0.8), rng.random_range(0.0..side * 0.8));
        let (w, h) = (rng.random_range(1.0..side * 0.2), rng.random_range(1.0..side * 0.2));
        [x, y, x + w, y + h]
    };
    let mut all: Vec<[f32; 4]> = (0..count).map(|_| one()).collect();
    (1..count / 10).for_each(|k| all[k * 10] = all[k]);
    Tensor::from_slice(all.as_flattened()).reshape([-1, 4])
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

fn equal(what: &str, cpu: &Tensor, other: &Tensor) {
    assert_eq!(cpu.size(), other.size(), "{what}");
    assert_eq!(numbers(cpu), numbers(other), "{what}");
}

/// Sums of `terms` float32 products in another order differ by at most this, relative to the largest value.
fn close(what: &str, cpu: &Tensor, other: &Tensor, terms: f64) {
    assert_eq!(cpu.size(), other.size(), "{what}");
    let (cpu, other) = (numbers(cpu), numbers(other));
    let largest = cpu.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let deviation = cpu.iter().zip(&other).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
    println!("{what}: largest deviation {deviation:.2e} of {largest:.2e}");
    assert!(deviation <= largest * terms * f64::from(f32::EPSILON), "{what}: {deviation} of {largest}");
}

#[test]
fn roi_align_and_its_gradient() {
    on_gpu("RoIAlign and its gradient", |device| {
        let of_levels = |device: Device| {
            let map = |side: i64, seed| {
                let values = Tensor::from_slice(&floats((2 * 8 * side * side) as usize, seed));
                values.reshape([2, 8, side, side]).to_device(device).set_requires_grad(true)
            };
            let (fine, coarse) = (map(32, 1), map(16, 2));
            let rois = [random_boxes(40, 128.0, 3), random_boxes(25, 128.0, 4)];
            let features = [&fine, &coarse];
            // Boxes larger than 16 pixels use the coarse map.
            let canonical = Canonical { size: 8.0, level: 2.0 };
            let pooled = multiscale_roi_align(&features, &rois, (128, 128), (7, 7), 2, canonical);
            let weights = Tensor::from_slice(&floats(pooled.numel(), 5)).reshape(pooled.size()).to_device(device);
            (&pooled * weights).sum(Kind::Float).backward();
            [pooled, fine.grad(), coarse.grad()]
        };
        let (cpu, other) = (of_levels(Device::Cpu), of_levels(device));
        for (what, (cpu, other)) in ["values", "fine gradient", "coarse gradient"].iter().zip(cpu.iter().zip(&other)) {
            // A cell accumulates some hundred bins.
            close(&format!("RoIAlign's {what}"), cpu, other, 64.0);
        }
        let one_level = |device: Device| {
            let map = Tensor::from_slice(&floats(8 * 20 * 30, 6)).reshape([1, 8, 20, 30]).to_device(device);
            let rois = Tensor::cat(&[Tensor::zeros([9, 1], (Kind::Float, Device::Cpu)), random_boxes(9, 300.0, 7)], 1);
            roi_align(&map, &rois, (14, 14), 1.0 / 16.0, 0, true)
        };
        close("RoIAlign of one level", &one_level(Device::Cpu), &one_level(device), 16.0);
    });
}

#[test]
fn nms_keeps_the_same_boxes_in_the_same_order() {
    on_gpu("NMS", |device| {
        let (boxes, scores) = (random_boxes(3000, 600.0, 1), Tensor::from_slice(&floats(3000, 2)));
        let (far, far_scores) = (boxes.to_device(device), scores.to_device(device));
        for threshold in [0.3, 0.5, 0.7] {
            equal("nms", &nms::nms(&boxes, &scores, threshold), &nms::nms(&far, &far_scores, threshold));
            let limited = |boxes: &Tensor, scores: &Tensor| nms::nms_limited(boxes, scores, threshold, 100);
            equal("limited nms", &limited(&boxes, &scores), &limited(&far, &far_scores));
        }
        let none = Tensor::zeros([0, 4], (Kind::Float, device));
        assert_eq!(nms::nms(&none, &Tensor::zeros([0], (Kind::Float, device)), 0.5).size(), [0]);
    });
}

/// As many boxes as the paper's RPN passes to NMS: the table of all pairs alone would take more than a gigabyte.
#[test]
fn nms_takes_twelve_thousand_boxes() {
    on_gpu("NMS of 12,000 boxes", |device| {
        let (boxes, scores) = (random_boxes(12_000, 1000.0, 8), Tensor::from_slice(&floats(12_000, 9)));
        let cpu = nms::nms_limited(&boxes, &scores, 0.7, 2000);
        equal("nms", &cpu, &nms::nms_limited(&boxes.to_device(device), &scores.to_device(device), 0.7, 2000));
    });
}

#[test]
fn overlaps_matches_and_box_codes() {
    on_gpu("overlaps, the matcher and box codes", |device| {
        let (truth, anchors) = (random_boxes(12, 300.0, 3), random_boxes(5000, 300.0, 4));
        let on = |device: Device| {
            let (truth, anchors) = (truth.to_device(device), anchors.to_device(device));
            let iou = boxes::iou(&truth, &anchors);
            let matcher = Matcher { high: 0.7, low: 0.3, allow_low_quality: true };
            let codes = BoxCoder::RPN.encode(&truth, &anchors.narrow(0, 0, 12));
            let decoded = BoxCoder::RPN.decode(&codes, &anchors.narrow(0, 0, 12));
            (matcher.matches(&iou), iou, codes, decoded)
        };
        let (cpu, other) = (on(Device::Cpu), on(device));
        equal("matches", &cpu.0, &other.0);
        close("overlaps", &cpu.1, &other.1, 4.0);
        close("codes", &cpu.2, &other.2, 16.0);
        close("decoded boxes", &cpu.3, &other.3, 16.0);
    });
}

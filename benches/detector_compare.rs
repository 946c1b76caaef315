//! Quarry's half of `scripts/compare_torchvision_training.py`: detections, losses and gradients of a checkpoint on one image, as JSON
//! lines. Usage: `cargo bench --bench detector_compare -- CHECKPOINT PICTURE X1,Y1,X2,Y2 ...` (faces in network pixels).

use std::path::Path;

use quarry::detector::{Detector, NetworkImage, SamplerConfig, TrainingSample};
use quarry::geometry::BoundingBox;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tch::Device;

/// Large enough to sample every anchor and RoI, so that there is no randomness.
const ALL: usize = 10_000_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let [checkpoint, picture, faces @ ..] = words.as_slice() else {
        println!("give CHECKPOINT PICTURE FACES ...");
        return;
    };
    tch::set_num_threads(2);
    let detector = Detector::load(Path::new(checkpoint), Device::Cpu).expect("a checkpoint");
    let picture = image::open(picture).expect("a picture").to_rgb8();
    let image = NetworkImage::prepare(&picture, detector.config()).expect("a prepared picture");

    let found = detector.detect_prepared(&[&image]).expect("detections");
    for found in found.into_iter().flatten() {
        let b = found.detection.bbox;
        let corners = [b.x1, b.y1, b.x2, b.y2];
        println!("{}", json!({ "box": corners, "score": found.detection.score, "label": found.label }));
    }

    let number = |word: &str| word.parse::<f64>().expect("a number");
    let face = |word: &String| {
        let c: Vec<f64> = word.split(',').map(number).collect();
        BoundingBox::new(c[0], c[1], c[2], c[3])
    };
    let faces: Vec<_> = faces.iter().map(face).collect();
    let sample = TrainingSample {
        labels: vec![],
        misclassified: vec![],
        image,
        ellipses: vec![None; faces.len()],
        faces,
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    };
    let sampler = SamplerConfig {
        batch_per_image: ALL,
        bg_iou: (0.0, 0.5),
        rpn_batch_per_image: ALL,
        ..SamplerConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let report = detector.losses(&[sample], &sampler, &mut rng).expect("losses");
    report.total.backward();
    let value = |t: &tch::Tensor| t.double_value(&[]);
    let losses = json!({
        "loss_classifier": value(&report.loss_classifier),
        "loss_box_reg": value(&report.loss_box_reg),
        "loss_objectness": value(&report.loss_objectness),
        "loss_rpn_box_reg": value(&report.loss_rpn_box_reg),
    });
    println!("{}", json!({ "losses": losses, "counts": report.counts }));
    for (name, weight) in detector.trainable() {
        println!("{}", json!({ "gradient": name, "norm": value(&weight.grad().norm()) }));
    }
}

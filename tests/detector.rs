//! The detector as a whole: it learns, handles unusual images, and is loaded from a file unchanged.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use image::{Rgb, RgbImage};
use quarry::detector::{
    Architecture, BoxLoss, Detector, DetectorConfig, ForcedOrder, FoundObject, NetworkImage, Precision, SamplerConfig,
    SamplerKind, TrainingSample,
};
use quarry::domain::Detection;
use quarry::geometry::{BoundingBox, Ellipse, ImagePx, NetworkPx};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

/// resnet18-fpn for small images.
fn config() -> DetectorConfig {
    let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
    (config.shorter_side, config.longer_side_cap) = (96, 160);
    config.pyramid_channels = 32;
    config.roi.hidden = 64;
    config
}

fn new_detector(config: &DetectorConfig) -> Detector {
    Detector::new(config, Device::Cpu, 1).unwrap()
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

/// A bright upright ellipse on a dark background.
fn picture(width: u32, height: u32, face: Option<&Ellipse>) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let inside = face.is_some_and(|e| e.contains(f64::from(x) + 0.5, f64::from(y) + 0.5));
        if inside { Rgb([230, 180, 150]) } else { Rgb([(x % 40) as u8, 30, (y % 60) as u8]) }
    })
}

fn face() -> Ellipse {
    Ellipse::new(30.0, 20.0, std::f64::consts::FRAC_PI_2, 60.0, 50.0)
}

fn sample(config: &DetectorConfig, face: Option<Ellipse>) -> TrainingSample {
    let image = NetworkImage::prepare(&picture(120, 96, face.as_ref()), config).unwrap();
    let ellipses: Vec<Option<Ellipse<NetworkPx>>> = face.iter().map(|e| Some(image.fit.ellipse(e))).collect();
    let faces = face.iter().map(|e| image.fit.bounding_box(&e.bounding_box())).collect();
    TrainingSample {
        labels: vec![],
        misclassified: vec![],
        image,
        faces,
        ellipses,
        hard_negatives: vec![],
        hard_negative_labels: vec![],
        ignored: vec![],
    }
}

fn step(detector: &Detector, rate: f64) {
    let _guard = tch::no_grad_guard();
    for (_, mut weight) in detector.trainable() {
        let gradient = weight.grad();
        if gradient.defined() {
            let norm = gradient.norm().double_value(&[]).max(1.0);
            let _ = weight.g_sub_(&(gradient * (rate / norm)));
            weight.zero_grad();
        }
    }
}

#[test]
fn a_few_steps_on_one_picture_find_its_face() {
    let config = config();
    let detector = new_detector(&config);
    let batch = [sample(&config, Some(face())), sample(&config, None)];
    let mut rng = rng();
    let mut totals = Vec::new();
    for _ in 0..60 {
        let report = detector.losses(&batch, &SamplerConfig::default(), &mut rng).unwrap();
        report.total.backward();
        step(&detector, 0.02);
        totals.push(report.total.double_value(&[]));
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&totals[..5]), mean(&totals[55..]));
    assert!(last < 0.4 * first, "{first} {last}");

    let found = detector.detect(&picture(120, 96, Some(&face()))).unwrap();
    let best = found.first().expect("a detection");
    assert!(best.bbox.iou(&face().bounding_box()) > 0.6, "{best:?} {totals:?}");
    let ellipse = best.ellipse.expect("an ellipse");
    assert!(ellipse.bounding_box().iou(&face().bounding_box()) > 0.5, "{ellipse:?}");
}

fn losses_are_finite(detector: &Detector, batch: &[TrainingSample], sampler: &SamplerConfig) {
    let report = detector.losses(batch, sampler, &mut rng()).unwrap();
    let total = report.total.double_value(&[]);
    assert!(total.is_finite() && total >= 0.0, "{report:?}");
    report.total.backward();
    for (name, weight) in detector.trainable() {
        let gradient = weight.grad();
        assert!(!gradient.defined() || gradient.isfinite().all().int64_value(&[]) == 1, "gradient of {name}");
    }
}

#[test]
fn every_architecture_gives_losses_and_detections() {
    for architecture in Architecture::ALL {
        let mut config = DetectorConfig::of(architecture);
        (config.shorter_side, config.longer_side_cap) = (64, 96);
        (config.rpn.train.post_nms, config.rpn.test.post_nms) = (20, 10);
        if architecture == Architecture::Vgg16 {
            config.roi.hidden = 64;
        }
        config.detection.score_threshold = 0.0;
        let detector = new_detector(&config);
        let sampler = SamplerConfig { batch_per_image: 8, ..SamplerConfig::default() };
        losses_are_finite(&detector, &[sample(&config, Some(face()))], &sampler);
        let found = detector.detect(&picture(100, 70, None)).unwrap();
        for detection in &found {
            let b = &detection.bbox;
            assert!(b.x1 >= 0.0 && b.x2 <= 100.01 && b.y2 <= 70.01 && detection.ellipse.is_some(), "{detection:?}");
        }
        assert!(found.is_sorted_by(|a, b| b.score <= a.score) && found.len() <= 100, "{architecture}");
    }
}

#[test]
fn pictures_without_faces_are_all_background() {
    let config = config();
    let detector = new_detector(&config);
    let report = detector.losses(&[sample(&config, None)], &SamplerConfig::default(), &mut rng()).unwrap();
    let counts = report.counts;
    assert_eq!((counts.foreground, counts.rpn_foreground, counts.rpn_background), (0, 0, 256));
    assert_eq!(counts.background, 128);
    assert_eq!(report.loss_box_reg.double_value(&[]) + report.loss_rpn_box_reg.double_value(&[]), 0.0);
    assert_eq!(report.loss_ellipse.double_value(&[]), 0.0);
    for kind in SamplerKind::ALL {
        for box_loss in [BoxLoss::SmoothL1, BoxLoss::Giou] {
            let sampler = SamplerConfig { kind, box_loss, focal_gamma: 0.5, ..SamplerConfig::default() };
            losses_are_finite(&detector, &[sample(&config, None)], &sampler);
        }
    }
}

#[test]
fn odd_pictures_and_boxes_give_no_panic_and_no_nan() {
    let config = config();
    let detector = new_detector(&config);
    for (width, height) in [(1, 1), (3, 2), (2000, 1), (7, 900)] {
        assert!(detector.detect(&picture(width, height, None)).is_ok(), "{width} x {height}");
    }
    assert!(detector.detect(&RgbImage::new(0, 0)).is_err());
    let tiny = NetworkImage { width: 3, height: 2, pixels: vec![9.0; 18], ..sample(&config, None).image };
    let odd = TrainingSample {
        labels: vec![],
        misclassified: vec![],
        image: tiny,
        faces: vec![
            BoundingBox::new(1.0, 1.0, 1.0, 1.0),
            BoundingBox::new(f64::NAN, 0.0, 2.0, 2.0),
            BoundingBox::new(0.0, 0.0, 2.5, 1.5),
            BoundingBox::new(-50.0, -50.0, 900.0, 900.0),
        ],
        ellipses: vec![None, None, Some(Ellipse::new(0.0, 0.0, 0.0, 1.0, 1.0)), None],
        hard_negatives: vec![BoundingBox::new(2.0, 1.0, 2.0, 1.0), BoundingBox::new(0.0, 0.0, 1.0, 1.0)],
        hard_negative_labels: vec![],
        ignored: vec![BoundingBox::new(0.0, 0.0, 0.0, 0.0)],
    };
    let giou = SamplerConfig { box_loss: BoxLoss::Giou, box_weight: 5.0, ..SamplerConfig::default() };
    for sampler in [SamplerConfig::default(), giou] {
        losses_are_finite(&detector, std::slice::from_ref(&odd), &sampler);
        losses_are_finite(&detector, &[odd.clone(), sample(&config, Some(face()))], &sampler);
    }
    assert!(detector.losses(&[], &SamplerConfig::default(), &mut rng()).is_err());
}

#[test]
fn nothing_left_after_filtering_is_an_empty_result() {
    let mut config = config();
    config.rpn.min_size = 10_000.0;
    let detector = new_detector(&config);
    assert_eq!(detector.detect(&picture(120, 96, None)).unwrap(), []);
    losses_are_finite(&detector, &[sample(&config, None)], &SamplerConfig::default());
    let c4 = DetectorConfig {
        rpn: config.rpn,
        shorter_side: 64,
        longer_side_cap: 96,
        ..DetectorConfig::of(Architecture::ResNet50HalfC4)
    };
    let detector = new_detector(&c4);
    assert_eq!(detector.detect(&picture(120, 96, None)).unwrap(), []);
    losses_are_finite(&detector, &[sample(&c4, None)], &SamplerConfig::default());
}

#[test]
fn hard_negatives_are_always_selected_and_ignored_regions_never() {
    let config = config();
    let detector = new_detector(&config);
    let mut taught = sample(&config, Some(face()));
    let corner = |x: f64, y: f64| BoundingBox::new(x, y, x + 12.0, y + 16.0);
    taught.hard_negatives = vec![corner(2.0, 2.0), corner(100.0, 5.0), corner(100.0, 75.0)];
    for seed in 0..5 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let counts = detector.losses(&[taught.clone()], &SamplerConfig::default(), &mut rng).unwrap().counts;
        assert_eq!(counts.forced, 3);
        assert!(counts.rpn_forced >= 3 && counts.rpn_forced <= counts.rpn_background, "{counts:?}");
        assert!(counts.foreground <= 32 && counts.foreground + counts.background <= 128);
    }
    // A hard negative that became a face is foreground.
    let mut promoted = taught.clone();
    promoted.hard_negatives = promoted.faces.clone();
    let counts = detector.losses(&[promoted], &SamplerConfig::default(), &mut rng()).unwrap().counts;
    assert_eq!((counts.forced, counts.rpn_forced), (0, 0));
    // A face stays foreground if an ignored region overlaps it; nothing else in the region is sampled.
    let mut blind = taught;
    let (width, height) = (f64::from(blind.image.width), f64::from(blind.image.height));
    blind.ignored = vec![BoundingBox::new(-200.0, -200.0, width + 200.0, height + 200.0)];
    let counts = detector.losses(&[blind.clone()], &SamplerConfig::default(), &mut rng()).unwrap().counts;
    assert!(counts.foreground > 0 && counts.rpn_foreground > 0, "{counts:?}");
    assert_eq!((counts.background, counts.rpn_background), (0, 0), "{counts:?}");
    // What is trained there anyway does not count as ignored.
    let everywhere = counts;
    // An image without faces that is completely ignored: nothing is sampled or learnt.
    (blind.faces, blind.ellipses) = (vec![], vec![]);
    let report = detector.losses(&[blind.clone()], &SamplerConfig::default(), &mut rng()).unwrap();
    let counts = report.counts;
    assert_eq!((counts.foreground, counts.background, counts.rpn_foreground, counts.rpn_background), (0, 0, 0, 0));
    assert_eq!(everywhere.rpn_ignored + everywhere.rpn_foreground, counts.rpn_ignored, "one role each");
    assert_eq!(report.total.double_value(&[]), 0.0);
    losses_are_finite(&detector, &[blind], &SamplerConfig::default());
}

#[test]
fn ohem_takes_the_highest_losses() {
    let config = config();
    let detector = new_detector(&config);
    let batch = [sample(&config, Some(face()))];
    let loss = |kind, seed| {
        let sampler = SamplerConfig { kind, batch_per_image: 16, bg_iou: (0.0, 0.5), ..SamplerConfig::default() };
        let report = detector.losses(&batch, &sampler, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        assert!(report.counts.foreground + report.counts.background <= 16, "{:?}", report.counts);
        (report.loss_classifier + report.loss_box_reg).double_value(&[])
    };
    let hardest = loss(SamplerKind::Ohem, 0);
    assert_eq!(hardest, loss(SamplerKind::Ohem, 1), "OHEM leaves nothing to chance");
    let drawn = (0..6).map(|seed| loss(SamplerKind::Random, seed)).sum::<f64>() / 6.0;
    assert!(drawn < hardest, "{drawn} {hardest}");
}

#[test]
fn mined_ones_come_before_ohems_and_the_hardest_of_them_first() {
    let config = config();
    let detector = new_detector(&config);
    let mut taught = sample(&config, Some(face()));
    taught.hard_negatives = (0..6).map(|k| BoundingBox::new(2.0, 2.0, 8.0 + 5.0 * f64::from(k), 80.0)).collect();
    let run_on = |taught: &TrainingSample, sampler: SamplerConfig, seed| {
        let sampler = SamplerConfig { batch_per_image: 16, forced_fraction: 0.125, ..sampler };
        let batch = std::slice::from_ref(taught);
        let report = detector.losses(batch, &sampler, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        (report.counts, report.loss_classifier.double_value(&[]))
    };
    let run = |sampler: SamplerConfig, seed| run_on(&taught, sampler, seed);
    let both = SamplerConfig { kind: SamplerKind::MinedOhem, ..SamplerConfig::default() };
    let (counts, loss) = run(both.clone(), 0);
    assert_eq!((counts.forced, counts.foreground + counts.background), (2, 16), "{counts:?}");
    assert_eq!((counts, loss), run(both, 1), "nothing is left to chance");
    let ohem = SamplerConfig { kind: SamplerKind::Ohem, ..SamplerConfig::default() };
    assert_eq!(run(ohem, 0).0.forced, 0);
    // By loss the same two are forced in whatever order they are given.
    let mut reversed = taught.clone();
    reversed.hard_negatives.reverse();
    let by = |forced_order, taught: &TrainingSample| {
        let (counts, loss) = run_on(taught, SamplerConfig { forced_order, ..SamplerConfig::default() }, 3);
        assert_eq!(counts.forced, 2);
        loss
    };
    assert_eq!(by(ForcedOrder::Loss, &taught), by(ForcedOrder::Loss, &reversed));
    assert_ne!(by(ForcedOrder::Score, &taught), by(ForcedOrder::Score, &reversed));
}

#[test]
fn other_losses_of_the_second_stage_leave_the_rest_of_the_step_alone() {
    let config = config();
    let detector = new_detector(&config);
    let batch = [sample(&config, Some(face())), sample(&config, None)];
    let run = |sampler: SamplerConfig| {
        let report = detector.losses(&batch, &sampler, &mut rng()).unwrap();
        let losses = [&report.loss_classifier, &report.loss_box_reg, &report.loss_objectness, &report.loss_ellipse];
        losses.map(|loss| loss.double_value(&[]))
    };
    let [classifier, boxes, objectness, ellipse] = run(SamplerConfig::default());
    let focal = run(SamplerConfig { focal_gamma: 2.0, ..SamplerConfig::default() });
    assert!(focal[0] < 0.5 * classifier && focal[0] > 0.0, "{focal:?} {classifier}");
    assert_eq!(focal[1..], [boxes, objectness, ellipse]);
    let light = run(SamplerConfig { background_weight: 0.5, ..SamplerConfig::default() });
    assert!(light[0] < classifier && light[0] > 0.5 * classifier, "{light:?} {classifier}");
    let giou = run(SamplerConfig { box_loss: BoxLoss::Giou, ..SamplerConfig::default() });
    assert!(giou[1] != boxes && giou[1] > 0.0 && giou[1] < 2.0, "{giou:?}");
    assert_eq!([giou[0], giou[2], giou[3]], [classifier, objectness, ellipse]);
    let heavy = run(SamplerConfig { box_weight: 3.0, ..SamplerConfig::default() });
    assert!((heavy[1] - 3.0 * boxes).abs() < 1e-6, "{heavy:?} {boxes}");
}

#[test]
fn the_same_seeds_give_the_same_step() {
    let config = config();
    let batch = [sample(&config, Some(face()))];
    let run = |seed| {
        let detector = new_detector(&config);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let report = detector.losses(&batch, &SamplerConfig::default(), &mut rng).unwrap();
        report.total.backward();
        let gradients: Vec<Tensor> = detector.trainable().iter().map(|(_, weight)| weight.grad()).collect();
        (report.total.double_value(&[]), gradients)
    };
    let (a, b) = (run(3), run(3));
    assert_eq!(a.0, b.0);
    assert!(a.1.iter().zip(&b.1).all(|(a, b)| a.defined() == b.defined() && (!a.defined() || a.equal(b))));
    assert_ne!(a.0, run(4).0);
}

/// Returns the losses of one step and the gradient of every weight that has one, by name.
fn losses_and_gradients(config: &DetectorConfig) -> (Vec<f64>, Vec<(String, Tensor)>) {
    let detector = new_detector(config);
    let batch = [sample(config, Some(face())), sample(config, None)];
    let report = detector.losses(&batch, &SamplerConfig::default(), &mut rng()).unwrap();
    report.total.backward();
    let losses = [&report.loss_classifier, &report.loss_objectness, &report.loss_rpn_box_reg, &report.total];
    let gradients = detector.trainable().into_iter().map(|(name, weight)| (name, weight.grad()));
    (losses.map(|loss| loss.double_value(&[])).to_vec(), gradients.filter(|(_, g)| g.defined()).collect())
}

#[test]
fn bf16_gives_nearly_the_same_losses_and_gradients() {
    for architecture in [Architecture::ResNet18Fpn, Architecture::ResNet50HalfC4, Architecture::Vgg16] {
        let mut exact = DetectorConfig::of(architecture);
        (exact.shorter_side, exact.longer_side_cap, exact.roi.dropout) = (96, 160, 0.0);
        exact.roi.hidden = exact.roi.hidden.min(64);
        let rounded = DetectorConfig { precision: Precision::Bf16, ..exact.clone() };
        let ((losses, gradients), (rounded_losses, rounded_gradients)) =
            (losses_and_gradients(&exact), losses_and_gradients(&rounded));
        for (a, b) in losses.iter().zip(&rounded_losses) {
            assert!((a - b).abs() <= 0.03 * a.abs() + 0.005, "{architecture}: {losses:?} {rounded_losses:?}");
        }
        assert_ne!(losses, rounded_losses, "{architecture}: nothing was rounded");
        assert_eq!(gradients.len(), rounded_gradients.len());
        let (mut dot, mut squares) = (0.0, [0.0, 0.0]);
        for ((name, a), (_, b)) in gradients.iter().zip(&rounded_gradients) {
            assert_eq!(b.kind(), Kind::Float, "{name}");
            dot += (a * b).sum(Kind::Double).double_value(&[]);
            squares[0] += (a * a).sum(Kind::Double).double_value(&[]);
            squares[1] += (b * b).sum(Kind::Double).double_value(&[]);
        }
        let cosine = dot / (squares[0] * squares[1]).sqrt();
        assert!(cosine > 0.99, "{architecture}: {cosine}");
    }
}

#[test]
fn frozen_stages_have_no_gradient_and_the_others_have_one() {
    let names = |frozen_stages| {
        let config = DetectorConfig { frozen_stages, ..config() };
        let detector = new_detector(&config);
        let report = detector.losses(&[sample(&config, Some(face()))], &SamplerConfig::default(), &mut rng()).unwrap();
        report.total.backward();
        let trainable = detector.trainable();
        for (name, weight) in &trainable {
            assert!(weight.grad().defined(), "{name} learns nothing with {frozen_stages} frozen stages");
        }
        trainable.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let has = |names: &[String], part: &str| names.iter().any(|n| n.contains(part));
    let all = names(0);
    assert!(has(&all, "body.conv1.") && !has(&all, "bn1"));
    let usual = names(2);
    assert!(!has(&usual, "body.conv1.") && !has(&usual, "layer1.") && has(&usual, "layer2."));
    let none = names(5);
    assert!(!has(&none, "body.") && has(&none, "fpn."));
}

/// Detection caches prepared weights; a step that changes them must invalidate the cache.
#[test]
fn detection_after_a_step_is_that_of_the_new_weights() {
    for architecture in [Architecture::ResNet18Fpn, Architecture::ResNet50HalfC4, Architecture::Vgg16] {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut config = DetectorConfig { precision, ..DetectorConfig::of(architecture) };
            (config.shorter_side, config.longer_side_cap) = (64, 96);
            (config.rpn.train.post_nms, config.rpn.test.post_nms) = (20, 10);
            config.roi.hidden = config.roi.hidden.min(64);
            config.detection.score_threshold = 0.0;
            let detector = new_detector(&config);
            let before = detector.detect(&picture(100, 70, None)).unwrap();
            tch::no_grad(|| {
                for (_, mut weight) in detector.trainable() {
                    let _ = weight.g_mul_scalar_(1.25);
                }
            });
            let after = detector.detect(&picture(100, 70, None)).unwrap();
            assert_ne!(before, after, "{architecture}");
            let fresh = Detector::from_state(&config, Device::Cpu, detector.state().into_iter().collect()).unwrap();
            assert_eq!(after, fresh.detect(&picture(100, 70, None)).unwrap(), "{architecture} {precision:?}");
        }
    }
}

#[test]
fn detections_map_back_to_the_image() {
    // The same image at twice the size gives the same network input, so boxes are twice as large.
    let mut config = config();
    config.detection.score_threshold = 0.0;
    let detector = new_detector(&config);
    let small = RgbImage::from_pixel(120, 96, Rgb([80, 90, 100]));
    let large = RgbImage::from_pixel(240, 192, Rgb([80, 90, 100]));
    let (a, b) = (detector.detect(&small).unwrap(), detector.detect(&large).unwrap());
    assert!(!a.is_empty() && a.len() == b.len());
    let doubled = |b: &BoundingBox<ImagePx>| BoundingBox::new(2.0 * b.x1, 2.0 * b.y1, 2.0 * b.x2, 2.0 * b.y2);
    for (a, b) in a.iter().zip(&b) {
        assert!(doubled(&a.bbox).iou(&b.bbox) > 0.999, "{a:?} {b:?}");
    }
}

#[test]
fn features_come_with_the_same_detections_and_tell_boxes_apart() {
    for architecture in [Architecture::ResNet18Fpn, Architecture::ResNet50HalfC4] {
        let mut config = DetectorConfig::of(architecture);
        (config.shorter_side, config.longer_side_cap) = (96, 160);
        config.detection.score_threshold = 0.0;
        let detector = new_detector(&config);
        let image = picture(120, 96, Some(&face()));
        let seen = detector.detect_with_features(&image).unwrap();
        let detections: Vec<_> = seen.iter().map(|(detection, _)| *detection).collect();
        assert_eq!(detections, detector.detect(&image).unwrap(), "{architecture}");
        let features: Vec<_> = seen.iter().filter_map(|(_, feature)| *feature).collect();
        assert!(
            features.len() > 2 && features.len() == seen.len(),
            "{architecture}: {} of {}",
            features.len(),
            seen.len()
        );
        let again: Vec<_> = detector.detect_with_features(&image).unwrap().iter().filter_map(|(_, f)| *f).collect();
        assert_eq!(features, again);
        let others = features[1..].iter().map(|other| features[0].cosine(other));
        assert!(others.fold(1.0, f32::min) < 0.999, "{architecture}: all the same");
    }
    let blank = RgbImage::new(64, 64);
    let mut strict = config();
    strict.detection.score_threshold = 0.999;
    assert!(new_detector(&strict).detect_with_features(&blank).unwrap().is_empty());
}

/// Returns the fraction of `a` with a match in `b`: every corner within `pixels`, the score within `score`.
fn share_alike(a: &[FoundObject], b: &[FoundObject], pixels: f64, score: f32) -> f64 {
    let is_similar = |one: &Detection, other: &Detection| {
        let (p, q) = (one.bbox, other.bbox);
        let apart = [p.x1 - q.x1, p.y1 - q.y1, p.x2 - q.x2, p.y2 - q.y2];
        apart.iter().all(|d| d.abs() <= pixels) && (one.score - other.score).abs() <= score
    };
    let found = |one: &&FoundObject| b.iter().any(|other| is_similar(&one.object.detection, &other.object.detection));
    a.iter().filter(found).count() as f64 / a.len() as f64
}

#[test]
fn images_of_one_padded_size_are_found_the_same_alone_and_in_a_batch() {
    for architecture in [Architecture::ResNet18Fpn, Architecture::ResNet50HalfC4] {
        let mut config = DetectorConfig::of(architecture);
        (config.shorter_side, config.longer_side_cap) = (96, 160);
        (config.detection.score_threshold, config.detection.max_detections) = (0.2, 20);
        let detector = new_detector(&config);
        let preparer = detector.preparer();
        let sizes = [(120, 96), (118, 96), (240, 192), (121, 97)];
        let images: Vec<NetworkImage> = sizes
            .iter()
            .enumerate()
            .map(|(k, (w, h))| preparer.prepare(&picture(*w, *h, (k % 2 == 0).then(face).as_ref())).unwrap())
            .collect();
        assert!(images.iter().all(|image| image.padded() == images[0].padded()));
        let together = detector.detect_batch(&images.iter().collect::<Vec<_>>(), true).unwrap();
        for (image, of_batch) in images.iter().zip(&together) {
            let alone = detector.detect_batch(&[image], true).unwrap().remove(0);
            // On score ties rounding may select another one in NMS.
            let share = share_alike(&alone, of_batch, 0.01, 1e-4);
            assert!(!alone.is_empty() && share >= 0.9, "{architecture}: {share} of {}", alone.len());
            assert!(of_batch.iter().all(|found| found.feature.is_some()));
        }
    }
}

#[test]
fn detection_computes_in_the_precision_that_is_set() {
    let mut config = config();
    (config.detection.score_threshold, config.detection.max_detections) = (0.0, 5);
    let mut detector = new_detector(&config);
    let image = picture(120, 96, Some(&face()));
    let exact = detector.detect(&image).unwrap();
    detector.set_precision(Precision::Bf16);
    let rounded = detector.detect(&image).unwrap();
    assert!(!exact.is_empty() && exact.len() == rounded.len() && exact != rounded);
    assert!(rounded.iter().all(|d| d.bbox.is_finite() && d.score.is_finite()));
    detector.set_precision(Precision::F32);
    assert_eq!(detector.detect(&image).unwrap(), exact);
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut config = config();
    config.detection.score_threshold = 0.0;
    let detector = new_detector(&config);
    detector.save(&path).unwrap();
    detector.save(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the checkpoint is left");
    let back = Detector::load(&path, Device::Cpu).unwrap();
    assert_eq!(back.config(), &config);
    for ((name, a), (other, b)) in detector.state().iter().zip(&back.state()) {
        assert!(name == other && a.equal(b), "{name}");
    }
    let image = picture(120, 96, Some(&face()));
    assert_eq!(detector.detect(&image).unwrap(), back.detect(&image).unwrap());

    let half = DetectorConfig::of(Architecture::ResNet50HalfFpn);
    let message = Detector::load_as(&path, &half, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("resnet18-fpn") && message.contains("resnet50-half-fpn"), "{message}");
    let mut damaged = detector.trainable();
    {
        let _guard = tch::no_grad_guard();
        let _ = damaged[0].1.fill_(f64::NAN);
    }
    let message = detector.save(&path).unwrap_err().to_string();
    assert!(message.contains(&damaged[0].0), "{message}");
    assert!(Detector::load(&path, Device::Cpu).is_ok(), "the old checkpoint is still there");
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = Detector::load(&path, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(expected), "{message}");
    };
    check("empty", b"", "complete");
    check("text", b"this is not a checkpoint at all, is it?", "complete");
    let foreign = safetensors::serialize([("w", view(&[0; 4]))], None).unwrap();
    check("foreign", &foreign, "quarry weights import");
    let message = Detector::load(&folder.path().join("nowhere"), Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("nowhere"), "{message}");
}

fn view(bytes: &[u8]) -> safetensors::tensor::TensorView<'_> {
    safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], bytes).unwrap()
}

#[test]
fn backbones_are_taken_from_classification_networks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    let config = config();
    // torchvision's names with separate batch norms, and another network's with the norm folded into a bias.
    for folded in [false, true] {
        let source = Detector::new(&config, Device::Cpu, 9).unwrap();
        let mut expected = Vec::new();
        let mut tensors = vec![("fc.weight".to_owned(), Tensor::ones([2, 2], (Kind::Float, Device::Cpu)))];
        for (name, tensor) in source.state() {
            let Some(short) = name.strip_prefix("backbone.body.") else { continue };
            let norm = !short.contains("conv") && !short.contains("downsample.0");
            if !(folded && norm) {
                expected.push((name.clone(), tensor.copy()));
                tensors.push((short.to_owned(), tensor.copy()));
            }
            if folded && !norm {
                let bias = Tensor::arange(tensor.size()[0], (Kind::Float, Device::Cpu));
                tensors.push((short.replace(".weight", ".bias"), bias.copy()));
                let norm = name.replace("conv", "bn").replace("downsample.0", "downsample.1");
                expected.push((norm.replace(".weight", ".bias"), bias.copy()));
                expected.push((norm, bias.ones_like()));
            }
        }
        Tensor::write_safetensors(&tensors, &path).unwrap();
        let mut detector = new_detector(&config);
        let head = detector.state().into_iter().find(|(n, _)| n.contains("fc6.weight")).unwrap().1;
        detector.load_backbone(&path).unwrap();
        let state: std::collections::HashMap<_, _> = detector.state().into_iter().collect();
        assert!(expected.len() > 50);
        for (name, tensor) in &expected {
            assert!(state[name].equal(tensor), "{name}");
        }
        assert!(state["roi_heads.box_head.fc6.weight"].equal(&head));
        let half = DetectorConfig::of(Architecture::ResNet50HalfFpn);
        let message = new_detector(&half).load_backbone(&path).unwrap_err().to_string();
        assert!(message.contains("resnet50-half-fpn") || message.contains("shape"), "{message}");
    }
}

#[test]
fn resnet50_fpn_has_torchvisions_295_tensors() {
    let config = DetectorConfig { ellipse_head: false, ..DetectorConfig::torchvision_coco() };
    let state = new_detector(&config).state();
    let mut expected = Vec::new();
    let norm = |name: &str| ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{name}.{part}"));
    let body = "backbone.body";
    expected.push(format!("{body}.conv1.weight"));
    expected.extend(norm(&format!("{body}.bn1")));
    for (layer, blocks) in [(1, 3), (2, 4), (3, 6), (4, 3)] {
        for block in 0..blocks {
            let name = format!("{body}.layer{layer}.{block}");
            for k in 1..=3 {
                expected.push(format!("{name}.conv{k}.weight"));
                expected.extend(norm(&format!("{name}.bn{k}")));
            }
            if block == 0 {
                expected.push(format!("{name}.downsample.0.weight"));
                expected.extend(norm(&format!("{name}.downsample.1")));
            }
        }
    }
    let mut both = |name: &str| expected.extend(["weight", "bias"].map(|part| format!("{name}.{part}")));
    for k in 0..4 {
        both(&format!("backbone.fpn.inner_blocks.{k}.0"));
        both(&format!("backbone.fpn.layer_blocks.{k}.0"));
    }
    for name in ["rpn.head.conv.0.0", "rpn.head.cls_logits", "rpn.head.bbox_pred"] {
        both(name);
    }
    for name in ["box_head.fc6", "box_head.fc7", "box_predictor.cls_score", "box_predictor.bbox_pred"] {
        both(&format!("roi_heads.{name}"));
    }
    assert_eq!(expected.len(), 295);
    let mut names: Vec<&str> = state.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    expected.sort();
    assert_eq!(names, expected);
    let shape = |name: &str| state.iter().find(|(n, _)| n == name).unwrap().1.size();
    assert_eq!(shape("backbone.body.layer4.2.conv3.weight"), [2048, 512, 1, 1]);
    assert_eq!(shape("backbone.fpn.inner_blocks.3.0.weight"), [256, 2048, 1, 1]);
    assert_eq!(shape("rpn.head.bbox_pred.weight"), [12, 256, 1, 1]);
    assert_eq!(shape("roi_heads.box_head.fc6.weight"), [1024, 12544]);
    assert_eq!(shape("roi_heads.box_predictor.bbox_pred.bias"), [364]);
}

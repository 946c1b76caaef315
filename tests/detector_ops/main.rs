//! Every operator against torchvision's outputs and gradients, and against brute-force oracles.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(feature = "torch")]

mod golden;
mod oracle;
mod roi_losses;
mod whole_models;

use golden::{Golden, check_exact, check_floats, check_same};
use quarry::detector::SMOOTH_L1_BETA;
use quarry::detector::ops::anchors::AnchorGenerator;
use quarry::detector::ops::box_coder::BoxCoder;
use quarry::detector::ops::losses::fast_rcnn_loss;
use quarry::detector::ops::matcher::Matcher;
use quarry::detector::ops::nms::{NO_LIMIT, nms, nms_limited, nms_of_classes};
use quarry::detector::ops::roi_align::{Canonical, multiscale_roi_align, roi_align};
use quarry::detector::ops::{BatchNorm, boxes};
use tch::{Device, IndexOp, Kind, Tensor};

/// Each test runs on the small fixture, and on the full file if it exists (where it has more cases).
fn with_golden(check: impl Fn(&Golden)) {
    check(&Golden::full().unwrap_or_else(Golden::small));
}

#[test]
fn roi_align_and_its_gradient_equal_torchvision() {
    check_roi_align(&Golden::small(), "7_unaligned", 7, false);
    check_roi_align(&Golden::small(), "7_aligned", 7, true);
    if let Some(full) = Golden::full() {
        check_roi_align(&full, "14_unaligned", 14, false);
    }
}

fn check_roi_align(golden: &Golden, case: &str, side: i64, aligned: bool) {
    for channels_last in [false, true] {
        let mut feature = golden.get("roi_align.feature");
        if channels_last {
            feature = feature.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        }
        let feature = feature.set_requires_grad(true);
        let out = roi_align(&feature, &golden.get("roi_align.rois"), (side, side), 1.0 / 16.0, 2, aligned);
        (&out * golden.get(&format!("roi_align.{case}.grad_out"))).sum(Kind::Float).backward();
        check_floats(&format!("roi_align {case}"), &out, &golden.get(&format!("roi_align.{case}.out")));
        let gradient = golden.get(&format!("roi_align.{case}.grad_feature"));
        check_floats(&format!("roi_align {case} gradient"), &feature.grad(), &gradient);
    }
}

#[test]
fn multiscale_roi_align_equals_torchvision() {
    let Some(golden) = Golden::full() else { return };
    let features: Vec<Tensor> = (0..4).map(|k| golden.get(&format!("multiscale.feature.{k}"))).collect();
    let features: Vec<&Tensor> = features.iter().collect();
    let boxes = [golden.get("multiscale.boxes")];
    let out = multiscale_roi_align(&features, &boxes, (640, 800), (7, 7), 2, Canonical::default());
    check_floats("multiscale_roi_align", &out, &golden.get("multiscale.out"));
}

#[test]
fn roi_align_equals_the_oracle_with_gradient_inside_and_outside_the_image() {
    tch::manual_seed(3);
    for (sampling, aligned, out) in [(2, false, (7, 7)), (2, true, (3, 5)), (0, false, (2, 3)), (1, true, (1, 1))] {
        let feature = Tensor::randn([2, 3, 9, 12], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let rois = oracle::random_rois(40, 2, 12.0 * 8.0, 9.0 * 8.0);
        let ours = roi_align(&feature, &rois, out, 0.125, sampling, aligned);
        let expected = oracle::roi_align(&feature, &rois, out, 0.125, sampling, aligned);
        check_floats("roi_align oracle", &ours, &expected);
    }
}

#[test]
fn roi_align_gradient_equals_finite_differences() {
    tch::manual_seed(4);
    let feature = Tensor::randn([1, 2, 5, 6], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let rois = Tensor::from_slice(&[0.0f32, 3.0, 2.0, 40.0, 30.0]).reshape([1, 5]);
    let weight = Tensor::randn([1, 2, 3, 3], (Kind::Double, Device::Cpu));
    let loss = |f: &Tensor| (roi_align(f, &rois, (3, 3), 0.125, 2, false) * &weight).sum(Kind::Double);
    loss(&feature).backward();
    let gradient = feature.grad();
    for (c, y, x) in [(0, 0, 0), (0, 2, 3), (1, 3, 4), (1, 4, 5)] {
        let step = Tensor::zeros_like(&feature);
        let _ = step.i((0, c, y, x)).fill_(1e-5);
        let base = feature.detach();
        let slope = (loss(&(&base + &step)) - loss(&(&base - &step))).double_value(&[]) / 2e-5;
        let ours = gradient.double_value(&[0, c, y, x]);
        assert!((slope - ours).abs() < 1e-6, "{slope} {ours}");
    }
}

#[test]
fn multiscale_roi_align_reads_each_box_from_its_level_in_the_given_order() {
    tch::manual_seed(5);
    let features: Vec<Tensor> =
        (0..4).map(|k| Tensor::randn([2, 3, 64 >> k, 96 >> k], (Kind::Float, Device::Cpu))).collect();
    let levels: Vec<&Tensor> = features.iter().collect();
    // Sides 32, 112, 224, 448 and an empty box, two images.
    let sides = [(112.0f32, 1), (32.0, 0), (448.0, 3), (224.0, 2), (0.0, 0)];
    let boxes: Vec<f32> = sides.iter().flat_map(|&(s, _)| [5.0, 7.0, 5.0 + s, 7.0 + s]).collect();
    let boxes = Tensor::from_slice(&boxes).reshape([-1, 4]);
    let out = multiscale_roi_align(
        &levels,
        &[boxes.shallow_clone(), boxes.shallow_clone()],
        (256, 384),
        (7, 7),
        2,
        Canonical::default(),
    );
    assert_eq!(out.size(), [10, 3, 7, 7]);
    for image in 0..2_i64 {
        for (n, &(_, level)) in sides.iter().enumerate() {
            let roi = Tensor::cat(&[Tensor::from(image as f32).reshape([1]), boxes.i(n as i64)], 0).reshape([1, 5]);
            let alone = roi_align(levels[level], &roi, (7, 7), 0.25 / f64::from(1 << level), 2, false);
            assert!(alone.i(0).allclose(&out.i(image * 5 + n as i64), 1e-5, 1e-6, false), "box {n} of image {image}");
        }
    }
}

#[test]
fn roi_align_of_no_boxes_and_of_boxes_outside_keeps_shape_and_gradient() {
    let feature = Tensor::ones([1, 4, 8, 8], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let none = Tensor::zeros([0, 5], (Kind::Float, Device::Cpu));
    assert_eq!(roi_align(&feature, &none, (7, 7), 0.25, 2, false).size(), [0, 4, 7, 7]);
    let outside =
        Tensor::from_slice(&[0.0f32, 900.0, 900.0, 950.0, 950.0, 0.0, f32::NAN, 1.0, 2.0, 3.0]).reshape([2, 5]);
    let out = roi_align(&feature, &outside, (2, 2), 0.25, 2, false);
    assert_eq!(out.abs().sum(Kind::Float).double_value(&[]), 0.0);
    out.sum(Kind::Float).backward();
    assert_eq!(feature.grad().abs().sum(Kind::Float).double_value(&[]), 0.0);
    let empty = [Tensor::zeros([0, 4], (Kind::Float, Device::Cpu))];
    let pooled = multiscale_roi_align(&[&feature], &empty, (32, 32), (7, 7), 2, Canonical::default());
    assert_eq!(pooled.size(), [0, 4, 7, 7]);
}

#[test]
fn nms_equals_torchvision_with_ties() {
    with_golden(|golden| {
        let (boxes, scores) = (golden.get("nms.boxes"), golden.get("nms.scores"));
        for threshold in [0.3, 0.5, 0.7] {
            let kept = golden.get(&format!("nms.keep_{threshold}"));
            check_exact(&format!("nms {threshold}"), &nms(&boxes, &scores, threshold), &kept);
            check_same("nms, first 10", &nms_limited(&boxes, &scores, threshold, 10), &kept.i(0..10));
        }
    });
}

#[test]
fn nms_paths_agree_with_the_oracle_on_random_and_degenerate_boxes() {
    for seed in 0..30 {
        tch::manual_seed(seed);
        let n = [0, 1, 2, 17, 150][seed as usize % 5];
        let boxes = oracle::random_rois(n, 1, 60.0, 60.0).i((.., 1..5)).contiguous();
        let scores = (Tensor::rand([n], (Kind::Float, Device::Cpu)) * 8.0).floor() / 8.0;
        let classes = Tensor::randint(3, [n], (Kind::Int64, Device::Cpu));
        let kept = oracle::nms(&boxes, &scores, 0.4);
        check_same("nms oracle", &nms(&boxes, &scores, 0.4), &kept);
        let corners = Vec::<f32>::try_from(boxes.flatten(0, 1)).unwrap();
        let plain_scores = Vec::<f32>::try_from(&scores).unwrap();
        let plain_classes = Vec::<i64>::try_from(&classes).unwrap();
        let by_class = nms_of_classes(corners.as_chunks().0, &plain_scores, Some(&plain_classes), 0.4, NO_LIMIT);
        let by_class = Tensor::from_slice(&by_class.iter().map(|&k| k as i64).collect::<Vec<_>>());
        check_same("nms of classes oracle", &by_class, &oracle::nms_of_classes(&boxes, &scores, &classes, 0.4));
    }
}

#[test]
fn box_operations_equal_torchvision() {
    with_golden(|golden| {
        check_floats("iou", &boxes::iou(&golden.get("iou.a"), &golden.get("iou.b")), &golden.get("iou.out"));
        let many = golden.get("nms.boxes");
        check_exact("clip", &boxes::clip(&many, 250.0, 200.0), &golden.get("clip.out"));
    });
    let empty = Tensor::from_slice(&[3.0f32, 3.0, 3.0, 3.0]).reshape([1, 4]);
    assert_eq!(boxes::iou(&empty, &empty).double_value(&[0, 0]), 0.0, "no NaN from empty boxes");
    let (inner, outer) = (Tensor::from_slice(&[0.0f32, 0.0, 4.0, 2.0]), Tensor::from_slice(&[2.0f32, 0.0, 9.0, 9.0]));
    let share = boxes::share_inside(&inner.reshape([1, 4]), &outer.reshape([1, 4]));
    assert_eq!(share.double_value(&[0, 0]), 0.5);
}

#[test]
fn box_coder_equals_torchvision() {
    with_golden(|golden| {
        for (name, coder) in [("rpn", BoxCoder::RPN), ("roi", BoxCoder::ROI)] {
            let get = |key: &str| golden.get(&format!("coder.{name}.{key}"));
            let proposals = get("proposals");
            check_floats(&format!("encode {name}"), &coder.encode(&get("reference"), &proposals), &get("encoded"));
            check_floats(&format!("decode {name}"), &coder.decode(&get("codes"), &proposals), &get("decoded"));
            let back = coder.decode(&coder.encode(&get("reference"), &proposals), &proposals).squeeze_dim(1);
            assert!(back.allclose(&get("reference"), 1e-4, 1e-3, false), "decode undoes encode");
        }
    });
}

#[test]
fn anchors_equal_torchvision() {
    let ratios = vec![0.5, 1.0, 2.0];
    let one_map = AnchorGenerator { sizes: vec![vec![32.0, 64.0, 128.0, 256.0, 512.0]], ratios: ratios.clone() };
    // Known from torchvision's documentation and the paper: ratio 0.5, size 32 and 128.
    assert_eq!(one_map.base_anchors(0)[0], [-23.0, -11.0, 23.0, 11.0]);
    assert_eq!(one_map.base_anchors(0)[7], [-64.0, -64.0, 64.0, 64.0]);
    assert_eq!(one_map.per_cell(0), 15);
    let Some(golden) = Golden::full() else { return };
    let ours = one_map.levels(&[(38, 50)], (600, 800), Device::Cpu);
    check_exact("anchors c4", &ours[0], &golden.get("anchors.c4"));
    let sizes = [32.0, 64.0, 128.0, 256.0, 512.0].map(|size| vec![size]).to_vec();
    let grids = [(150, 200), (75, 100), (38, 50), (19, 25), (10, 13)];
    let ours = AnchorGenerator { sizes, ratios }.levels(&grids, (600, 800), Device::Cpu);
    check_exact("anchors fpn", &Tensor::cat(&ours, 0), &golden.get("anchors.fpn"));
}

#[test]
fn matcher_equals_torchvision() {
    with_golden(|golden| {
        let overlaps = boxes::iou(&golden.get("matcher.gt"), &golden.get("matcher.anchors"));
        let rpn = Matcher { high: 0.7, low: 0.3, allow_low_quality: true };
        check_exact("matcher rpn", &rpn.matches(&overlaps), &golden.get("matcher.rpn"));
        let roi = Matcher { high: 0.5, low: 0.5, allow_low_quality: false };
        check_exact("matcher roi", &roi.matches(&overlaps), &golden.get("matcher.roi"));
    });
    let rpn = Matcher { high: 0.7, low: 0.3, allow_low_quality: true };
    let no_faces = rpn.matches(&Tensor::zeros([0, 3], (Kind::Float, Device::Cpu)));
    check_same("matcher without ground truth", &no_faces, &Tensor::from_slice(&[-1_i64, -1, -1]));
    assert_eq!(rpn.matches(&Tensor::zeros([2, 0], (Kind::Float, Device::Cpu))).size(), [0]);
}

#[test]
fn losses_equal_torchvision_and_are_zero_without_boxes() {
    with_golden(|golden| {
        let get = |key: &str| golden.get(&format!("loss.{key}"));
        let (classifier, boxes) =
            fast_rcnn_loss(&get("logits"), &get("regression"), &get("labels"), &get("targets"), SMOOTH_L1_BETA);
        check_floats("loss classifier", &classifier.reshape([1]), &get("classifier"));
        check_floats("loss box", &boxes.reshape([1]), &get("box"));
    });
    let float = (Kind::Float, Device::Cpu);
    let labels = Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    let (classifier, boxes) = fast_rcnn_loss(
        &Tensor::zeros([0, 2], float),
        &Tensor::zeros([0, 8], float),
        &labels,
        &Tensor::zeros([0, 4], float),
        SMOOTH_L1_BETA,
    );
    assert_eq!((classifier.double_value(&[]), boxes.double_value(&[])), (0.0, 0.0));
    let background = Tensor::zeros([3], (Kind::Int64, Device::Cpu));
    let (_, boxes) = fast_rcnn_loss(
        &Tensor::zeros([3, 2], float),
        &Tensor::ones([3, 8], float),
        &background,
        &Tensor::zeros([3, 4], float),
        SMOOTH_L1_BETA,
    );
    assert_eq!(boxes.double_value(&[]), 0.0, "background has no box to regress");
}

#[test]
fn frozen_batch_norm_equals_torchvision() {
    with_golden(|golden| {
        let params = golden.get("frozen_bn.params");
        let norm = BatchNorm {
            weight: params.i(0),
            bias: params.i(1),
            running_mean: params.i(2),
            running_var: params.i(3),
            eps: 1e-5,
        };
        let feature = golden.get("roi_align.feature");
        let (scale, shift) = norm.scale_and_shift();
        let normalised = &feature * scale.reshape([1, -1, 1, 1]) + shift.reshape([1, -1, 1, 1]);
        check_floats("frozen_batch_norm", &normalised, &golden.get("frozen_bn.out"));
    });
}

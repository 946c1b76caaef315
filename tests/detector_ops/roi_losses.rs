//! The focal and GIoU losses of the second stage against numbers that Quarry did not compute (`scripts/roi_loss_fixture.py`).

use quarry::detector::SMOOTH_L1_BETA;
use quarry::detector::ops::losses::{
    Focus, boxes_giou_losses, classifier_loss, classifier_losses, fast_rcnn_loss, giou_loss, giou_losses,
    smooth_l1_loss,
};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::golden::check_floats;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/roi_losses.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// `[rows, ..]` as float32.
fn matrix(value: &Value) -> Tensor {
    let rows = value.as_array().unwrap().len() as i64;
    let flat = Tensor::from_slice(&numbers(value)).to_kind(Kind::Float);
    if value[0].is_array() { flat.reshape([rows, -1]) } else { flat }
}

fn labels(fixture: &Value) -> Tensor {
    Tensor::from_slice(&numbers(&fixture["labels"])).to_kind(Kind::Int64)
}

#[test]
fn focal_losses_and_their_gradients_follow_the_formula() {
    let fixture = fixture();
    let (focal, labels) = (&fixture["focal"], labels(&fixture));
    for case in focal["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let focus = Focus { gamma: number("gamma"), background_weight: number("background_weight") };
        let logits = matrix(&focal["logits"]).set_requires_grad(true);
        let each = classifier_losses(&logits, &labels, focus);
        check_floats(&format!("focal {focus:?}"), &each, &matrix(&case["losses"]));
        let mean = classifier_loss(&logits, &labels, focus);
        check_floats(&format!("mean focal {focus:?}"), &mean, &matrix(&case["losses"]).mean(Kind::Float));
        mean.backward();
        check_floats(&format!("gradient of focal {focus:?}"), &logits.grad(), &matrix(&case["gradient"]));
    }
    let logits = matrix(&focal["logits"]);
    let plain = logits.cross_entropy_loss(&labels, None::<Tensor>, tch::Reduction::Mean, -100, 0.0);
    assert!(classifier_loss(&logits, &labels, Focus::NONE).equal(&plain), "off, it is cross entropy to the bit");
}

#[test]
fn a_certain_prediction_has_a_finite_gradient_at_any_exponent() {
    for gamma in [0.1, 0.5, 1.0, 2.0] {
        let logits = Tensor::from_slice(&[200.0_f32, -200.0, -200.0, 200.0]).reshape([2, 2]).set_requires_grad(true);
        let labels = Tensor::from_slice(&[0_i64, 0]);
        classifier_loss(&logits, &labels, Focus { gamma, background_weight: 1.0 }).backward();
        assert_eq!(logits.grad().isfinite().all().int64_value(&[]), 1, "{gamma}: {:?}", logits.grad());
    }
}

#[test]
fn giou_losses_and_their_gradients_equal_torchvision() {
    let fixture = fixture();
    let giou = &fixture["giou"];
    let boxes = matrix(&giou["boxes"]).set_requires_grad(true);
    let losses = giou_losses(&boxes, &matrix(&giou["targets"]));
    check_floats("giou", &losses, &matrix(&giou["losses"]));
    losses.sum(Kind::Float).backward();
    check_floats("giou gradient", &boxes.grad(), &matrix(&giou["gradient"]));
    let same = giou_losses(&boxes, &boxes);
    assert!(same.abs().max().double_value(&[]) < 1e-5, "{same:?}");
}

#[test]
fn the_heads_giou_loss_decodes_each_boxs_own_class_and_ignores_background() {
    let fixture = fixture();
    let (heads, labels) = (&fixture["heads"], labels(&fixture));
    let rois = matrix(&heads["rois"]);
    let codes = matrix(&heads["codes"]).set_requires_grad(true);
    let coder = quarry::detector::ops::box_coder::BoxCoder::ROI;
    let targets = coder.encode(&matrix(&heads["targets"]), &rois);
    let loss = giou_loss(&codes, &labels, &targets, &rois);
    let expected = Tensor::from(heads["loss"].as_f64().unwrap() as f32);
    check_floats("giou of the head", &loss.reshape([1]), &expected.reshape([1]));
    loss.backward();
    check_floats("gradient of the head's giou", &codes.grad(), &matrix(&heads["gradient"]));
    let each = boxes_giou_losses(&codes, &labels, &targets, &rois);
    assert_eq!(each.masked_select(&labels.eq(0)).abs().max().double_value(&[]), 0.0);

    // Codes that would overflow, on background only, leave neither a loss nor a gradient behind.
    let background = labels.zeros_like();
    let wild = Tensor::full_like(&codes.detach(), f64::INFINITY).set_requires_grad(true);
    let loss = giou_loss(&wild, &background, &targets, &rois);
    loss.backward();
    assert_eq!((loss.double_value(&[]), wild.grad().abs().max().double_value(&[])), (0.0, 0.0));
    let float = (Kind::Float, Device::Cpu);
    let none = Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    let (codes, boxes) = (Tensor::zeros([0, 8], float), Tensor::zeros([0, 4], float));
    assert_eq!(giou_loss(&codes, &none, &boxes, &boxes).double_value(&[]), 0.0);
}

#[test]
fn the_parts_of_torchvisions_loss_are_its_own() {
    let fixture = fixture();
    let (heads, labels) = (&fixture["heads"], labels(&fixture));
    let (codes, targets, logits) =
        (matrix(&heads["codes"]), matrix(&heads["targets"]), matrix(&fixture["focal"]["logits"]));
    let (classifier, boxes) = fast_rcnn_loss(&logits, &codes, &labels, &targets, SMOOTH_L1_BETA);
    assert!(classifier.equal(&classifier_loss(&logits, &labels, Focus::NONE)));
    assert!(boxes.equal(&smooth_l1_loss(&codes, &labels, &targets, SMOOTH_L1_BETA)));
}

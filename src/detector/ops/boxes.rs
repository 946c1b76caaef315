//! Box arithmetic on tensors.
//!
//! Shapes: N, M boxes `x1, y1, x2, y2` in pixels of the network's image; any float dtype, any device.

use tch::{IndexOp, Tensor};

/// Returns the areas `[N]` of boxes `[N, 4]`.
pub fn area(boxes: &Tensor) -> Tensor {
    assert_boxes(boxes);
    (boxes.i((.., 2)) - boxes.i((.., 0))) * (boxes.i((.., 3)) - boxes.i((.., 1)))
}

/// Intersection over union `[N, M]` of every box in `a` `[N, 4]` with every box in `b` `[M, 4]` (torchvision `box_iou`). The IoU of two
/// empty boxes is undefined in torchvision; here it is 0, so that NaN never reaches the matcher.
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    let intersection = intersection(a, b);
    let union = area(a).unsqueeze(1) + area(b).unsqueeze(0) - &intersection;
    (intersection / union).nan_to_num(0.0, 0.0, 0.0)
}

/// Returns the fraction `[N, M]` of each box in `a` inside each box in `b`; 0 for empty boxes.
pub fn share_inside(a: &Tensor, b: &Tensor) -> Tensor {
    (intersection(a, b) / area(a).unsqueeze(1)).nan_to_num(0.0, 0.0, 0.0)
}

/// Clips boxes `[N, 4]` to `0..=width`, `0..=height` (torchvision `clip_boxes_to_image`).
pub fn clip(boxes: &Tensor, width: f64, height: f64) -> Tensor {
    assert_boxes(boxes);
    let limit = Tensor::from_slice(&[width, height, width, height]).to_kind(boxes.kind()).to_device(boxes.device());
    boxes.clamp_min(0.0).minimum(&limit)
}

fn intersection(a: &Tensor, b: &Tensor) -> Tensor {
    assert_boxes(a);
    assert_boxes(b);
    let upper_left = a.unsqueeze(1).i((.., .., 0..2)).maximum(&b.i((.., 0..2)));
    let lower_right = a.unsqueeze(1).i((.., .., 2..4)).minimum(&b.i((.., 2..4)));
    let sides = (lower_right - upper_left).clamp_min(0.0);
    sides.i((.., .., 0)) * sides.i((.., .., 1))
}

fn assert_boxes(boxes: &Tensor) {
    assert!(matches!(boxes.size()[..], [_, 4]), "boxes have shape [N, 4], got {:?}", boxes.size());
}

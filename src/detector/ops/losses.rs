//! The box head's losses: torchvision's `fastrcnn_loss`, and the focal and GIoU losses as alternatives.
//!
//! Shapes: N sampled boxes, K classes (class 0 is background).

use tch::{Kind, Reduction, Tensor};

use super::box_coder::BoxCoder;

/// Weights of the classifier's losses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Focus {
    /// The exponent of (1 - p), where p is the predicted probability of the box's class (Lin et al. 2017). 0: cross entropy.
    pub gamma: f64,
    /// The factor of background boxes.
    pub background_weight: f64,
}

impl Focus {
    /// Cross entropy of all boxes alike.
    pub const NONE: Self = Self { gamma: 0.0, background_weight: 1.0 };
}

/// Smallest 1 - p that is weighted, below float32's resolution of p: the power's gradient at 0 would be infinite for exponents below 1.
const LEAST_ERROR: f64 = 1e-8;

/// torchvision's box area that is added to denominators.
const EPSILON: f64 = 1e-7;

/// Returns `(classifier, box)` losses, both scalars: cross entropy of `logits` `[N, K]` with `labels` `[N]` (i64), and smooth L1 of the
/// `regression` `[N, K * 4]` of each foreground box's own class with `targets` `[N, 4]`, divided by N. Smooth L1 changes from quadratic to
/// linear at `beta` (torchvision: 1/9). N = 0 gives zeros, not NaN.
pub fn fast_rcnn_loss(
    logits: &Tensor,
    regression: &Tensor,
    labels: &Tensor,
    targets: &Tensor,
    beta: f64,
) -> (Tensor, Tensor) {
    assert_labelled(logits, labels);
    (classifier_loss(logits, labels, Focus::NONE), smooth_l1_loss(regression, labels, targets, beta))
}

/// Returns the mean of [`classifier_losses`]; 0 for N = 0.
pub fn classifier_loss(logits: &Tensor, labels: &Tensor, focus: Focus) -> Tensor {
    if labels.size() == [0] {
        return logits.sum(Kind::Float);
    }
    if focus == Focus::NONE {
        return logits.to_kind(Kind::Float).cross_entropy_loss(labels, None::<Tensor>, Reduction::Mean, -100, 0.0);
    }
    classifier_losses(logits, labels, focus).mean(Kind::Float)
}

/// Returns the loss `[N]` of each box, `-weight * (1 - p)^gamma * log p` with the softmax probability p of its label. N is at least 1.
pub fn classifier_losses(logits: &Tensor, labels: &Tensor, focus: Focus) -> Tensor {
    let logits = logits.to_kind(Kind::Float);
    let losses = logits.cross_entropy_loss(labels, None::<Tensor>, Reduction::None, -100, 0.0);
    let losses = if focus.gamma > 0.0 {
        // The loss is -log p, so this is 1 - p without cancellation.
        let error = (-&losses).expm1().neg().clamp_min(LEAST_ERROR);
        losses * error.pow_tensor_scalar(focus.gamma)
    } else {
        losses
    };
    if focus.background_weight == 1.0 {
        return losses;
    }
    losses * (labels.eq(0).to_kind(Kind::Float) * (focus.background_weight - 1.0) + 1.0)
}

/// Returns the box loss of [`fast_rcnn_loss`].
pub fn smooth_l1_loss(regression: &Tensor, labels: &Tensor, targets: &Tensor, beta: f64) -> Tensor {
    if labels.size() == [0] {
        return regression.sum(Kind::Float);
    }
    let of_each = own_codes(regression, labels, targets).smooth_l1_loss(targets, Reduction::None, beta);
    of_each.masked_fill(&labels.eq(0).unsqueeze(1), 0.0).sum(Kind::Float) / labels.size()[0] as f64
}

/// Returns the sum of [`boxes_giou_losses`] divided by N; 0 for N = 0.
pub fn giou_loss(regression: &Tensor, labels: &Tensor, targets: &Tensor, rois: &Tensor) -> Tensor {
    if labels.size() == [0] {
        return regression.sum(Kind::Float);
    }
    boxes_giou_losses(regression, labels, targets, rois).sum(Kind::Float) / labels.size()[0] as f64
}

/// Returns the GIoU loss `[N]` of each foreground box: its own class's codes and its target's are decoded on `rois` `[N, 4]`. Background
/// gives 0.
pub fn boxes_giou_losses(regression: &Tensor, labels: &Tensor, targets: &Tensor, rois: &Tensor) -> Tensor {
    let is_background = labels.eq(0);
    // Masked before the boxes are computed, so that no infinite gradient is multiplied by 0.
    let codes = own_codes(regression, labels, targets).masked_fill(&is_background.unsqueeze(1), 0.0);
    let decoded = |codes: &Tensor| BoxCoder::ROI.decode(codes, rois).squeeze_dim(1);
    giou_losses(&decoded(&codes), &decoded(targets)).masked_fill(&is_background, 0.0)
}

/// Returns `1 - GIoU` `[N]` of boxes and targets `[N, 4]`, equal to torchvision's `generalized_box_iou_loss`: 0 for equal boxes, up to 2 for
/// boxes far apart.
pub fn giou_losses(boxes: &Tensor, targets: &Tensor) -> Tensor {
    assert_eq!(boxes.size(), targets.size(), "one target a box");
    let sides = |t: &Tensor| [0, 1, 2, 3].map(|k| t.select(1, k));
    let ([x1, y1, x2, y2], [tx1, ty1, tx2, ty2]) = (sides(boxes), sides(targets));
    let inner = |low: Tensor, high: Tensor| (high - low).clamp_min(0.0);
    let shared = inner(x1.maximum(&tx1), x2.minimum(&tx2)) * inner(y1.maximum(&ty1), y2.minimum(&ty2));
    let union = (&x2 - &x1) * (&y2 - &y1) + (&tx2 - &tx1) * (&ty2 - &ty1) - &shared;
    let hull = (x2.maximum(&tx2) - x1.minimum(&tx1)) * (y2.maximum(&ty2) - y1.minimum(&ty1));
    let iou = shared / (&union + EPSILON);
    1.0 - (iou - (&hull - union) / (&hull + EPSILON))
}

/// Returns the codes `[N, 4]` of each box's own class. Background takes any class's: its loss is masked, so that no device sync is needed to
/// select boxes.
#[expect(clippy::panic, reason = "only this crate creates the tensor; a wrong shape is a bug, as in tch itself")]
pub fn own_codes(regression: &Tensor, labels: &Tensor, targets: &Tensor) -> Tensor {
    let [n, all] = regression.size()[..] else { panic!("codes have shape [N, K * 4], got {:?}", regression.size()) };
    assert!(
        labels.size() == [n] && targets.size() == [n, 4] && all % 4 == 0,
        "{:?} labels, {:?} targets",
        labels.size(),
        targets.size()
    );
    let per_box = all / 4;
    let class = labels.clamp_max(per_box - 1).view([n, 1, 1]).expand([n, 1, 4], false);
    regression.reshape([n, per_box, 4]).gather(1, &class, false).squeeze_dim(1).to_kind(Kind::Float)
}

#[expect(clippy::panic, reason = "as for `own_codes`")]
fn assert_labelled(logits: &Tensor, labels: &Tensor) {
    let [n, _] = logits.size()[..] else { panic!("logits have shape [N, K], got {:?}", logits.size()) };
    assert_eq!(labels.size(), [n], "one label a box");
}

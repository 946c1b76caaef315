//! The box head's losses, equal to torchvision's `fastrcnn_loss`.
//!
//! Shapes: N sampled boxes, K classes (class 0 is background).

use tch::{Kind, Reduction, Tensor};

/// Returns `(classifier, box)` losses, both scalars: cross entropy of `logits` `[N, K]` with `labels` `[N]` (i64), and smooth L1 of the
/// `regression` `[N, K * 4]` of each foreground box's own class with `targets` `[N, 4]`, divided by N. Smooth L1 changes from quadratic to
/// linear at `beta` (torchvision: 1/9). N = 0 gives zeros, not NaN.
#[expect(clippy::panic, reason = "only this crate creates the tensor; a wrong shape is a bug, as in tch itself")]
pub fn fast_rcnn_loss(
    logits: &Tensor,
    regression: &Tensor,
    labels: &Tensor,
    targets: &Tensor,
    beta: f64,
) -> (Tensor, Tensor) {
    let [n, k] = logits.size()[..] else { panic!("logits have shape [N, K], got {:?}", logits.size()) };
    assert!(
        labels.size() == [n] && targets.size() == [n, 4],
        "{:?} labels, {:?} targets",
        labels.size(),
        targets.size()
    );
    if n == 0 {
        return (logits.sum(Kind::Float), regression.sum(Kind::Float));
    }
    let classifier = logits.to_kind(Kind::Float).cross_entropy_loss(labels, None::<Tensor>, Reduction::Mean, -100, 0.0);
    let per_box = regression.size()[1] / 4;
    assert!(
        regression.size() == [n, per_box * 4] && (per_box == k || per_box == 1),
        "four codes for each class or for one"
    );
    // Each box's own class; background gets factor 0, so that no device sync is needed to select boxes.
    let class = labels.clamp_max(per_box - 1).view([n, 1, 1]).expand([n, 1, 4], false);
    let own = regression.reshape([n, per_box, 4]).gather(1, &class, false).squeeze_dim(1).to_kind(Kind::Float);
    let of_each = own.smooth_l1_loss(targets, Reduction::None, beta);
    let boxes = of_each.masked_fill(&labels.eq(0).unsqueeze(1), 0.0).sum(Kind::Float) / n as f64;
    (classifier, boxes)
}

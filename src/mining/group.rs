//! Near-duplicates: boxes of one image, of one round or several, that lie on the same region. Must not look at pixels.

use crate::geometry::BoundingBox;

/// Groups boxes that are in the order of their rank (best first): each box joins the first group whose leader, its best box, it
/// overlaps with an IoU of `least_iou` or more, or leads a new one. Leaders keep a chain of overlaps from growing into one group.
/// Returns for each box the index of its group, numbered in the order in which their leaders come.
pub fn group_boxes(boxes: &[BoundingBox], least_iou: f64) -> Vec<usize> {
    let mut leaders: Vec<&BoundingBox> = Vec::new();
    let join = |bbox| {
        let known = leaders.iter().position(|leader| least_iou <= leader.iou(bbox));
        known.unwrap_or_else(|| {
            leaders.push(bbox);
            leaders.len() - 1
        })
    };
    boxes.iter().map(join).collect()
}

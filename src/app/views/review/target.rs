//! Finds the ground truth object that correction keys apply to. Pure geometry.

use crate::domain::AnnotationSource;
use crate::geometry::BoundingBox;
use crate::store::ObjectRow;

/// Returns the object under or nearest to a candidate's box: the one with the largest IoU, or if none overlaps, the one with the nearest
/// centre. Deleted ones only if nothing else overlaps. In a blind review objects made by others are hidden.
pub fn target<'a>(objects: &'a [ObjectRow], bbox: &BoundingBox, is_blind: bool) -> Option<&'a ObjectRow> {
    let is_others = |source| matches!(source, AnnotationSource::Promoted | AnnotationSource::Added);
    let seen = || objects.iter().filter(move |object| !(is_blind && is_others(object.source)));
    let iou = |object: &ObjectRow| bbox.iou(&object.state.shape.bounding_box());
    let under = |is_deleted: bool| {
        let overlapping = seen().filter(move |object| object.state.deleted == is_deleted && iou(object) > 0.0);
        overlapping.max_by(|a, b| iou(a).total_cmp(&iou(b)))
    };
    let center = |b: &BoundingBox| (f64::midpoint(b.x1, b.x2), f64::midpoint(b.y1, b.y2));
    let (x, y) = center(bbox);
    let distance = |object: &ObjectRow| {
        let (ox, oy) = center(&object.state.shape.bounding_box());
        (ox - x).hypot(oy - y)
    };
    let nearest = || seen().filter(|o| !o.state.deleted).min_by(|a, b| distance(a).total_cmp(&distance(b)));
    under(false).or_else(|| under(true)).or_else(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClassId, GroundTruthId, ObjectState, Shape};

    fn object(id: i64, x: f64, source: AnnotationSource, deleted: bool) -> ObjectRow {
        let shape = Shape::Rectangle(BoundingBox::from_xywh(x, 0.0, 10.0, 10.0));
        let state = ObjectState { class: ClassId(1), shape, ignored: false, deleted };
        ObjectRow { id: GroundTruthId(id), own: None, source, state, candidate: None }
    }

    #[test]
    fn the_object_under_the_candidate_goes_before_deleted_ones_and_those_beside() {
        use AnnotationSource::{Added, Imported, Promoted};
        let all = [
            object(1, 0.0, Imported, false),
            object(2, 6.0, Imported, true),
            object(3, 20.0, Promoted, false),
            object(4, 60.0, Added, false),
            object(5, 90.0, Imported, true),
        ];
        let check = |x: f64, is_blind: bool, expected: Option<i64>| {
            let found = target(&all, &BoundingBox::from_xywh(x, 0.0, 10.0, 10.0), is_blind);
            assert_eq!(found.map(|object| object.id.0), expected, "{x}, blind {is_blind}");
        };
        check(2.0, false, Some(1));
        check(7.0, false, Some(1));
        check(10.0, false, Some(2));
        check(22.0, false, Some(3));
        check(22.0, true, Some(1));
        check(45.0, false, Some(4));
        check(90.0, false, Some(5));
        check(300.0, false, Some(4));
        assert_eq!(target(&[], &BoundingBox::from_xywh(0.0, 0.0, 1.0, 1.0), false), None);
    }
}

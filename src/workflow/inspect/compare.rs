//! Compares two rounds on an image: fixed errors, new errors, and errors of both. Pure.

use super::judge::{JudgedImage, Status};
use crate::domain::{ClassId, FalsePositiveKind};
use crate::geometry::BoundingBox;

/// Two false positives with this IoU or more are the same error.
pub const SAME_ERROR_IOU: f64 = 0.5;

/// How an error changed from the first round to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Made by the first round but not the second.
    Fixed,
    /// Made by the second round but not the first.
    New,
    Still,
}

impl Change {
    pub const ALL: [Self; 3] = [Self::Fixed, Self::New, Self::Still];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    FalsePositive(FalsePositiveKind),
    Missed,
}

/// An error of an image in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageError {
    pub kind: ErrorKind,
    pub class: ClassId,
    pub bbox: BoundingBox,
    /// Only for a false positive.
    pub score: Option<f32>,
    /// Index among the round's detections, or among the objects.
    pub place: u32,
}

/// An error with its change. If both rounds make it, it is the second one's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangedError {
    pub change: Change,
    pub error: ImageError,
}

/// Number of fixed, new and repeated errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    pub fixed: u32,
    pub new: u32,
    pub still: u32,
}

impl ChangeCounts {
    pub fn of(self, change: Change) -> u32 {
        match change {
            Change::Fixed => self.fixed,
            Change::New => self.new,
            Change::Still => self.still,
        }
    }

    pub(super) fn count(errors: &[ChangedError]) -> Self {
        let of = |change| errors.iter().filter(|error| error.change == change).count() as u32;
        Self { fixed: of(Change::Fixed), new: of(Change::New), still: of(Change::Still) }
    }
}

impl std::ops::AddAssign for ChangeCounts {
    fn add_assign(&mut self, other: Self) {
        self.fixed += other.fixed;
        self.new += other.new;
        self.still += other.still;
    }
}

/// Returns the false positives by descending score, then the missed objects.
pub fn errors(image: &JudgedImage) -> Vec<ImageError> {
    let false_positives = image.detections.iter().enumerate().filter_map(|(place, judged)| {
        let Status::FalsePositive(kind) = judged.status else { return None };
        let detection = &judged.detection;
        let (class, bbox, score) = (detection.class, detection.bbox, Some(detection.score));
        Some(ImageError { kind: ErrorKind::FalsePositive(kind), class, bbox, score, place: place as u32 })
    });
    let missed = image.objects.iter().enumerate().filter(|(_, object)| object.is_missed()).map(|(place, object)| {
        let (class, bbox) = (object.annotation.class, object.annotation.shape.bounding_box());
        ImageError { kind: ErrorKind::Missed, class, bbox, score: None, place: place as u32 }
    });
    false_positives.chain(missed).collect()
}

/// Pairs the errors of two rounds one to one: missed objects with missed objects, and overlapping false positives of one class. Returns new
/// and repeated errors in the second round's order, then the fixed ones.
pub fn compare(before: &[ImageError], after: &[ImageError]) -> Vec<ChangedError> {
    let mut free = vec![true; before.len()];
    let mut changed: Vec<ChangedError> = Vec::new();
    for error in after {
        let candidates = (0..before.len()).filter(|at| free[*at] && is_same_error(&before[*at], error));
        let overlaps = candidates.map(|at| (at, before[at].bbox.iou(&error.bbox)));
        let same =
            overlaps.filter(|(_, iou)| *iou >= SAME_ERROR_IOU).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let change = match same {
            Some((at, _)) => {
                free[at] = false;
                Change::Still
            }
            None => Change::New,
        };
        changed.push(ChangedError { change, error: *error });
    }
    let fixed = before.iter().zip(free).filter(|(_, is_free)| *is_free);
    changed.extend(fixed.map(|(error, _)| ChangedError { change: Change::Fixed, error: *error }));
    changed
}

fn is_same_error(a: &ImageError, b: &ImageError) -> bool {
    a.class == b.class && (a.kind == ErrorKind::Missed) == (b.kind == ErrorKind::Missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(x: f64, score: Option<f32>) -> ImageError {
        let kind =
            if score.is_some() { ErrorKind::FalsePositive(FalsePositiveKind::Background) } else { ErrorKind::Missed };
        let bbox = BoundingBox::from_xywh(x, 0.0, 20.0, 20.0);
        ImageError { kind, class: ClassId::ONLY, bbox, score, place: 0 }
    }

    #[test]
    fn errors_are_paired_one_to_one_and_by_what_they_are() {
        use Change::{Fixed, New, Still};
        let before = [error(0.0, Some(0.9)), error(2.0, Some(0.8)), error(100.0, Some(0.7)), error(200.0, None)];
        let after = [error(1.0, Some(0.9)), error(101.0, None), error(201.0, None), error(300.0, Some(0.2))];
        let changes: Vec<Change> = compare(&before, &after).iter().map(|changed| changed.change).collect();
        assert_eq!(changes, [Still, New, Still, New, Fixed, Fixed]);
        let counts = ChangeCounts::count(&compare(&before, &after));
        assert_eq!(counts, ChangeCounts { fixed: 2, new: 2, still: 2 });
        let same = compare(&before, &before);
        assert!(same.iter().all(|changed| changed.change == Still) && same.len() == 4);
        let mut other = before[0];
        other.class = ClassId(2);
        assert_eq!(compare(&before[..1], &[other]).len(), 2, "another class is another error");
    }
}

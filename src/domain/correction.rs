//! How an annotator corrects an object of the ground truth: the request, the correction and the object's new state.

use serde::{Deserialize, Serialize};

use super::{Annotation, AnnotationSource, ClassId, Shape};

/// The state of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectState {
    pub class: ClassId,
    pub shape: Shape,
    /// Excluded from training and from the counts.
    pub ignored: bool,
    /// The object was deleted.
    pub deleted: bool,
}

/// A change that an annotator requests for an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ObjectChange {
    Shape(Shape),
    Class(ClassId),
    /// Ignore the object, or count it again.
    Ignored(bool),
    /// Delete the object, or restore it.
    Deleted(bool),
}

/// The kind of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionAct {
    /// Drawn where neither the dataset nor the detector had an object.
    Added,
    Reshaped,
    /// The class was changed.
    Reclassed,
    Ignored,
    /// Used in training and counts again after it was ignored.
    Counted,
    Deleted,
    /// Restored after it was deleted.
    Restored,
}

/// One entry of the correction log: the kind of change and the complete object after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    pub act: CorrectionAct,
    pub state: ObjectState,
}

impl ObjectState {
    /// Converts it to an annotation with this source.
    pub fn annotation(&self, source: AnnotationSource) -> Annotation {
        Annotation { class: self.class, shape: self.shape, source, ignored: self.ignored }
    }

    /// Returns the correction for `change`; `None` if the object is already in that state.
    ///
    /// # Errors
    ///
    /// A deleted object can only be restored.
    pub fn changed(&self, change: ObjectChange) -> Result<Option<Correction>, DeletedObject> {
        if self.deleted && !matches!(change, ObjectChange::Deleted(_)) {
            return Err(DeletedObject);
        }
        let mut state = *self;
        let act = match change {
            ObjectChange::Shape(shape) => {
                state.shape = shape;
                CorrectionAct::Reshaped
            }
            ObjectChange::Class(class) => {
                state.class = class;
                CorrectionAct::Reclassed
            }
            ObjectChange::Ignored(ignored) => {
                state.ignored = ignored;
                if ignored { CorrectionAct::Ignored } else { CorrectionAct::Counted }
            }
            ObjectChange::Deleted(deleted) => {
                state.deleted = deleted;
                if deleted { CorrectionAct::Deleted } else { CorrectionAct::Restored }
            }
        };
        Ok((state != *self).then_some(Correction { act, state }))
    }
}

impl From<&Annotation> for ObjectState {
    fn from(object: &Annotation) -> Self {
        Self { class: object.class, shape: object.shape, ignored: object.ignored, deleted: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object is deleted; restore it first")]
pub struct DeletedObject;

impl CorrectionAct {
    pub const ALL: [Self; 7] =
        [Self::Added, Self::Reshaped, Self::Reclassed, Self::Ignored, Self::Counted, Self::Deleted, Self::Restored];

    /// Returns the word stored in the database and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Reshaped => "reshaped",
            Self::Reclassed => "reclassed",
            Self::Ignored => "ignored",
            Self::Counted => "counted",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == word)
    }

    /// Returns the text shown to the user.
    pub fn text(self) -> &'static str {
        match self {
            Self::Added => "object added",
            Self::Reshaped => "shape adjusted",
            Self::Reclassed => "class changed",
            Self::Ignored => "object ignored",
            Self::Counted => "object counts again",
            Self::Deleted => "object deleted",
            Self::Restored => "object restored",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BoundingBox;

    #[test]
    fn a_change_is_a_correction_unless_the_object_is_so_already() {
        use CorrectionAct::{Counted, Deleted, Ignored, Reclassed, Reshaped, Restored};
        let shape = |x: f64| Shape::Rectangle(BoundingBox::from_xywh(x, 0.0, 10.0, 10.0));
        let plain = ObjectState { class: ClassId(1), shape: shape(0.0), ignored: false, deleted: false };
        let ignored = ObjectState { ignored: true, ..plain };
        let deleted = ObjectState { deleted: true, ..plain };
        for (from, change, expected) in [
            (plain, ObjectChange::Shape(shape(1.0)), Ok(Some(Reshaped))),
            (plain, ObjectChange::Shape(shape(0.0)), Ok(None)),
            (plain, ObjectChange::Class(ClassId(2)), Ok(Some(Reclassed))),
            (plain, ObjectChange::Class(ClassId(1)), Ok(None)),
            (plain, ObjectChange::Ignored(true), Ok(Some(Ignored))),
            (plain, ObjectChange::Ignored(false), Ok(None)),
            (ignored, ObjectChange::Ignored(false), Ok(Some(Counted))),
            (plain, ObjectChange::Deleted(true), Ok(Some(Deleted))),
            (deleted, ObjectChange::Deleted(true), Ok(None)),
            (deleted, ObjectChange::Deleted(false), Ok(Some(Restored))),
            (deleted, ObjectChange::Class(ClassId(2)), Err(DeletedObject)),
            (deleted, ObjectChange::Ignored(true), Err(DeletedObject)),
        ] {
            assert_eq!(from.changed(change).map(|found| found.map(|c| c.act)), expected, "{from:?} {change:?}");
        }
    }

    #[test]
    fn words_come_back() {
        for act in CorrectionAct::ALL {
            assert_eq!(CorrectionAct::parse(act.as_str()), Some(act));
        }
        assert_eq!(CorrectionAct::parse("moved"), None);
    }
}

//! Maps a detector's labels to the project's classes.

use super::WorkflowError;
use crate::domain::{ClassId, Detection};
use crate::store::Store;

/// The project's class for each detector label. Labels count from 1; 0 is background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap(Vec<ClassId>);

impl LabelMap {
    /// Looks up the classes of labels 1, 2 ... by current or former name. A single-class detector maps to the project's only class,
    /// whatever the names. Unknown names are added to the project.
    pub fn new(store: &mut Store, names: &[String]) -> Result<Self, WorkflowError> {
        let known = store.classes()?;
        if let ([name], [only]) = (names, known.as_slice())
            && store.class_by_name(name)?.is_none()
        {
            return Ok(Self(vec![only.id]));
        }
        let of_name = |name: &String| match store.class_by_name(name)? {
            Some(known) => Ok(known),
            None => store.add_class(name, "detector"),
        };
        Ok(Self(names.iter().map(of_name).collect::<Result<_, _>>()?))
    }

    /// Returns the detection with the project's class; `None` for an unknown label.
    pub fn in_project(&self, detection: &Detection) -> Option<Detection> {
        let label = usize::try_from(detection.class.0).ok()?.checked_sub(1)?;
        Some(Detection { class: *self.0.get(label)?, ..*detection })
    }
}

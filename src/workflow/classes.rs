//! A detector's labels and the project's classes.

use super::WorkflowError;
use crate::domain::{ClassId, Detection};
use crate::store::Store;

/// Which class of the project each label of a detector is. Labels are counted from 1; 0 is background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap(Vec<ClassId>);

impl LabelMap {
    /// The classes of labels 1, 2 ... by their names, whatever the project calls them today. The only class of a detector is the only
    /// class of the project, whatever it is called. A name that the project does not know becomes a class of it.
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

    /// A detection of the detector with the project's class; `None` for a label that has none.
    pub fn in_project(&self, detection: &Detection) -> Option<Detection> {
        let label = usize::try_from(detection.class.0).ok()?.checked_sub(1)?;
        Some(Detection { class: *self.0.get(label)?, ..*detection })
    }
}

//! The state of the class picker for a missed object, or an object that the detector misclassified. No egui.

use crate::app::command::Picked;
use crate::domain::{CandidateId, Class, ClassId, GroundTruthId};

/// What the class is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    MissedObject,
    WrongClass,
    /// For a ground truth object.
    ObjectClass(GroundTruthId),
}

/// A key as interpreted by the picker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickerKey<'a> {
    Enter,
    Escape,
    Backspace,
    /// 1 to 9.
    Digit(usize),
    Text(&'a str),
}

/// The open picker.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPicker {
    pub question: Question,
    /// The current candidate when it was opened; `None` if it is not about a candidate.
    pub candidate: Option<CandidateId>,
    classes: Vec<Class>,
    proposal: ClassId,
    pub(super) filter: String,
}

impl ClassPicker {
    pub fn new(question: Question, candidate: Option<CandidateId>, classes: &[Class], proposal: ClassId) -> Self {
        Self { question, candidate, classes: classes.to_vec(), proposal, filter: String::new() }
    }

    /// The result of a key; `None`: the picker stays open.
    pub fn press(&mut self, key: PickerKey<'_>) -> Option<Picked> {
        match key {
            PickerKey::Enter => self.marked().map(Picked::Class),
            PickerKey::Digit(number) => self.listed().nth(number.checked_sub(1)?).map(|class| Picked::Class(class.id)),
            PickerKey::Escape => Some(Picked::Nothing),
            PickerKey::Backspace => {
                self.filter.pop();
                None
            }
            PickerKey::Text(text) => {
                self.filter.push_str(text);
                None
            }
        }
    }

    /// Returns the classes whose names contain the filter, in project order.
    pub fn listed(&self) -> impl Iterator<Item = &Class> {
        let filter = self.filter.to_lowercase();
        self.classes.iter().filter(move |class| class.name.to_lowercase().contains(&filter))
    }

    /// Returns the class for Enter: an exact match, else the proposal, else the first listed that starts with the filter, else the first
    /// listed.
    pub fn marked(&self) -> Option<ClassId> {
        let filter = self.filter.to_lowercase();
        let rank = |class: &Class| match class.name.to_lowercase() {
            name if name == filter => 0,
            _ if class.id == self.proposal => 1,
            name if name.starts_with(&filter) => 2,
            _ => 3,
        };
        self.listed().min_by_key(|class| rank(class)).map(|class| class.id)
    }
}

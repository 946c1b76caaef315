//! The state of the class picker: which class a missed object has, or an object that the detector gave another one. No egui.

use crate::app::command::Picked;
use crate::domain::{CandidateId, Class, ClassId, GroundTruthId};

/// What is decided with the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    MissedObject,
    WrongClass,
    /// Of an object of the ground truth.
    ObjectClass(GroundTruthId),
}

/// A key as the picker reads it.
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
    /// The current candidate when it was opened; `None`: the question is about no candidate.
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

    /// The classes whose names hold the filter, in the project's order.
    pub fn listed(&self) -> impl Iterator<Item = &Class> {
        let filter = self.filter.to_lowercase();
        self.classes.iter().filter(move |class| class.name.to_lowercase().contains(&filter))
    }

    /// What Enter takes: a class called as the filter, else the proposal, else the first listed that begins with the filter, else the
    /// first listed.
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

//! The class picker: which class a missed object has, or an object that the detector gave another one. Its state takes keys and knows no
//! window; below is the list over the screen.

use egui::{Id, Modal, RichText, Ui};

use super::model::ReviewModel;
use crate::app::theme;
use crate::domain::{CandidateId, Class, ClassId, GroundTruthId};

/// Classes with a digit of their own.
const DIGITS: usize = 9;

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

/// What a key or a click in the picker comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    Class(ClassId),
    /// It closes, and nothing is decided.
    Nothing,
}

/// The open picker.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPicker {
    pub question: Question,
    /// The current candidate when it was opened; `None`: the question is about no candidate.
    pub candidate: Option<CandidateId>,
    classes: Vec<Class>,
    proposal: ClassId,
    filter: String,
}

impl ClassPicker {
    pub fn new(question: Question, candidate: Option<CandidateId>, classes: &[Class], proposal: ClassId) -> Self {
        Self { question, candidate, classes: classes.to_vec(), proposal, filter: String::new() }
    }

    /// What a key comes to; `None`: it stays open.
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

impl<Key> ReviewModel<Key> {
    /// Asks for the class of the current candidate. The class chosen last is proposed, else `nearest`, else what the detector took it
    /// for. Nothing opens where nothing can be decided.
    pub fn open_picker(&mut self, question: Question, classes: &[Class], nearest: Option<ClassId>) {
        if !self.layout.shows_candidates() || self.failure.is_some() || self.past_end {
            return;
        }
        let Some(row) = self.current() else { return };
        let (candidate, class) = (row.candidate.id, row.candidate.class);
        let is_known = |id: &ClassId| classes.iter().any(|class| class.id == *id);
        let proposal = self.last_class.filter(is_known).or(nearest.filter(is_known)).unwrap_or(class);
        self.picker = Some(ClassPicker::new(question, Some(candidate), classes, proposal));
    }

    /// Gives the open picker a key; the class once one is chosen, and what it was asked for.
    pub fn press_in_picker(&mut self, key: PickerKey<'_>) -> Option<(Question, ClassId)> {
        match self.picker.as_mut()?.press(key)? {
            Picked::Class(class) => self.pick(class),
            Picked::Nothing => {
                self.picker = None;
                None
            }
        }
    }

    /// Chooses a class and closes the picker. `None`: the candidate that it was opened for is not the current one any more.
    pub fn pick(&mut self, class: ClassId) -> Option<(Question, ClassId)> {
        let picker = self.picker.take()?;
        let is_current = self.current().is_some_and(|row| Some(row.candidate.id) == picker.candidate);
        if !is_current {
            return None;
        }
        self.last_class = Some(class);
        Some((picker.question, class))
    }
}

/// The open picker over the screen; what a click in it comes to.
pub fn show(ui: &Ui, picker: &ClassPicker) -> Option<Picked> {
    let mut picked = None;
    let title = match picker.question {
        Question::MissedObject => "Class of the missed object",
        Question::WrongClass => "Right class of the object",
        Question::ObjectClass(_) => "Class of the annotated object",
    };
    let modal = Modal::new(Id::unique("class picker")).frame(theme::card()).show(ui.ctx(), |ui| {
        ui.set_width(300.0);
        ui.label(RichText::new(title).size(16.0).strong().color(theme::STRONG));
        let filter = if picker.filter.is_empty() { "Type to filter" } else { picker.filter.as_str() };
        ui.label(RichText::new(filter).color(theme::WEAK));
        let marked = picker.marked();
        egui::ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
            for (index, class) in picker.listed().enumerate() {
                if entry(ui, index, class, marked == Some(class.id)) {
                    picked = Some(Picked::Class(class.id));
                }
            }
            if marked.is_none() {
                ui.label("No class is called so.");
            }
        });
        ui.label(RichText::new("1-9 or Enter choose, Esc cancels").small().color(theme::WEAK));
    });
    picked.or_else(|| modal.should_close().then_some(Picked::Nothing))
}

/// A class with its digit and colour. `true`: it was clicked.
fn entry(ui: &mut Ui, index: usize, class: &Class, is_marked: bool) -> bool {
    let digit = if index < DIGITS { (index + 1).to_string() } else { String::new() };
    let [r, g, b] = class.color;
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
        ui.painter().rect_filled(rect, theme::PICTURE_RADIUS, egui::Color32::from_rgb(r, g, b));
        let key = RichText::new(digit).monospace().color(theme::WEAK);
        let button = egui::Button::new(&class.name).right_text(key).selected(is_marked);
        let response = ui.add_sized([ui.available_width(), 24.0], button);
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, is_marked, &class.name));
        response.clicked()
    })
    .inner
}

#[cfg(test)]
#[path = "picker_tests.rs"]
mod tests;

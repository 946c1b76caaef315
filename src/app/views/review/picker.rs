//! The class picker in the review: opens for the current candidate, handles keys, and is drawn over the screen.

use egui::{Id, Modal, RichText, Ui};

use super::class_picker::{ClassPicker, PickerKey, Question};
use super::model::ReviewModel;
use crate::app::command::Picked;
use crate::app::theme;
use crate::app::widgets::growing::growing;
use crate::domain::{Class, ClassId};

/// Number of classes with a digit key.
const DIGITS: usize = 9;

impl<Key> ReviewModel<Key> {
    /// Opens the picker for the current candidate. Proposes the class chosen last, else `nearest`, else the class that the detector
    /// predicted. Does not open if nothing can be decided.
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

    /// Passes a key to the open picker; returns the chosen class and its purpose, if any.
    pub fn press_in_picker(&mut self, key: PickerKey<'_>) -> Option<(Question, ClassId)> {
        match self.picker.as_mut()?.press(key)? {
            Picked::Class(class) => self.pick(class),
            Picked::Nothing => {
                self.picker = None;
                None
            }
        }
    }

    /// Chooses a class and closes the picker. `None`: the current candidate has changed since it was opened.
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

/// Draws the open picker over the screen; returns the result of a click.
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
        growing(420.0).show(ui, |ui| {
            for (index, class) in picker.listed().enumerate() {
                if entry(ui, index, class, marked == Some(class.id)) {
                    picked = Some(Picked::Class(class.id));
                }
            }
            if marked.is_none() {
                ui.label("No class matches.");
            }
        });
        ui.label(RichText::new("1-9 or Enter choose, Esc cancels").small().color(theme::WEAK));
    });
    picked.or_else(|| modal.should_close().then_some(Picked::Nothing))
}

/// A class with its digit and colour. Returns true if clicked.
fn entry(ui: &mut Ui, index: usize, class: &Class, is_marked: bool) -> bool {
    let digit = if index < DIGITS { (index + 1).to_string() } else { String::new() };
    let [r, g, b] = class.color;
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
        ui.painter().rect_filled(rect, theme::IMAGE_RADIUS, egui::Color32::from_rgb(r, g, b));
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

//! The app side of the class picker: the keys that open it, its key handling, and the effect of the chosen class.

use egui::Key;

use super::QuarryApp;
use super::keys::Typed;
use super::views::review::{PickerKey, Question, Reasons, reasons, start};
use crate::domain::{AnnotationSource, Class, ClassId, ObjectChange};

impl QuarryApp {
    /// F: with several classes, asks for the class first.
    pub(super) fn missed_object(&mut self) {
        if self.has_classes() {
            self.ask_class(Question::MissedObject, None);
        } else {
            self.adjust_missed(None);
        }
    }

    /// Starts adjusting the current candidate as a missed object: from its promoted shape, otherwise from its box, with the shape type of
    /// its class.
    fn adjust_missed(&mut self, class: Option<ClassId>) {
        let shape = self.promoted().or_else(|| {
            let candidate = &self.review.current()?.candidate;
            let class = class.unwrap_or(candidate.class);
            Some(start(&candidate.bbox, self.is_elliptic(class)))
        });
        self.review.start_adjusting(shape, class);
    }

    /// W: only has an effect with several classes.
    pub(super) fn wrong_class(&mut self) {
        if self.has_classes() {
            self.ask_class(Question::WrongClass, self.nearest_class());
        } else {
            self.say("The project has one class: no object can have the wrong class");
        }
    }

    /// Whether there are classes to choose from.
    pub(super) fn has_classes(&self) -> bool {
        self.classes().len() > 1
    }

    /// Returns the texts of the reason keys in the open project.
    pub(super) fn reasons(&self) -> &'static Reasons {
        reasons(self.classes())
    }

    fn classes(&self) -> &[Class] {
        self.overview().map_or(&[], |overview| &overview.classes)
    }

    pub(super) fn ask_class(&mut self, question: Question, nearest: Option<ClassId>) {
        let classes = self.classes().to_vec();
        self.review.open_picker(question, &classes, nearest);
    }

    /// Returns the class of the object with the largest overlap with the current candidate. In a blind review objects from verdicts are
    /// hidden.
    fn nearest_class(&self) -> Option<ClassId> {
        let row = self.review.current()?;
        let objects = &self.session.as_ref()?.details.get(row)?.ground_truth;
        let is_seen = |source| !self.review.filter.blind || source == AnnotationSource::Imported;
        let overlaps = objects.iter().filter(|object| is_seen(object.source)).map(|object| {
            let overlap = object.shape.bounding_box().iou(&row.candidate.bbox);
            (overlap, object.class)
        });
        let nearest = overlaps.filter(|(overlap, _)| *overlap > 0.0).max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(nearest.1)
    }

    /// Handles a key while the picker is open; other meanings are disabled.
    pub(super) fn press_in_picker(&mut self, typed: &Typed) {
        let Some(key) = picker_key(typed) else { return };
        if let Some((question, class)) = self.review.press_in_picker(key) {
            self.class_chosen(question, class);
        }
    }

    pub(super) fn pick_class(&mut self, class: ClassId) {
        if let Some((question, class)) = self.review.pick(class) {
            self.class_chosen(question, class);
        }
    }

    fn class_chosen(&mut self, question: Question, class: ClassId) {
        match question {
            Question::MissedObject => {
                self.adjust_missed(Some(class));
            }
            Question::ObjectClass(object) => {
                let decision = self.review.correct(vec![object], ObjectChange::Class(class));
                self.save(decision);
            }
            Question::WrongClass => {
                let decision = self.review.decide_class(class);
                self.save(decision);
            }
        }
    }
}

/// Interprets a key for the picker. Only Backspace repeats when held down.
pub(super) fn picker_key(typed: &Typed) -> Option<PickerKey<'_>> {
    if typed.modifiers.command || typed.modifiers.ctrl {
        return None;
    }
    match typed.key {
        Some(Key::Backspace) => return Some(PickerKey::Backspace),
        _ if typed.repeat => return None,
        Some(Key::Enter) => return Some(PickerKey::Enter),
        Some(Key::Escape) => return Some(PickerKey::Escape),
        _ => {}
    }
    // Accept a digit that arrived as a key without text or as text without a key.
    let name = typed.key.map_or("", Key::symbol_or_name);
    let text = if typed.text.is_empty() && is_digit(name) { name } else { typed.text.as_str() };
    match text.parse::<usize>() {
        Ok(number) if is_digit(text) => Some(PickerKey::Digit(number)),
        _ => Some(PickerKey::Text(text)).filter(|_| !text.is_empty()),
    }
}

fn is_digit(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'9'])
}

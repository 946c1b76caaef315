//! The log of decisions: who decided what and when, searchable; each entry can be revisited and changed.

use egui::{Button, Grid, RichText, ScrollArea, TextEdit, Ui};
use time::OffsetDateTime;

use super::{Action, ReviewView};
use crate::app::command::{ReviewCommand, verdict_text};
use crate::app::theme;
use crate::domain::{AnnotationSource, Class, CorrectionAct};
use crate::store::{Decided, GestureAction, HistoryStep};

/// Number of entries per request.
pub const HISTORY_PAGE: usize = 200;

/// The loaded part of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryModel {
    /// Part of an image's name, an annotator, a verdict or a reason.
    pub text: String,
    /// Newest first.
    pub steps: Vec<HistoryStep>,
    /// Everything is loaded.
    pub complete: bool,
    /// The marked entry.
    pub at: usize,
    /// The opened batch, whose decisions are listed individually instead of all actions.
    pub batch: Option<i64>,
    above: Option<Batches>,
    /// The action to mark once its list is reloaded.
    mark: Option<i64>,
}

/// The list that a batch was opened from, for returning.
#[derive(Debug, Clone, Default, PartialEq)]
struct Batches {
    steps: Vec<HistoryStep>,
    complete: bool,
    at: usize,
}

impl HistoryModel {
    /// Returns the start of an older page: a gesture, or in an opened batch a log row. `None` for the newest page.
    pub fn oldest(&self) -> Option<i64> {
        let is_open = self.batch.is_some();
        self.steps.last().map(|step| if is_open { step.seq } else { step.gesture })
    }

    /// Opens the batch at this entry, or returns to the list of actions. Returns whether the list has to be reloaded.
    pub fn toggle_batch(&mut self, index: usize) -> bool {
        if self.close_batch() {
            return self.is_near_start();
        }
        let Some(step) = self.steps.get(index).filter(|step| step.count > 1) else { return false };
        self.batch = Some(step.gesture);
        let (steps, complete) = (std::mem::take(&mut self.steps), std::mem::take(&mut self.complete));
        self.above = Some(Batches { steps, complete, at: index });
        self.at = 0;
        true
    }

    /// Returns to the list of actions at the previous position. Returns false if no batch is open.
    pub fn close_batch(&mut self) -> bool {
        let Some(Batches { steps, complete, at }) = self.above.take() else { return false };
        self.mark = self.batch.take();
        (self.steps, self.complete, self.at) = (steps, complete, at);
        true
    }

    /// Whether the marked entry is on the newest page, so that it can be reloaded without losing the position.
    fn is_near_start(&self) -> bool {
        self.at < HISTORY_PAGE / 2
    }

    /// Starts a new search among all actions.
    pub fn search(&mut self, text: String) {
        self.close_batch();
        (self.text, self.at, self.mark) = (text, 0, None);
    }

    /// Appends the next, older entries. `from_start`: they are the newest ones.
    pub fn extend(&mut self, steps: Vec<HistoryStep>, from_start: bool) {
        if from_start {
            self.steps.clear();
        }
        self.complete = steps.len() < HISTORY_PAGE;
        self.steps.extend(steps);
        let mark = self.mark.take_if(|_| self.batch.is_none());
        if let Some(at) = mark.and_then(|mark| self.steps.iter().position(|step| step.gesture == mark)) {
            self.at = at;
        }
        self.step(0);
    }

    /// Marks another entry; returns whether older ones have to be loaded.
    pub fn step(&mut self, by: isize) -> bool {
        let last = self.steps.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
        self.at == last && !self.complete
    }

    pub fn marked(&self) -> Option<&HistoryStep> {
        self.steps.get(self.at)
    }
}

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    let mut text = view.model.history.text.clone();
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new("History").size(theme::BIG_NUMBER).color(theme::STRONG));
        ui.add_space(theme::GAP);
        ui.add(egui::Label::new("Image, annotator, decision, class or reason").extend());
        let edit = TextEdit::singleline(&mut text).id(egui::Id::unique("history search")).desired_width(320.0);
        let response = ui.name_inputs("Search the history", |ui| ui.add(edit));
        if view.model.typing_ahead {
            response.request_focus();
        }
        for action in [Action::Filter, Action::LookAgain, Action::Batch, Action::Leave] {
            let text = format!("{}  {}", view.keymap.text(action), action.text());
            ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).extend());
        }
    });
    if view.model.history.batch.is_some() {
        ui.horizontal(|ui| {
            ui.label("Every decision of one action");
            if ui.button("Back to all").clicked() {
                view.push(ReviewCommand::Batch(0));
            }
        });
    }
    if text != view.model.history.text {
        view.push(ReviewCommand::SearchHistory(text));
    }
    let history = &view.model.history;
    if history.steps.is_empty() {
        let hint = if history.text.is_empty() { "Nothing was decided yet." } else { "Nothing in the log matches." };
        ui.label(RichText::new(hint).color(theme::WEAK));
        return;
    }
    let (count, complete) = (history.steps.len(), history.complete);
    let height = ui.spacing().interact_size.y;
    let mut commands = Vec::new();
    let marked = history.at;
    let offset = scroll_to_marked(ui, marked, height + ui.spacing().item_spacing.y);
    let area = ScrollArea::both();
    let area = if let Some(offset) = offset { area.vertical_scroll_offset(offset) } else { area };
    area.auto_shrink(false).show_rows(ui, height, count + usize::from(!complete), |ui, range| {
        let end = range.end;
        Grid::new("history").num_columns(7).min_row_height(height).min_col_width(60.0).show(ui, |ui| {
            let first = range.start.min(count);
            for (index, step) in history.steps[first..end.min(count)].iter().enumerate() {
                commands.extend(row(ui, step, &view.details.overview.classes, first + index, first + index == marked));
                ui.end_row();
            }
        });
        if count < end && ui.button("Older…").clicked() {
            commands.push(ReviewCommand::OlderHistory);
        }
    });
    for command in commands {
        view.push(command);
    }
}

/// Returns the scroll position that puts a newly marked entry in the upper half.
fn scroll_to_marked(ui: &Ui, marked: usize, pitch: f32) -> Option<f32> {
    let id = ui.scope_id().with("marked step");
    let before = ui.data(|data| data.get_temp::<usize>(id)).unwrap_or(0);
    ui.data_mut(|data| data.insert_temp(id, marked));
    (before != marked).then(|| (marked as f32 * pitch - ui.available_height() / 3.0).max(0.0))
}

fn row(ui: &mut Ui, step: &HistoryStep, classes: &[Class], index: usize, is_marked: bool) -> Option<ReviewCommand> {
    let time_color = if is_marked { theme::CANDIDATE } else { theme::WEAK };
    ui.label(RichText::new(utc_text(step.time_ms)).monospace().color(time_color)).on_hover_text("UTC");
    ui.label(&step.annotator);
    let color = match step.what {
        Decided::Verdict { verdict: Some(verdict), .. } => theme::verdict(Some(verdict)),
        Decided::Correction { act: Some(_), .. } => theme::ground_truth(AnnotationSource::Edited),
        _ => theme::WEAK,
    };
    ui.label(RichText::new(decided_text(step, classes)).color(color));
    let others = if step.count > 1 { format!("  and {} more", step.count - 1) } else { String::new() };
    ui.label(format!("{}{others}", step.image_name));
    ui.label(RichText::new(step.reason.as_deref().unwrap_or_default()).color(theme::WEAK));
    match step.what {
        Decided::Verdict { candidate, .. } => {
            let again = ui.add(Button::new("Look again").small());
            if again.on_hover_text("Show this candidate; a new verdict changes it").clicked() {
                return Some(ReviewCommand::Revisit(candidate));
            }
        }
        // The columns stay aligned.
        Decided::Correction { .. } => {
            ui.label("");
        }
    }
    let all = || Button::new(format!("All {}", step.count)).small();
    let is_opened = step.count > 1 && ui.add(all()).on_hover_text("List every decision of this action").clicked();
    is_opened.then_some(ReviewCommand::Batch(index))
}

/// Formats the decision, with the class if given and there are several: `Missed object: dog`, `class changed: dog  (undo)`.
fn decided_text(step: &HistoryStep, classes: &[Class]) -> String {
    let (text, class) = match step.what {
        Decided::Verdict { verdict, class, .. } => (verdict.map(verdict_text), class),
        Decided::Correction { act, class } => (act.map(CorrectionAct::text), class),
    };
    let name = classes.iter().find(|known| Some(known.id) == class).filter(|_| classes.len() > 1);
    let class = name.map_or_else(String::new, |class| format!(": {}", class.name));
    let again = match step.action {
        GestureAction::Decide => "",
        GestureAction::Undo => "  (undo)",
        GestureAction::Redo => "  (redo)",
    };
    format!("{}{class}{again}", text.unwrap_or("undone"))
}

/// Formats milliseconds since the Unix epoch as `2026-11-24 09:05:07`, UTC. A time outside the supported years is printed as that number.
pub fn utc_text(time_ms: i64) -> String {
    let Ok(t) = OffsetDateTime::from_unix_timestamp(time_ms.div_euclid(1000)) else { return time_ms.to_string() };
    let (year, month, day) = t.to_calendar_date();
    let (hour, minute, second) = t.to_hms();
    format!("{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}", u8::from(month))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CandidateId, ClassId, ImageId, Verdict};

    #[test]
    fn the_mark_stays_within_the_steps() {
        let mut history = HistoryModel::default();
        assert!(history.step(1) && history.marked().is_none(), "nothing was read yet");
        history.extend(Vec::new(), true);
        assert!(!history.step(1), "there is nothing older");
        assert_eq!(history.at, 0);
    }

    #[test]
    fn a_batch_is_opened_and_left_where_it_was() {
        let step = |gesture: i64, seq: i64, count: u64| HistoryStep { seq, gesture, count, ..step_of(None, None) };
        let mut history = HistoryModel::default();
        history.extend(vec![step(9, 40, 1), step(8, 20, 20)], true);
        assert!(!history.toggle_batch(0), "one decision has nothing to open");
        history.step(1);
        assert!(history.toggle_batch(history.at) && history.steps.is_empty());
        assert_eq!(history.batch, Some(8));
        history.extend((20..40).rev().map(|seq| step(8, seq, 1)).collect(), true);
        assert_eq!(history.oldest(), Some(20), "pages of a batch go by rows");
        assert!(history.toggle_batch(5), "the newest page may have newer actions by now");
        assert_eq!((history.steps.len(), history.at, history.batch, history.oldest()), (2, 1, None, Some(8)));
        history.extend(vec![step(10, 41, 1), step(9, 40, 1), step(8, 20, 20)], true);
        assert_eq!(history.at, 2, "a newer action above it");
        history.extend((0..HISTORY_PAGE as i64).rev().map(|gesture| step(gesture, gesture, 2)).collect(), true);
        history.step(isize::MAX);
        assert!(history.toggle_batch(history.at));
        assert!(!history.toggle_batch(0), "reading the newest page would lose the place");
    }

    fn step_of(verdict: Option<Verdict>, class: Option<ClassId>) -> HistoryStep {
        HistoryStep {
            seq: 1,
            gesture: 1,
            action: GestureAction::Decide,
            annotator: "Ada".to_owned(),
            time_ms: 0,
            what: Decided::Verdict { candidate: CandidateId(1), verdict, class },
            image: ImageId(1),
            image_name: String::new(),
            reason: None,
            count: 1,
        }
    }

    #[test]
    fn steps_name_the_class_where_there_are_several() {
        let class = |id: i64, name: &str| Class {
            id: ClassId(id),
            name: name.to_owned(),
            color: [0; 3],
            position: id as u32,
            origin: String::new(),
        };
        let two = [class(1, "cat"), class(2, "dog")];
        let missed = step_of(Some(Verdict::MissedObject), Some(ClassId(2)));
        assert_eq!(decided_text(&missed, &two), format!("{}: dog", verdict_text(Verdict::MissedObject)));
        assert_eq!(decided_text(&missed, &two[1..]), verdict_text(Verdict::MissedObject));
        let what = Decided::Correction { act: Some(CorrectionAct::Reclassed), class: Some(ClassId(1)) };
        let corrected = HistoryStep { what, action: GestureAction::Redo, ..missed };
        assert_eq!(decided_text(&corrected, &two), "class changed: cat  (redo)");
        let undone = HistoryStep { what: Decided::Correction { act: None, class: None }, ..corrected };
        assert_eq!(decided_text(&HistoryStep { action: GestureAction::Undo, ..undone }, &two), "undone  (undo)");
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(utc_text(0), "1970-01-01 00:00:00");
        assert_eq!(utc_text(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc_text(1_795_511_107_999), "2026-11-24 09:05:07");
        assert_eq!(utc_text(-1), "1969-12-31 23:59:59");
    }
}

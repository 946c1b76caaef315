//! The review screen: one candidate at a time, or a grid of many. Shows the model and pushes commands only.

mod adjust;
mod annotators;
mod class_picker;
mod crop;
mod deciding;
mod decision;
mod filter_bar;
mod filter_panel;
mod grid;
mod history;
mod info;
mod layout;
mod model;
mod pace;
mod picker;
mod reason_bar;
mod strip;
mod target;
mod whole_image;

pub use adjust::{Handle, Nudge, nudge, start};
pub use class_picker::{ClassPicker, PickerKey, Question};
pub use crop::{key as crop_key, request as crop_request};
pub use deciding::{Reasons, reasons};
pub use decision::{Decision, GroupOffer, Saved};
pub use history::{HISTORY_PAGE, HistoryModel, utc_text};
pub use layout::Layout;
pub use model::{Adjusting, Drawn, ReviewModel};
pub(super) use picker::show as show_picker;
pub use target::target;

use std::collections::HashMap;

use egui::{Align, Frame, Margin, Panel, RichText, ScrollArea, Ui, UiBuilder};

use super::super::action::Action;
use super::super::command::{Command, FolderPurpose, Picked, ReviewCommand, Screen};
use super::super::details::Details;
use super::super::keymap::Keymap;
use super::super::textures::Textures;
use super::super::theme;
use super::super::widgets::key_button::{key_button, key_button_colored, key_switch};
use super::super::widgets::lists;
use super::super::widgets::viewport::Viewport;
use crate::domain::{Verdict, VerdictCounts, counted};
use crate::jobs::DecodeRequest;
use crate::store::CandidateRow;

/// Everything that the screen shows.
pub struct ReviewView<'a> {
    pub model: &'a ReviewModel<Command>,
    pub details: &'a Details,
    pub keymap: &'a Keymap,
    /// The annotator whose verdicts the keys give.
    pub annotator: &'a str,
    /// The image that was zoomed or panned, and its viewport.
    pub last_view: (Option<crate::domain::ImageId>, Viewport),
    pub has_project: bool,
    pub textures: &'a mut Textures,
    pub commands: &'a mut Vec<Command>,
}

impl ReviewView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        Panel::bottom("review_actions").frame(theme::bar()).show_separator_line(true).show(ui, |ui| self.actions(ui));
        // While a shape is adjusted, it is what is decided.
        if self.has_project && self.model.layout.shows_candidates() && self.model.adjusting.is_none() {
            reason_bar::show(ui, self);
        }
        let frame = Frame::new().fill(theme::BACKGROUND.now()).inner_margin(Margin {
            left: 16,
            right: 16,
            top: 10,
            bottom: 12,
        });
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            self.failure(ui);
            self.end_of_list(ui);
            self.no_image(ui);
            match self.model.layout {
                Layout::History => return history::show(ui, self),
                Layout::Annotators => return annotators::show(ui, self),
                Layout::Queue | Layout::Grid => filter_bar::show(ui, self),
            }
            ui.add_space(4.0);
            if self.model.rows().is_empty() {
                self.nothing(ui);
            } else if self.model.layout == Layout::Grid {
                grid::show(ui, self);
            } else {
                self.queue(ui);
            }
        });
        match self.model.picker.as_ref().and_then(|picker| picker::show(ui, picker)) {
            Some(Picked::Class(class)) => self.push(ReviewCommand::PickClass(class)),
            Some(Picked::Nothing) => self.push(ReviewCommand::ClosePicker),
            None => {}
        }
    }

    fn push(&mut self, command: ReviewCommand) {
        self.commands.push(Command::Review(command));
    }

    fn failure(&mut self, ui: &mut Ui) {
        let Some(reason) = self.model.failure.clone() else { return };
        let frame = theme::card().stroke(egui::Stroke::new(1.5, theme::ERROR));
        frame.show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new("Not saved").strong().color(theme::ERROR));
                ui.label(format!("{reason}. The decision was undone and the queue stopped here."));
                self.small(ui, Action::GoOn);
            });
        });
        ui.add_space(6.0);
    }

    /// Verdicts typed ahead must not decide the last candidate again: the screen says so instead.
    fn end_of_list(&mut self, ui: &mut Ui) {
        if !self.model.is_past_end() || !self.model.layout.shows_candidates() {
            return;
        }
        ui.horizontal(|ui| {
            ui.label(RichText::new("End of the list").strong().color(theme::GOOD));
            ui.label("The last candidate is decided. Go to another one to continue.");
            for action in [Action::NextUndecided, Action::Next, Action::Undo] {
                self.small(ui, action);
            }
        });
        ui.add_space(6.0);
    }

    /// Candidates whose image is not shown cannot be judged.
    fn no_image(&mut self, ui: &mut Ui) {
        let row = self.model.current().filter(|_| self.model.layout == Layout::Queue);
        let Some(reason) = row.and_then(|row| self.textures.failure(&crop_key(row))) else { return };
        let reason = crate::domain::printable_message(reason).into_owned();
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("The image cannot be shown").strong().color(theme::ERROR));
            ui.label(format!("{reason}. No verdict can be given until it can be read; you can skip it."));
            if let Some(dataset) = self.dataset_of_current() {
                let hint = format!("{} was imported from {}", dataset.name, dataset.root.display());
                if ui.button("Locate folder…").on_hover_text(crate::domain::printable(&hint).as_ref()).clicked() {
                    self.commands.push(Command::ChooseFolder(FolderPurpose::Locate(dataset.id)));
                }
            }
        });
        ui.add_space(6.0);
    }

    /// Returns the dataset of the current candidate's image: the one whose folder contains the file.
    fn dataset_of_current(&self) -> Option<&crate::store::Dataset> {
        let row = self.model.current()?;
        let record = self.details.get(row).map(|detail| detail.record.dataset);
        let datasets = &self.details.overview.datasets;
        let holds = |dataset: &&crate::store::Dataset| match record {
            Some(id) => dataset.id == id,
            None => row.file.starts_with(&dataset.root),
        };
        datasets.iter().filter(holds).max_by_key(|dataset| dataset.root.components().count())
    }

    fn nothing(&mut self, ui: &mut Ui) {
        if !self.has_project {
            return self.no_project(ui);
        }
        ui.add_space(ui.available_height() * 0.3);
        ui.vertical_centered(|ui| {
            let key = self.keymap.text(Action::Filter);
            let change_filter = format!("Remove a condition, or press {key} to change the filter.");
            let (title, hint) = match self.model.total {
                None => ("Looking for candidates…", "One moment."),
                Some(_) if self.model.counts.undecided == 0 && self.model.counts.candidates() > 0 => {
                    ("All decided", "Start the next round on the Train screen, or change the filter to look again.")
                }
                Some(_) if self.model.counts.candidates() == 0 => {
                    ("No candidates yet", "Train a round; its false positives come here.")
                }
                Some(_) => ("Nothing passes the filter", change_filter.as_str()),
            };
            ui.label(RichText::new(title).size(theme::BIG_NUMBER).color(theme::STRONG));
            ui.label(RichText::new(hint).color(theme::WEAK));
        });
    }

    fn no_project(&mut self, ui: &mut Ui) {
        ui.add_space(ui.available_height() * 0.3);
        ui.vertical_centered(|ui| {
            ui.label(RichText::new("No project is open").size(theme::BIG_NUMBER).color(theme::STRONG));
            ui.label(RichText::new("Candidates are reviewed in a project.").color(theme::WEAK));
            if ui.button("Open or make a project").clicked() {
                self.commands.push(Command::Show(Screen::Project));
            }
        });
    }

    /// Crop and data on the left, the whole image on the right.
    fn queue(&mut self, ui: &mut Ui) {
        let rect = ui.available_rect_before_wrap();
        let crop_width = rect.width() * if self.model.zoomed { 0.62 } else { 0.44 };
        // The maximum height of the data so far at this width: the crop does not jump between candidates.
        let height_key = ui.scope_id().with(("height of facts", crop_width.round() as i32));
        let wanted = ui.data(|data| data.get_temp::<f32>(height_key)).unwrap_or(INFO_HEIGHT);
        let info_height = wanted.min(rect.height() * INFO_PART).min((rect.height() - CROP_LEAST).max(INFO_LEAST));
        let left = egui::Rect::from_min_size(rect.min, egui::vec2(crop_width, rect.height()));
        let mut right = rect;
        right.min.x = left.max.x + theme::GAP;
        ui.scope_builder(UiBuilder::new().max_rect(left), |ui| {
            let mut crop_rect = left;
            crop_rect.max.y -= info_height + theme::GAP;
            crop::show(ui, self, crop_rect);
            let info_rect = egui::Rect::from_min_max(egui::pos2(left.min.x, crop_rect.max.y + theme::GAP), left.max);
            let content = ui.scope_builder(UiBuilder::new().max_rect(info_rect), |ui| {
                ScrollArea::vertical()
                    .id_salt("facts")
                    .auto_shrink(false)
                    .show(ui, |ui| info::show(ui, self))
                    .content_size
                    .y
            });
            if content.inner > wanted + 0.5 {
                ui.data_mut(|data| data.insert_temp(height_key, content.inner));
                ui.ctx().request_repaint();
            }
        });
        whole_image::show(ui, self, right);
        ui.allocate_rect(rect, egui::Sense::hover());
        self.decode_ahead();
    }

    /// Prefetches the images of the next candidates.
    fn decode_ahead(&mut self) {
        for row in self.model.upcoming(8) {
            self.textures.prefetch(crop::request(row));
            self.textures.prefetch(whole_image::request(row));
        }
    }

    fn actions(&mut self, ui: &mut Ui) {
        if self.model.adjusting.is_some() {
            return self.adjust_actions(ui);
        }
        if !self.model.layout.shows_candidates() {
            return self.aside_actions(ui);
        }
        ui.add_space(2.0);
        let has_classes = self.details.overview.classes.len() > 1;
        let needed = if has_classes { 5.0 } else { 4.0 } * LARGE_BUTTON + UNDO_AND_PROGRESS;
        // In a narrow window the keys wrap to several rows, followed by the progress as plain text.
        let is_wide = ui.available_width() >= needed;
        let is_low = !is_wide && ui.ctx().content_rect().height() < LOW;
        let row = if is_wide { egui::Layout::left_to_right(Align::Center) } else { wrapped() };
        let size = egui::vec2(ui.available_width(), ui.spacing().interact_size.y);
        ui.allocate_ui_with_layout(size, row, |ui| {
            let large = [
                (Action::Confirm, Some(Verdict::Confirmed)),
                (Action::Reject, Some(Verdict::Rejected)),
                (Action::MissedObject, Some(Verdict::MissedObject)),
                (Action::WrongClass, Some(Verdict::WrongClass)),
                (Action::Skip, None),
            ];
            for (action, verdict) in
                large.into_iter().filter(|(action, _)| has_classes || *action != Action::WrongClass)
            {
                let color = verdict.map(|v| theme::verdict(Some(v)));
                if key_button_colored(ui, self.keymap, action, color, true).clicked() {
                    self.commands.push(Command::Do(action));
                }
            }
            if is_low {
                return;
            }
            ui.add_space(theme::GAP);
            for action in [Action::Undo, Action::Redo] {
                self.small(ui, action);
            }
            if is_wide {
                self.progress(ui);
            }
        });
        // Close together, so that they take one row at 1280 points.
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.spacing_mut().button_padding.x = 8.0;
        ui.horizontal_wrapped(|ui| {
            if is_low {
                for action in [Action::Undo, Action::Redo] {
                    self.small(ui, action);
                }
                // The image needs the height that their rows would take.
                lists::menu(ui, "More", |ui| self.looks_and_places(ui));
            } else {
                self.looks_and_places(ui);
            }
            self.offer(ui);
            if !is_wide {
                let text = RichText::new(self.decided_and_left()).color(theme::STRONG);
                ui.add(egui::Label::new(text).extend()).on_hover_text(self.annotator);
            }
        });
    }

    /// The actions that decide nothing.
    fn looks_and_places(&mut self, ui: &mut Ui) {
        use Action as A;
        for action in [A::Previous, A::Next, A::NextUndecided, A::Zoom, A::Grid] {
            self.small(ui, action);
        }
        let Drawn { ground_truth, detections, candidate } = self.model.drawn;
        for (action, is_on) in
            [(A::GroundTruth, ground_truth), (A::Detections, detections), (A::CandidateBox, candidate)]
        {
            if key_switch(ui, self.keymap, action, is_on).clicked() {
                self.commands.push(Command::Do(action));
            }
        }
        for action in [A::ImageComplete, A::Filter, A::History, A::Annotators] {
            self.small(ui, action);
        }
    }

    /// Offers the rest of the last decided group.
    fn offer(&mut self, ui: &mut Ui) {
        let Some(offer) = &self.model.offer else { return };
        ui.add_space(theme::GAP);
        let text = format!("{} more in the group", offer.waiting);
        ui.add(egui::Label::new(RichText::new(text).color(theme::verdict(Some(offer.verdict)))).extend());
        self.small(ui, Action::DecideRest);
    }

    fn small(&mut self, ui: &mut Ui, action: Action) {
        if key_button(ui, self.keymap, action).clicked() {
            self.commands.push(Command::Do(action));
        }
    }

    /// The actions of the history and the annotators, where nothing can be decided. Each decision has its own "Look again".
    fn aside_actions(&mut self, ui: &mut Ui) {
        use Action as A;
        ui.add_space(2.0);
        let of_layout: &[A] = if self.model.layout == Layout::History { &[A::Previous, A::Next] } else { &[] };
        let everywhere = [A::Leave, A::Grid, A::Filter, A::History, A::Annotators, A::Undo, A::Redo];
        ui.horizontal_wrapped(|ui| {
            for action in of_layout.iter().copied().chain(everywhere) {
                self.small(ui, action);
            }
            let text = RichText::new(self.decided_and_left()).color(theme::STRONG);
            ui.add(egui::Label::new(text).extend()).on_hover_text(self.annotator);
        });
    }

    fn adjust_actions(&mut self, ui: &mut Ui) {
        ui.add_space(2.0);
        ui.horizontal(|ui| {
            for action in [Action::Commit, Action::Cancel] {
                if key_button_colored(ui, self.keymap, action, None, true).clicked() {
                    self.commands.push(Command::Do(action));
                }
            }
            ui.add_space(theme::GAP);
            let moves = [Action::MoveLeft, Action::MoveRight, Action::MoveUp, Action::MoveDown];
            let keys = moves.map(|action| self.keymap.text(action)).join(" ");
            let hint = format!("Drag the handles, or move it with {keys}. These change its shape:");
            ui.label(RichText::new(hint).color(theme::WEAK));
        });
        ui.horizontal(|ui| {
            use Action as A;
            for action in [A::Narrower, A::Wider, A::Taller, A::Shorter, A::TurnLeft, A::TurnRight] {
                self.small(ui, action);
            }
        });
    }

    fn decided_and_left(&self) -> String {
        let counts = &self.model.counts;
        let of_them = match counts.estimated {
            0 => String::new(),
            estimated => format!(" ({estimated} estimated)"),
        };
        format!("{} decided{of_them}  ·  {}", counts.decided(), left_text(counts))
    }

    fn progress(&mut self, ui: &mut Ui) {
        let counts = &self.model.counts;
        let (done, left) = (counts.decided(), counts.undecided);
        let mut pace = String::new();
        if let Some(rate) = self.model.pace.per_minute() {
            pace = format!("{rate:.0} a minute");
            if let Some(minutes) = self.model.pace.minutes_left(left).filter(|_| left > 0) {
                pace = format!("{pace}  ·  {} left", minutes_text(minutes));
            }
        }
        let share = done as f32 / (done + left).max(1) as f32;
        ui.with_layout(egui::Layout::top_down(Align::Max), |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.label(RichText::new(self.decided_and_left()).color(theme::STRONG));
            ui.add(egui::ProgressBar::new(share).desired_width(190.0).desired_height(5.0).fill(theme::GOOD.now()));
            let by = if pace.is_empty() { String::new() } else { "  ·  ".to_owned() };
            let text = format!("{}{by}{pace}", self.annotator);
            ui.label(RichText::new(text).small().color(theme::WEAK)).on_hover_text("Whose verdicts these are");
        });
    }
}

/// Returns the review's image requests for candidates, grouped by image: the image, the crop, the grid's crop.
pub fn decode_requests(rows: &[CandidateRow]) -> Vec<Vec<DecodeRequest>> {
    let mut images: Vec<Vec<DecodeRequest>> = Vec::new();
    let mut place = HashMap::new();
    for row in rows {
        let at = *place.entry(row.candidate.image).or_insert_with(|| {
            images.push(vec![whole_image::request(row)]);
            images.len() - 1
        });
        if let Some(parts) = images.get_mut(at) {
            parts.extend([crop::request(row), grid::request(row)]);
        }
    }
    images
}

/// Height of a candidate's data in points until it is known, and its maximum fraction of the screen.
const INFO_HEIGHT: f32 = 100.0;
const INFO_PART: f32 = 0.6;
/// Minimum heights in points of the crop with the gap below it, and of the data, which scrolls.
const CROP_LEAST: f32 = 170.0;
const INFO_LEAST: f32 = 70.0;
/// A narrow window below this height in points has fewer buttons, so that there is space for the image.
const LOW: f32 = 640.0;

/// Width of a verdict button with its gap in points, and of undo, redo and the progress.
const LARGE_BUTTON: f32 = 160.0;
const UNDO_AND_PROGRESS: f32 = 600.0;

fn wrapped() -> egui::Layout {
    egui::Layout::left_to_right(Align::Center).with_main_wrap(true)
}

/// Formats what is left: `489 left`, and in how many decisions if groups make it fewer.
pub fn left_text(counts: &VerdictCounts) -> String {
    let VerdictCounts { undecided, decisions, .. } = counts;
    if counts.has_fewer_decisions() {
        format!("{undecided} left in {}", counted(*decisions, "decision"))
    } else {
        format!("{undecided} left")
    }
}

/// Formats a time span, e.g. `3 min` or `1 h 20 min`.
pub fn minutes_text(minutes: f64) -> String {
    let whole = minutes.ceil().max(1.0) as u64;
    if whole < 60 { format!("{whole} min") } else { format!("{} h {} min", whole / 60, whole % 60) }
}

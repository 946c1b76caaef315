//! The Images screen: all images as a grid, one image with the rounds' results, two rounds side by side. Shows the model and pushes
//! commands only.

mod bar;
mod browse;
mod correct;
mod filter_panel;
mod layers;
mod model;
mod side_panel;
mod single;

pub use model::{FileCheck, ImageDecision, ImagesModel, THUMBNAIL_MAX, THUMBNAIL_MIN, ViewNudge};

use egui::{Frame, Margin, RichText, Ui};

use super::super::command::{Command, ImagesCommand};
use super::super::details::Details;
use super::super::keymap::Keymap;
use super::super::textures::Textures;
use super::super::theme;
use super::super::widgets::viewport::Viewport;
use super::review::show_picker;
use crate::domain::{Class, RoundId};
use crate::workflow::inspect::ImageQuery;

/// Everything that the screen shows.
pub struct ImagesView<'a> {
    pub model: &'a ImagesModel,
    pub details: &'a Details,
    pub keymap: &'a Keymap,
    pub viewport: Viewport,
    pub textures: &'a mut Textures,
    pub commands: &'a mut Vec<Command>,
    pub has_project: bool,
    /// Whether a point of a curve is shown, and Back returns to the curve.
    pub leads_back: bool,
}

impl ImagesView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        let frame = Frame::new().fill(theme::BACKGROUND.now()).inner_margin(Margin {
            left: 16,
            right: 16,
            top: 10,
            bottom: 12,
        });
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            if !self.has_project {
                return quiet(ui, "No project is open", "Open one on the Project screen.");
            }
            if let Some(reason) = &self.model.failure {
                ui.label(RichText::new(reason).color(theme::ERROR));
            }
            if self.model.open.is_some() {
                single::show(ui, self);
            } else {
                browse::show(ui, self);
            }
        });
        if let Some(picked) = self.model.picker.as_ref().and_then(|picker| show_picker(ui, picker)) {
            self.push(ImagesCommand::PickClass(picked));
        }
    }

    fn push(&mut self, command: ImagesCommand) {
        self.commands.push(Command::Images(command));
    }

    fn set_query(&mut self, change: impl FnOnce(&mut ImageQuery)) {
        let mut query = self.model.query.clone();
        change(&mut query);
        if query != self.model.query {
            self.push(ImagesCommand::SetQuery(Box::new(query)));
        }
    }

    fn classes(&self) -> &[Class] {
        &self.details.overview.classes
    }

    /// Says which round's errors are fixed, and in which.
    fn comparison(&self) -> String {
        let query = &self.model.query;
        format!("From {} to {}", self.round_name(query.round), self.round_name(query.against))
    }

    /// Returns a round's name in lists; `No round` for ground truth alone.
    fn round_name(&self, round: Option<RoundId>) -> String {
        let known = round.and_then(|id| self.details.overview.rounds.iter().find(|round| round.id == id));
        known.map_or_else(|| "No round".to_owned(), |round| format!("Round {}", self.details.round_text(round.number)))
    }
}

/// Shows a sentence in the middle of an empty screen.
fn quiet(ui: &mut Ui, title: &str, hint: &str) {
    ui.add_space(ui.available_height() * 0.3);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(title).size(theme::BIG_NUMBER).color(theme::STRONG));
        ui.label(RichText::new(hint).color(theme::WEAK));
    });
}

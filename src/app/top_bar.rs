//! The bar above every screen: project, screens, counts.

use egui::{Align, Button, Layout, Panel, RichText, Ui};

use super::action::Action;
use super::command::{Command, Screen};
use super::{QuarryApp, theme};
use crate::domain::counted;

/// Minimum width in points for showing the counts.
const WIDE: f32 = 1150.0;

pub(super) fn show(ui: &mut Ui, app: &QuarryApp, commands: &mut Vec<Command>) {
    Panel::top("top").frame(theme::bar()).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new("Quarry").size(17.0).strong().color(theme::STRONG));
            ui.add_space(theme::GAP);
            for (screen, action) in Screen::ALL {
                tab(ui, app, screen, action, commands);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let keys = Button::new(RichText::new("?").strong()).min_size(egui::vec2(28.0, 28.0));
                let response = ui.add(keys).on_hover_text("All keys");
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "All keys"));
                if response.clicked() {
                    commands.push(Command::Do(Action::ShowKeys));
                }
                let chosen = app.screen == Screen::Settings;
                let settings = ui.add(Button::selectable(chosen, Action::ShowSettings.text()));
                let hint =
                    format!("{}  ({})", Action::ShowSettings.tooltip(), app.keys.keymap().text(Action::ShowSettings));
                if settings.on_hover_text(hint).clicked() {
                    commands.push(Command::Do(Action::ShowSettings));
                }
                project(ui, app);
            });
        });
    });
}

fn tab(ui: &mut Ui, app: &QuarryApp, screen: Screen, action: Action, commands: &mut Vec<Command>) {
    let chosen = app.screen == screen;
    let mut name = action.text().to_owned();
    if screen == Screen::Review && app.session.is_some() && app.review.counts.undecided > 0 {
        name = format!("{name}  {}", app.review.counts.undecided);
    }
    let color = if chosen { theme::STRONG } else { theme::WEAK };
    let button = Button::selectable(chosen, RichText::new(name).size(15.0).color(color));
    let hint = format!("{}  ({})", action.tooltip(), app.keys.keymap().text(action));
    let response = ui.add(button).on_hover_text(hint);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, action.text()));
    if response.clicked() {
        commands.push(Command::Show(screen));
    }
}

fn project(ui: &mut Ui, app: &QuarryApp) {
    let Some(session) = &app.session else { return };
    let counts = &app.review.counts;
    let text = format!("{}  ·  {} to review", counted(counts.confirmed, "hard negative"), counts.undecided);
    // In a narrow window the project screen and the tab show it.
    if ui.ctx().content_rect().width() >= WIDE {
        ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).extend());
    }
    let dir = session.project.dir().display().to_string();
    let name = RichText::new(session.project.name()).strong();
    ui.add(egui::Label::new(name).truncate()).on_hover_text(dir);
}

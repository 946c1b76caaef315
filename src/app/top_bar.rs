//! The bar above every screen: project, screens, counts, running jobs.

use egui::{Align, Button, Layout, Panel, ProgressBar, RichText, Ui};

use super::action::Action;
use super::command::{Command, Screen};
use super::views::train::Run;
use super::{QuarryApp, theme};
use crate::jobs::{Job, JobKind};
use crate::workflow::WorkEvent;

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
                jobs(ui, app, commands);
                project(ui, app);
            });
        });
    });
}

fn tab(ui: &mut Ui, app: &QuarryApp, screen: Screen, action: Action, commands: &mut Vec<Command>) {
    let chosen = app.screen == screen;
    let mut name = action.text().to_owned();
    if screen == Screen::Review && app.session.is_some() && 0 < app.review.counts.undecided {
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
    let text = format!("{} hard negatives  ·  {} to review", counts.confirmed, counts.undecided);
    ui.label(RichText::new(text).small().color(theme::WEAK));
    let dir = session.project.dir().display().to_string();
    ui.label(RichText::new(session.project.name()).strong()).on_hover_text(dir);
}

fn jobs(ui: &mut Ui, app: &QuarryApp, commands: &mut Vec<Command>) {
    for (kind, job) in app.jobs.running() {
        if ui.add(Button::new(RichText::new("Stop").small()).small()).clicked() {
            commands.push(Command::StopJobs);
        }
        let (share, text) = progress(app, kind, job);
        ui.add(ProgressBar::new(share).desired_width(110.0).desired_height(6.0).fill(theme::ACCENT));
        ui.label(RichText::new(text).small().color(theme::TEXT));
        ui.add_space(6.0);
    }
}

fn progress(app: &QuarryApp, kind: JobKind, job: &Job<WorkEvent>) -> (f32, String) {
    if job.is_stopping() {
        return (0.0, "Stopping…".to_owned());
    }
    let run = app.train.run.as_ref().filter(|_| kind == JobKind::Round);
    if let Some(share) = run.and_then(Run::share).filter(|share| *share < 1.0) {
        let round = run.and_then(|run| run.round).map_or(String::new(), |round| format!("Round {round}  "));
        return (share, format!("{round}{:.0} %", share * 100.0));
    }
    match job.progress() {
        Some(p) => {
            let share = if p.total > 0 { p.done as f32 / p.total as f32 } else { 0.0 };
            let rate = job.rate();
            (share, if rate.is_empty() { p.what } else { format!("{}  {rate}", p.what) })
        }
        None => (0.0, kind.text().to_owned()),
    }
}

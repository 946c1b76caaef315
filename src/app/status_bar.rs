//! The bar below every screen: the running job and its progress, the device, and the memory in use.

use egui::{Align, Button, Layout, Panel, ProgressBar, RichText, Ui};

use super::command::Command;
use super::views::review::minutes_text;
use super::{QuarryApp, messages, theme};
use crate::detector::GpuState;
use crate::jobs::{Job, JobKind};
use crate::workflow::WorkEvent;

pub(super) fn show(ui: &mut Ui, app: &QuarryApp, commands: &mut Vec<Command>) {
    Panel::bottom("status").frame(theme::status_bar()).show_separator_line(true).show(ui, |ui| {
        ui.spacing_mut().interact_size.y = 20.0;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            messages::log_button(ui, commands);
            right(ui, app);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| left(ui, app, commands));
        });
    });
}

fn left(ui: &mut Ui, app: &QuarryApp, commands: &mut Vec<Command>) {
    let mut is_idle = true;
    for (kind, job) in app.jobs.running() {
        is_idle = false;
        let stop = Button::new(RichText::new("Stop").small()).small().min_size(theme::SMALL_BUTTON);
        if ui.add(stop).clicked() {
            commands.push(Command::StopJobs);
        }
        let (share, text) = progress(app, kind, job);
        let bar = ProgressBar::new(share).desired_width(110.0).desired_height(6.0).fill(theme::ACCENT.now());
        let response = ui.add(bar);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &text));
        ui.add(egui::Label::new(RichText::new(&text).small().color(theme::TEXT)).truncate()).on_hover_text(&text);
    }
    let has_notice = messages::show_notice(ui, &app.messages);
    if is_idle && !has_notice {
        let text = if app.session.is_some() { "Ready" } else { "Open a project to begin" };
        ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).truncate());
    }
}

fn right(ui: &mut Ui, app: &QuarryApp) {
    if let Some(memory) = app.memory.text() {
        ui.label(RichText::new(memory).small().color(theme::WEAK)).on_hover_text("Memory that this program takes");
    }
    let (device, hint) = device(app);
    ui.add(egui::Label::new(RichText::new(device).small().color(theme::WEAK)).truncate()).on_hover_text(hint);
}

/// Returns the training device, as text and tooltip.
fn device(app: &QuarryApp) -> (String, String) {
    let word = app.train.form.config.device.as_str();
    let on_cpu = || {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (format!("CPU, {} threads", if app.options.threads > 0 { app.options.threads } else { cores }), word.to_owned())
    };
    match app.gpu_check.state() {
        Some(GpuState::Usable(names)) if word != "cpu" => {
            let name = names.first().cloned().unwrap_or_else(|| "GPU".to_owned());
            (name, format!("Rounds train on {word}"))
        }
        Some(state @ GpuState::Unused(..)) if word != "cpu" => (on_cpu().0, state.to_string()),
        _ => (on_cpu().0, format!("Rounds train on {word}")),
    }
}

/// Returns a job's progress, 0..=1, and its current step as text.
fn progress(app: &QuarryApp, kind: JobKind, job: &Job<WorkEvent>) -> (f32, String) {
    if job.is_stopping() {
        return (0.0, "Stopping…".to_owned());
    }
    let run = app.train.run.as_ref().filter(|_| kind == JobKind::Round);
    let paused = match run {
        _ if !job.is_paused() => "",
        Some(run) if !run.has_paused() => "  ·  pausing",
        _ => "  ·  paused",
    };
    if let Some((run, share)) = run.and_then(|run| Some((run, run.share()?))).filter(|(_, share)| *share < 1.0) {
        let round = run.title().unwrap_or_else(|| kind.text().to_owned());
        let phase = run.activity().map_or_else(String::new, |phase| format!("  ·  {phase}"));
        let step = match (&run.start, &run.last) {
            (Some(start), Some(last)) if last.eta_s > 0.0 && !job.is_paused() => {
                format!("step {} of {}  ·  {} left", last.step, start.iterations, minutes_text(last.eta_s / 60.0))
            }
            (Some(start), Some(last)) => format!("step {} of {}", last.step, start.iterations),
            _ => "getting ready".to_owned(),
        };
        return (share, format!("{round}  ·  {:.0} %  ·  {step}{phase}{paused}", share * 100.0));
    }
    match job.progress() {
        Some(p) => {
            let share = if p.total > 0 { p.done as f32 / p.total as f32 } else { 0.0 };
            let percent = if p.total > 0 { format!("  ·  {:.0} %", share * 100.0) } else { String::new() };
            let rate = job.rate();
            let rate = if rate.is_empty() { rate } else { format!("  ·  {rate}") };
            (share, format!("{}{percent}{rate}{paused}", p.what))
        }
        None => (0.0, format!("{}{paused}", kind.text())),
    }
}

//! The training screen: settings on the left; the running round, its losses, log and history on the right. Starts nothing itself.

mod cross;
mod form;
mod losses;
mod model;
mod report;
mod series;

pub use model::{CrossState, Estimate, LogLine, OpenedRound, Run, TrainModel};
pub use series::Series;

use egui::{Panel, ProgressBar, RichText, ScrollArea, Ui};

use super::super::command::{Command, TrainCommand};
use super::super::theme;
use super::review::minutes_text;
use super::start::card;
use crate::detector::GpuState;
use crate::domain::{Progress, RoundRecord, RoundState};

/// The state of the round job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Idle,
    Running,
    /// Paused, or about to pause.
    Paused,
    /// Stop requested.
    Stopping,
}

/// Minimum height of the log and the rounds in points, and their maximum fraction of the height below the running round.
const LISTS_MIN: f32 = 120.0;
const LISTS_PART: f32 = 0.3;

pub struct TrainView<'a> {
    pub model: &'a TrainModel,
    /// The round job's progress, while it runs.
    pub progress: Option<Progress>,
    /// Its speed and the time left, as text.
    pub rate: String,
    pub state: JobState,
    pub has_project: bool,
    /// Names of the project's datasets.
    pub datasets: Vec<&'a str>,
    pub images: u64,
    /// Whether rounds can train on a GPU; `None` until known.
    pub gpu: Option<&'a GpuState>,
    pub commands: &'a mut Vec<Command>,
}

impl TrainView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        let side = theme::side_column();
        Panel::left("settings").frame(side).resizable(false).exact_size(390.0).show_separator_line(false).show(
            ui,
            |ui| {
                // The buttons that start and stop a round are visible in any window size.
                let frame = theme::pinned();
                Panel::bottom("round buttons").frame(frame).resizable(false).show_separator_line(false).show(
                    ui,
                    |ui| {
                        form::buttons(ui, self);
                    },
                );
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    form::show(ui, self);
                    cross::show(ui, self);
                });
            },
        );
        let main = theme::main_column();
        egui::CentralPanel::default().frame(main).show(ui, |ui| {
            self.run(ui);
            ui.add_space(theme::GAP);
            let bottom = 210.0_f32.min(ui.available_height() * LISTS_PART).max(LISTS_MIN);
            let height = ui.available_height() - bottom - theme::GAP;
            match &self.model.opened {
                Some(opened) => report::show(ui, self, opened, height),
                None => losses::show(ui, self.model, height),
            }
            ui.add_space(theme::GAP);
            ui.columns(2, |columns| {
                self.log(&mut columns[0]);
                self.history(&mut columns[1]);
            });
        });
    }

    fn push(&mut self, command: TrainCommand) {
        self.commands.push(Command::Train(command));
    }

    fn run(&mut self, ui: &mut Ui) {
        let is_running = self.state != JobState::Idle;
        let title = self.model.run.as_ref().and_then(|run| Some(run_text(run, &run.title()?, self.state)));
        let title =
            title.unwrap_or_else(|| if is_running { "Getting ready" } else { "No round is running" }.to_owned());
        card(ui, &title, |ui| {
            let Some(run) = &self.model.run else {
                ui.label(RichText::new("Losses, learning rate and the log appear here.").color(theme::WEAK));
                return;
            };
            let steps_left = run.share().is_none_or(|share| share < 1.0);
            let (share, text) = match (&self.progress, run.share()) {
                (Some(p), share) if is_running && (share.is_none() || !steps_left || run.phase.is_some()) => {
                    let share = if p.total == 0 { 0.0 } else { p.done as f32 / p.total as f32 };
                    (share, format!("{}  {} of {}  {}", p.what, p.done, p.total, self.rate))
                }
                (_, Some(share)) => (share, step_text(run, is_running)),
                (_, None) => (0.0, String::new()),
            };
            ui.add(ProgressBar::new(share).desired_height(10.0).fill(theme::ACCENT.now()));
            ui.horizontal(|ui| {
                ui.label(RichText::new(text).color(theme::STRONG));
                if let Some(phase) = run.activity() {
                    ui.label(RichText::new(phase).color(theme::WEAK));
                }
            });
            if let Some(last) = &run.last {
                facts(ui, last);
            }
        });
    }

    fn log(&self, ui: &mut Ui) {
        card(ui, "Log", |ui| {
            ScrollArea::vertical()
                .id_salt("log")
                .max_height(height_in_card(ui))
                .auto_shrink(false)
                .stick_to_bottom(true)
                .show(ui, |ui| {
                    for line in &self.model.log {
                        let color = if line.is_warning { theme::WARNING } else { theme::TEXT };
                        ui.label(RichText::new(&line.text).small().color(color));
                    }
                });
        });
    }

    fn history(&mut self, ui: &mut Ui) {
        card(ui, "Rounds", |ui| {
            ScrollArea::vertical().id_salt("history").max_height(height_in_card(ui)).auto_shrink(false).show(
                ui,
                |ui| {
                    let rounds = self.model.history();
                    if rounds.is_empty() {
                        ui.label(RichText::new("None yet.").color(theme::WEAK));
                    }
                    for round in rounds {
                        self.round(ui, round);
                    }
                },
            );
        });
    }

    /// A round in state running while no job runs was interrupted, or another program trains it.
    fn state_label(&self, ui: &mut Ui, round: &RoundRecord) {
        let (text, color) = match round.state {
            RoundState::Running if self.state == JobState::Idle => ("not finished", theme::WARNING),
            state => (state.as_str(), state_color(state)),
        };
        ui.label(RichText::new(text).small().color(color));
    }

    fn round(&mut self, ui: &mut Ui, round: &RoundRecord) {
        let opened = self.model.opened.as_ref().is_some_and(|opened| opened.number == round.number);
        ui.horizontal_wrapped(|ui| {
            if let Some(model) = &round.imported {
                // Nothing was trained here, so it has no report. Aligned with the buttons of the others.
                ui.add_space(ui.spacing().button_padding.x);
                let hint = format!("From {}", crate::domain::printable(&model.source));
                ui.label(RichText::new(round.title()).color(theme::TEXT)).on_hover_text(hint);
                ui.label(RichText::new("imported").small().color(theme::WEAK));
                return;
            }
            if ui.selectable_label(opened, format!("Round {}", round.number)).clicked() {
                self.push(TrainCommand::OpenRound((!opened).then_some(round.number)));
            }
            self.state_label(ui, round);
            if let Some(finished) = round.finished_ms {
                let minutes = (finished - round.started_ms) as f64 / 60_000.0;
                ui.label(RichText::new(minutes_text(minutes)).small().color(theme::WEAK));
            }
        });
        if !round.notes.is_empty() {
            ui.label(RichText::new(&round.notes).small().color(theme::WEAK));
        }
    }
}

/// Returns the height left in a card that reaches to the bottom of the screen, above its margin.
fn height_in_card(ui: &Ui) -> f32 {
    (ui.available_height() - f32::from(theme::CARD_MARGIN)).max(60.0)
}

/// Formats a round's title with its state.
fn run_text(run: &Run, title: &str, state: JobState) -> String {
    let paused = if run.has_paused() { "paused" } else { "pausing" };
    match (run.fold.is_some(), state) {
        (true, JobState::Paused) => format!("{title}, {paused}"),
        // A fold's round is not the project's, whose steps are other ones.
        (true, JobState::Idle) => format!("{title}, not running"),
        (false, JobState::Paused) => format!("{title} is {paused}"),
        (false, JobState::Running | JobState::Stopping) => format!("{title} is running"),
        (true, JobState::Running | JobState::Stopping) | (false, JobState::Idle) => title.to_owned(),
    }
}

fn step_text(run: &model::Run, is_running: bool) -> String {
    let (Some(start), Some(last)) = (&run.start, &run.last) else { return "Waiting for the first step".to_owned() };
    let left = if is_running && last.eta_s > 0.0 {
        format!("  ·  {} left", minutes_text(last.eta_s / 60.0))
    } else {
        String::new()
    };
    format!("Step {} of {}{left}", last.step, start.iterations)
}

fn facts(ui: &mut Ui, last: &crate::training::StepReport) {
    let mut facts = vec![
        ("Loss", format!("{:.3}", last.total)),
        ("Learning rate", format!("{:.2e}", last.lr)),
        ("Gradient norm", format!("{:.2}", last.grad_norm)),
        ("Images a second", format!("{:.2}", last.images_per_s)),
    ];
    facts.extend(last.usage.memory_bytes.map(|bytes| ("Memory", memory_text(bytes))));
    if let Some(gpu) = last.usage.gpu {
        facts.push(("GPU", format!("{} %", gpu.percent)));
        facts.push((
            "GPU memory",
            format!("{} of {}", memory_text(gpu.memory_bytes), memory_text(gpu.memory_total_bytes)),
        ));
    }
    facts_row(ui, &facts);
}

/// Shows names above values, side by side.
fn facts_row(ui: &mut Ui, facts: &[(&str, String)]) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 26.0;
        for (name, value) in facts {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(RichText::new(*name).small().color(theme::WEAK));
                ui.label(RichText::new(value).color(theme::STRONG));
            });
        }
    });
}

/// Formats `612 MB` or `2.41 GB`, in powers of 1000.
fn memory_text(bytes: u64) -> String {
    let mb = bytes as f64 / 1e6;
    if mb < 1000.0 { format!("{mb:.0} MB") } else { format!("{:.2} GB", mb / 1000.0) }
}

fn state_color(state: RoundState) -> theme::Tone {
    match state {
        RoundState::Running => theme::ACCENT,
        RoundState::Stopped => theme::WARNING,
        RoundState::Failed => theme::ERROR,
        RoundState::Trained | RoundState::Mined => theme::GOOD,
    }
}

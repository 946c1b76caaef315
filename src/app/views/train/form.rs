//! The next round's settings as a form, or as the underlying file.

use egui::{Button, Color32, ComboBox, DragValue, Grid, RichText, TextEdit, Ui, vec2};

use super::model::Estimate;
use super::{JobState, TrainView};
use crate::app::command::{Form, TrainCommand};
use crate::app::theme;
use crate::app::views::review::minutes_text;
use crate::app::views::settings::device_list;
use crate::app::views::start::card;
use crate::app::widgets::lists;
use crate::detector::{GpuState, SamplerKind};
use crate::domain::{HardNegativeSource, RoundInit};
use crate::training::{PRESETS, RoundConfig, meaning};

/// The field computes in `f64`, which would round larger numbers.
const LARGEST_SEED: u64 = 1 << 53;

pub(super) fn show(ui: &mut Ui, view: &mut TrainView<'_>) {
    let mut form = view.model.form.clone();
    let mut changed = false;
    let title = format!("Round {}", view.model.next_round());
    card(ui, &title, |ui| {
        match &mut form.file {
            None => changed |= fields(ui, &mut form, &view.datasets, view.gpu),
            Some(text) => {
                let edit = TextEdit::multiline(text)
                    .id(egui::Id::unique("settings as text"))
                    .code_editor()
                    .desired_rows(24)
                    .desired_width(f32::INFINITY);
                changed |= ui.add(edit).changed();
            }
        }
        ui.add_space(4.0);
        changed |= ui.checkbox(&mut form.mine_after, "Mine its false positives after training").changed();
        changed |= file_button(ui, &mut form);
    });
    if changed {
        view.push(TrainCommand::SetForm(Box::new(form)));
    }
}

fn fields(ui: &mut Ui, form: &mut Form, datasets: &[&str], gpu: Option<&GpuState>) -> bool {
    let before = (form.config.clone(), form.test_splits.clone());
    Grid::new("settings").num_columns(2).spacing(vec2(14.0, 9.0)).show(ui, |ui| {
        preset(ui, form);
        let config = &mut form.config;
        row(ui, "Hard negatives", "hard_negatives", |ui| {
            let text = |source| match source {
                HardNegativeSource::None => "None",
                HardNegativeSource::Unreviewed => "All that are not rejected",
                HardNegativeSource::Confirmed => "Confirmed",
                HardNegativeSource::Reviewed => "Confirmed, not estimated",
            };
            let all = [
                HardNegativeSource::Confirmed,
                HardNegativeSource::Reviewed,
                HardNegativeSource::Unreviewed,
                HardNegativeSource::None,
            ];
            choose(ui, "hard_negatives", &mut config.hard_negatives, &all, text);
        });
        row(ui, "Start from", "init", |ui| {
            let text = |init| match init {
                RoundInit::Backbone => "Pretrained backbone",
                RoundInit::Previous => "Last round's weights",
            };
            choose(ui, "init", &mut config.init, &[RoundInit::Backbone, RoundInit::Previous], text);
        });
        row(ui, "Sampler", "sampler.kind", |ui| {
            let text = |kind| match kind {
                SamplerKind::Random => "Random",
                SamplerKind::Ohem => "Highest loss (OHEM)",
                SamplerKind::MinedOhem => "Mined first, then OHEM",
            };
            choose(ui, "sampler", &mut config.sampler.kind, &SamplerKind::ALL, text);
        });
        if datasets.len() > 1 || !config.test_dataset.is_empty() {
            row(ui, "Test on", "test_dataset", |ui| test_dataset(ui, &mut config.test_dataset, datasets));
        }
        if config.test_dataset.is_empty() {
            row(ui, "Test splits", "test_splits", |ui| {
                let edit = TextEdit::singleline(&mut form.test_splits)
                    .id(egui::Id::unique("test splits"))
                    .desired_width(160.0);
                let response = ui.add(edit.hint_text("val  or  8  or  9, 10"));
                ui.ctx().accesskit_node_builder(response.id, |node| node.set_label("Test splits"));
            });
        } else {
            form.test_splits.clear();
        }
        row(ui, "Iterations", "iterations", |ui| iterations(ui, config));
        row(ui, "Learning rate", "base_lr", |ui| {
            ui.add(DragValue::new(&mut config.base_lr).range(1e-7..=1.0).speed(0.0001).max_decimals(7));
        });
        row(ui, "Batch size", "batch_images", |ui| {
            ui.horizontal(|ui| {
                ui.add(DragValue::new(&mut config.batch_images).range(1..=64).speed(0.05));
                ui.label(RichText::new("×").color(theme::WEAK));
                ui.add(DragValue::new(&mut config.accumulate).range(1..=64).speed(0.05));
                ui.label(RichText::new("accumulated").color(theme::WEAK));
            });
        });
        row(ui, "Test every", "evaluate_every", |ui| steps(ui, &mut config.evaluate_every));
        row(ui, "Checkpoint every", "checkpoint_every", |ui| steps(ui, &mut config.checkpoint_every));
        row(ui, "Seed", "seed", |ui| {
            // A seed from a file may be larger, and is kept until it is edited.
            let seed = DragValue::new(&mut config.seed).range(0..=LARGEST_SEED).clamp_existing_to_range(false);
            ui.add(seed.speed(0.05));
        });
        row(ui, "Device", "device", |ui| {
            if let Some(word) = device_list(ui, "device", gpu, &config.device) {
                config.device = word;
            }
        });
    });
    before != (form.config.clone(), form.test_splits.clone())
}

fn test_dataset(ui: &mut Ui, chosen: &mut String, datasets: &[&str]) {
    let text = |name: &str| if name.is_empty() { "Folds".to_owned() } else { format!("All of {name}") };
    lists::combo(ui, ComboBox::from_id_salt("test_dataset").selected_text(text(chosen)).width(180.0), |ui| {
        for name in std::iter::once(&"").chain(datasets) {
            ui.selectable_value(chosen, (*name).to_owned(), text(name));
        }
    });
}

fn preset(ui: &mut Ui, form: &mut Form) {
    row(ui, "Preset", "preset", |ui| {
        lists::combo(ui, ComboBox::from_id_salt("preset").selected_text(form.config.preset.clone()), |ui| {
            for (name, what_for) in PRESETS {
                let chosen = form.config.preset == *name;
                if ui.selectable_label(chosen, *name).on_hover_text(*what_for).clicked()
                    && let Ok(config) = RoundConfig::preset(name)
                {
                    let (test_splits, mine_after) = (form.test_splits.clone(), form.mine_after);
                    let hard_negatives = form.config.hard_negatives;
                    let mut fresh = Form::of(RoundConfig { hard_negatives, ..config });
                    (fresh.test_splits, fresh.mine_after) = (test_splits, mine_after);
                    *form = fresh;
                }
            }
        });
    });
}

/// Test and checkpoint intervals scale from the start of the edit, not from every intermediate number; an interval that differs from the
/// preset's is kept.
fn iterations(ui: &mut Ui, config: &mut RoundConfig) {
    /// The values before and after an edit.
    type Edit = ([u64; 3], [u64; 3]);
    let of = |config: &RoundConfig| [config.iterations, config.evaluate_every, config.checkpoint_every];
    let id = ui.scope_id().with("iterations");
    let now = of(config);
    // If another field was changed meanwhile, the edit starts again from there.
    let kept = ui.data(|data| data.get_temp::<Edit>(id));
    let begun = kept.filter(|(_, left)| *left == now).map_or(now, |(begun, _)| begun);
    let mut iterations = config.iterations;
    let field = ui.add(DragValue::new(&mut iterations).range(1..=10_000_000).speed(10));
    if field.changed() {
        [config.iterations, config.evaluate_every, config.checkpoint_every] = begun;
        config.set_iterations(iterations);
    }
    let is_edited = field.dragged() || field.has_focus();
    ui.data_mut(|data| {
        data.remove::<Edit>(id);
        if is_edited {
            data.insert_temp::<Edit>(id, (begun, of(config)));
        }
    });
}

/// The unit is next to the field: as a suffix it would become the field's name for screen readers.
fn steps(ui: &mut Ui, value: &mut u64) {
    ui.horizontal(|ui| {
        ui.add(DragValue::new(value).range(0..=10_000_000).speed(5));
        ui.label(RichText::new("steps").color(theme::WEAK));
    });
}

fn row(ui: &mut Ui, name: &'static str, key: &str, value: impl FnOnce(&mut Ui)) {
    let label = ui.label(RichText::new(name).color(theme::WEAK));
    if let Some(meaning) = meaning(key) {
        label.on_hover_text(format!("{key}\n{meaning}"));
    }
    ui.name_inputs(name, value);
    ui.end_row();
}

fn choose<T: PartialEq + Copy>(ui: &mut Ui, id: &str, value: &mut T, all: &[T], text: impl Fn(T) -> &'static str) {
    lists::combo(ui, ComboBox::from_id_salt(id).selected_text(text(*value)).width(180.0), |ui| {
        for one in all {
            ui.selectable_value(value, *one, text(*one));
        }
    });
}

/// Switches between the form and the file. Returning to the form requires a file without errors.
fn file_button(ui: &mut Ui, form: &mut Form) -> bool {
    let text = if form.file.is_some() { "Back to the form" } else { "Edit as round.toml" };
    let clicked = ui.add(Button::new(RichText::new(text).small()).frame(false)).clicked();
    if !clicked {
        return false;
    }
    let finished = form.finished();
    match (&form.file, finished) {
        (None, Ok(config)) => form.file = Some(config.to_toml()),
        (None, Err(_)) => form.file = Some(form.config.to_toml()),
        (Some(_), Ok(config)) => *form = Form { mine_after: form.mine_after, ..Form::of(config) },
        (Some(_), Err(_)) => return false,
    }
    true
}

pub(super) fn buttons(ui: &mut Ui, view: &mut TrainView<'_>) {
    let finished = view.model.form.finished();
    if view.state != JobState::Idle {
        running_buttons(ui, view);
        return;
    }
    let ready = view.has_project && view.images > 0 && finished.is_ok();
    let text = format!("Start round {}", view.model.next_round());
    let resumable = view.model.resumable();
    if let Some(round) = resumable
        && resume_button(ui, round, view.model.resumes_with_rates())
    {
        view.push(TrainCommand::Resume);
    }
    let start = if resumable.is_some() { Button::new(&text) } else { main_button(ui, &text) };
    if wide(ui, ready, start).clicked() {
        view.push(TrainCommand::Start);
    }
    if let Some(round) = view.model.minable()
        && ui.button(format!("Mine round {round}")).clicked()
    {
        view.push(TrainCommand::Mine);
    }
    let (text, color) = note(view, &finished);
    ui.label(RichText::new(text).small().color(color));
}

fn resume_button(ui: &mut Ui, round: u32, with_rates: bool) -> bool {
    let text = if with_rates {
        "Resumes from its last checkpoint, with the learning rate, warm-up, clipping and maximum loss of this form: its own would fail again"
    } else {
        "Resumes from its last checkpoint, with its own settings"
    };
    let button = main_button(ui, &format!("Resume round {round}"));
    wide(ui, true, button).on_hover_text(text).clicked()
}

/// Adds a button as wide as the column, with its text in the middle.
pub(super) fn wide(ui: &mut Ui, enabled: bool, button: Button<'_>) -> egui::Response {
    ui.vertical_centered(|ui| ui.add_enabled(enabled, button)).inner
}

/// The most likely next action.
fn main_button(ui: &Ui, text: &str) -> Button<'static> {
    let button = Button::new(RichText::new(text).strong().color(theme::STRONG)).fill(theme::ACCENT_DEEP);
    button.min_size(vec2(ui.available_width(), 38.0))
}

fn running_buttons(ui: &mut Ui, view: &mut TrainView<'_>) {
    let size = vec2(ui.available_width(), 38.0);
    let button = |text: &str| Button::new(RichText::new(text).strong()).min_size(size);
    let is_stopping = view.state == JobState::Stopping;
    // In the position of Start: the second click of a double click must do nothing.
    wide(ui, false, button(if view.state == JobState::Paused { "Paused" } else { "Running" }));
    let (text, command) = if view.state == JobState::Paused {
        ("Continue", TrainCommand::Continue)
    } else {
        ("Pause", TrainCommand::Pause)
    };
    if wide(ui, !is_stopping, button(text)).clicked() {
        view.push(command);
    }
    let text = if is_stopping { "Stopping after this step…" } else { "Stop" };
    if wide(ui, !is_stopping, button(text)).clicked() {
        view.push(TrainCommand::Stop);
    }
    let note = "Pause keeps the round in memory. Stop writes a checkpoint to resume from.";
    ui.label(RichText::new(note).small().color(theme::WEAK));
}

/// The note below the buttons: what is missing, or how long it will take.
fn note(view: &TrainView<'_>, finished: &Result<RoundConfig, String>) -> (String, Color32) {
    let config = match finished {
        _ if !view.has_project => return ("Open a project first.".to_owned(), theme::WEAK.now()),
        _ if view.images == 0 => {
            return ("Import images first, on the Project screen.".to_owned(), theme::WEAK.now());
        }
        Err(reason) => return (reason.clone(), theme::ERROR.now()),
        Ok(config) => config,
    };
    let about = PRESETS.iter().find(|(name, _)| *name == config.preset).map_or("", |(_, about)| about);
    if let Some(state @ GpuState::Unused(..)) = view.gpu.filter(|_| config.device != "cpu") {
        return (state.to_string(), theme::WARNING.now());
    }
    let on_gpu = view.gpu.is_some_and(GpuState::is_usable) && config.device == "auto";
    let estimate = view.model.estimate(config, cores());
    let text = match estimate.filter(|estimate| !on_gpu || matches!(estimate, Estimate::Measured { .. })) {
        Some(Estimate::Measured { round, minutes }) => {
            format!("About {} at the speed of round {round}, excluding tests.", minutes_text(minutes))
        }
        Some(Estimate::Rough { minutes }) => {
            format!(
                "{about}. Roughly {} on {} CPU cores; nothing was measured here yet.",
                minutes_text(minutes),
                cores()
            )
        }
        None => format!("{about}. The time on a GPU is measured during its first steps."),
    };
    (text, theme::WEAK.now())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

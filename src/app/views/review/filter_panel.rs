//! The panel that changes the filter, the order and the similarity threshold of groups. Every change applies at once.

use std::ops::RangeInclusive;

use egui::text_edit::TextEditState;
use egui::{Button, ComboBox, DragValue, Label, RichText, ScrollArea, Slider, TextEdit, Ui, UiBuilder};

use super::{Action, ReviewView};
use crate::app::command::{Order, ReviewCommand, ReviewFilter, SIZE_MAX, ShownTrace, ShownVerdicts, kind_text};
use crate::app::theme;
use crate::app::widgets::lists;
use crate::app::widgets::together::{together, together_with_list};
use crate::domain::{FalsePositiveKind, counted, fold_number};
use crate::mining::{Centre, GroupConfig};

/// Width of the field for a part of the name, and the padding of the last two buttons, in points.
const NAME_WIDTH: f32 = 160.0;
const BUTTONS_PADDING: f32 = 60.0;
/// Width of a checkbox without its text, in points.
const CHECKBOX_WIDTH: f32 = 28.0;

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>, mut filter: ReviewFilter) {
    let before = filter.clone();
    let mut close = false;
    let height = (ui.available_height() * 0.55).max(90.0);
    let scroll = ScrollArea::vertical().id_salt("filter").max_height(height).auto_shrink([false, true]);
    let fields = |ui: &mut Ui| {
        ui.horizontal_wrapped(|ui| intervals(ui, &mut filter));
        ui.horizontal_wrapped(|ui| {
            choices(ui, view, &mut filter);
            annotators(ui, view, &mut filter);
        });
        ui.horizontal_wrapped(|ui| {
            let key = view.keymap.text(Action::AlikeAsOne);
            ui.checkbox(&mut filter.alike_as_one, format!("Collapse groups ({key})"))
                .on_hover_text("Show each group as one candidate, with its size; not in random order");
            grouping(ui, view);
            together(ui, "Name has", NAME_WIDTH);
            ui.add(Label::new("Name has").extend());
            let edit =
                TextEdit::singleline(&mut filter.name).id(egui::Id::unique("filter name")).desired_width(NAME_WIDTH);
            let response = ui.name_inputs("Image name", |ui| ui.add(edit));
            if view.model.typing_ahead {
                // The cursor is after what was typed already.
                TextEditState::default().store(ui.ctx(), response.id);
                response.request_focus();
            }
            if response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)) {
                close = true;
            }
            together(ui, "Show all Done", BUTTONS_PADDING);
            if ui.button("Show all").on_hover_text("Remove all conditions").clicked() {
                let ReviewFilter { order, blind, alike_as_one, .. } = filter;
                let verdicts = ShownVerdicts::All;
                filter = ReviewFilter { verdicts, blind, alike_as_one, order, ..ReviewFilter::default() };
            }
            if ui.button("Done").clicked() || ui.input(|i| i.key_pressed(egui::Key::Escape)) {
                close = true;
            }
        });
    };
    // An id of its own: lines above the panel come and go.
    let builder = UiBuilder::new().scope_id(egui::Id::unique("filter panel"));
    ui.scope_builder(builder, |ui| theme::card().show(ui, |ui| scroll.show(ui, fields)));
    filter.score.1 = filter.score.1.max(filter.score.0);
    filter.iou.1 = filter.iou.1.max(filter.iou.0);
    filter.size.1 = filter.size.1.max(filter.size.0);
    if filter != before {
        view.push(ReviewCommand::SetFilter(filter));
    }
    if close {
        view.push(ReviewCommand::CloseFilter);
    }
}

fn intervals(ui: &mut Ui, filter: &mut ReviewFilter) {
    ui.label("Score");
    ui.name_inputs("Lowest score", |ui| ui.add(share(&mut filter.score.0)));
    ui.label("to");
    ui.name_inputs("Highest score", |ui| ui.add(share(&mut filter.score.1)));
    ui.add_space(theme::GAP);
    ui.label("IoU");
    ui.name_inputs("Lowest IoU", |ui| ui.add(share(&mut filter.iou.0)));
    ui.label("to");
    ui.name_inputs("Highest IoU", |ui| ui.add(share(&mut filter.iou.1)));
    ui.add_space(theme::GAP);
    ui.label("Size");
    // A suffix would become the field's name for screen readers: the unit is next to it.
    let side = |value| DragValue::new(value).range(0.0..=SIZE_MAX).speed(1.0).fixed_decimals(0);
    ui.name_inputs("Smallest size", |ui| ui.add(side(&mut filter.size.0)));
    ui.label("to");
    ui.name_inputs("Largest size", |ui| ui.add(side(&mut filter.size.1)));
    ui.label("px");
}

/// A score or an IoU, 0..=1.
fn share<N: egui::emath::Numeric>(value: &mut N) -> DragValue<'_> {
    DragValue::new(value).range(0.0..=1.0).speed(0.005).fixed_decimals(2)
}

fn choices(ui: &mut Ui, view: &ReviewView<'_>, filter: &mut ReviewFilter) {
    choose(ui, "Verdict", filter.verdicts.text(), |ui| {
        for shown in ShownVerdicts::ALL {
            ui.selectable_value(&mut filter.verdicts, shown, shown.text());
        }
    });
    choose(ui, "Kind", filter.kind.map_or("Any", kind_text), |ui| {
        ui.selectable_value(&mut filter.kind, None, "Any");
        for kind in FalsePositiveKind::ALL {
            ui.selectable_value(&mut filter.kind, Some(kind), kind_text(kind));
        }
    });
    let round = filter.round.map_or("Any".to_owned(), |round| view.details.round_text(round));
    choose(ui, "Round", &round, |ui| {
        ui.selectable_value(&mut filter.round, None, "Any");
        for round in view.details.rounds() {
            ui.selectable_value(&mut filter.round, Some(round), view.details.round_text(round));
        }
    });
    let overview = &view.details.overview;
    if overview.rounds.len() > 1 {
        choose(ui, "Over the rounds", filter.trace.map_or("Any", ShownTrace::text), |ui| {
            ui.selectable_value(&mut filter.trace, None, "Any");
            for trace in ShownTrace::ALL {
                ui.selectable_value(&mut filter.trace, Some(trace), trace.text());
            }
        });
    }
    // Datasets whose splits are all numbered call them folds.
    let are_folds = overview.splits.iter().all(|(split, _)| fold_number(split).is_some());
    let split = filter.split.clone().unwrap_or_else(|| "Any".to_owned());
    choose(ui, if are_folds { "Fold" } else { "Split" }, &split, |ui| {
        ui.selectable_value(&mut filter.split, None, "Any");
        for (split, _) in &overview.splits {
            ui.selectable_value(&mut filter.split, Some(split.clone()), split);
        }
    });
    if overview.classes.len() > 1 || filter.class.is_some() {
        let class = filter.class.clone().unwrap_or_else(|| "Any".to_owned());
        choose(ui, "Class", &class, |ui| {
            ui.selectable_value(&mut filter.class, None, "Any");
            for class in &overview.classes {
                ui.selectable_value(&mut filter.class, Some(class.name.clone()), &class.name);
            }
        });
    }
    choose(ui, "Order", filter.order.text(), |ui| {
        for order in Order::ALL {
            ui.selectable_value(&mut filter.order, order, order.text());
        }
    });
}

fn annotators(ui: &mut Ui, view: &ReviewView<'_>, filter: &mut ReviewFilter) {
    let whose = filter.annotator.clone().unwrap_or_else(|| "Everyone".to_owned());
    choose(ui, "Verdicts of", &whose, |ui| {
        ui.selectable_value(&mut filter.annotator, None, "Everyone");
        for name in &view.details.overview.annotators {
            ui.selectable_value(&mut filter.annotator, Some(name.clone()), name);
        }
    });
    let shares = view.details.overview.shares.as_ref().map_or(&[][..], |shares| &shares.annotators);
    if !shares.is_empty() || filter.share.is_some() {
        let share = filter.share.clone().unwrap_or_else(|| "Everything".to_owned());
        choose(ui, "Share of", &share, |ui| {
            ui.selectable_value(&mut filter.share, None, "Everything");
            for name in shares {
                ui.selectable_value(&mut filter.share, Some(name.clone()), name);
            }
        });
    }
    together(ui, "Blind", CHECKBOX_WIDTH);
    // Its own id: the choices before it come and go with what others do, and it keeps its focus.
    ui.scope_builder(UiBuilder::new().scope_id(egui::Id::unique("blind")), |ui| {
        ui.checkbox(&mut filter.blind, "Blind")
            .on_hover_text("Hide other annotators' verdicts: their candidates stay undecided for you");
    });
}

/// The similarity of group members. Regrouping needs a button, as it may take a while.
fn grouping(ui: &mut Ui, view: &mut ReviewView<'_>) {
    let mut grouping = view.model.grouping;
    ui.add(Label::new("Hash distance up to").extend());
    let slider = Slider::new(&mut grouping.most_distance, 0..=GroupConfig::DISTANCE_MAX).suffix(" of 64 bits");
    let hint = "Crops whose perceptual hashes differ in at most this many bits form a group; 0: equal hashes only";
    if ui.name_inputs("Group distance", |ui| ui.add(slider)).on_hover_text(hint).changed() {
        view.push(ReviewCommand::SetGrouping(grouping));
    }
    let (roi, embedding) = (GroupConfig::ROI_COSINE, GroupConfig::EMBEDDING_COSINE);
    let hint = format!(
        "Detector features from cosine {roi}, crops of imported detections from {} about their mean ({embedding} for fewer than {}): \
         measured on individually judged candidates",
        GroupConfig::CENTRED_COSINE,
        Centre::FEATURES_MIN
    );
    if ui.checkbox(&mut grouping.recommended, "or recommended cosines").on_hover_text(hint).changed() {
        grouping.least_cosine = (!grouping.recommended).then_some(embedding);
        view.push(ReviewCommand::SetGrouping(grouping));
    }
    if !grouping.recommended && least_cosine(ui, &mut grouping.least_cosine) {
        view.push(ReviewCommand::SetGrouping(grouping));
    }
    ui.add(Label::new(RichText::new(preview_text(view)).color(theme::STRONG)).extend())
        .on_hover_text("Decisions left with these settings if each group is decided at once");
    if ui.add(Button::new("Regroup")).on_hover_text("Group the candidates again with these settings").clicked() {
        view.push(ReviewCommand::Regroup);
    }
    ui.add_space(theme::GAP);
}

/// Returns how many decisions the selected settings would leave.
fn preview_text(view: &ReviewView<'_>) -> String {
    match view.model.group_preview {
        Some((config, preview)) if config == view.model.grouping => {
            format!("{} for {}", counted(preview.decisions, "decision"), counted(preview.waiting, "candidate"))
        }
        _ => "counting…".to_owned(),
    }
}

/// One step of the slider beyond a cosine of 1 turns comparison off.
fn least_cosine(ui: &mut Ui, least: &mut Option<f32>) -> bool {
    const STEP: f32 = 0.01;
    let off = 1.0 + STEP;
    let mut shown = least.unwrap_or(off);
    ui.add(Label::new("or RoI features from").extend());
    let text = move |value: f64, _: RangeInclusive<usize>| {
        if value > 1.0 + f64::from(STEP) / 2.0 { "off".to_owned() } else { format!("cosine {value:.2}") }
    };
    let slider = Slider::new(&mut shown, GroupConfig::COSINE_MIN..=off).step_by(f64::from(STEP)).custom_formatter(text);
    let hint = "Candidates of a round whose detector features have at least this cosine similarity form a group. Rounds mined by versions without features must be mined again";
    let changed = ui.name_inputs("Group cosine", |ui| ui.add(slider)).on_hover_text(hint).changed();
    if changed {
        *least = (shown < 1.0 + STEP / 2.0).then_some(shown.min(1.0));
    }
    changed
}

fn choose(ui: &mut Ui, name: &str, selected: &str, content: impl FnOnce(&mut Ui)) {
    together_with_list(ui, name, selected, 110.0);
    ui.add(Label::new(name).extend());
    ui.name_inputs(name, |ui| {
        lists::combo(ui, ComboBox::from_id_salt(name).selected_text(selected).width(110.0), content);
    });
    ui.add_space(4.0);
}

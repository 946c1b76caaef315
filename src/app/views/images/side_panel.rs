//! The side panel of an image: the legend with counts, the selection, and the possible decisions.

use egui::{Rect, RichText, ScrollArea, Sense, Shape, Stroke, Ui, pos2, vec2};

use super::ImagesView;
use super::bar::change_text;
use super::layers::{MISSED, class_name, status_style, status_text};
use super::model::pick_of;
use crate::app::action::Action;
use crate::app::command::{Command, ImagesCommand, Layers, Pick, Tool, verdict_text};
use crate::app::theme;
use crate::app::widgets::key_button::{key_button, key_button_colored, key_button_saying, key_switch};
use crate::app::widgets::lists;
use crate::app::widgets::marks::MarkStyle;
use crate::domain::{Annotation, Class, FalsePositiveKind, ObjectChange, ObjectState, Verdict};
use crate::workflow::inspect::{Change, ErrorKind, OpenedImage, Side, Status};

/// Maximum number of listed comparison errors.
const LISTED_MAX: usize = 200;

pub(super) fn show(ui: &mut Ui, view: &mut ImagesView<'_>, opened: &OpenedImage) {
    ScrollArea::vertical().id_salt("image facts").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 5.0;
        picked(ui, view, opened);
        ui.add_space(theme::GAP);
        tools(ui, view);
        ui.add_space(theme::GAP);
        if opened.sides.len() > 1 {
            changes(ui, view, opened);
            ui.add_space(theme::GAP);
        }
        for side in &opened.sides {
            legend(ui, view, opened, side);
            ui.add_space(theme::GAP);
        }
        layers(ui, view);
    });
}

fn heading(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).strong().color(theme::STRONG));
}

/// Shows the selection and its verdict buttons.
fn picked(ui: &mut Ui, view: &mut ImagesView<'_>, opened: &OpenedImage) {
    let pick = view.model.picked;
    match pick.and_then(|pick| Some((pick, opened.sides.get(pick.side())?))) {
        Some((Pick::Detection(_, place), side)) => detection(ui, view, side, place),
        Some((Pick::Object(_, place), side)) => object(ui, view, side, place),
        Some((Pick::Corrected(_, place), side)) => corrected(ui, view, side, place),
        None => {
            heading(ui, "Nothing picked");
            let next = view.keymap.text(Action::NextMark);
            let text = format!("Click a box, or step through them with {next}.");
            ui.add(egui::Label::new(RichText::new(text).color(theme::WEAK)).wrap());
        }
    }
    ui.horizontal_wrapped(|ui| {
        for action in [Action::PreviousMark, Action::NextMark] {
            if key_button(ui, view.keymap, action).clicked() {
                view.commands.push(Command::Do(action));
            }
        }
    });
}

fn detection(ui: &mut Ui, view: &mut ImagesView<'_>, side: &Side, place: usize) {
    let Some(judged) = side.judged.detections.get(place) else { return };
    let found = judged.detection;
    let color = status_style(judged.status).color;
    ui.add(egui::Label::new(RichText::new(status_text(judged.status)).strong().color(color)).wrap());
    let class = class_name(view.classes(), found.class).to_owned();
    let size = format!("{:.0} × {:.0} px", found.bbox.width(), found.bbox.height());
    facts(ui, &[("Class", class), ("Score", format!("{:.4}", found.score)), ("Size", size)]);
    if let Some(verdict) = side.verdict(place) {
        let text = RichText::new(verdict_text(verdict)).strong().color(theme::verdict(Some(verdict)));
        ui.label(text).on_hover_text("What was decided on it");
    }
    match view.model.refusal() {
        Some(reason) => {
            ui.add(egui::Label::new(RichText::new(reason).small().color(theme::WEAK)).wrap());
        }
        None => verdicts(ui, view),
    }
}

fn verdicts(ui: &mut Ui, view: &mut ImagesView<'_>) {
    let offered = [
        (Action::Confirm, Verdict::Confirmed),
        (Action::Reject, Verdict::Rejected),
        (Action::MissedObject, Verdict::MissedObject),
    ];
    for (action, verdict) in offered {
        let color = Some(theme::verdict(Some(verdict)));
        if key_button_colored(ui, view.keymap, action, color, false).clicked() {
            view.push(ImagesCommand::Decide(verdict, None));
        }
    }
    if view.classes().len() > 1 {
        let nearest = view.model.nearest_other_class();
        let color = theme::verdict(Some(Verdict::WrongClass));
        let text = format!("Wrong class  ({})", view.keymap.text(Action::WrongClass));
        let mut chosen = None;
        lists::menu(ui, RichText::new(text).color(color), |ui| {
            for class in view.classes() {
                let mark = if Some(class.id) == nearest { "  (object here)" } else { "" };
                if ui.button(format!("{}{mark}", class.name)).clicked() {
                    chosen = Some(class.id);
                    ui.close();
                }
            }
        });
        if chosen.is_some() {
            view.push(ImagesCommand::Decide(Verdict::WrongClass, chosen));
        }
    }
}

fn object(ui: &mut Ui, view: &mut ImagesView<'_>, side: &Side, place: usize) {
    let Some(object) = side.judged.objects.get(place) else { return };
    let (title, color) = match object.held_by {
        Some(_) => ("Object, found", theme::GOOD),
        None if object.annotation.ignored => ("Ignored object", theme::WEAK),
        None if side.was_run => ("Missed object", theme::ERROR),
        None => ("Object", theme::TEXT),
    };
    ui.label(RichText::new(title).strong().color(color));
    let bbox = object.annotation.shape.bounding_box();
    let held = object.held_by.and_then(|at| side.judged.detections.get(at as usize));
    let mut lines = vec![
        ("Class", class_name(view.classes(), object.annotation.class).to_owned()),
        ("Source", object.annotation.source.as_str().to_owned()),
        ("Size", format!("{:.0} × {:.0} px", bbox.width(), bbox.height())),
    ];
    if let Some(held) = held {
        lines.push(("Found with", format!("score {:.4}", held.detection.score)));
    }
    let now = view.model.picked_object().map(|(_, state)| state);
    if let Some(now) = now.filter(|now| *now != ObjectState::from(&object.annotation)) {
        lines.push(("Corrected", difference(&object.annotation, &now, view.classes())));
    }
    facts(ui, &lines);
    corrections(ui, view);
}

/// Shows a corrected or added object on a test image.
fn corrected(ui: &mut Ui, view: &mut ImagesView<'_>, side: &Side, place: usize) {
    let Some(row) = side.corrected.get(place) else { return };
    let title = if row.own.is_some() { "Corrected object" } else { "Added object" };
    ui.label(RichText::new(title).strong().color(theme::ground_truth(row.source)));
    let bbox = row.state.shape.bounding_box();
    let lines = [
        ("Class", class_name(view.classes(), row.state.class).to_owned()),
        ("Source", row.source.as_str().to_owned()),
        ("Size", format!("{:.0} × {:.0} px", bbox.width(), bbox.height())),
    ];
    facts(ui, &lines);
    corrections(ui, view);
}

/// Describes an annotator's change to an object that the curves count as in the dataset.
fn difference(own: &Annotation, now: &ObjectState, classes: &[Class]) -> String {
    if now.deleted {
        return "deleted".to_owned();
    }
    let mut words = Vec::new();
    if now.class != own.class {
        words.push(format!("class {}", class_name(classes, now.class)));
    }
    if now.shape != own.shape {
        words.push("another shape".to_owned());
    }
    if now.ignored != own.ignored {
        words.push(if now.ignored { "ignored" } else { "counted" }.to_owned());
    }
    words.join(", ")
}

/// Shows the corrections of the selected object. The dataset's files are unaffected.
fn corrections(ui: &mut Ui, view: &mut ImagesView<'_>) {
    let Some((id, state)) = view.model.picked_object() else {
        let text = "It is annotated on a copy of this image: correct it there.";
        ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).wrap());
        return;
    };
    if state.deleted {
        let action = Action::DeleteObject;
        if key_button_saying(ui, view.keymap, action, "Restore", "Restore the object").clicked() {
            view.push(ImagesCommand::Correct(ObjectChange::Deleted(false)));
        }
        return;
    }
    ui.horizontal_wrapped(|ui| {
        if key_button(ui, view.keymap, Action::AdjustObject).clicked() {
            view.push(ImagesCommand::SetTool(Tool::Adjust(id, state.shape)));
        }
        let (text, hint) = if state.ignored {
            ("Count again", "Use it again in training and evaluation")
        } else {
            ("Ignore", "Ignore it in training and evaluation: too small, too blurred, a crowd")
        };
        if key_button_saying(ui, view.keymap, Action::IgnoreObject, text, hint).clicked() {
            view.push(ImagesCommand::Correct(ObjectChange::Ignored(!state.ignored)));
        }
        let hint = "Delete the object. Undo restores it";
        if key_button_saying(ui, view.keymap, Action::DeleteObject, "Delete", hint).clicked() {
            view.push(ImagesCommand::Correct(ObjectChange::Deleted(true)));
        }
        if view.classes().len() > 1 {
            let mut chosen = None;
            lists::menu(ui, format!("Class…  ({})", view.keymap.text(Action::WrongClass)), |ui| {
                for class in view.classes() {
                    if ui.button(&class.name).clicked() {
                        chosen = Some(class.id);
                        ui.close();
                    }
                }
            });
            if let Some(class) = chosen {
                view.push(ImagesCommand::Correct(ObjectChange::Class(class)));
            }
        }
    });
    let text = "Applies to rounds trained from now on. The dataset's files and published numbers do not change.";
    ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).wrap());
}

/// Shows the drawing controls and the active tool.
fn tools(ui: &mut Ui, view: &mut ImagesView<'_>) {
    match view.model.tool {
        Tool::Adjust(_, shape) => {
            heading(ui, "Adjusting an object");
            ui.add(egui::Label::new(RichText::new("Drag the handles.").color(theme::WEAK)).wrap());
            ui.horizontal(|ui| {
                if ui.button("Save  (Enter)").clicked() {
                    view.push(ImagesCommand::Correct(ObjectChange::Shape(shape)));
                }
                if ui.button("Cancel  (Esc)").clicked() {
                    view.push(ImagesCommand::SetTool(Tool::Look));
                }
            });
        }
        tool => {
            if key_switch(ui, view.keymap, Action::DrawObject, tool == Tool::Draw).clicked() {
                view.commands.push(Command::Do(Action::DrawObject));
            }
            if tool == Tool::Draw {
                let text = "Drag over an object that nobody annotated. Esc ends drawing.";
                ui.add(egui::Label::new(RichText::new(text).color(theme::WEAK)).wrap());
                new_class(ui, view);
            }
        }
    }
    ui.horizontal_wrapped(|ui| {
        if key_button(ui, view.keymap, Action::Undo).clicked() {
            view.push(ImagesCommand::Undo);
        }
        if key_button(ui, view.keymap, Action::Redo).clicked() {
            view.push(ImagesCommand::Redo);
        }
    });
}

fn new_class(ui: &mut Ui, view: &mut ImagesView<'_>) {
    if view.classes().len() < 2 {
        return;
    }
    let chosen = view.model.new_class.or(view.classes().first().map(|class| class.id));
    let text = chosen.map_or("", |class| class_name(view.classes(), class)).to_owned();
    let mut picked = None;
    ui.horizontal(|ui| {
        ui.label("Class");
        lists::combo(ui, egui::ComboBox::from_id_salt("class of new objects").selected_text(text), |ui| {
            for class in view.classes() {
                if ui.selectable_label(chosen == Some(class.id), &class.name).clicked() {
                    picked = Some(class.id);
                }
            }
        });
    });
    if let Some(class) = picked {
        view.push(ImagesCommand::SetNewClass(class));
    }
}

fn facts(ui: &mut Ui, lines: &[(&str, String)]) {
    egui::Grid::new("image facts").num_columns(2).spacing(vec2(10.0, 3.0)).show(ui, |ui| {
        for (name, value) in lines {
            ui.label(RichText::new(*name).color(theme::WEAK));
            ui.add(egui::Label::new(value).wrap());
            ui.end_row();
        }
    });
}

/// Shows the differences between two rounds: counts that filter, and the list.
fn changes(ui: &mut Ui, view: &mut ImagesView<'_>, opened: &OpenedImage) {
    ui.add(egui::Label::new(RichText::new(view.comparison()).strong().color(theme::STRONG)).wrap());
    let count = |change| opened.changes.iter().filter(|c| c.change == change).count();
    ui.horizontal_wrapped(|ui| {
        for change in Change::ALL {
            let text = format!("{} {}", count(change), change_text(change).to_lowercase());
            let is_on = view.model.query.change == Some(change);
            let response = ui.selectable_label(is_on, RichText::new(text).color(change_color(change)));
            if response.on_hover_text("Show only these errors, and list the images that have one").clicked() {
                view.set_query(|query| query.change = (!is_on).then_some(change));
            }
        }
    });
    if opened.changes.is_empty() {
        ui.label(RichText::new("No errors to compare.").color(theme::WEAK));
    }
    let wanted = view.model.query.change;
    let listed = opened.changes.iter().filter(|c| wanted.is_none_or(|change| c.change == change));
    for changed in listed.take(LISTED_MAX) {
        let pick = pick_of(changed.change, changed.error.kind, changed.error.place);
        let what = match changed.error.kind {
            ErrorKind::Missed => "missed object".to_owned(),
            ErrorKind::FalsePositive(kind) => {
                let score = changed.error.score.map_or(String::new(), |score| format!(" {score:.2}"));
                format!("{}{score}", kind_words(kind))
            }
        };
        let text = format!("{}: {what}", change_text(changed.change));
        let label = RichText::new(text).small().color(change_color(changed.change));
        if ui.selectable_label(view.model.picked == Some(pick), label).clicked() {
            view.push(ImagesCommand::Pick(Some(pick)));
        }
    }
}

fn kind_words(kind: FalsePositiveKind) -> &'static str {
    match kind {
        FalsePositiveKind::Background => "background",
        FalsePositiveKind::Localisation => "badly placed",
        FalsePositiveKind::Classification => "wrong class",
        FalsePositiveKind::Both => "badly placed, wrong class",
        FalsePositiveKind::Duplicate => "duplicate",
    }
}

fn change_color(change: Change) -> theme::Tone {
    match change {
        Change::Fixed => theme::GOOD,
        Change::New => theme::ERROR,
        Change::Still => theme::WARNING,
    }
}

/// Shows the statuses with their styles and counts on this image.
fn legend(ui: &mut Ui, view: &ImagesView<'_>, opened: &OpenedImage, side: &Side) {
    let title = if side.round.is_some() { view.round_name(side.round) } else { "Ground truth".to_owned() };
    heading(ui, &title);
    let of = |status: Status| side.judged.detections.iter().filter(|d| d.status == status).count();
    let all = std::iter::once(Status::TruePositive)
        .chain(FalsePositiveKind::ALL.into_iter().map(Status::FalsePositive))
        .chain([Status::Ignored]);
    if side.was_run {
        for (status, count) in all.map(|status| (status, of(status))).filter(|(_, count)| *count > 0) {
            line(ui, status_style(status), &format!("{count}  {}", status_text(status)));
        }
        let missed = side.judged.counts().missed;
        if missed > 0 {
            line(ui, MISSED, &format!("{missed}  Missed object"));
        }
    } else if side.round.is_some() {
        let text = "This round was not run on this image.";
        ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).wrap());
    }
    let objects = side.judged.objects.iter().filter(|object| !object.annotation.ignored).count();
    let style = MarkStyle {
        color: theme::ground_truth(crate::domain::AnnotationSource::Imported),
        width: 1.2,
        dash: None,
        fill: 0.0,
    };
    line(ui, style, &format!("{objects}  Ground truth"));
    if opened.sides.len() == 1 && side.round.is_none() {
        let text = "Choose a round to see what it found.";
        ui.label(RichText::new(text).small().color(theme::WEAK));
    }
}

/// A line of the legend: a style sample and text.
fn line(ui: &mut Ui, style: MarkStyle, text: &str) {
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(26.0, 14.0), Sense::hover());
        sample(ui, rect.shrink2(vec2(1.0, 2.0)), style);
        ui.add(egui::Label::new(RichText::new(text).small()).wrap());
    });
}

fn sample(ui: &Ui, rect: Rect, style: MarkStyle) {
    let painter = ui.painter();
    painter.rect_filled(rect, 0.0, theme::faded(style.color, style.fill));
    let corners = [
        rect.left_top(),
        pos2(rect.right(), rect.top()),
        rect.right_bottom(),
        pos2(rect.left(), rect.bottom()),
        rect.left_top(),
    ];
    let stroke = Stroke::new(style.width, style.color);
    match style.dash {
        None => {
            painter.add(Shape::line(corners.to_vec(), stroke));
        }
        Some((length, gap)) => painter.extend(Shape::dashed_line(&corners, stroke, length, gap)),
    }
}

fn layers(ui: &mut Ui, view: &mut ImagesView<'_>) {
    heading(ui, "Drawn");
    let before = view.model.layers;
    let mut now = before;
    let Layers { ground_truth, true_positives, false_positives, ignored, labels, .. } = &mut now;
    let truth = format!("Ground truth ({})", view.keymap.text(Action::GroundTruth));
    for (on, text) in [
        (ground_truth, truth.as_str()),
        (true_positives, "True positives"),
        (false_positives, "False positives"),
        (ignored, "Ignored detections"),
        (labels, "Labels"),
    ] {
        ui.checkbox(on, text);
    }
    if now != before {
        view.push(ImagesCommand::SetLayers(now));
    }
}

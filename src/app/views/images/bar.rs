//! The bar above the list and the image: the round, the round compared with, and the score threshold.

use egui::{Button, ComboBox, RichText, Ui};

use super::ImagesView;
use crate::app::action::Action;
use crate::app::command::ImagesCommand;
use crate::app::theme;
use crate::app::widgets::key_button::key_button;
use crate::app::widgets::lists;
use crate::app::widgets::score::score_slider;
use crate::app::widgets::together::{together, together_with_list};
use crate::domain::RoundId;
use crate::workflow::inspect::{Change, ImageQuery, OutputShape, Role};

/// Width of the threshold's slider, and of the number next to it, in points.
const SLIDER_WIDTH: f32 = 120.0;
const NUMBER_WIDTH: f32 = 70.0;

/// The way back to the curve whose point is shown.
pub(super) fn back(ui: &mut Ui, view: &mut ImagesView<'_>) {
    if view.leads_back && key_button(ui, view.keymap, Action::Back).clicked() {
        view.push(ImagesCommand::Back);
    }
}

/// The list of second rounds. Read with the first: what the first made and the second does not is fixed.
const FOLLOWED_BY: &str = "Followed by";

/// The selection of rounds and threshold.
pub(super) fn rounds(ui: &mut Ui, view: &mut ImagesView<'_>) {
    let query = view.model.query.clone();
    let round = choose_round(ui, view, "Round", query.round, "No round");
    if round != query.round {
        view.set_query(|query| {
            query.round = round;
            if round.is_none() || query.against == round {
                (query.against, query.change) = (None, None);
            }
        });
    }
    if query.round.is_none() {
        return;
    }
    let against = choose_round(ui, view, FOLLOWED_BY, query.against, "Nothing");
    if against != query.against {
        view.set_query(|query| {
            query.against = against.filter(|round| query.round != Some(*round));
            if query.against.is_none() {
                query.change = None;
            }
        });
    }
    if query.against.is_some() {
        let hint = "Exchange the two rounds: what is fixed in one direction is new in the other";
        if ui.button("Swap").on_hover_text(hint).clicked() {
            view.set_query(|query| std::mem::swap(&mut query.round, &mut query.against));
        }
    }
    together(ui, "Score from", SLIDER_WIDTH + NUMBER_WIDTH);
    ui.label("Score from");
    let mut threshold = query.threshold;
    let slider = score_slider(&mut threshold);
    let hint = "Detections below this score do not count and are not drawn";
    ui.spacing_mut().slider_width = SLIDER_WIDTH;
    if ui.name_inputs("Score from", |ui| ui.add(slider)).on_hover_text(hint).changed() {
        view.set_query(|query| query.threshold = threshold);
    }
}

/// Returns the selected round.
fn choose_round(
    ui: &mut Ui,
    view: &ImagesView<'_>,
    name: &str,
    chosen: Option<RoundId>,
    none: &str,
) -> Option<RoundId> {
    let text = if chosen.is_none() { none.to_owned() } else { view.round_name(chosen) };
    together_with_list(ui, name, &text, 120.0);
    ui.label(name);
    let mut picked = chosen;
    ui.name_inputs(name, |ui| {
        lists::combo(ui, ComboBox::from_id_salt(name).selected_text(text).width(120.0), |ui| {
            if ui.selectable_label(chosen.is_none(), none).clicked() {
                picked = None;
            }
            for round in view.details.overview.rounds.iter().rev() {
                let text = view.round_name(Some(round.id));
                if ui.selectable_label(chosen == Some(round.id), text).clicked() {
                    picked = Some(round.id);
                }
            }
        });
    });
    picked
}

/// The conditions as chips; a click removes one.
pub(super) fn chips(ui: &mut Ui, view: &mut ImagesView<'_>) {
    let query = view.model.query.clone();
    for (text, without) in chips_of(&query, view) {
        let label = RichText::new(format!("{text}   ×")).small();
        let chip = Button::new(label).corner_radius(12).fill(theme::ACCENT_DEEP);
        let response = ui.add(chip).on_hover_text("Remove this condition");
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &text));
        if response.clicked() {
            view.push(ImagesCommand::SetQuery(Box::new(without)));
        }
    }
    let key = view.keymap.text(Action::Filter);
    let filter = Button::new(RichText::new("+ Filter").small()).frame(false);
    if ui.add(filter).on_hover_text(format!("Choose which images are listed  ({key})")).clicked() {
        view.push(ImagesCommand::ToggleFilter);
    }
}

/// Returns each condition's text, with the query without it.
fn chips_of(query: &ImageQuery, view: &ImagesView<'_>) -> Vec<(String, ImageQuery)> {
    use crate::workflow::inspect::{ANY_COUNT, CountRange, NO_LIMIT};
    let fresh = ImageQuery::default();
    let mut chips = Vec::new();
    let mut add = |is_on: bool, text: String, without: ImageQuery| {
        if is_on {
            chips.push((text, without));
        }
    };
    let name = format!("Name has {}", query.name);
    add(!query.name.is_empty(), name, ImageQuery { name: String::new(), ..query.clone() });
    let split = format!("Split {}", query.split.clone().unwrap_or_default());
    add(query.split.is_some(), split, ImageQuery { split: None, ..query.clone() });
    let role = query.role.map_or("", role_text).to_owned();
    add(query.role.is_some(), role, ImageQuery { role: None, ..query.clone() });
    let class = query.class.map(|class| super::layers::class_name(view.classes(), class).to_owned());
    add(
        query.class.is_some(),
        format!("With {}", class.unwrap_or_default()),
        ImageQuery { class: None, ..query.clone() },
    );
    let range = |name: &str, range: CountRange| match range {
        (low, NO_LIMIT) => format!("{name} from {low}"),
        (0, high) => format!("{name} up to {high}"),
        (low, high) if low == high => format!("{name}: {low}"),
        (low, high) => format!("{name} {low} to {high}"),
    };
    let any = ANY_COUNT;
    add(query.objects != any, range("Objects", query.objects), ImageQuery { objects: any, ..query.clone() });
    let without = ImageQuery { true_positives: any, ..query.clone() };
    add(query.true_positives != any, range("True positives", query.true_positives), without);
    let without = ImageQuery { false_positives: any, ..query.clone() };
    add(query.false_positives != any, range("False positives", query.false_positives), without);
    add(query.missed != any, range("Missed", query.missed), ImageQuery { missed: any, ..query.clone() });
    let highest = format!("Highest false positive from {:.2}", query.highest_from);
    add(query.highest_from > 0.0, highest, ImageQuery { highest_from: 0.0, ..query.clone() });
    let without = ImageQuery { only_errors: false, ..query.clone() };
    add(query.only_errors, "False positives or missed objects".to_owned(), without);
    let problem = query.problem.map_or("", problem_text).to_owned();
    add(query.problem.is_some(), problem, ImageQuery { problem: None, ..query.clone() });
    let change = query.change.map_or("", change_text).to_owned();
    add(query.change.is_some(), change, ImageQuery { change: None, ..query.clone() });
    let shape = query.shape.map_or("", OutputShape::as_str);
    add(
        query.shape.is_some() && query.shape != fresh.shape,
        format!("Counted by {shape}"),
        ImageQuery { shape: None, ..query.clone() },
    );
    chips
}

pub(super) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Training => "Training",
        Role::HeldOut => "Held out",
        Role::Unused => "Not used",
    }
}

pub(super) fn problem_text(problem: crate::workflow::inspect::FileProblem) -> &'static str {
    use crate::workflow::inspect::FileProblem::{Changed, Missing, Unreadable};
    match problem {
        Missing => "File missing",
        Changed => "File changed",
        Unreadable => "File unreadable",
    }
}

pub(super) fn change_text(change: Change) -> &'static str {
    match change {
        Change::Fixed => "Fixed",
        Change::New => "New",
        Change::Still => "Still wrong",
    }
}

//! The filter as chips, the number of matches, and the random sample's estimate.

use egui::{Button, RichText, Ui};

use super::{Action, Command, ReviewView, filter_panel};
use crate::app::command::{Order, ReviewCommand};
use crate::app::theme;
use crate::domain::counted;
use crate::mining::Proportion;
use crate::store::Inheritable;
use crate::workflow::review::SampleEstimate;

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    let filter = view.model.filter.clone();
    ui.horizontal_wrapped(|ui| {
        let chips = filter.chips();
        // Before the first count, the filter that the project keeps may still be on its way.
        if chips.is_empty() && view.model.total.is_some() {
            ui.label(RichText::new("All candidates").small().color(theme::WEAK));
        }
        for (condition, text) in chips {
            let label = RichText::new(format!("{text}   ×")).small();
            let chip = Button::new(label).corner_radius(12).fill(theme::ACCENT_DEEP);
            let response = ui.add(chip).on_hover_text("Remove this condition");
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &text));
            if response.clicked() {
                view.push(ReviewCommand::SetFilter(filter.without(condition)));
            }
        }
        if ui.add(Button::new(RichText::new("+ Filter").small()).frame(false)).clicked() {
            view.commands.push(Command::Do(Action::Filter));
        }
        let found = match view.model.total {
            None => "counting…".to_owned(),
            Some(n) if filter.lists_alike_as_one() && view.model.counts.has_fewer_decisions() => format!("{n} listed"),
            Some(n) => counted(n, "candidate"),
        };
        ui.label(RichText::new(found).small().color(theme::TEXT));
        ui.label(RichText::new(filter.order.text()).small().color(theme::WEAK));
        if filter.lists_alike_as_one() {
            ui.label(RichText::new("groups as one").small().color(theme::WEAK));
        }
        let selected = match view.model.selected_count() {
            0 => return,
            _ if view.model.is_all_selected() => "all selected".to_owned(),
            n => format!("{n} selected"),
        };
        ui.label(RichText::new(selected).small().color(theme::ACCENT));
    });
    let is_sampled = filter.order == Order::Random && filter.verdicts.lists_undecided();
    if let Some(sample) = view.model.numbers.map(|numbers| numbers.sample).filter(|_| is_sampled) {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(sample_text(&sample)).color(theme::STRONG)).on_hover_text(
                "From the candidates reviewed in random order without a gap; Wilson's interval. Skipped candidates do not count as hard negatives.",
            );
            if let Some(text) = estimate_text(&sample).filter(|_| !filter.blind) {
                let hint = "Confirms all candidates not yet seen as hard negatives, in one action that can be undone. They are marked as estimated, \
                            not as reviewed";
                bulk_button(ui, view, Action::EstimateRest, &text, hint);
            }
        });
    }
    let Inheritable { confirmed, rejected } = view.model.inheritable;
    if confirmed + rejected > 0 && !filter.blind {
        ui.horizontal_wrapped(|ui| {
            let (all, were) = (confirmed + rejected, if confirmed + rejected == 1 { "was" } else { "were" });
            let negatives = counted(confirmed, "hard negative");
            let text =
                format!("{all} of these {were} decided in an earlier round: {negatives}, {rejected} rejected");
            ui.label(RichText::new(text).color(theme::STRONG)).on_hover_text(
                "The same region of the image (IoU 0.7 or more), or the same group where all that was decided on it agrees",
            );
            let text = format!("Carry over all {}", confirmed + rejected);
            bulk_button(ui, view, Action::AllAsBefore, &text, Action::AllAsBefore.tooltip());
        });
    }
    if view.model.filter_open {
        filter_panel::show(ui, view, filter);
    }
}

fn bulk_button(ui: &mut Ui, view: &mut ReviewView<'_>, action: Action, text: &str, hint: &str) {
    let key = RichText::new(view.keymap.text(action)).monospace().color(theme::WEAK);
    let response = ui.add(Button::new(text).right_text(key)).on_hover_text(hint);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, text));
    if response.clicked() {
        view.commands.push(Command::Do(action));
    }
}

/// The stop action: the estimated precision of confirming all others.
pub(super) fn estimate_text(sample: &SampleEstimate) -> Option<String> {
    let Proportion { low, high, sample: size, .. } = sample.rest;
    if size == 0 || sample.waiting == 0 {
        return None;
    }
    let of_them = |share: f64| (share * sample.waiting as f64).round();
    Some(format!("Confirm the other {} (95 %: {} to {} are right)", sample.waiting, of_them(low), of_them(high)))
}

/// The sample's estimate if the review stops now.
pub(super) fn sample_text(sample: &SampleEstimate) -> String {
    let Proportion { estimate, low, high, sample: size } = sample.rest;
    let population = sample.population;
    let percent = |share: f64| share * 100.0;
    if population == 0 {
        "There is nothing to sample".to_owned()
    } else if size == 0 {
        format!("Random sample: 0 of {population} reviewed. Decide on the first ones to see an estimate")
    } else if population <= size {
        format!("All {population} are reviewed: {:.1} % are hard negatives", percent(estimate))
    } else {
        format!(
            "Random sample: {size} of {population} reviewed. Of the other {} about {:.1} % are hard negatives (95 %: {:.1} to {:.1})",
            population - size,
            percent(estimate),
            percent(low),
            percent(high)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mining::{of_the_rest, wilson_interval};

    fn text(confirmed: u64, sample: u64, population: u64) -> String {
        sample_text(&estimate(confirmed, sample, population))
    }

    fn estimate(confirmed: u64, sample: u64, population: u64) -> SampleEstimate {
        let all = wilson_interval(confirmed, sample, population);
        let rest = of_the_rest(&all, confirmed, population);
        SampleEstimate { population, waiting: population - sample, rest }
    }

    #[test]
    fn the_stop_says_how_many_are_right() {
        assert_eq!(estimate_text(&estimate(0, 0, 689)), None, "nothing was looked at");
        assert_eq!(estimate_text(&estimate(9, 9, 9)), None, "nothing is left");
        let text = estimate_text(&estimate(195, 200, 689)).unwrap();
        assert_eq!(text, "Confirm the other 489 (95 %: 459 to 486 are right)");
    }

    #[test]
    fn the_sample_speaks_of_what_is_not_reviewed() {
        assert!(text(0, 0, 0).contains("nothing"));
        assert!(text(0, 0, 50).contains("0 of 50"));
        assert_eq!(text(3, 4, 4), "All 4 are reviewed: 75.0 % are hard negatives");
        let some = text(8, 10, 1000);
        assert!(some.contains("Of the other 990 about 80.0 %") && some.contains("95 %: 4"), "{some}");
    }
}

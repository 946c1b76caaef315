//! The command palette: every action by name, with its keys; a number goes to that position of the list. It only selects an action.

use egui::{Align2, Button, Id, Key, Modal, Modifiers, RichText, TextEdit, Ui, vec2};

use super::super::action::{Action, Scope};
use super::super::command::{Choice, Command, PaletteCommand};
use super::super::keymap::Keymap;
use super::super::theme;
use super::super::widgets::growing::growing;
use super::review::Reasons;

/// The typed text and the marked entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaletteModel {
    pub text: String,
    pub marked: usize,
    /// Accept only a number.
    pub numbers_only: bool,
}

impl PaletteModel {
    /// Returns the entries that match the text, best first. `places`: the length of the list that a number navigates.
    pub fn found(&self, places: Option<u64>, reasons: &Reasons) -> Vec<Choice> {
        let number = self.text.trim().parse::<u64>().ok().filter(|number| *number > 0);
        let places = places.filter(|count| *count > 0);
        let to = number.zip(places).map(|(number, count)| Choice::GoTo(number.min(count)));
        if self.numbers_only || to.is_some() {
            return to.into_iter().collect();
        }
        let mut scored: Vec<(i32, usize, Action)> = Action::ALL
            .iter()
            .enumerate()
            .filter(|(_, action)| **action != Action::Palette)
            .filter_map(|(index, action)| Some((-score(&self.text, &name(*action, reasons))?, index, *action)))
            .collect();
        if self.text.trim().is_empty() {
            // No text: by screen, then by name, like a table of contents.
            scored.sort_by_cached_key(|(_, index, action)| (place(action.scope()), name(*action, reasons), *index));
        } else {
            scored.sort_by_key(|(score, index, _)| (*score, *index));
        }
        scored.into_iter().map(|(_, _, action)| Choice::Do(action)).collect()
    }
}

/// Returns an action's name in the palette; `reasons` are the open project's.
pub fn name(action: Action, reasons: &Reasons) -> String {
    let reason = action.reason().and_then(|number| reasons.get(usize::from(number) - 1));
    reason.map_or_else(|| action.text().to_owned(), |reason| format!("Reject: {reason}"))
}

/// Returns the position of a screen's actions.
fn place(scope: Scope) -> u8 {
    match scope {
        Scope::Everywhere => 0,
        Scope::Review => 1,
        Scope::Adjust => 2,
        Scope::Images => 3,
    }
}

/// Scores how well typed letters match a name: all in order, best at word beginnings and adjacent. `None`: no match.
fn score(typed: &str, name: &str) -> Option<i32> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut at, mut total, mut last) = (0, 0, None);
    for letter in typed.to_lowercase().chars().filter(|c| !c.is_whitespace()) {
        let is_start = |index: usize| index == 0 || name.get(index - 1).is_some_and(|c| !c.is_alphanumeric());
        let places = || (at..name.len()).filter(|index| name.get(*index) == Some(&letter));
        let adjacent = places().next().filter(|index| last.is_some_and(|last: usize| last + 1 == *index));
        let found = adjacent.or_else(|| places().find(|index| is_start(*index))).or_else(|| places().next())?;
        total += match (adjacent.is_some(), is_start(found)) {
            (true, _) => 6,
            (_, true) => 5,
            _ => 1,
        };
        (at, last) = (found + 1, Some(found));
    }
    // On ties the shorter name comes first.
    Some(total * 64 - i32::try_from(name.len().min(63)).unwrap_or(63))
}

pub struct PaletteView<'a> {
    pub model: &'a PaletteModel,
    pub keymap: &'a Keymap,
    pub reasons: &'a Reasons,
    /// The length of the shown list, if a number can go to a position in it.
    pub places: Option<u64>,
    pub commands: &'a mut Vec<Command>,
}

impl PaletteView<'_> {
    pub fn show(&mut self, ctx: &egui::Context) {
        let found = self.model.found(self.places, self.reasons);
        let marked = self.model.marked.min(found.len().saturating_sub(1));
        self.keys(ctx, &found, marked);
        let top = ctx.content_rect().top() + 60.0;
        let area = Modal::default_area(Id::unique("palette")).anchor(Align2::CENTER_TOP, vec2(0.0, top));
        let modal = Modal::new(Id::unique("palette")).area(area).frame(theme::card()).show(ctx, |ui| {
            ui.set_width(560.0_f32.min(ctx.content_rect().width() - 80.0));
            let mut text = self.model.text.clone();
            let (title, hint) = match (self.model.numbers_only, self.places) {
                (true, Some(count)) => ("Go to number", format!("A number from 1 to {count}")),
                (true, None) => ("Go to number", "No list is shown".to_owned()),
                (false, Some(_)) => ("Command", "An action, or a number of the list".to_owned()),
                (false, None) => ("Command", "An action".to_owned()),
            };
            let field = TextEdit::singleline(&mut text)
                .id(egui::Id::unique("command"))
                .hint_text(hint)
                .desired_width(f32::INFINITY);
            let response = ui.add(field);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, title));
            response.request_focus();
            if text != self.model.text {
                self.push(PaletteCommand::Type(text));
            }
            ui.add_space(4.0);
            let height = (ctx.content_rect().height() - top - 160.0).clamp(120.0, 460.0);
            growing(height).show(ui, |ui| {
                if found.is_empty() && !self.model.text.is_empty() {
                    ui.label(RichText::new("No match").color(theme::WEAK));
                }
                for (index, choice) in found.iter().enumerate() {
                    self.line(ui, *choice, index == marked);
                }
            });
        });
        if modal.should_close() {
            self.push(PaletteCommand::Close);
        }
    }

    fn push(&mut self, command: PaletteCommand) {
        self.commands.push(Command::Palette(command));
    }

    fn keys(&mut self, ctx: &egui::Context, found: &[Choice], marked: usize) {
        let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if pressed(Key::ArrowDown) {
            self.push(PaletteCommand::Mark((marked + 1).min(found.len().saturating_sub(1))));
        }
        if pressed(Key::ArrowUp) {
            self.push(PaletteCommand::Mark(marked.saturating_sub(1)));
        }
        if pressed(Key::Escape) {
            self.push(PaletteCommand::Close);
        }
        if pressed(Key::Enter)
            && let Some(choice) = found.get(marked)
        {
            self.push(PaletteCommand::Choose(*choice));
        }
    }

    fn line(&mut self, ui: &mut Ui, choice: Choice, is_marked: bool) {
        let (text, keys, hint) = match choice {
            Choice::Do(action) => {
                let keys = self.keymap.text(action);
                let place = match action.scope() {
                    Scope::Everywhere => String::new(),
                    scope => format!("{}  ", scope.title()),
                };
                (name(action, self.reasons), format!("{place}{keys}"), action.tooltip())
            }
            Choice::GoTo(number) => (format!("Go to number {number}"), "Enter".to_owned(), "Of the list that is shown"),
        };
        let keys = RichText::new(keys).small().color(theme::WEAK);
        let button = Button::selectable(is_marked, RichText::new(&text)).right_text(keys);
        let response = ui.add(button.min_size(vec2(ui.available_width(), 26.0))).on_hover_text(hint);
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, is_marked, &text));
        if is_marked {
            response.scroll_to_me(None);
        }
        if response.clicked() {
            self.push(PaletteCommand::Choose(choice));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::review::reasons;
    use super::*;

    fn first(text: &str) -> Option<Choice> {
        PaletteModel { text: text.to_owned(), ..PaletteModel::default() }
            .found(Some(500), reasons(&[]))
            .first()
            .copied()
    }

    #[test]
    fn actions_are_found_by_a_few_letters_and_numbers_are_places() {
        for (typed, action) in [
            ("tra", Action::ShowTrain),
            ("undo", Action::Undo),
            ("hn", Action::Confirm),
            ("MISSED", Action::MissedObject),
            ("settings", Action::ShowSettings),
            ("nund", Action::NextUndecided),
        ] {
            assert_eq!(first(typed), Some(Choice::Do(action)), "{typed}");
        }
        assert_eq!(first("42"), Some(Choice::GoTo(42)));
        assert_eq!(first("0042 "), Some(Choice::GoTo(42)));
        assert_eq!(first("99999999999"), Some(Choice::GoTo(500)), "the last one");
        assert_eq!(first("qqqq"), None);
        assert_eq!(first("0"), None);
    }

    #[test]
    fn without_text_actions_stand_by_screen_and_name() {
        let model = PaletteModel::default();
        let lines: Vec<(u8, String)> = model
            .found(Some(9), reasons(&[]))
            .into_iter()
            .filter_map(|choice| {
                if let Choice::Do(action) = choice {
                    Some((place(action.scope()), name(action, reasons(&[]))))
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(lines.len() + 1, Action::ALL.len(), "all but the palette itself");
        assert!(lines.is_sorted());
    }

    #[test]
    fn every_action_is_found_by_its_name() {
        for action in Action::ALL.iter().filter(|action| **action != Action::Palette) {
            let model = PaletteModel { text: name(*action, reasons(&[])), ..PaletteModel::default() };
            let same = |choice: &Choice| matches!(choice, Choice::Do(found) if name(*found, reasons(&[])) == name(*action, reasons(&[])));
            assert!(
                model.found(None, reasons(&[])).first().is_some_and(same),
                "{action:?}: {:?}",
                model.found(None, reasons(&[]))
            );
        }
    }
}

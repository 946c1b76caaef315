//! Queues keys and clicks while a decision is saved or rows are read. Each is interpreted when it is handled: after F the arrows move the
//! ellipse, after / letters are a name.

use std::time::{Duration, Instant};

use egui::{Context, Key, ViewportCommand};

use super::action::{Action, Scope};
use super::command::{Command, ReviewCommand, ReviewFilter};
use super::keys::Typed;
use super::views::review::{Layout, crop_key};
use super::{QuarryApp, ReviewModel, Screen};

/// Maximum time per frame spent waiting for verdicts to be saved.
const QUEUE_BUDGET: Duration = Duration::from_millis(25);

impl QuarryApp {
    /// Executes a command, or queues it.
    pub(super) fn apply(&mut self, command: Command, ctx: &Context) {
        if let (Command::Key(typed), Some(palette)) = (&command, &mut self.palette) {
            // Typed before the palette's field existed.
            palette.text.push_str(&typed.text);
            return;
        }
        if let Command::Key(typed) = &command
            && self.scope() == Scope::Images
        {
            return self.press_in_images(typed);
        }
        if let Command::Key(typed) = &command
            && self.is_done_at_once(typed)
        {
            return;
        }
        if self.has_to_wait(&command) {
            self.review.wait(command);
        } else {
            self.carry_out(command, ctx);
        }
    }

    /// Keys that are not queued: global ones, those without effect, and Esc if it ends the waiting.
    fn is_done_at_once(&mut self, typed: &Typed) -> bool {
        let is_text = self.is_text(typed);
        if let Some(action) = self.meaning(typed, Scope::Everywhere).filter(|_| !is_text) {
            if !typed.repeat {
                self.act(action);
            }
            return true;
        }
        let is_left = self.scope() == Scope::Everywhere;
        let is_lone_letter = typed.key.is_none() && !is_text;
        let ends = self.ends_waiting(typed, is_text);
        is_left || is_lone_letter || (ends && (self.without_queued(ReviewModel::break_off) || self.give_up_on_image()))
    }

    /// Runs an action that may drop the queue; an annotator's name in the queue is applied first.
    pub(super) fn without_queued<T>(&mut self, act: impl FnOnce(&mut ReviewModel<Command>) -> T) -> T {
        let names = self.review.queued().filter_map(|command| match command {
            Command::SetAnnotator(name) => Some(name.clone()),
            _ => None,
        });
        let name = names.last();
        let result = act(&mut self.review);
        if let Some(name) = name.filter(|_| !self.review.has_queued()) {
            self.set_annotator(name);
        }
        result
    }

    /// Whether a key is Esc and not meant for an ellipse or a filter that queued keys will open.
    fn ends_waiting(&self, typed: &Typed, is_text: bool) -> bool {
        let opens = [Action::MissedObject, Action::AdjustObject].into_iter().any(|action| self.queue_holds(action));
        let is_for_now = !is_text && !opens;
        is_for_now && self.meaning(typed, Scope::Review) == Some(Action::Leave)
    }

    /// Whether a key will be text for the filter's field or the class picker when it is handled.
    fn is_text(&self, typed: &Typed) -> bool {
        let is_letter = !typed.modifiers.command && !typed.modifiers.ctrl;
        is_letter && (self.review.typing_ahead || self.queue_holds(Action::Filter) || self.is_for_picker())
    }

    /// Whether the class picker is open, or may be once the queue is processed.
    fn is_for_picker(&self) -> bool {
        let asking = [Action::MissedObject, Action::WrongClass, Action::ObjectClass];
        let opens_picker = || asking.into_iter().any(|action| self.queue_holds(action));
        self.review.picker.is_some() || (self.has_classes() && opens_picker())
    }

    fn queue_holds(&self, action: Action) -> bool {
        self.review.queued().any(|command| match command {
            Command::Key(typed) => self.meaning(typed, Scope::Review) == Some(action),
            other => *other == Command::Do(action),
        })
    }

    pub(super) fn meaning(&self, typed: &Typed, scope: Scope) -> Option<Action> {
        self.keys.keymap().action(typed.modifiers, typed.key?, scope)
    }

    fn has_to_wait(&self, command: &Command) -> bool {
        match command {
            Command::Key(_) => self.review.must_wait() || self.review.typing_ahead || self.awaits_sight(command),
            Command::Do(action) => {
                let is_about_review = matches!(action.scope(), Scope::Review | Scope::Adjust);
                is_about_review && (self.review.must_wait() || self.awaits_sight(command))
            }
            Command::Correct { .. } | Command::AddObject { .. } => self.review.must_wait(),
            // A decision that cannot be saved must not be lost with its project.
            Command::Open(_) | Command::New(_) | Command::Sample { .. } => {
                self.review.has_queued() || self.review.is_saving()
            }
            // The context of earlier keys must not change under them.
            Command::SetAnnotator(_)
            | Command::Review(
                ReviewCommand::SetFilter(_)
                | ReviewCommand::GoTo(_)
                | ReviewCommand::ToggleSelected(_)
                | ReviewCommand::SelectTo(_)
                | ReviewCommand::DragTo(_)
                | ReviewCommand::Open(_)
                | ReviewCommand::Adjust(_)
                | ReviewCommand::Revisit(_),
            ) => self.review.has_queued(),
            _ => false,
        }
    }

    /// Whether the target of a command is not visible yet: the candidate's crop, or the objects of its image.
    fn awaits_sight(&self, command: &Command) -> bool {
        if self.review.picker.is_some() || self.review.adjusting.is_some() {
            return false;
        }
        let action = match command {
            Command::Key(typed) => self.meaning(typed, Scope::Review),
            Command::Do(action) => Some(*action),
            _ => None,
        };
        let (Some(action), Some(row), Some(session)) = (action, self.review.current(), &self.session) else {
            return false;
        };
        match action {
            Action::AdjustObject | Action::ObjectClass | Action::IgnoreObject | Action::DeleteObject => {
                self.review.layout.shows_candidates() && session.awaits_detail(row)
            }
            _ => self.is_judged_by_eye(action) && self.textures.is_awaited(&crop_key(row)),
        }
    }

    /// Whether an action decides the candidate shown in the queue. Skipping does not need the image.
    fn is_judged_by_eye(&self, action: Action) -> bool {
        let is_verdict = matches!(
            action,
            Action::Confirm
                | Action::Reject
                | Action::ConfirmGroup
                | Action::RejectGroup
                | Action::MissedObject
                | Action::WrongClass
                | Action::AsBefore
        );
        let is_shown = self.review.layout == Layout::Queue && !self.review.is_past_end();
        is_shown && self.review.failure.is_none() && (is_verdict || action.reason().is_some())
    }

    /// Whether an action would decide a candidate whose image cannot be shown, as the screen reports.
    pub(super) fn decides_unseen(&self, action: Action) -> bool {
        let is_failed = |row| self.textures.failure(&crop_key(row)).is_some();
        self.is_judged_by_eye(action) && self.review.current().is_some_and(is_failed)
    }

    /// Drops the queued keys if the first of them waits for an image. Returns false if none does.
    fn give_up_on_image(&mut self) -> bool {
        let waits = self.review.queued().next().is_some_and(|command| self.awaits_sight(command));
        if waits {
            self.without_queued(ReviewModel::drop_queued);
        }
        waits
    }

    /// Processes the queue. Waits for each verdict to be saved, within the frame's budget: one verdict per frame would be slower than
    /// typing.
    pub(super) fn work_through_queue(&mut self, ctx: &Context) {
        let start = Instant::now();
        loop {
            self.carry_out_queued(ctx);
            if !(self.review.is_saving() && self.review.has_queued()) {
                return;
            }
            let left = QUEUE_BUDGET.saturating_sub(start.elapsed());
            // If the budget ends first, the writer's reply wakes the window.
            let Some(answer) = self.session.as_mut().and_then(|session| session.writer.wait(left)) else { return };
            self.took(answer, ctx);
        }
    }

    fn carry_out_queued(&mut self, ctx: &Context) {
        loop {
            if self.review.typing_ahead {
                self.type_ahead();
            }
            if self.review.queued().next().is_some_and(|command| self.awaits_sight(command)) {
                return;
            }
            let Some(command) = self.review.next_queued() else { return };
            self.carry_out(command, ctx);
        }
    }

    /// Collects what was typed between the key that opens the filter, or the history's search, and its field getting focus.
    fn type_ahead(&mut self) {
        let is_history = self.review.layout == Layout::History;
        let before = if is_history { self.review.history.text.clone() } else { self.review.filter.name.clone() };
        let mut text = before.clone();
        while self.review.typing_ahead {
            let Some(Command::Key(typed)) = self.review.next_queued_if(|next| matches!(next, Command::Key(_))) else {
                break;
            };
            match typed.key {
                Some(Key::Backspace) => drop(text.pop()),
                Some(Key::Enter | Key::Escape) => self.close_filter(),
                _ => text.push_str(&typed.text),
            }
        }
        if text == before {
            return;
        }
        if is_history {
            self.search_history(text);
        } else {
            self.set_filter(ReviewFilter { name: text, ..self.review.filter.clone() });
        }
    }

    pub(super) fn close_filter(&mut self) {
        (self.review.filter_open, self.review.typing_ahead) = (false, false);
    }

    /// Handles one queued key.
    pub(super) fn press(&mut self, typed: &Typed) {
        if self.review.picker.is_some() {
            return self.press_in_picker(typed);
        }
        let scope = if self.review.adjusting.is_some() { Scope::Adjust } else { Scope::Review };
        let action = self.meaning(typed, scope);
        if let Some(action) = action.filter(|action| !typed.repeat || repeats(*action)) {
            self.act(action);
        }
    }

    /// Keeps a closing window open while keys are queued or a decision is being saved; if one fails, it stays open to report it. Closing
    /// again closes it at once.
    pub(super) fn hold_close(&mut self, ctx: &Context) {
        let wants_to_close = ctx.input(|input| input.viewport().close_requested());
        let is_busy = self.review.has_queued() || self.review.is_saving() || self.images.saving.is_some();
        if wants_to_close && self.asks_before_closing() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
        } else if wants_to_close && is_busy && !self.is_closing {
            self.is_closing = true;
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
        } else if self.is_closing && !is_busy {
            self.is_closing = false;
            if self.review.failure.is_none() {
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
        }
    }

    /// Called once the field has focus: from then on it receives letters itself.
    pub(super) fn end_typing_ahead(&mut self) {
        if self.screen == Screen::Review {
            self.review.typing_ahead = false;
        }
    }
}

/// Whether holding the key down repeats the action. Each verdict needs its own key press.
fn repeats(action: Action) -> bool {
    action.scope() == Scope::Adjust
        || matches!(action, Action::Previous | Action::Next | Action::RowUp | Action::RowDown | Action::NextUndecided)
}

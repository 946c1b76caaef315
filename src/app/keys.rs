//! Reads the keys before egui does, so that Space, Tab and the arrows mean what the screen says and never press a focused button.
//! Must not know what an action does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egui::{Context, Event, Modifiers, RawInput};

use super::action::{Action, Scope};
use super::keymap::Keymap;

struct State {
    keymap: Arc<Keymap>,
    scope: Scope,
    pressed: Vec<Action>,
}

/// Shared by the app and the hook that sits in egui's input.
#[derive(Clone)]
pub struct KeyReader(Arc<Mutex<State>>);

impl KeyReader {
    /// Hooks into `ctx`.
    pub fn install(ctx: &Context, keymap: Keymap) -> Self {
        let state = State { keymap: Arc::new(keymap), scope: Scope::Everywhere, pressed: Vec::new() };
        let reader = Self(Arc::new(Mutex::new(state)));
        ctx.add_plugin(reader.clone());
        reader
    }

    pub fn keymap(&self) -> Arc<Keymap> {
        Arc::clone(&self.lock().keymap)
    }

    /// Says whose keys count from now on.
    pub fn set_scope(&self, scope: Scope) {
        self.lock().scope = scope;
    }

    /// The actions whose keys were pressed since the last call, in order.
    pub fn take(&self) -> Vec<Action> {
        std::mem::take(&mut self.lock().pressed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl egui::Plugin for KeyReader {
    fn debug_name(&self) -> &'static str {
        "quarry keys"
    }

    fn input_hook(&mut self, ctx: &Context, input: &mut RawInput) {
        let typing = ctx.text_edit_focused();
        let mut state = self.lock();
        let mut taken = false;
        input.events.retain(|event| {
            let Event::Key { key, pressed: true, repeat, modifiers, .. } = event else { return true };
            let found = state.keymap.action(*modifiers, *key, state.scope);
            let found = found.filter(|action| !typing || works_while_typing(*action, *modifiers));
            let Some(action) = found else { return true };
            taken = true;
            if !repeat || repeats(action) {
                state.pressed.push(action);
            }
            false
        });
        if taken {
            // The letter of a key that was taken is no text.
            input.events.retain(|event| !matches!(event, Event::Text(_)));
        }
    }
}

/// While a text field has the focus only the keys that change the screen are read.
fn works_while_typing(action: Action, modifiers: Modifiers) -> bool {
    action.scope() == Scope::Everywhere && (modifiers.command || modifiers.ctrl)
}

/// Whether holding the key down does it again. Verdicts want a key each.
fn repeats(action: Action) -> bool {
    action.scope() == Scope::Adjust
        || matches!(action, Action::Previous | Action::Next | Action::RowUp | Action::RowDown | Action::NextUndecided)
}

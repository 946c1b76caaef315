//! Intercepts keys before egui, so that Space, Tab and the arrows work as the screen says and never press a focused button.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egui::{Context, Event, Key, KeyboardShortcut, Modifiers, RawInput};

use super::action::Scope;
use super::keymap::{Keymap, pressed_shortcut};

/// A key press, with the text that it produces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// `None`: text from a key without a meaning of its own.
    pub key: Option<Key>,
    pub modifiers: Modifiers,
    /// Repeated by holding the key down.
    pub repeat: bool,
    /// Empty if it produces none.
    pub text: String,
}

/// How keys are interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    #[default]
    Actions,
    /// As text for a field that has, or is about to have, the focus.
    Text,
    /// As new keys for an action on the settings screen.
    Record,
}

struct State {
    keymap: Arc<Keymap>,
    reading: Reading,
    recorded: Option<KeyboardShortcut>,
    scope: Scope,
    filter_open: bool,
    log_open: bool,
    /// Esc was pressed while the log was open and nothing was over it.
    closes_log: bool,
    typed: Vec<Typed>,
}

/// Shared by the app and the hook in egui's input.
#[derive(Clone)]
pub struct KeyReader(Arc<Mutex<State>>);

impl KeyReader {
    /// Installs the hook in `ctx`.
    pub fn install(ctx: &Context, keymap: Keymap) -> Self {
        let state = State {
            keymap: Arc::new(keymap),
            reading: Reading::default(),
            recorded: None,
            scope: Scope::Everywhere,
            filter_open: false,
            log_open: false,
            closes_log: false,
            typed: Vec::new(),
        };
        let reader = Self(Arc::new(Mutex::new(state)));
        ctx.add_plugin(reader.clone());
        reader
    }

    pub fn keymap(&self) -> Arc<Keymap> {
        Arc::clone(&self.lock().keymap)
    }

    /// Sets the active scope, and whether the filter is open: its fields, lists and sliders handle their keys themselves. While the log is
    /// open, Esc closes it.
    pub fn listen(&self, scope: Scope, filter_open: bool, log_open: bool, reading: Reading) {
        let mut state = self.lock();
        (state.scope, state.filter_open, state.log_open, state.reading) = (scope, filter_open, log_open, reading);
    }

    /// Whether Esc closes the log.
    pub fn take_closes_log(&self) -> bool {
        std::mem::take(&mut self.lock().closes_log)
    }

    /// Returns the keys pressed while recording an action's new keys.
    pub fn take_recorded(&self) -> Option<KeyboardShortcut> {
        self.lock().recorded.take()
    }

    /// Replaces the keymap.
    pub fn set_keymap(&self, keymap: Keymap) {
        self.lock().keymap = Arc::new(keymap);
    }

    /// Returns what was typed since the last call, in order.
    pub fn take(&self) -> Vec<Typed> {
        std::mem::take(&mut self.lock().typed)
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
        let has_text_focus = ctx.text_edit_focused();
        let has_focus = ctx.memory(|memory| memory.focused().is_some());
        // Keys belong to an open list or menu, not to what is behind it.
        let is_in_popup = egui::Popup::is_any_open(ctx);
        let is_covered = is_in_popup || ctx.memory(|memory| memory.top_modal_layer().is_some());
        let mut state = self.lock();
        if state.reading == Reading::Record {
            input.events.retain(|event| !state.record(event));
            return;
        }
        let is_typing =
            has_text_focus || is_in_popup || (state.filter_open && has_focus) || state.reading == Reading::Text;
        // A key's text event directly follows it.
        let mut has_key_before = false;
        input.events.retain(|event| {
            let (is_after_key, state) = (std::mem::take(&mut has_key_before), &mut *state);
            match event {
                Event::Key { key: Key::Escape, pressed: true, modifiers: Modifiers::NONE, .. }
                    if state.log_open && !is_covered =>
                {
                    // Taken before egui sees it, which would take the focus away.
                    (state.log_open, state.closes_log) = (false, true);
                    false
                }
                Event::Key { key, pressed: true, repeat, modifiers, .. } => {
                    let is_taken = state.wants(*modifiers, *key, is_typing);
                    if is_taken {
                        let (key, text) = (Some(*key), String::new());
                        state.typed.push(Typed { key, modifiers: *modifiers, repeat: *repeat, text });
                        has_key_before = true;
                    }
                    !is_taken
                }
                Event::Text(text) if !is_typing => {
                    match state.typed.last_mut() {
                        Some(typed) if is_after_key => typed.text.clone_from(text),
                        _ => {
                            let (modifiers, text) = (Modifiers::NONE, text.clone());
                            state.typed.push(Typed { key: None, modifiers, repeat: false, text });
                        }
                    }
                    false
                }
                _ => true,
            }
        });
    }
}

impl State {
    /// Records the first keys pressed; returns whether the event is consumed.
    fn record(&mut self, event: &Event) -> bool {
        match event {
            Event::Key { key, pressed: true, repeat: false, modifiers, .. } => {
                self.recorded.get_or_insert(pressed_shortcut(*modifiers, *key));
                true
            }
            Event::Key { .. } | Event::Text(_) => true,
            _ => false,
        }
    }

    /// Whether a key may have an effect. On the review screen that depends on earlier keys: after F, arrows move an ellipse.
    fn wants(&self, modifiers: Modifiers, key: Key, is_typing: bool) -> bool {
        let means = |scope| self.keymap.action(modifiers, key, scope).is_some();
        if is_typing {
            // Only keys that change the screen are read then.
            return (modifiers.command || modifiers.ctrl) && means(Scope::Everywhere);
        }
        match self.scope {
            Scope::Everywhere => means(Scope::Everywhere),
            Scope::Review | Scope::Adjust => {
                means(Scope::Review) || means(Scope::Adjust) || is_for_picker(modifiers, key)
            }
            Scope::Images => means(Scope::Images) || means(Scope::Review),
        }
    }
}

/// Keys of the class picker that produce no text, whatever their other meaning.
fn is_for_picker(modifiers: Modifiers, key: Key) -> bool {
    modifiers.is_none() && matches!(key, Key::Enter | Key::Escape | Key::Backspace)
}

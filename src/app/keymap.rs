//! Maps keys to actions: the defaults with the changes in `keys.toml`. Conflicts are refused.
//!
//! ```toml
//! confirm = "M"
//! undo = ["Backspace", "Ctrl+Z"]
//! ```

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use egui::{Key, KeyboardShortcut, Modifiers};

use super::action::{Action, Scope};
use crate::domain::{limits, read_text};

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeymapError {
    #[error("{file}: {message}")]
    Syntax { file: PathBuf, message: String },
    #[error("{file}: no action is called `{word}`. Did you mean `{nearest}`?")]
    UnknownAction { file: PathBuf, word: String, nearest: &'static str },
    #[error("{file}: `{action}` needs a key like \"Ctrl+Z\", \"Shift+A\" or \"Space\", but found `{found}`")]
    UnknownKey { file: PathBuf, action: &'static str, found: String },
    #[error("{file}: `{keys}` is assigned to both `{first}` and `{second}`. Assign another key to one of them")]
    Conflict { file: PathBuf, keys: String, first: &'static str, second: &'static str },
}

/// The keys of every action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    bindings: Vec<(Action, Vec<KeyboardShortcut>)>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { bindings: Action::ALL.iter().map(|action| (*action, action.default_shortcuts())).collect() }
    }
}

impl Keymap {
    /// Loads the defaults with the changes in `keys.toml`; only the defaults if `file` does not exist.
    pub fn load(file: &Path) -> Result<Self, KeymapError> {
        match read_text(file, limits::SETTINGS) {
            Ok(text) => Self::parse(&text, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(KeymapError::Syntax { file: file.to_owned(), message: error.to_string() }),
        }
    }

    pub fn parse(text: &str, file: &Path) -> Result<Self, KeymapError> {
        let syntax = |error: toml::de::Error| KeymapError::Syntax { file: file.to_owned(), message: error.to_string() };
        let table: toml::Table = text.parse().map_err(syntax)?;
        let mut keymap = Self::default();
        for (word, value) in &table {
            let action = action_called(word, file)?;
            keymap.set(action, shortcuts(action, value, file)?);
        }
        for newer in Action::NEWER.into_iter().filter(|newer| !table.contains_key(newer.word())) {
            keymap.drop_conflicts(newer);
        }
        match keymap.conflict() {
            None => Ok(keymap),
            Some((keys, first, second)) => Err(KeymapError::Conflict {
                file: file.to_owned(),
                keys: shortcut_text(&keys),
                first: first.word(),
                second: second.word(),
            }),
        }
    }

    /// Returns the keymap with other keys for an action; the error contains the conflicting keys and their action.
    pub fn with(&self, action: Action, keys: Vec<KeyboardShortcut>) -> Result<Self, (KeyboardShortcut, Action)> {
        let others = self.bindings.iter().filter(|(other, _)| *other != action && other.meets(action));
        for (other, taken) in others {
            if let Some(shared) = keys.iter().find(|keys| taken.contains(keys)) {
                return Err((*shared, *other));
            }
        }
        let mut changed = self.clone();
        changed.set(action, keys);
        Ok(changed)
    }

    /// Whether an action has its default keys.
    pub fn is_default(&self, action: Action) -> bool {
        self.shortcuts(action) == action.default_shortcuts()
    }

    /// Formats the differences from the defaults for `keys.toml`.
    pub fn changes_to_toml(&self) -> String {
        let mut text = "# Keys that differ from Quarry's defaults. Written by the Settings screen.\n".to_owned();
        for action in Action::ALL.iter().filter(|action| !self.is_default(**action)) {
            let keys: Vec<String> = self.shortcuts(*action).iter().map(|k| format!("{:?}", shortcut_text(k))).collect();
            text.extend([action.word(), " = [", &keys.join(", "), "]\n"]);
        }
        text
    }

    fn set(&mut self, action: Action, shortcuts: Vec<KeyboardShortcut>) {
        if let Some(binding) = self.bindings.iter_mut().find(|(a, _)| *a == action) {
            binding.1 = shortcuts;
        }
    }

    /// Removes an action's keys that conflict with others.
    fn drop_conflicts(&mut self, action: Action) {
        let others = self.bindings.iter().filter(|(other, _)| *other != action && other.scope().meets(action.scope()));
        let taken: Vec<KeyboardShortcut> = others.flat_map(|(_, shortcuts)| shortcuts.iter().copied()).collect();
        let left = self.shortcuts(action).iter().copied().filter(|keys| !taken.contains(keys)).collect();
        self.set(action, left);
    }

    pub fn shortcuts(&self, action: Action) -> &[KeyboardShortcut] {
        self.bindings.iter().find(|(a, _)| *a == action).map_or(&[], |(_, shortcuts)| shortcuts)
    }

    /// Formats the first key of an action, `""` if it has none.
    pub fn text(&self, action: Action) -> String {
        self.shortcuts(action).first().map(shortcut_text).unwrap_or_default()
    }

    /// Formats all keys of an action.
    pub fn full_text(&self, action: Action) -> String {
        self.shortcuts(action).iter().map(shortcut_text).collect::<Vec<_>>().join(" or ")
    }

    /// Returns the action for these keys while `scope` is active.
    pub fn action(&self, modifiers: Modifiers, key: Key, scope: Scope) -> Option<Action> {
        let pressed = pressed_shortcut(modifiers, key);
        let is_open = |action: Action| action.scope() == Scope::Everywhere || action.scope() == scope;
        let open = self.bindings.iter().filter(|(action, _)| is_open(*action));
        open.filter(|(_, shortcuts)| shortcuts.contains(&pressed)).map(|(action, _)| *action).next()
    }

    /// Returns the first two actions with conflicting keys.
    fn conflict(&self) -> Option<(KeyboardShortcut, Action, Action)> {
        for (index, (first, keys)) in self.bindings.iter().enumerate() {
            for (second, other_keys) in self.bindings.iter().skip(index + 1) {
                let shared = keys.iter().find(|k| other_keys.contains(k));
                if let Some(shared) = shared.filter(|_| first.scope().meets(second.scope())) {
                    return Some((*shared, *first, *second));
                }
            }
        }
        None
    }
}

/// Normalises keys: Ctrl is `COMMAND` (on a Mac the Command key), and Shift is dropped if it is part of the character.
pub(super) fn pressed_shortcut(modifiers: Modifiers, key: Key) -> KeyboardShortcut {
    let mut plain = Modifiers::NONE;
    plain.alt = modifiers.alt;
    plain.shift = modifiers.shift && !HAVE_SHIFT.contains(&key);
    plain.command = modifiers.command || modifiers.ctrl;
    KeyboardShortcut::new(plain, key)
}

/// Characters that need Shift on some keyboards only: `/` is Shift+7 on a German one.
const HAVE_SHIFT: [Key; 3] = [Key::Questionmark, Key::Slash, Key::Minus];

/// Formats keys for a button, e.g. `Ctrl+Shift+Z`.
pub fn shortcut_text(shortcut: &KeyboardShortcut) -> String {
    let modifiers = shortcut.modifiers;
    let parts = [(modifiers.command, "Ctrl"), (modifiers.alt, "Alt"), (modifiers.shift, "Shift")];
    let mut text = String::new();
    for (_, name) in parts.iter().filter(|(on, _)| *on) {
        text.push_str(name);
        text.push('+');
    }
    text.push_str(match shortcut.logical_key {
        Key::ArrowLeft => "Left",
        Key::ArrowRight => "Right",
        Key::ArrowUp => "Up",
        Key::ArrowDown => "Down",
        Key::Escape => "Esc",
        Key::Slash => "/",
        Key::Questionmark => "?",
        Key::Minus => "-",
        key => key.name(),
    });
    text
}

fn parse_shortcut(text: &str) -> Option<KeyboardShortcut> {
    let mut parts: Vec<&str> = text.split('+').map(str::trim).collect();
    let key_name = parts.pop()?;
    let key = match key_name {
        "Esc" => Key::Escape,
        name => Key::from_name(name)?,
    };
    let mut modifiers = Modifiers::NONE;
    for part in parts {
        match part.to_lowercase().as_str() {
            "ctrl" | "cmd" | "command" => modifiers.command = true,
            "shift" => modifiers.shift = true,
            "alt" => modifiers.alt = true,
            _ => return None,
        }
    }
    Some(pressed_shortcut(modifiers, key))
}

fn action_called(word: &str, file: &Path) -> Result<Action, KeymapError> {
    if let Some(action) = Action::ALL.iter().find(|action| action.word() == word) {
        return Ok(*action);
    }
    let similarity = |action: &&Action| strsim::jaro_winkler(word, action.word());
    let nearest = Action::ALL.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    let nearest = nearest.map_or("confirm", |action| action.word());
    Err(KeymapError::UnknownAction { file: file.to_owned(), word: word.to_owned(), nearest })
}

fn shortcuts(action: Action, value: &toml::Value, file: &Path) -> Result<Vec<KeyboardShortcut>, KeymapError> {
    let unknown = |found: &toml::Value| KeymapError::UnknownKey {
        file: file.to_owned(),
        action: action.word(),
        found: found.to_string(),
    };
    let one = |value: &toml::Value| value.as_str().and_then(parse_shortcut).ok_or_else(|| unknown(value));
    match value {
        toml::Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Keymap, String> {
        Keymap::parse(text, Path::new("keys.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn no_default_shortcut_is_used_twice() {
        assert_eq!(Keymap::default().conflict(), None);
        let keymap = Keymap::default();
        for action in Action::ALL {
            assert_eq!(keymap.with(*action, action.default_shortcuts()), Ok(keymap.clone()), "{action:?}");
        }
    }

    #[test]
    fn keys_of_the_images_screen_do_not_hide_verdicts_that_work_there() {
        let other = |action, key| {
            Keymap::default()
                .with(action, vec![KeyboardShortcut::new(Modifiers::NONE, key)])
                .map_err(|(_, other)| other)
        };
        assert_eq!(other(Action::DrawObject, Key::A), Err(Action::Confirm));
        assert_eq!(other(Action::IgnoreObject, Key::N), Err(Action::DrawObject));
        assert!(other(Action::DrawObject, Key::H).is_ok(), "the history has no meaning there");
        assert!(parse("draw_object = \"A\"").is_ok(), "a file from before this rule is read");
    }

    #[test]
    fn every_action_has_a_key_and_texts_and_words_are_unique() {
        for (index, action) in Action::ALL.iter().enumerate() {
            assert!(!action.default_shortcuts().is_empty(), "{action:?}");
            assert!(!action.text().is_empty() && !action.tooltip().is_empty());
            assert!(Action::ALL[index + 1..].iter().all(|other| other.word() != action.word()), "{action:?}");
        }
    }

    #[test]
    fn every_shortcut_can_be_written_and_read_back() {
        for action in Action::ALL {
            for shortcut in action.default_shortcuts() {
                assert_eq!(parse_shortcut(&shortcut_text(&shortcut)), Some(shortcut), "{action:?}");
            }
        }
    }

    #[test]
    fn keys_move_and_conflicts_are_refused() {
        let moved = parse("confirm = \"W\"\nundo = [\"J\", \"Ctrl+J\"]").unwrap();
        assert_eq!(moved.action(Modifiers::NONE, Key::W, Scope::Review), Some(Action::Confirm));
        assert_eq!(moved.action(Modifiers::NONE, Key::A, Scope::Review), None);
        assert_eq!(moved.action(Modifiers::CTRL, Key::J, Scope::Review), Some(Action::Undo));
        assert_eq!(
            parse("confirm = \"X\"").unwrap_err(),
            "keys.toml: `X` is assigned to both `confirm` and `reject`. Assign another key to one of them"
        );
        assert!(parse("confrim = \"Y\"").unwrap_err().contains("Did you mean `confirm`?"));
        assert!(parse("confirm = \"Hyper+Y\"").unwrap_err().contains("but found `\"Hyper+Y\"`"));
        assert!(parse("confirm = ").unwrap_err().starts_with("keys.toml: "));
    }

    #[test]
    fn changed_keys_are_written_and_read_back_and_a_conflict_names_the_other_action() {
        let key = |key| vec![KeyboardShortcut::new(Modifiers::NONE, key)];
        let changed = Keymap::default().with(Action::Confirm, key(Key::M)).unwrap();
        let changed = changed.with(Action::Undo, key(Key::Slash)).unwrap_err();
        assert_eq!(changed.1, Action::Filter);
        let mut changed = Keymap::default().with(Action::Confirm, key(Key::M)).unwrap();
        changed = changed.with(Action::ZoomIn, vec![]).unwrap();
        for action in Action::ALL {
            let keys = action.default_shortcuts();
            assert!(changed.with(*action, keys).is_ok(), "{action:?}");
        }
        assert_eq!(parse(&changed.changes_to_toml()).unwrap(), changed);
        assert!(!changed.is_default(Action::Confirm) && changed.is_default(Action::Reject));
        assert_eq!(parse(&Keymap::default().changes_to_toml()).unwrap(), Keymap::default());
    }

    #[test]
    fn a_newer_action_gives_way_to_keys_of_an_older_file() {
        let moved = parse("confirm = \"W\"").unwrap();
        assert_eq!(moved.action(Modifiers::NONE, Key::W, Scope::Review), Some(Action::Confirm));
        assert_eq!(moved.action(Modifiers::SHIFT, Key::W, Scope::Review), Some(Action::WrongClass));
        assert_eq!(moved.text(Action::WrongClass), "Shift+W");
        assert!(parse("confirm = \"W\"\nwrong_class = \"W\"").unwrap_err().contains("is assigned to both"));
    }

    #[test]
    fn the_same_key_means_another_thing_in_another_scope() {
        let keymap = Keymap::default();
        assert_eq!(keymap.action(Modifiers::NONE, Key::ArrowLeft, Scope::Review), Some(Action::Previous));
        assert_eq!(keymap.action(Modifiers::NONE, Key::ArrowLeft, Scope::Adjust), Some(Action::MoveLeft));
        assert_eq!(keymap.action(Modifiers::NONE, Key::ArrowLeft, Scope::Everywhere), None);
        assert_eq!(keymap.action(Modifiers::CTRL, Key::Z, Scope::Review), Some(Action::Undo));
        for (key, action) in [(Key::Questionmark, Action::ShowKeys), (Key::Slash, Action::Filter)] {
            for modifiers in [Modifiers::NONE, Modifiers::SHIFT] {
                assert_eq!(keymap.action(modifiers, key, Scope::Review), Some(action), "{modifiers:?}");
            }
        }
        let written = parse("filter = \"Shift+/\"").unwrap();
        assert_eq!(written.action(Modifiers::SHIFT, Key::Slash, Scope::Review), Some(Action::Filter));
        assert_eq!(keymap.action(Modifiers::NONE, Key::Enter, Scope::Review), Some(Action::GoOn));
        assert_eq!(keymap.action(Modifiers::NONE, Key::Enter, Scope::Adjust), Some(Action::Commit));
    }
}

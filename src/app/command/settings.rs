//! What the Settings screen asks for.

use crate::app::action::Action;
use crate::app::options::Theme;

#[derive(Debug, Clone, PartialEq)]
pub enum SettingsCommand {
    SetTheme(Theme),
    SetScale(f32),
    SetAutoAdvance(bool),
    SetDevice(String),
    SetThreads(usize),
    /// The next keys become this action's.
    Record(Action),
    StopRecording,
    /// Gives an action its first keys back.
    ResetKeys(Action),
    BackUpNow,
}

//! Commands of the Settings screen.

use crate::app::action::Action;
use crate::app::options::Theme;

#[derive(Debug, Clone, PartialEq)]
pub enum SettingsCommand {
    SetTheme(Theme),
    SetScale(f32),
    SetAutoAdvance(bool),
    SetDevice(String),
    SetThreads(usize),
    /// Records the next key press for this action.
    Record(Action),
    StopRecording,
    /// Resets an action's keys to the defaults.
    ResetKeys(Action),
    BackUpNow,
    ClearCache,
}

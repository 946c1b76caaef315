//! What the command palette asks for.

use crate::app::action::Action;

/// What a palette asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaletteCommand {
    Type(String),
    /// Marks another line.
    Mark(usize),
    Choose(Choice),
    Close,
}

/// A line of the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Do(Action),
    /// Goes to this place of the shown list, 1 first.
    GoTo(u64),
}

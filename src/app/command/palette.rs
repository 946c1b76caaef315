//! Commands of the command palette.

use crate::app::action::Action;

/// A command of the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaletteCommand {
    Type(String),
    /// Marks another entry.
    Mark(usize),
    Choose(Choice),
    Close,
}

/// An entry of the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Do(Action),
    /// Goes to this position in the shown list, from 1.
    GoTo(u64),
}

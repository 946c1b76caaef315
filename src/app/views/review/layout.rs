//! What the review shows: one candidate, the grid, the history or the annotators.

/// How the candidates are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    #[default]
    Queue,
    Grid,
    /// The log of decisions; nothing can be decided there.
    History,
    /// The annotators' statistics; nothing can be decided there.
    Annotators,
}

impl Layout {
    /// Whether candidates are shown and can be decided.
    pub fn shows_candidates(self) -> bool {
        matches!(self, Self::Queue | Self::Grid)
    }
}

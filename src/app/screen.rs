//! The screens of the window and the keys that show them.

use serde::{Deserialize, Serialize};

use super::action::Action;

/// The screens, in the order of the top bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Screen {
    #[default]
    Project,
    Review,
    Train,
    Curves,
    Images,
    /// Separate from the others in the top bar.
    Settings,
}

impl Screen {
    pub const ALL: [(Self, Action); 5] = [
        (Self::Project, Action::ShowProject),
        (Self::Review, Action::ShowReview),
        (Self::Train, Action::ShowTrain),
        (Self::Curves, Action::ShowCurves),
        (Self::Images, Action::ShowImages),
    ];
}

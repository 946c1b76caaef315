//! What is picked on an image.

/// What is picked on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    /// By side and place, highest score first.
    Detection(usize, usize),
    Object(usize, usize),
    /// An object as it was corrected or added on an image that is tested on: beside those that the curves count.
    Corrected(usize, usize),
}

impl Pick {
    pub fn side(self) -> usize {
        match self {
            Self::Detection(side, _) | Self::Object(side, _) | Self::Corrected(side, _) => side,
        }
    }
}

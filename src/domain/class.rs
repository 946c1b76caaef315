//! Object classes of a project.

use super::ClassId;

/// A class of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub id: ClassId,
    /// Unique in the project.
    pub name: String,
    /// sRGB, for boxes and lists.
    pub color: [u8; 3],
    /// Position in lists and in a round's label order, from 0.
    pub position: u32,
    /// Origin: a dataset format (`fddb`, `coco`, ...), `verdicts` or `user`.
    pub origin: String,
}

/// Colours for new classes by position, distinguishable with red-green colour blindness (Okabe and Ito 2008).
const PALETTE: [[u8; 3]; 8] = [
    [0, 158, 115],
    [230, 159, 0],
    [86, 180, 233],
    [204, 121, 167],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [160, 160, 160],
];

impl Class {
    /// Returns the colour of a new class at this position.
    pub fn default_color(position: u32) -> [u8; 3] {
        PALETTE[position as usize % PALETTE.len()]
    }
}

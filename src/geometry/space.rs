//! The coordinate spaces of boxes, as marker types.

/// Pixels of the decoded image with EXIF orientation applied; x to the right, y down, continuous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePx;

/// Pixels of the resized network input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPx;

/// Sides of an object: its box has the corners (0, 0) and (1, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectFrame;

/// Points in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenPx;

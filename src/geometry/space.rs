//! The coordinate spaces of boxes, as marker types.

/// Pixels of the decoded image with EXIF orientation applied; x to the right, y down, continuous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePx;

/// Pixels of the resized network input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPx;

/// Points in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenPx;

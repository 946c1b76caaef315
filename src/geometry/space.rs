//! The coordinate spaces that a box can live in, as marker types.

/// Pixels of the image as decoded, EXIF orientation applied; x to the right, y down, continuous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePx;

/// Pixels of the resized image that enters the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPx;

/// Points of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenPx;

//! Painted things that several screens use.

pub mod canvas;
pub mod key_button;
pub mod marks;
pub mod tiles;
pub mod viewport;

//! Widgets shared by several screens.

pub mod canvas;
pub mod growing;
pub mod key_button;
pub mod lists;
pub mod marks;
pub mod score;
pub mod ticks;
pub mod tiles;
pub mod together;
pub mod viewport;

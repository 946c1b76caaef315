//! One folder a screen: `model.rs` holds its state without egui, the rest shows it and pushes commands.

pub mod curves;
pub mod datasets;
pub mod images;
pub mod palette;
pub mod review;
pub mod settings;
pub mod start;
pub mod train;

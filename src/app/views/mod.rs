//! One folder per screen: `model.rs` contains its state without egui, the rest renders it and pushes commands.

pub mod curves;
pub mod datasets;
pub mod images;
pub mod palette;
pub mod review;
pub mod settings;
pub mod start;
pub mod train;

//! cli: being built.

/// `quarry evaluate`.
pub mod evaluate;

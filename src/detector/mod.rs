//! detector: being built.

#[cfg(feature = "torch")]
pub mod ops;
pub mod weights;

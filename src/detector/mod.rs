//! detector: being built.

#[cfg(feature = "torch")]
pub mod ops;

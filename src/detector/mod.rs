//! detector: being built.

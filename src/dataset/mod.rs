//! dataset: being built.

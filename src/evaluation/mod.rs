//! evaluation: being built.

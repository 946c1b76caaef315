//! training: being built.

//! workflow: being built.

//! workflow: being built.

pub mod verdicts;

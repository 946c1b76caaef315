//! workflow: being built.

/// Detection files on FDDB: curves, figures, a summary.
pub mod evaluate;

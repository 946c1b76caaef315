//! jobs: being built.

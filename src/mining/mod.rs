//! mining: being built.

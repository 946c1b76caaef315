//! The store: what is imported, decided, undone and queried, and what survives.

// A failure here is a failure of the test.
#![allow(clippy::unwrap_used)]

mod classes;
mod corrections;
mod datasets;
mod deletion;
mod durability;
mod exchange;
mod export;
mod image_marks;
mod project;
mod queue;
mod read_only;
mod reimport;
mod rounds;
mod rounds_over;
mod trouble;
mod verdict_table;
mod verdicts;

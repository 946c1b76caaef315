//! The store from outside: what is imported, decided, taken back and asked for, and what survives.

mod datasets;
mod durability;
mod project;
mod queue;
mod rounds;
mod trouble;
mod verdicts;

//! The annotation formats from outside: good datasets, their variants, bad records, and what is written reads back the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod malformed;
mod readers;
mod round_trips;
mod support;

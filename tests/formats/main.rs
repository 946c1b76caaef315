//! The annotation formats: valid datasets, their variants, bad records, and round trips.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../support/exif.rs"]
mod exif;
mod malformed;
mod readers;
mod round_trips;
mod support;

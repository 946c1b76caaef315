//! Mining from outside: what is a candidate, and how a mining of many images outlasts being cut off.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod kinds;
#[cfg(feature = "torch")]
mod resume;
#[cfg(feature = "torch")]
mod shards;
#[cfg(feature = "torch")]
#[path = "../support/tiny_project.rs"]
mod tiny_project;

//! Mining: which detections are candidates, and how mining many images survives interruptions.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod kinds;
#[cfg(feature = "torch")]
mod resume;
#[cfg(feature = "torch")]
mod shards;
#[cfg(feature = "torch")]
#[path = "../support/tiny_project.rs"]
mod tiny_project;

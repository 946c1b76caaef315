//! Stress tests: Quarry is killed at random moments, on full disks, with clocks set back, for hours on end. `cargo test` runs a short form;
//! `make torture` the long one (QUARRY_TORTURE_KILLS, QUARRY_TORTURE_VERDICTS). The seed is printed; QUARRY_TORTURE_SEED repeats it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(all(unix, feature = "torch", feature = "gui"))]

mod faults;
mod kills;
mod long_life;
mod reviewing;
mod scenario;
mod state;

#[path = "../support/app_project.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod app_project;
#[path = "../support/tiny_project.rs"]
mod tiny_project;
#[path = "../support/window.rs"]
mod window;

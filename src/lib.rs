//! Quarry: hard negative mining for object detectors, from images to evaluation curves. ARCHITECTURE.md describes the layers;
//! `tests/layering.rs` checks them.

// Everything printed goes through `cli/console.rs`, and every file from outside is opened by `domain/input.rs`.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods))]
// Errors instead of panics. Each exception says why it cannot happen; parsers of outside data do not index either.
#![deny(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo, clippy::unimplemented)]

// The window.
#[cfg(feature = "gui")]
pub mod app;
// One file per subcommand.
pub mod cli;
// FDDB, plain folders and the built-in sample -> domain; image decoding.
pub mod dataset;
// Faster R-CNN on libtorch.
pub mod detector;
// The shared types: images, annotations, detections, candidates, verdicts, rounds.
pub mod domain;
// Matching, discrete and continuous ROC, FDDB text formats, published curves.
pub mod evaluation;
// Boxes, ellipses, overlap, coordinate spaces.
pub mod geometry;
// Background work of the app: named threads, queues, wakers.
#[cfg(feature = "gui")]
pub mod jobs;
// Detections and ground truth -> ranked candidates.
pub mod mining;
// Third-party detectors: ONNX and TorchScript files.
pub mod models;
// The SQLite database of a project.
pub mod store;
// One training round.
pub mod training;
// The use cases: import, detect, mine, train, evaluate. CLI and app both call these.
pub mod workflow;

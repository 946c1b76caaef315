//! What a user without a checkout gets: the package, `quarry setup`, completions, manual pages, and the guide's commands.

#![cfg(all(unix, feature = "torch"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod experiment;
mod guide;
mod package;
mod setup;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the output of a command that must succeed.
fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn built() -> PathBuf {
    assert_cmd::cargo::cargo_bin("quarry")
}

//! The thin binary: parses arguments, returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    quarry::cli::main()
}

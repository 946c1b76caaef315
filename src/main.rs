//! The thin binary: arguments in, exit code out. Knows nothing but the CLI.

use std::process::ExitCode;

fn main() -> ExitCode {
    quarry::cli::main()
}

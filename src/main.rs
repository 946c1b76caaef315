//! The thin binary: arguments in, exit code out. Knows nothing but the CLI.

fn main() {}

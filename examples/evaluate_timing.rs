//! The `evaluate` subcommand alone, for timing whole processes without the rest of the binary.

use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    evaluate: quarry::cli::evaluate::EvaluateArgs,
}

fn main() -> anyhow::Result<()> {
    quarry::cli::evaluate::run(&Cli::parse().evaluate, std::env::var_os("QUARRY_JSON").is_some())
}

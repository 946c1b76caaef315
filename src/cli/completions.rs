//! `quarry completions SHELL`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Cli, console};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quarry completions bash > ~/.local/share/bash-completion/completions/quarry\n  quarry completions fish > ~/.config/fish/completions/quarry.fish"
)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "quarry", &mut script);
    console::print_as_it_is(&String::from_utf8_lossy(&script))
}

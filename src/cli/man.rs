//! `quarry man DIR`: writes a manual page for `quarry` and for each of its subcommands.

use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Context, Replace};
use crate::domain::printable_path;
use crate::workflow::outputs::{OutputPolicy, write_folder};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry man man1 && man ./man1/quarry-train.1")]
pub struct ManArgs {
    /// The folder to write to; created if missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    replace: Replace,
}

pub fn run(args: &ManArgs, context: &Context) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages)?;
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    let out = args.replace.output(&args.folder);
    OutputPolicy::new().project_around(&args.folder).check_folder(&out, names.iter().copied())?;
    write_folder(&out, &pages)?;
    let value = serde_json::json!({ "folder": args.folder.to_string_lossy(), "pages": names });
    context.print_done(&value, || format!("Wrote {} pages into {}", names.len(), printable_path(&args.folder)))
}

/// Renders the page of `command`, whose name includes its parents', and those of its subcommands.
fn render(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    pages.push((format!("{name}.1"), text));
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    shown.into_iter().try_for_each(|sub| render(sub, pages))
}

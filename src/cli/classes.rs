//! `quarry classes list|rename|merge --project DIR`.

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use crate::domain::{ClassId, counted};
use crate::store::Store;
use crate::workflow::Project;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry classes list --project pets
  quarry classes rename cat kitten --project pets
  quarry classes merge kitten cat --project pets")]
pub struct ClassesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the project's classes with their counts
    #[command(after_help = "Example:\n  quarry classes list --project pets --json")]
    List,
    /// Rename a class; datasets and verdict files with the old name still match it
    #[command(after_help = "Example:\n  quarry classes rename cat kitten --project pets")]
    Rename { name: String, new: String },
    /// Merge one class into another: ground truth, candidates, detections, verdicts
    #[command(after_help = "Example:\n  quarry classes merge kitten cat --project pets")]
    Merge { from: String, into: String },
}

/// One entry of the list.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    /// `#rrggbb`.
    color: String,
    /// Origin: a dataset's format, `verdicts`, `detector` or `user`.
    origin: String,
    objects: u64,
    candidates: u64,
    verdicts: u64,
}

pub fn run(args: &ClassesArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    // A list works on a read-only disk too.
    let is_list = matches!(args.action, Action::List);
    let mut store = if is_list { project.open_store_to_read()? } else { project.open_store()? };
    match &args.action {
        Action::List => {}
        Action::Rename { name, new } => {
            let class = named(&store, name)?;
            store.rename_class(class, new)?;
        }
        Action::Merge { from, into } => {
            let (from, into) = (named(&store, from)?, named(&store, into)?);
            store.merge_classes(from, into)?;
        }
    }
    let classes = listed(&store)?;
    context.print(&classes, || text(&classes))
}

fn named(store: &Store, name: &str) -> anyhow::Result<ClassId> {
    if let Some(class) = store.class_by_name(name)? {
        return Ok(class);
    }
    let known: Vec<String> = store.classes()?.iter().map(|class| format!("`{}`", class.name)).collect();
    anyhow::bail!("there is no class `{}` in this project; it has {}", name, known.join(", "))
}

fn listed(store: &Store) -> anyhow::Result<Vec<Listed>> {
    let mut all = Vec::new();
    for class in store.classes()? {
        let counts = store.class_counts(class.id)?;
        let [r, g, b] = class.color;
        all.push(Listed {
            name: class.name,
            color: format!("#{r:02x}{g:02x}{b:02x}"),
            origin: class.origin,
            objects: counts.objects,
            candidates: counts.candidates,
            verdicts: counts.verdicts,
        });
    }
    Ok(all)
}

fn text(classes: &[Listed]) -> String {
    if classes.is_empty() {
        return "No classes yet".to_owned();
    }
    let line = |c: &Listed| {
        let name = &c.name;
        format!(
            "{name}: {}, {}, {} (from {})",
            counted(c.objects, "object"),
            counted(c.candidates, "candidate"),
            counted(c.verdicts, "verdict"),
            c.origin
        )
    };
    classes.iter().map(line).collect::<Vec<_>>().join("\n")
}

//! `quarry dataset stats|check|move|split|merge|complete --project DIR`.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::domain::{WorkLock, counted, limits, printable, printable_line, read_text};
use crate::store::Store;
use crate::workflow::Project;
use crate::workflow::datasets::dataset_named;
use crate::workflow::datasets::integrity::{IntegrityReport, check, move_to};
use crate::workflow::datasets::merge::merge;
use crate::workflow::datasets::splits::{SplitPlan, divide, parse_shares};
use crate::workflow::datasets::statistics::{DatasetStatistics, Spread, statistics};
use crate::workflow::export::ExportScope;
use crate::workflow::image_marks::{MarkedImage, mark, marked};
use crate::workflow::import::{ImportReport, last_report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry dataset stats --project faces
  quarry dataset check --project faces
  quarry dataset move faces /mnt/disk2/faces --project faces
  quarry dataset split train=0.8,val=0.1,test=0.1 --seed 7 --dry-run --project objects
  quarry dataset merge street street-2 --project objects
  quarry dataset complete --split train --annotator Ada --project faces")]
pub struct DatasetArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Count images and objects by class and split; sizes, aspect ratios, unreadable files
    #[command(after_help = "Example:\n  quarry dataset stats --project faces --json")]
    Stats {
        /// Only this dataset
        name: Option<String>,
    },
    /// Show what the last import of a dataset found, skipped and changed
    #[command(after_help = "Example:\n  quarry dataset report faces --project faces")]
    Report { name: String },
    /// Check every image against its content hash at import; changes nothing. Exit code 1 if one is missing, changed or unreadable
    #[command(after_help = "Example:\n  quarry dataset check faces --decode --project faces")]
    Check {
        /// Only this dataset
        name: Option<String>,
        /// Decode the pixels too, which finds files that were damaged before the import
        #[arg(long)]
        decode: bool,
    },
    /// Set a dataset's new folder, which must contain the same files
    #[command(after_help = "Example:\n  quarry dataset move faces /mnt/disk2/faces --project faces")]
    Move {
        name: String,
        folder: PathBuf,
        /// Even if images are missing or different there
        #[arg(long)]
        anyway: bool,
    },
    /// Divide images into named splits by share, stratified by class; near-duplicates stay together
    #[command(after_help = "Examples:
  quarry dataset split train=0.8,val=0.1,test=0.1 --dry-run --project objects
  quarry dataset split 1=1,2=1,3=1,4=1,5=1 --dataset street --seed 3 --project objects
  quarry dataset split --take-back --project objects

The same seed gives the same splits again. Imports leave them alone from then on, and give new images none; --take-back lets the next import
bring the dataset's own splits back.")]
    Split {
        /// Names and shares: fractions (train=0.8,val=0.1,test=0.1) or percentages (train=80%,val=10%,test=10%) that add up, or whole parts (1=1,2=1)
        #[arg(value_parser = parse_shares, required_unless_present = "take_back")]
        shares: Option<Shares>,
        /// Only this dataset [default: all of the project's together]
        #[arg(long, value_name = "NAME")]
        dataset: Option<String>,
        /// Another seed divides differently
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Maximum distance of two images' perceptual hashes to stay together, in bits of 64
        #[arg(long, value_name = "BITS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=16))]
        distance: u32,
        /// Keep only images with equal bytes together, without reading pixels
        #[arg(long, conflicts_with = "distance")]
        by_bytes: bool,
        /// Change nothing; print what would be done
        #[arg(long)]
        dry_run: bool,
        /// Divide nothing; the next import brings the dataset's own splits back
        #[arg(long, conflicts_with_all = ["shares", "dry_run"])]
        take_back: bool,
    },
    /// Merge two datasets; images, objects and verdicts are kept, no files are moved
    #[command(
        after_help = "Example:\n  quarry dataset merge street street-2 --name streets --dry-run --project objects"
    )]
    Merge {
        into: String,
        from: String,
        /// Name of the result [default: the first dataset's]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Change nothing; print what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Mark images as complete: all of their objects are annotated or decided on
    #[command(after_help = "Examples:
  quarry dataset complete big/img_591 big/img_592 --project faces --annotator Ada
  quarry dataset complete --images looked-at.txt --project faces --annotator Ada
  quarry dataset complete --dataset scenes --project faces --annotator Ada
  quarry dataset complete --list --project faces

Exports for training take an image without objects as background only where somebody has confirmed this. In the window: K. A mark is for the image's
current bytes; a replaced file must be reviewed again.")]
    Complete {
        /// Image names as in the dataset's lists [default: all of the dataset and split]
        names: Vec<String>,
        /// A text file with one name per line
        #[arg(long, value_name = "FILE")]
        images: Option<PathBuf>,
        #[command(flatten)]
        scope: Scope,
        /// The annotator who checked them
        #[arg(long, value_name = "NAME", required_unless_present = "list")]
        annotator: Option<String>,
        /// Remove this annotator's marks
        #[arg(long)]
        take_back: bool,
        /// Mark nothing; list the marked images with their annotators
        #[arg(long, conflicts_with_all = ["names", "images", "annotator", "take_back"])]
        list: bool,
    },
}

/// Opens the project's database, with its lock; a dry run only reads, so that a read-only disk suffices.
fn opened(project: &Project, what: &str, dry_run: bool) -> anyhow::Result<(Option<WorkLock>, Store)> {
    if dry_run {
        return Ok((None, project.open_store_to_read()?));
    }
    let lock = project.lock(what)?;
    Ok((Some(lock), project.open_store()?))
}

/// The result of `parse_shares`; clap would take a plain list for several arguments.
type Shares = Vec<(String, f64)>;

#[derive(Debug, Clone, clap::Args)]
struct Scope {
    /// Only this dataset
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Only this split
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
}

impl Scope {
    fn get(&self) -> ExportScope {
        ExportScope { dataset: self.dataset.clone(), split: self.split.clone() }
    }
}

pub fn run(args: &DatasetArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    match &args.action {
        Action::Stats { name } => {
            let all = statistics(&project.open_store_to_read()?, name.as_deref())?;
            context.print(&all, || all.iter().map(stats_text).collect::<Vec<_>>().join("\n\n"))
        }
        Action::Report { name } => {
            let store = project.open_store_to_read()?;
            let report = last_report(&store, dataset_named(&store, name)?.id)?.map(|(_, report)| report);
            context.print(&report, || match &report {
                Some(report) => format!("Imported {report}{}", left_out_text(report)),
                None => "There is no report: the dataset was imported by an older version".to_owned(),
            })
        }
        Action::Check { name, decode } => check_all(&project, name.as_deref(), *decode, context),
        Action::Move { name, folder, anyway } => {
            let mut store = project.open_store()?;
            let dataset = dataset_named(&store, name)?;
            let mut console = Console::new();
            let cancel = cancel_on_ctrl_c();
            let report = move_to(&mut store, &dataset, folder, *anyway, &mut |e| console.show(e), &cancel)?;
            drop(console);
            context.print_done(&report, || {
                format!("`{}` is now at {}: {}", printable(name), report.root.display(), check_text(&report))
            })
        }
        Action::Split { take_back: true, dataset, .. } => {
            let mut store = project.open_store()?;
            let datasets = match dataset {
                Some(name) => vec![dataset_named(&store, name)?],
                None => store.datasets()?,
            };
            datasets.iter().try_for_each(|dataset| store.set_splits(dataset.id, &[], None))?;
            let value = serde_json::json!({ "datasets": datasets.len() });
            context.print_done(&value, || "The next import restores the datasets' own splits".to_owned())
        }
        Action::Split { shares, dataset, seed, distance, by_bytes, dry_run, .. } => {
            let shares = shares.clone().unwrap_or_default();
            let plan = SplitPlan { shares, seed: *seed, distance: (!by_bytes).then_some(*distance) };
            let (_lock, mut store) = opened(&project, "split", *dry_run)?;
            let mut console = Console::new();
            let cancel = cancel_on_ctrl_c();
            let report = divide(&mut store, dataset.as_deref(), &plan, *dry_run, &mut |e| console.show(e), &cancel)?;
            drop(console);
            let verb = if *dry_run { "Would divide" } else { "Divided" };
            context.print_done(&report, || format!("{verb} {report}"))
        }
        Action::Merge { into, from, name, dry_run } => {
            let (_lock, mut store) = opened(&project, "merge", *dry_run)?;
            if !dry_run {
                store.back_up()?;
            }
            let report = merge(&mut store, into, from, name.as_deref(), *dry_run)?;
            let verb = if *dry_run { "Would make" } else { "Made" };
            context.print_done(&report, || format!("{verb} {report}"))
        }
        Action::Complete { scope, list: true, .. } => {
            let images = marked(&project.open_store_to_read()?, &scope.get())?;
            context.print(&images, || list_text(&images))
        }
        Action::Complete { names, images, scope, annotator, take_back, .. } => {
            let mut names = names.clone();
            if let Some(file) = images {
                let text = read_text(file, limits::TEXT)?;
                names.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
                anyhow::ensure!(!names.is_empty(), "{} names no image", file.display());
            }
            let annotator = annotator.as_deref().unwrap_or_default();
            let report = mark(&mut project.open_store()?, &scope.get(), &names, annotator, !take_back)?;
            let what = if *take_back { "no longer marked as complete" } else { "marked as complete" };
            context.print_done(&report, || {
                let images = counted(report.images, "image");
                let are = if report.changed == 1 { "is" } else { "are" };
                format!("{} of {images} {are} now {what} by {}", report.changed, printable(annotator))
            })
        }
    }
}

fn check_all(project: &Project, name: Option<&str>, decode: bool, context: &Context) -> anyhow::Result<()> {
    let store = project.open_store_to_read()?;
    let datasets = match name {
        Some(name) => vec![dataset_named(&store, name)?],
        None => store.datasets()?,
    };
    let mut reports = Vec::new();
    let cancel = cancel_on_ctrl_c();
    for dataset in &datasets {
        let mut console = Console::new();
        reports.push(check(&store, dataset, decode, &mut |e| console.show(e), &cancel)?);
    }
    context.print(&reports, || {
        let line = |report: &IntegrityReport| format!("{}: {}", printable(&report.dataset), check_text(report));
        reports.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    let (away, unsound): (Vec<&IntegrityReport>, Vec<&IntegrityReport>) =
        reports.iter().filter(|report| !report.is_sound()).partition(|report| report.away.is_some());
    let changed = unsound.iter().map(|report| format!("{}: {}", printable(&report.dataset), report.others()));
    let away = away.iter().map(|report| format!("{} is away", printable(&report.dataset)));
    let found: Vec<String> = away.chain(changed).collect();
    anyhow::ensure!(found.is_empty(), "not as imported: {}", found.join("; "));
    Ok(())
}

/// Lists every skipped record and image on a line of its own: a summary names three of each.
fn left_out_text(report: &ImportReport) -> String {
    let summary = &report.summary;
    let mut text = String::new();
    for name in &summary.missing {
        let _ = write!(text, "\nmissing: {}", printable(name));
    }
    for (name, why) in &summary.unreadable {
        let _ = write!(text, "\nunreadable: {}: {}", printable(name), printable_line(why));
    }
    for record in &summary.bad_records {
        let _ = write!(text, "\nbad record: {record}");
    }
    for (name, why) in &summary.shapes {
        let _ = write!(text, "\nobject left out: {}: {}", printable(name), printable_line(why));
    }
    text
}

/// Maximum number of names on a line before `…`.
const SHOWN: usize = 5;

fn check_text(report: &IntegrityReport) -> String {
    if let Some(away) = &report.away {
        return printable_line(away).into_owned();
    }
    let mut text = format!(
        "{} of {} {} unchanged since the import",
        report.same,
        counted(report.images, "image"),
        if report.same == 1 { "is" } else { "are" }
    );
    let unreadable: Vec<String> =
        report.unreadable.iter().map(|(name, why)| format!("{} ({})", printable(name), printable_line(why))).collect();
    let missing: Vec<String> = report.missing.iter().map(|name| printable(name).into_owned()).collect();
    let changed: Vec<String> = report.changed.iter().map(|name| printable(name).into_owned()).collect();
    for (what, names) in [("missing", missing), ("changed", changed), ("unreadable", unreadable)] {
        if !names.is_empty() {
            let more = if names.len() > SHOWN { ", …" } else { "" };
            let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
            let _ = write!(text, "\n{} {what}: {}{more}", names.len(), shown.join(", "));
        }
    }
    text
}

fn stats_text(found: &DatasetStatistics) -> String {
    let DatasetStatistics { images, removed, objects, ignored, promoted, edited, .. } = found;
    let mut text = format!("{} ({}, {})", printable(&found.name), found.kind, printable(&found.root));
    if let Some(away) = &found.away {
        let _ = write!(text, "\nAway: {}", printable_line(away));
    }
    let _ = write!(text, "\n{}", counted(*images, "image"));
    for (count, what) in [
        (found.background_images, "without objects"),
        (found.complete_images, "marked as complete"),
        (found.copies, "with the same bytes as an earlier one"),
        (*removed, "more removed from the dataset"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    let _ = write!(text, "\n{}", counted(*objects, "object"));
    for (count, what) in [(*ignored, "ignored"), (*promoted, "promoted"), (*edited, "edited")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    let [small, medium, large] = found.by_area;
    let _ = write!(text, "; {small} small (under 32 px), {medium} medium, {large} large (96 px and more)");
    for (class, count) in &found.classes {
        let _ = write!(text, "\n  {}: {count}", printable(class));
    }
    for split in &found.splits {
        let name = split.split.as_deref().map_or("no split".into(), |name| format!("split {}", printable(name)));
        let _ = write!(text, "\n{name}: {}, {}", counted(split.images, "image"), counted(split.objects, "object"));
        if found.classes.len() > 1 {
            let classes: Vec<String> =
                split.classes.iter().map(|(class, count)| format!("{} {count}", printable(class))).collect();
            let _ = write!(text, " ({})", classes.join(", "));
        }
    }
    for (what, spread) in [
        ("Image width", &found.image_width),
        ("Image height", &found.image_height),
        ("Object size (root of the area)", &found.object_size),
        ("Object width / height", &found.object_aspect),
        ("Objects an image", &found.objects_per_image),
    ] {
        if let Some(Spread { min, first_quartile, median, third_quartile, max }) = spread {
            let digits = if what.contains('/') { 2 } else { 0 };
            let _ = write!(
                text,
                "\n{what}: {min:.digits$} to {max:.digits$}, median {median:.digits$}, half between {first_quartile:.digits$} and \
                 {third_quartile:.digits$}"
            );
        }
    }
    if found.missing + found.unreadable + found.bad_records > 0 {
        let _ = write!(
            text,
            "\nLeft out by the last import: {}, {} unreadable, {}",
            counted(found.missing, "missing image"),
            found.unreadable,
            counted(found.bad_records, "bad record")
        );
    }
    text
}

fn list_text(images: &[MarkedImage]) -> String {
    if images.is_empty() {
        return "No images are marked as complete".to_owned();
    }
    let line = |image: &MarkedImage| {
        let by: Vec<String> = image.by.iter().map(|name| printable(name).to_string()).collect();
        format!("{}: {} ({})", printable(&image.dataset), printable(&image.name), by.join(", "))
    };
    images.iter().map(line).collect::<Vec<_>>().join("\n")
}

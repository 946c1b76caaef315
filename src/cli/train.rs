//! `quarry train --project DIR`.

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use super::round_options::{RoundOptions, Splits, splits};
use crate::domain::{counted, printable_path};
use crate::training::{LARGEST_WHOLE, RoundConfig};
use crate::workflow::train::{TrainReport, extend, finished_settings, resume, train, unfinished_settings};
use crate::workflow::{Project, status::rates};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quarry train --project faces --preset cpu --test-splits 8\n  quarry train --project pets --test-splits val\n  quarry train --project faces --config round.toml --hard-negatives confirmed\n  quarry train --project faces --sampler ohem --hard-negatives none\n  quarry train --project both --test-dataset FDDB\n  quarry train --project faces --resume\n  quarry train --project faces --resume --set base_lr=0.005\n  quarry train --project faces --extend 2000"
)]
pub struct TrainArgs {
    #[command(flatten)]
    round: RoundOptions,
    /// Held-out splits for evaluation, e.g. val, or of FDDB's folds 8 or 9,10 or 1-3
    #[arg(long, value_name = "SPLITS", alias = "test-folds", value_parser = splits)]
    test_splits: Option<Splits>,
    /// Splits to train on [default: all but the test splits and those that a dataset sets aside (val, test)]
    #[arg(long, value_name = "SPLITS", alias = "train-folds", value_parser = splits)]
    train_splits: Option<Splits>,
    /// Hold out this dataset instead (train on one dataset, test on another); `quarry status` lists the names
    #[arg(long, value_name = "NAME", conflicts_with = "test_splits")]
    test_dataset: Option<String>,
    /// Resume the newest unfinished round with its settings; the device and learning rates may be changed
    #[arg(long)]
    resume: bool,
    /// Extend the newest finished round by this many steps, with the learning rate of a round of the new length and no second warm-up; mine
    /// it again afterwards
    #[arg(long, value_name = "STEPS", conflicts_with_all = ["resume", "iterations"], value_parser = clap::value_parser!(u64).range(1..=LARGEST_WHOLE))]
    extend: Option<u64>,
}

pub fn run(args: &TrainArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let config = match args.extend {
        Some(_) => args.round.changed(&finished_settings(&project)?)?,
        None if args.resume => args.round.changed(&unfinished_settings(&project)?)?,
        None => args.round.settings()?,
    };
    let config = with_test_options(config, args);
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = if let Some(steps) = args.extend {
        extend(&project, steps, Some(&config), &mut |e| console.show(e), &cancel)?
    } else if args.resume {
        resume(&project, Some(&config), &mut |e| console.show(e), &cancel)?
    } else {
        train(&project, &config, &mut |e| console.show(e), &cancel)?
    };
    drop(console);
    context.print_done(&report, || text(&report))?;
    if report.stopped {
        anyhow::bail!("round {} is not finished; `quarry train --resume` continues it", report.round);
    }
    Ok(())
}

fn with_test_options(mut config: RoundConfig, args: &TrainArgs) -> RoundConfig {
    if let Some(splits) = &args.train_splits {
        config.train_splits.clone_from(&splits.0);
    }
    if let Some(splits) = &args.test_splits {
        config.test_splits.clone_from(&splits.0);
        config.test_dataset.clear();
    }
    if let Some(dataset) = &args.test_dataset {
        config.test_dataset.clone_from(dataset);
        config.test_splits.clear();
    }
    config
}

fn text(report: &TrainReport) -> String {
    let ended = if report.stopped { "stopped; continue with `quarry train --resume`" } else { "done" };
    let mut lines = vec![format!(
        "Round {} {ended}: {} in {:.1} minutes ({:.2} s a step) on {}, {}; checkpoint {}",
        report.round,
        counted(report.steps, "step"),
        report.seconds / 60.0,
        report.step_seconds,
        counted(report.training_images, "image"),
        counted(report.hard_negatives, "hard negative"),
        report.checkpoint.as_ref().map_or_else(|| "none".to_owned(), |p| p.display().to_string())
    )];
    let n = &report.sampler;
    lines.push(format!(
        "Sampled RoIs: {} foreground, {} background ({} forced), {} ignored",
        n.foreground,
        n.background,
        counted(n.forced, "hard negative"),
        n.ignored
    ));
    for (what, unreadable) in [("Training", &report.unreadable), ("Held-out", &report.unreadable_test)] {
        if !unreadable.is_empty() {
            lines.push(format!("{what} images that could not be read: {}", unreadable.len()));
            lines.extend(unreadable.iter().map(|path| format!("  {}", printable_path(path))));
        }
    }
    for (label, curve) in &report.curves {
        lines.push(format!("Held-out images ({}), {label}:", report.test_images));
        lines.push("  false positives   discrete TPR   continuous TPR".to_owned());
        lines.extend(rates(curve).iter().map(|(fp, d, c)| format!("  {fp:15}   {d:12.4}   {c:14.4}")));
    }
    lines.join("\n")
}

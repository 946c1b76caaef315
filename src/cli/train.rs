//! `quarry train --project DIR`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::domain::{HardNegativeSource, RoundInit};
use crate::training::RoundConfig;
use crate::workflow::train::{TrainReport, train};
use crate::workflow::{Project, status::rates};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quarry train --project faces --preset cpu --test-folds 8\n  quarry train --project faces --config round.toml --hard-negatives confirmed\n  quarry train --project faces --resume"
)]
pub struct TrainArgs {
    /// Settings to start from
    #[arg(long, value_name = "NAME", default_value = "cpu", conflicts_with = "config")]
    preset: String,
    /// A round.toml with settings
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Folds that are held out to draw the ROC curves, e.g. 8 or 9,10
    #[arg(long, value_name = "FOLDS", value_delimiter = ',')]
    test_folds: Option<Vec<u8>>,
    /// Which false positives of earlier rounds to train with
    #[arg(long, value_parser = ["confirmed", "unreviewed", "none"])]
    hard_negatives: Option<String>,
    /// Where the weights start
    #[arg(long, value_parser = ["backbone", "previous"])]
    init: Option<String>,
    /// Steps; the whole schedule stretches or shrinks with them
    #[arg(long, value_name = "N")]
    iterations: Option<u64>,
    /// auto, cpu or cuda:0
    #[arg(long)]
    device: Option<String>,
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Go on with the newest round that did not end, with its own settings
    #[arg(long)]
    resume: bool,
}

pub fn run(args: &TrainArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let config = config(args)?;
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = train(&project, &config, args.resume, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print(&report, || text(&report))
}

fn config(args: &TrainArgs) -> anyhow::Result<RoundConfig> {
    let mut config = match &args.config {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            RoundConfig::from_toml(&text, &file.display().to_string())?
        }
        None => RoundConfig::preset(&args.preset)?,
    };
    if let Some(folds) = &args.test_folds {
        config.test_folds.clone_from(folds);
    }
    match args.hard_negatives.as_deref() {
        Some("none") => config.hard_negatives = HardNegativeSource::None,
        Some("unreviewed") => config.hard_negatives = HardNegativeSource::Unreviewed,
        Some(_) => config.hard_negatives = HardNegativeSource::Confirmed,
        None => {}
    }
    match args.init.as_deref() {
        Some("previous") => config.init = RoundInit::Previous,
        Some(_) => config.init = RoundInit::Backbone,
        None => {}
    }
    if let Some(iterations) = args.iterations {
        config.iterations = iterations;
    }
    if let Some(device) = &args.device {
        config.device.clone_from(device);
    }
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    Ok(config)
}

fn text(report: &TrainReport) -> String {
    let ended = if report.stopped { "stopped; go on with `quarry train --resume`" } else { "done" };
    let mut lines = vec![format!(
        "Round {} {ended}: {} steps in {:.1} minutes ({:.2} s a step) on {} images, {} hard negatives; checkpoint {}",
        report.round,
        report.steps,
        report.seconds / 60.0,
        report.step_seconds,
        report.training_images,
        report.hard_negatives,
        report.checkpoint.as_ref().map_or_else(|| "none".to_owned(), |p| p.display().to_string())
    )];
    let n = &report.sampler;
    lines.push(format!(
        "Sampled RoIs: {} foreground, {} background, {} of them forced hard negatives; {} ignored",
        n.foreground, n.background, n.forced, n.ignored
    ));
    for (label, curve) in &report.curves {
        lines.push(format!("Held-out images ({}), {label}:", report.test_images));
        lines.push("  false positives   discrete TPR   continuous TPR".to_owned());
        lines.extend(rates(curve).iter().map(|(fp, d, c)| format!("  {fp:15}   {d:12.4}   {c:14.4}")));
    }
    lines.join("\n")
}

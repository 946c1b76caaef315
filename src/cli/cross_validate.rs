//! `quarry cross-validate --project DIR --rounds 2`.

use std::path::PathBuf;

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use super::round_options::{Folds, RoundOptions, folds};
use crate::domain::{HardNegativeSource, counted, counted_as};
use crate::workflow::Project;
use crate::workflow::cross_validate::{CrossValidation, CrossValidationReport, DEFAULT_NAME, cross_validate, merge};

#[derive(Debug, clap::Args)]
#[command(
    about = "Train on nine folds and test on the tenth, for every fold, and pool the curves",
    long_about = "Train on nine folds and test on the tenth, for every fold, and pool the curves as FDDB does.\n\nThe same command resumes an interrupted run. --folds splits the work over machines that have a copy of the project; --merge collects their results.",
    after_help = "Examples:\n  quarry cross-validate --project faces --rounds 2 --preset cpu\n  quarry cross-validate --project faces --rounds 2 --preset cpu --folds 1-3\n  quarry cross-validate --project faces --merge /mnt/second/faces /mnt/third/faces"
)]
pub struct CrossValidateArgs {
    /// Rounds of each fold; after each but the last, false positives are mined as hard negatives of the next
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these folds, e.g. 1-3 or 4,7 [default: all with images]
    #[arg(long, value_name = "FOLDS", value_parser = folds)]
    folds: Option<Folds>,
    /// Name of its folder in the project's runs/
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    name: String,
    /// Train nothing; copy finished folds from copies of this project, and pool
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with = "folds")]
    merge: Vec<PathBuf>,
    #[command(flatten)]
    round: RoundOptions,
}

pub fn run(args: &CrossValidateArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    let mut console = Console::new();
    let report = if args.merge.is_empty() {
        // By default nobody reviews between the rounds.
        let config = args.round.settings_with(HardNegativeSource::Unreviewed)?;
        let folds = args.folds.as_ref().map(|folds| folds.0.clone()).unwrap_or_default();
        let request = CrossValidation { name: args.name.clone(), config, rounds: args.rounds, folds };
        let cancel = cancel_on_ctrl_c();
        cross_validate(&project, &request, &mut |e| console.show(e), &cancel)?
    } else {
        merge(&project, &args.name, &args.merge, &mut |e| console.show(e))?
    };
    drop(console);
    context.print_done(&report, || text(&report))
}

fn text(report: &CrossValidationReport) -> String {
    let mut lines = vec![format!("Cross-validation in {}", report.dir.display())];
    for round in &report.rounds {
        let done = round.folds.len();
        lines.push(format!("Round {}: {done} of {} folds ({:?})", round.round, report.all_folds.len(), round.folds));
        for shape in &round.shapes {
            lines.push(format!(
                "  {}: {} on {}, pooled",
                shape.shape,
                counted(shape.faces, "object"),
                counted(shape.images, "image")
            ));
            if shape.unreadable > 0 {
                lines.push(format!(
                    "    {}",
                    counted_as(
                        shape.unreadable,
                        "image could not be read; its objects count as missed",
                        "images could not be read; their objects count as missed"
                    )
                ));
            }
            lines.push("    false positives   discrete TPR   continuous TPR".to_owned());
            let row = |r: &crate::workflow::evaluate::RateRow| {
                format!("    {:15}   {:12.4}   {:14.4}", r.false_positives, r.discrete, r.continuous)
            };
            lines.extend(shape.pooled.iter().map(row));
        }
    }
    if let Some(round) = report.rounds.iter().find(|round| round.folds.len() < report.all_folds.len()) {
        lines.push(format!(
            "Not complete: round {} lacks folds. Run the same command again, or merge the results of other machines.",
            round.round
        ));
    }
    lines.join("\n")
}

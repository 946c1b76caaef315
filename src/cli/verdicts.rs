//! `quarry verdicts export|merge|agreement|precision --project DIR`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::console::say;
use super::{Context, Replace};
use crate::domain::{RoundId, Shares, counted, counted_as, printable};
use crate::store::{AHEAD_DAYS, CandidateQuery, MOST_DAYS_AHEAD, Store, StoreError};
use crate::workflow::verdicts::{MergeOptions, VerdictFormat};
use crate::workflow::{Project, WorkflowError, verdicts};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  quarry verdicts export ada.jsonl --project faces-of-ada
  quarry verdicts merge ada.jsonl --project faces
  quarry verdicts agreement --project faces --json")]
pub struct VerdictsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Export the verdict log as JSON lines, which `verdicts merge` reads, as a JSON list, or as CSV
    #[command(
        after_help = "Examples:\n  quarry verdicts export ada.jsonl --project faces-of-ada\n  quarry verdicts export ada.csv --format csv --project faces-of-ada"
    )]
    Export {
        file: PathBuf,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        replace: Replace,
    },
    /// Merge the verdicts of a copy of this project; merging twice changes nothing
    #[command(after_help = "Example:\n  quarry verdicts merge ada.jsonl --project faces")]
    Merge {
        file: PathBuf,
        /// Keep the verdicts of a file that matches nothing in this project until its images are imported and mined
        #[arg(long)]
        keep: bool,
        /// Accept verdicts up to this many days ahead of this computer's clock, if the other clock was wrong; more than one day is a warning
        #[arg(long, value_name = "DAYS", default_value_t = AHEAD_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_DAYS_AHEAD)))]
        clock_ahead: u32,
    },
    /// Agreement between annotators (Cohen's kappa)
    #[command(after_help = "Example:\n  quarry verdicts agreement --project faces")]
    Agreement,
    /// Divide the queue among annotators, or show their progress
    #[command(
        after_help = "Examples:\n  quarry verdicts share --among Ada --among Ben --twice 10 --project faces\n  quarry verdicts share --project faces\n  quarry verdicts share --undo --project faces"
    )]
    Share {
        /// An annotator; repeat for each. Every image with its candidates goes to one of them
        #[arg(long, value_name = "NAME")]
        among: Vec<String>,
        /// Percentage of images that a second annotator reviews too, for the agreement
        #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "among", value_parser = clap::value_parser!(u8).range(0..=100))]
        twice: u8,
        /// Stop dividing the queue; verdicts are kept
        #[arg(long, conflicts_with = "among")]
        undo: bool,
    },
    /// Estimate the share of hard negatives from the candidates reviewed in random order
    #[command(after_help = "Example:\n  quarry verdicts precision --project faces --round 1")]
    Precision {
        /// Only this round
        #[arg(long, value_name = "N")]
        round: Option<u32>,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Jsonl,
    Json,
    Csv,
}

pub fn run(args: &VerdictsArgs, context: &Context) -> anyhow::Result<()> {
    let project = Project::open(&context.project_dir())?;
    match &args.action {
        Action::Export { file, format, replace } => {
            let format = match format {
                Format::Jsonl => VerdictFormat::JsonLines,
                Format::Json => VerdictFormat::Json,
                Format::Csv => VerdictFormat::Csv,
            };
            let store = readable(&project)?;
            let rows = match verdicts::export_as(&store, format, replace.output(file)) {
                // Only the line format can be merged again.
                Err(WorkflowError::Store(StoreError::Corrupt { .. })) if format == VerdictFormat::JsonLines => {
                    let (rows, unreadable) = verdicts::export_readable(&store, replace.output(file))?;
                    if unreadable > 0 {
                        say(format!("quarry: {} of the verdict log could not be read", counted(unreadable, "row")));
                    }
                    rows
                }
                exported => exported?,
            };
            context.print_done(&json!({ "rows": rows, "file": file.to_string_lossy() }), || {
                format!("{} in {}", counted(rows, "verdict"), file.display())
            })
        }
        Action::Merge { file, keep, clock_ahead } => {
            let mut store = project.open_store()?;
            let options = MergeOptions { keep: *keep, days_ahead: *clock_ahead };
            let report = verdicts::merge_with(&mut store, file, options)?;
            if report.ahead > 0 {
                say(format!(
                    "quarry: {} up to {} ahead of the clock here, and newer than what other copies decide until then. Check the clocks \
                     of both computers",
                    counted_as(report.ahead, "verdict is", "verdicts are"),
                    counted(report.ahead_days, "day")
                ));
            }
            context.print_done(&report, || {
                let waiting = match report.without_object {
                    0 => String::new(),
                    count => format!("; {} of objects on images that it does not have: kept until it has them", counted(count, "correction")),
                };
                format!(
                    "{} added, {} known already, {} on candidates that this project does not have: kept until it mines them \
                     ({} of these are on images that match nothing here){waiting}",
                    counted(report.added, "verdict"),
                    report.known,
                    report.without_candidate,
                    report.without_image
                )
            })
        }
        Action::Share { among, twice, undo } => share(&project, among, *twice, *undo, context),
        Action::Agreement => agreement(&readable(&project)?, context),
        Action::Precision { round } => precision(&readable(&project)?, *round, context),
    }
}

/// Opens what is readable of a damaged database: its newest verdicts may not be in any backup.
fn readable(project: &Project) -> anyhow::Result<Store> {
    match project.open_store_to_read() {
        Err(WorkflowError::Store(damage @ StoreError::Corrupt { .. })) => {
            say(format!("quarry: {damage}\nquarry: reading what is readable"));
            Ok(Store::open_read_only(&project.database())?)
        }
        opened => Ok(opened?),
    }
}

fn agreement(store: &Store, context: &Context) -> anyhow::Result<()> {
    let pairs = verdicts::agreement(store)?;
    context.print(&pairs, || {
        if pairs.is_empty() {
            return "No candidate has verdicts of two annotators yet".to_owned();
        }
        let line = |p: &verdicts::PairAgreement| {
            let (first, second, share) = (&p.first, &p.second, p.observed * 100.0);
            let both = counted(p.both, "candidate");
            format!("{first} and {second}: {both}, {share:.1} % agreement, kappa {:.3}", p.kappa)
        };
        pairs.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

fn share(project: &Project, among: &[String], twice: u8, undo: bool, context: &Context) -> anyhow::Result<()> {
    if undo || !among.is_empty() {
        let shares = if undo { None } else { Some(Shares::new(among, twice).map_err(anyhow::Error::msg)?) };
        project.open_store()?.set_shares(shares.as_ref())?;
    }
    let store = readable(project)?;
    let (shares, progress) = (store.shares()?, verdicts::share_progress(&store)?);
    let value = json!({ "twice_percent": shares.as_ref().map(|shares| shares.twice_percent), "shares": progress });
    context.print(&value, || {
        let Some(shares) = shares else {
            return "The queue is not divided: all annotators review all candidates".to_owned();
        };
        let line = |p: &verdicts::ShareProgress| {
            format!("{}: {} of {} left", printable(&p.annotator), p.left, counted(p.candidates, "candidate"))
        };
        let mut lines: Vec<String> = progress.iter().map(line).collect();
        lines.push(format!("{} % of the images are judged twice", shares.twice_percent));
        lines.join("\n")
    })
}

fn precision(store: &Store, round: Option<u32>, context: &Context) -> anyhow::Result<()> {
    let found = match round {
        None => None,
        Some(number) => match store.round_by_number(number)? {
            Some(found) => Some(found.id),
            None => anyhow::bail!("this project has no round {number}; see `quarry status`"),
        },
    };
    let p = verdicts::precision(store, &query(found))?;
    let value = json!({ "sample": p.sample, "estimate": p.estimate, "low": p.low, "high": p.high });
    context.print(&value, || match p.sample {
        0 => "No verdicts in random order yet: choose the order \"Random sample\" and review from its start".to_owned(),
        n => format!(
            "{:.1} % of the candidates are hard negatives (95 %: {:.1} to {:.1}), from a random sample of {n}",
            p.estimate * 100.0,
            p.low * 100.0,
            p.high * 100.0
        ),
    })
}

fn query(round: Option<RoundId>) -> CandidateQuery {
    CandidateQuery { round, ..CandidateQuery::default() }
}

//! The command line: one file per subcommand, which calls its use case in `workflow`. Results go to stdout (`--json` for machines),
//! progress and errors to stderr; exit code 0 done, 1 failed or stopped before the end, 2 wrong usage.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::domain::{Output, crash_folder, report_panics};

mod classes;
mod completions;
mod console;
#[cfg(feature = "torch")]
mod cross_validate;
mod dataset;
mod delete;
#[cfg(feature = "torch")]
mod demo;
#[cfg(feature = "torch")]
mod detect;
mod doctor;
mod evaluate;
mod evaluate_coco;
mod evaluate_round;
mod export;
mod group;
mod import;
mod import_detections;
#[cfg(feature = "torch")]
mod late;
mod man;
#[cfg(feature = "torch")]
mod merge;
#[cfg(feature = "torch")]
mod mine;
mod new;
mod opengl;
mod restore;
#[cfg(feature = "torch")]
mod round_options;
mod setup;
mod status;
#[cfg(feature = "torch")]
mod train;
mod verdicts;
mod weights;

use crate::detector::diagnose;
use crate::training::{driver, driver_shows_gpu};
use crate::workflow::WorkEvent;
#[cfg(feature = "torch")]
use crate::workflow::embed::embed;

/// Hard negative mining for object detectors: train, mine false positives, review them, retrain, watch the curves.
///
/// Without a subcommand the desktop app opens.
#[derive(Debug, Parser)]
#[command(name = "quarry", version, max_term_width = 110)]
#[command(
    after_help = "Examples:\n  quarry demo\n  quarry --project faces\n  quarry import fddb FDDB --project faces && quarry train --project faces --preset cpu"
)]
pub struct Cli {
    /// The project's folder
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Print the result as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Largest image to decode, in megapixels [default: 256, or the project's]; `import` saves it in the project
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_megapixels: Option<u32>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole loop on the built-in sample
    #[cfg(feature = "torch")]
    Demo(demo::DemoArgs),
    /// Create an empty project
    New(new::NewArgs),
    /// Import images and annotations, ROC files or detections
    Import(import::ImportArgs),
    /// Train the next round of a project
    #[cfg(feature = "torch")]
    Train(train::TrainArgs),
    #[cfg(feature = "torch")]
    CrossValidate(cross_validate::CrossValidateArgs),
    /// Run a checkpoint on images and write its detections
    #[cfg(feature = "torch")]
    Detect(detect::DetectArgs),
    /// Collect a round's false positives on its training images
    #[cfg(feature = "torch")]
    Mine(mine::MineArgs),
    /// Merge the shards of a mining or a detection
    #[cfg(feature = "torch")]
    Merge(merge::MergeArgs),
    /// List, rename and merge a project's classes
    Classes(classes::ClassesArgs),
    /// Statistics, checks, moved folders, splits and merging of a project's datasets
    Dataset(dataset::DatasetArgs),
    /// Delete a dataset or a round from a project, after a preview and a backup
    Delete(delete::DeleteArgs),
    /// Regroup similar candidates
    Group(group::GroupArgs),
    /// Compare detections with ground truth
    Evaluate(evaluate::EvaluateArgs),
    /// Import, export and list weight files
    Weights(weights::WeightsArgs),
    /// Export ground truth, hard negatives, detections or a training folder for other programs
    Export(export::ExportArgs),
    /// Fetch libtorch, ONNX Runtime and the pretrained backbone for this user
    Setup(setup::SetupArgs),
    /// Show a project's datasets, rounds and progress
    Status(status::StatusArgs),
    /// Show this machine and build: device, driver, libtorch, memory; for bug reports
    Doctor(doctor::DoctorArgs),
    /// Restore a backup of a damaged database, with the newer verdicts that can still be read
    Restore(restore::RestoreArgs),
    /// Export, merge and divide verdicts; agreement and precision
    Verdicts(verdicts::VerdictsArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(man::ManArgs),
}

/// Options common to all subcommands.
#[derive(Debug, Clone)]
struct Context {
    project: Option<PathBuf>,
    json: bool,
    max_megapixels: Option<u32>,
}

/// The `--force` option of every subcommand that writes to a path the user names.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Replace {
    /// Replace files that are there already; inputs, datasets and a project's own files are never replaced
    #[arg(long)]
    force: bool,
}

impl Replace {
    fn output(self, path: &Path) -> Output {
        Output::new(path, self.force)
    }
}

impl Context {
    /// Returns the project's folder; exits with a usage error if `--project` is missing.
    fn project_dir(&self) -> PathBuf {
        self.project.clone().unwrap_or_else(|| {
            Cli::command().error(ErrorKind::MissingRequiredArgument, "this subcommand needs --project DIR").exit()
        })
    }

    /// Prints a command's result as JSON, or as `text`. Fails if it cannot be written.
    fn print(&self, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        console::print(self.json, value, text)
    }

    /// [`Context::print`] for finished work: it succeeds even if its report cannot be printed.
    fn print_done(&self, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        console::print_done(self.json, value, text)
    }
}

impl Command {
    /// Whether `quarry` must load libtorch for it. The window always does, because a round can be started from it.
    #[cfg(feature = "torch")]
    fn needs_libtorch(command: Option<&Self>) -> bool {
        match command {
            None
            | Some(
                Self::Demo(_)
                | Self::Train(_)
                | Self::CrossValidate(_)
                | Self::Detect(_)
                | Self::Mine(_)
                | Self::Merge(_)
                | Self::Weights(_),
            ) => true,
            Some(Self::Doctor(args)) => !args.probe_opengl,
            // The backbone computes the embeddings of imported detections.
            Some(Self::Group(args)) => args.compares_features(),
            // Only libtorch knows whether it finds the GPU.
            Some(Self::Status(_)) => driver_shows_gpu(),
            Some(
                Self::New(_)
                | Self::Import(_)
                | Self::Classes(_)
                | Self::Dataset(_)
                | Self::Delete(_)
                | Self::Evaluate(_)
                | Self::Export(_)
                | Self::Restore(_)
                | Self::Verdicts(_)
                | Self::Setup(_)
                | Self::Completions(_)
                | Self::Man(_),
            ) => false,
        }
    }

    /// Whether it can also run without libtorch.
    #[cfg(feature = "torch")]
    fn works_without_libtorch(command: Option<&Self>) -> bool {
        matches!(command, Some(Self::Doctor(_) | Self::Status(_) | Self::Group(_)))
    }
}

/// The binary's main function: parses the arguments, runs the command, returns the exit code. Everything that needs libtorch is in the
/// shared library, so that other commands start without the quarter of a second that loading libtorch takes.
pub fn main() -> ExitCode {
    let cli = parsed();
    #[cfg(feature = "torch")]
    if Command::needs_libtorch(cli.command.as_ref()) {
        match late::main() {
            Ok(code) => return code,
            Err(error) if Command::works_without_libtorch(cli.command.as_ref()) => {
                let reason = with_causes(&error);
                return finish(cli, |command, context| run_light(command, context, &reason));
            }
            Err(error) => {
                console::say(format!("quarry: {}", with_causes(&error)));
                return without_libtorch(cli.command.as_ref());
            }
        }
    }
    finish(cli, |command, context| run_light(command, context, NO_LIBTORCH))
}

/// If the window was requested, the set-up window offers to fetch libtorch, and Quarry continues once it is installed.
#[cfg(all(feature = "torch", feature = "gui"))]
fn without_libtorch(command: Option<&Command>) -> ExitCode {
    if command.is_some() || late::has_libtorch() {
        return ExitCode::from(1);
    }
    match crate::app::offer_setup() {
        Ok(true) => late::main().unwrap_or_else(|error| {
            console::say(format!("quarry: {error:#}"));
            ExitCode::from(1)
        }),
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            console::say(format!("quarry: {error}"));
            ExitCode::from(1)
        }
    }
}

#[cfg(all(feature = "torch", not(feature = "gui")))]
fn without_libtorch(_: Option<&Command>) -> ExitCode {
    ExitCode::from(1)
}

/// Why libtorch was not loaded for a light subcommand.
const NO_LIBTORCH: &str =
    if cfg!(feature = "torch") { "not asked" } else { "this quarry was built without it (feature `torch`)" };

/// The same with everything that the binary leaves out; called by the shared library's entry point.
#[cfg(feature = "torch")]
fn main_with_libtorch() -> ExitCode {
    finish(parsed(), run)
}

fn parsed() -> Cli {
    Cli::parse_from(without_help_of_help(std::env::args_os().collect()))
}

/// Drops `--help` after the subcommand `help`, at any depth: clap takes it for the name of a subcommand.
fn without_help_of_help(mut words: Vec<OsString>) -> Vec<OsString> {
    let mut command = Cli::command();
    let mut depth = 1;
    while let Some(inner) = words.get(depth).and_then(|word| command.find_subcommand(word)) {
        command = inner.clone();
        depth += 1;
    }
    if command.has_subcommands() && words.get(depth).is_some_and(|word| word == "help") {
        let after = words.split_off(depth + 1);
        words.extend(after.into_iter().filter(|word| word != "--help" && word != "-h"));
    }
    words
}

/// Formats an error with its causes. A cause that the message already contains is not repeated.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn finish(cli: Cli, run: impl FnOnce(Option<Command>, &Context) -> anyhow::Result<()>) -> ExitCode {
    // The certificate verifier's log messages are also in the download's error.
    let filter = tracing_subscriber::EnvFilter::try_from_env("QUARRY_LOG")
        .unwrap_or_else(|_| "warn,rustls_platform_verifier=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| console::LogWriter).init();
    report_panics(crash_folder().as_deref(), &program());
    if let Some(megapixels) = cli.max_megapixels {
        crate::dataset::set_max_megapixels(megapixels);
    }
    let context = Context { project: cli.project, json: cli.json, max_megapixels: cli.max_megapixels };
    match run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::say(format!("quarry: {}", with_causes(&error)));
            ExitCode::from(1)
        }
    }
}

/// Returns the running subcommand without its arguments, for a crash report.
fn program() -> String {
    let commands = Cli::command();
    let given = std::env::args_os().skip(1).find(|word| commands.find_subcommand(word).is_some());
    given.map_or_else(|| "quarry".to_owned(), |word| format!("quarry {}", word.display()))
}

/// Runs any command; must not be reachable from the binary's `main`, or the linker ties the binary to libtorch.
#[cfg(feature = "torch")]
fn run(command: Option<Command>, context: &Context) -> anyhow::Result<()> {
    match command {
        Some(Command::Demo(args)) => demo::run(&args, context),
        Some(Command::Train(args)) => train::run(&args, context),
        Some(Command::CrossValidate(args)) => cross_validate::run(&args, context),
        Some(Command::Detect(args)) => detect::run(&args, context),
        Some(Command::Mine(args)) => mine::run(&args, context),
        Some(Command::Merge(args)) => merge::run(&args, context),
        Some(Command::Weights(args)) => weights::run(&args, context.json),
        Some(Command::Status(args)) => status::run(&args, context, Some(crate::training::gpu_state())),
        Some(Command::Doctor(args)) => doctor::run(&args, context, Ok(crate::detector::libtorch())),
        Some(Command::Group(args)) if args.compares_features() => {
            group::run(&args, context, |store, observer, cancel| embed(store, observer, cancel).map(|_| ()))
        }
        None => open_app(context),
        light => run_light(light, context, NO_LIBTORCH),
    }
}

/// Runs the commands that work without libtorch; `reason` says why it was not loaded.
fn run_light(command: Option<Command>, context: &Context, reason: &str) -> anyhow::Result<()> {
    match command {
        Some(Command::New(args)) => new::run(&args, context),
        Some(Command::Import(args)) => import::run(&args, context),
        Some(Command::Classes(args)) => classes::run(&args, context),
        Some(Command::Dataset(args)) => dataset::run(&args, context),
        Some(Command::Delete(args)) => delete::run(&args, context),
        Some(Command::Group(args)) => group::run(&args, context, |store, observer, _| {
            if args.compares_features() && store.lacks_embeddings()? {
                observer(WorkEvent::Log(WITHOUT_FEATURES.to_owned()));
            }
            Ok(())
        }),
        Some(Command::Evaluate(args)) => evaluate::run(&args, context),
        Some(Command::Export(args)) => export::run(&args, context),
        Some(Command::Restore(args)) => restore::run(&args, context),
        Some(Command::Status(args)) => {
            let state = driver_shows_gpu().then(|| diagnose(&driver(), Err(reason)));
            status::run(&args, context, state.as_ref())
        }
        Some(Command::Doctor(args)) => doctor::run(&args, context, Err(reason.to_owned())),
        Some(Command::Verdicts(args)) => verdicts::run(&args, context),
        Some(Command::Setup(args)) => setup::run(&args, context),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Man(args)) => man::run(&args, context),
        #[cfg(not(feature = "torch"))]
        Some(Command::Weights(args)) => weights::run(&args, context.json),
        #[cfg(not(feature = "torch"))]
        None => open_app(context),
        #[cfg(feature = "torch")]
        _ => anyhow::bail!("this subcommand needs libtorch; `needs_libtorch` has to name it"),
    }
}

const WITHOUT_FEATURES: &str =
    "The features of imported detections are not computed: libtorch is not loaded, and `quarry doctor` says why";

#[cfg(feature = "gui")]
fn open_app(context: &Context) -> anyhow::Result<()> {
    Ok(crate::app::run(context.project.clone())?)
}

#[cfg(not(feature = "gui"))]
fn open_app(_: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this quarry was built without the app (feature `gui`). Use a subcommand: see `quarry --help`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_not_repeated() {
        let missing = || std::io::Error::other("no such file");
        let named = crate::dataset::DatasetError::Io { action: "open", path: "a".into(), source: missing() };
        assert_eq!(with_causes(&anyhow::Error::from(named)), "cannot open a: no such file");
        let source = std::io::ErrorKind::NotFound.into();
        let advised = crate::dataset::DatasetError::Io { action: "open", path: "a".into(), source };
        assert_eq!(with_causes(&anyhow::Error::from(advised)), "cannot open a: entity not found. Check the path.");
        assert_eq!(with_causes(&anyhow::Error::from(missing()).context("reading a")), "reading a: no such file");
    }

    #[test]
    fn help_has_help() {
        let check = |words: &[&str], shown: &str| {
            let words = without_help_of_help(words.iter().map(OsString::from).collect());
            let help = Cli::try_parse_from(words).unwrap_err();
            assert!(help.kind() == ErrorKind::DisplayHelp && help.to_string().contains(shown), "{help}");
        };
        check(&["quarry", "help", "--help"], "Usage: quarry [OPTIONS] [COMMAND]");
        check(&["quarry", "help", "-h", "status"], "Usage: quarry status");
        check(&["quarry", "dataset", "help", "--help"], "Usage: quarry dataset");
        let kept = ["quarry", "import", "folder", "help", "--help"].map(OsString::from).to_vec();
        assert_eq!(without_help_of_help(kept.clone()), kept);
    }

    #[test]
    fn the_command_line_is_consistent_and_every_subcommand_shows_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
            let help = sub.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "`quarry {} --help` shows no example:\n{help}", sub.get_name());
        }
    }

    /// Returns the `quarry` commands of a page: from its shell blocks (`true`), which must run unchanged, and from its text, with
    /// placeholders.
    #[cfg(all(feature = "torch", feature = "gui"))]
    fn commands_of(page: &str) -> Vec<(bool, Vec<String>)> {
        let joined = page.replace("\\\n", " ");
        let (mut in_shell, mut in_block, mut prose, mut found) = (false, false, String::new(), Vec::new());
        for line in joined.lines() {
            if line.starts_with("```") {
                in_block = !in_block;
                in_shell = in_block && line == "```sh";
            } else if in_shell || (!in_block && line.starts_with("    quarry ")) {
                let line = line.split(" #").next().unwrap();
                found.extend(line.rfind("quarry ").map(|at| (true, line[at..].to_owned())));
            } else if !in_block {
                prose.push_str(line.trim());
                prose.push(' ');
            }
        }
        let spans = prose.split('`').skip(1).step_by(2).filter(|span| span.starts_with("quarry "));
        found.extend(spans.map(|span| (false, span.to_owned())));
        let word = |word: &str| match word.trim_matches('"') {
            "{}/64" => "1/64".to_owned(),
            word if word.contains('$') => "1/4".to_owned(),
            // The first alternative of `yolo|coco`.
            word => word.split('|').next().unwrap().trim_end_matches(['…', '.']).to_owned(),
        };
        let words = |command: &str| {
            let command = command.split([';', '>', '&']).next().unwrap();
            command.split_whitespace().filter(|word| !word.contains(['[', ']'])).map(word).collect()
        };
        found.into_iter().map(|(is_shell, command)| (is_shell, words(&command))).collect()
    }

    /// A page must not name a subcommand or option that does not exist. Without libtorch or the app some are excluded.
    #[cfg(all(feature = "torch", feature = "gui"))]
    #[test]
    fn every_command_of_the_pages_is_one_of_the_command_line() {
        use clap::error::ErrorKind::{ArgumentConflict, InvalidSubcommand, UnknownArgument};
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut pages: Vec<_> =
            std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        pages.extend(["README.md", "models/README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|page| root.join(page)));
        let (mut count, mut faults) = (0, Vec::new());
        for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
            for (is_shell, words) in commands_of(&std::fs::read_to_string(page).unwrap()) {
                count += 1;
                let is_placeholder = words.get(1).is_some_and(|word| word.chars().all(|c| c.is_ascii_uppercase()));
                let Some(error) = Cli::command().try_get_matches_from(&words).err().filter(clap::Error::use_stderr)
                else {
                    continue;
                };
                let is_wrong = matches!(error.kind(), InvalidSubcommand | UnknownArgument | ArgumentConflict);
                let has_placeholder =
                    words.iter().skip(1).any(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
                let is_excused = is_placeholder || (has_placeholder && error.kind() == InvalidSubcommand);
                if is_shell || (is_wrong && !is_excused) {
                    faults.push(format!("{}: {}: {}", page.display(), words.join(" "), error.kind()));
                }
            }
        }
        assert!(count > 100, "only {count} commands were found");
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

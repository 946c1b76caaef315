//! All output to stdout and stderr. Progress is shown as bars if stderr is a terminal, otherwise as lines. A failing print never aborts the
//! work: output to a closed pipe is dropped.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::domain::{
    Cancel, Progress, Rate, clock, printable, printable_json, printable_line, printable_message, remember_log,
};
use crate::training::TrainEvent;
use crate::workflow::{FoldProgress, WorkEvent};

/// Prints a message on stderr. Write errors are ignored.
pub fn say(message: impl std::fmt::Display) {
    let text = printable_message(&message.to_string()).into_owned();
    // In one write, so that lines of several threads are not mixed.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Prints a command's result on stdout: `value` as JSON, or `text`. Fails if it cannot be written; a closed pipe (`quarry status | head`) is
/// not an error.
pub fn print(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let text = rendered(json, value, text)?;
    write_out(&text).context("the result cannot be written to stdout")
}

/// [`print`] for finished work: it succeeds even if its report cannot be written.
pub fn print_done(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let text = rendered(json, value, text)?;
    if let Err(error) = write_out(&text) {
        say(format!("quarry: the work is done, but the report could not be written to stdout: {error}"));
    }
    Ok(())
}

/// Prints a script for another program on stdout, without escaping.
pub fn print_as_it_is(text: &str) -> anyhow::Result<()> {
    write_out(text.trim_end()).context("the result cannot be written to stdout")
}

fn rendered(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<String> {
    if json {
        return Ok(printable_json(&serde_json::to_string_pretty(value)?).into_owned());
    }
    Ok(printable_message(text().trim_end()).into_owned())
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Stderr for the log, whose default writer would panic on a write error.
#[derive(Debug, Clone, Copy)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        remember_log(&String::from_utf8_lossy(bytes));
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows work events on stderr.
#[derive(Debug)]
pub struct Console {
    bar: Option<ProgressBar>,
    interactive: bool,
    what: String,
    /// Text around the fold number of a cross-validation; empty in single rounds.
    fold: String,
    round: u32,
    steps: u64,
    rate: Option<Rate>,
    /// When the progress was last printed as a line.
    reported_at: Instant,
}

/// Interval between progress lines without a bar, so that a log of days stays readable.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

impl Console {
    pub fn new() -> Self {
        let interactive = std::io::stderr().is_terminal();
        Self {
            bar: None,
            interactive,
            what: String::new(),
            fold: String::new(),
            round: 0,
            steps: 0,
            rate: None,
            reported_at: Instant::now(),
        }
    }

    /// Handles one event; pass this to a use case as its observer.
    pub fn show(&mut self, event: WorkEvent) {
        match event {
            WorkEvent::Progress(p) => self.follow(&p),
            WorkEvent::Log(line) => self.line(&line),
            WorkEvent::Fold(at) => {
                self.fold = format!("fold {} ({} of {}), ", at.fold, at.place, at.folds);
                let FoldProgress { fold, place, folds, round, rounds } = at;
                self.line(&format!("Fold {fold} ({place} of {folds}), round {round} of {rounds}"));
            }
            WorkEvent::Round { round } => self.round = round,
            WorkEvent::Train(event) => self.train(&event),
            WorkEvent::Curve { round, step, label, curve } => {
                let rates = [10, 50, 100]
                    .map(|fp| format!("{fp} FP {:.3}/{:.3}", curve.discrete_tpr_at(fp), curve.continuous_tpr_at(fp)));
                self.line(&format!(
                    "Round {round}, step {step}, {label}: discrete/continuous TPR at {}",
                    rates.join(", ")
                ));
            }
        }
    }

    fn follow(&mut self, progress: &Progress) {
        let now = Instant::now();
        let mut rate = self.rate.take().unwrap_or_else(|| Rate::new(progress, now));
        rate.follow(progress, now);
        let Progress { what, done, total } = progress;
        if !self.interactive && now.duration_since(self.reported_at) >= REPORT_INTERVAL {
            self.reported_at = now;
            self.line(&format!("{what}: {done} of {total}, {}", rate.in_words()));
        }
        self.progress(what, *done, *total, rate.in_words());
        self.rate = Some(rate);
    }

    fn train(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Step(step) => {
                let what = format!("Training {}round {}", self.fold, self.round);
                let eta = clock(step.eta_s);
                let message = format!("loss {:.3}, {:.1} images/s, {eta} left", step.total, step.images_per_s);
                self.progress(&what, step.step, self.steps, message);
                let every = (self.steps / 20).max(1);
                if !self.interactive && step.step.is_multiple_of(every) {
                    self.line(&format!("Step {} of {}: loss {:.3}, {eta} left", step.step, self.steps, step.total));
                }
            }
            TrainEvent::Started(start) => self.steps = start.iterations,
            TrainEvent::Warning(text) => self.line(&format!("Warning: {text}")),
            _ => {}
        }
    }

    fn progress(&mut self, what: &str, done: u64, total: u64, message: String) {
        if !self.interactive {
            return;
        }
        if self.bar.is_none() || self.what != what {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            let style = ProgressStyle::with_template("{prefix} {wide_bar:.cyan/blue} {pos}/{len} {msg} [{elapsed}]");
            let bar = ProgressBar::new(total);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_prefix(printable(what).into_owned());
            what.clone_into(&mut self.what);
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message);
        }
    }

    fn line(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(printable_line(text)),
            None => say(printable_line(text)),
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Returns a cancel flag that Ctrl+C and SIGTERM set; a second Ctrl+C ends the program at once.
pub fn cancel_on_ctrl_c() -> Cancel {
    let cancel = Cancel::new();
    let flag = cancel.clone();
    let set = ctrlc::set_handler(move || {
        if flag.is_cancelled() {
            end_at_once();
        }
        flag.cancel();
        say("quarry: stopping safely (press Ctrl+C again to quit at once)");
    });
    if let Err(error) = set {
        tracing::warn!("Ctrl+C will quit at once: {error}");
    }
    cancel
}

/// The exit code of work that was stopped.
const STOPPED: i32 = 1;

/// Ends the program without running destructors: libtorch's threads may be computing, and unloading it under them crashes.
fn end_at_once() -> ! {
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "the only way to end a process without its exit handlers")]
    // SAFETY: `_exit` takes a number, never returns and touches none of our memory.
    unsafe {
        libc::_exit(STOPPED)
    }
    #[cfg(not(unix))]
    std::process::exit(STOPPED)
}

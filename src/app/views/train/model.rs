//! The training screen's state: the next round's settings, the running round, the log, earlier rounds. No egui, no tch.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::VecDeque;

use super::series::Series;
use crate::app::command::{Cross, Form};
use crate::domain::{RoundId, RoundRecord, RoundState, counted, fold_number, parse_splits, sort_splits};
use crate::training::{
    Difference, Losses, Outcome, RoundConfig, RoundStart, StepClock, StepReport, TrainEvent, is_reserved_split,
    rough_step_seconds, scaled_step_seconds,
};
use crate::workflow::FoldProgress;
use crate::workflow::round_report::{MERIT_FALSE_POSITIVES, RoundReport};
use crate::workflow::run_state::RunState;

/// Maximum number of log lines.
const LOG_MAX: usize = 500;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub text: String,
    pub is_warning: bool,
}

/// A round while it runs and afterwards.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub round: Option<u32>,
    /// The part of a cross-validation; `None` for a round of the project.
    pub fold: Option<FoldProgress>,
    pub start: Option<RoundStart>,
    pub last: Option<StepReport>,
    pub total: Series,
    pub losses: [Series; 5],
    pub lr: Series,
    /// The current activity between steps, e.g. an evaluation.
    pub phase: Option<String>,
}

/// The phase of a round that has paused; until then it completes its step.
const PAUSED: &str = "Paused";

impl Run {
    /// Returns what runs: a round of the project, or a fold of a cross-validation, whose rounds are not the project's.
    pub fn title(&self) -> Option<String> {
        match (self.fold, self.round) {
            (Some(fold), _) => Some(fold.to_string()),
            (None, Some(round)) => Some(format!("Round {round}")),
            (None, None) => None,
        }
    }

    /// Whether it has paused: a round that was told to pause first completes its step.
    pub fn has_paused(&self) -> bool {
        self.phase.as_deref() == Some(PAUSED)
    }

    /// Returns the current activity, unless that is a pause, which is shown as the state.
    pub fn activity(&self) -> Option<&str> {
        self.phase.as_deref().filter(|_| !self.has_paused())
    }

    /// Returns the fraction of completed steps, 0..=1.
    pub fn share(&self) -> Option<f32> {
        let iterations = self.start.as_ref()?.iterations.max(1);
        let done = self.last.as_ref().map_or_else(|| self.start.as_ref().map_or(0, |s| s.step), |last| last.step);
        Some(done as f32 / iterations as f32)
    }
}

#[derive(Debug, Default)]
pub struct TrainModel {
    pub form: Form,
    pub run: Option<Run>,
    /// What was shown before the running job, until that completes a step.
    before: Option<Run>,
    pub log: VecDeque<LogLine>,
    /// The rounds that Quarry trained.
    pub rounds: Vec<RoundRecord>,
    /// The rounds of other detectors, which are listed but have no settings, steps or report.
    pub imported: Vec<RoundRecord>,
    /// The highest number of all rounds, including imported ones.
    newest: u32,
    /// The round whose report is shown.
    pub opened: Option<OpenedRound>,
    /// The newest round with training steps, and its median step time in seconds.
    speed: Option<(u32, f64)>,
    /// The steps of the newest round were requested.
    steps_asked: bool,
    /// Number of folds with images.
    pub folds: usize,
    pub cross: Cross,
    /// The project's cross-validations.
    pub runs: Vec<RunState>,
}

/// Progress of the cross-validation with the typed name, for the typed number of rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossState {
    New,
    Begun { done: usize, all: usize },
    Done { all: usize },
}

/// A round whose report is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenedRound {
    pub number: u32,
    /// The round whose settings are compared; initially the previous one.
    pub compared: Option<u32>,
    /// `None` while loading.
    pub report: Option<RoundReport>,
    /// The notes while being typed; `None` if unchanged.
    pub notes: Option<String>,
}

/// An estimate of a round's duration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimate {
    /// From this round's measured speed.
    Measured { round: u32, minutes: f64 },
    /// From typical times of such a network on other computers.
    Rough { minutes: f64 },
}

impl TrainModel {
    /// Returns the next round's number.
    pub fn next_round(&self) -> u32 {
        self.newest + 1
    }

    /// Returns the newest round if its training is incomplete.
    pub fn resumable(&self) -> Option<u32> {
        self.rounds.last().filter(|round| round.is_unfinished()).map(|round| round.number)
    }

    /// Returns the newest round if its false positives were not mined yet.
    pub fn minable(&self) -> Option<u32> {
        self.rounds.last().filter(|round| round.state == RoundState::Trained).map(|round| round.number)
    }

    /// Called when the rounds were reloaded. After a new one, the form proposes the following round.
    pub fn set_rounds(&mut self, rounds: Vec<RoundRecord>) {
        self.newest = rounds.last().map_or(0, |round| round.number);
        let (rounds, imported): (Vec<_>, Vec<_>) = rounds.into_iter().partition(RoundRecord::is_own);
        self.imported = imported;
        let newest = rounds.last().map(|round| round.number);
        let is_new = newest != self.rounds.last().map(|round| round.number);
        self.rounds = rounds;
        if !is_new {
            return;
        }
        let config = self.rounds.last().and_then(settings_of);
        if let Some(config) = config {
            let mine_after = self.form.mine_after;
            self.form = Form { mine_after, ..Form::of(config.next_round()) };
        }
    }

    /// Returns all rounds, newest first.
    pub fn history(&self) -> Vec<&RoundRecord> {
        let mut rounds: Vec<_> = self.rounds.iter().chain(&self.imported).collect();
        rounds.sort_unstable_by_key(|round| std::cmp::Reverse(round.number));
        rounds
    }

    /// Called when the splits with images were loaded. If the proposed test splits are unchanged and do not exist, proposes one that its
    /// dataset reserves, or the last one.
    pub fn set_splits(&mut self, splits: &[String], images: u64) {
        self.folds = splits.iter().filter(|split| fold_number(split).is_some()).count();
        let form = &mut self.form;
        let proposed = RoundConfig::preset(&form.config.preset).map(|preset| preset.test_splits).unwrap_or_default();
        let is_missing = proposed.iter().any(|split| !splits.contains(split));
        let is_untouched = form.file.is_none() && parse_splits(&form.test_splits).is_ok_and(|typed| typed == proposed);
        if images > 0 && is_missing && is_untouched {
            let mut known = splits.to_vec();
            sort_splits(&mut known);
            let aside = known.iter().position(|split| is_reserved_split(split));
            form.test_splits = aside.and_then(|at| known.get(at).cloned()).or(known.pop()).unwrap_or_default();
        }
    }

    /// Returns the round whose steps should be loaded, once: the newest, while no run is shown.
    pub fn steps_to_read(&mut self) -> Option<RoundId> {
        let newest = self.rounds.last().filter(|_| self.run.is_none() && !self.steps_asked)?;
        self.steps_asked = true;
        Some(newest.id)
    }

    /// Called when the steps of an earlier session's round were loaded; they are shown as long as no other round runs.
    pub fn steps_loaded(&mut self, round: u32, steps: Vec<StepReport>) {
        if self.run.is_some() || steps.is_empty() {
            return;
        }
        let config = self.round(round).and_then(settings_of);
        // The log only contains the seconds of each step.
        let mut clock = StepClock::default();
        for step in &steps {
            clock.record(step.seconds);
        }
        let images_per_s = config
            .as_ref()
            .map_or(0.0, |config| config.images_per_step() as f64 / clock.median().max(f64::MIN_POSITIVE));
        let start = config.map(|config| RoundStart { iterations: config.iterations, ..RoundStart::default() });
        self.run = Some(Run { round: Some(round), start, ..Run::default() });
        for report in steps {
            self.step(StepReport { images_per_s, ..report });
        }
    }

    /// A failed round resumes with the form's rates: with its own it would fail again.
    pub fn resumes_with_rates(&self) -> bool {
        self.rounds.last().is_some_and(|round| round.state == RoundState::Failed)
    }

    pub fn round(&self, number: u32) -> Option<&RoundRecord> {
        self.rounds.iter().find(|round| round.number == number)
    }

    /// Shows the report of a round, or closes it.
    pub fn open_round(&mut self, number: Option<u32>) {
        self.opened = number.map(|number| {
            let before = self.rounds.iter().rev().map(|round| round.number).find(|n| *n < number);
            OpenedRound { number, compared: before, ..OpenedRound::default() }
        });
    }

    /// Called when a report was loaded. Ignored if its round is no longer shown.
    pub fn report_loaded(&mut self, report: RoundReport) {
        if let Some(opened) = self.opened.as_mut().filter(|opened| opened.number == report.round) {
            opened.report = Some(report);
        }
    }

    /// Returns the notes of the opened round, as typed or as stored.
    pub fn notes(&self) -> &str {
        let Some(opened) = &self.opened else { return "" };
        let stored = self.round(opened.number).map_or("", |round| round.notes.as_str());
        opened.notes.as_deref().unwrap_or(stored)
    }

    /// Returns the settings in which round `after` differs from round `before`.
    pub fn differences(&self, before: u32, after: u32) -> Vec<Difference> {
        let config = |n: u32| self.round(n).and_then(settings_of);
        match (config(before), config(after)) {
            (Some(before), Some(after)) => before.differences(&after),
            _ => Vec::new(),
        }
    }

    /// Called when the project's cross-validations were loaded. One that was started with more rounds than typed continues with as many.
    pub fn set_runs(&mut self, runs: Vec<RunState>) {
        let rounds =
            |runs: &[RunState], name: &str| runs.iter().find(|run| run.name == name).map_or(0, |run| run.rounds);
        let (before, now) = (rounds(&self.runs, &self.cross.name), rounds(&runs, &self.cross.name));
        if now > before {
            self.cross.rounds = self.cross.rounds.max(now);
        }
        self.runs = runs;
    }

    /// Returns the cross-validation with the typed name, if it was started.
    pub fn begun_run(&self) -> Option<&RunState> {
        self.runs.iter().find(|run| run.name == self.cross.name.trim())
    }

    pub fn cross_state(&self) -> CrossState {
        let Some(run) = self.begun_run() else { return CrossState::New };
        let (done, all) = (run.done(self.cross.rounds), self.folds.max(run.folds.len()));
        if done == all && all > 0 { CrossState::Done { all } } else { CrossState::Begun { done, all } }
    }

    /// Called when a fold's round starts.
    pub fn fold_started(&mut self, at: FoldProgress) {
        self.run = Some(Run { fold: Some(at), ..Run::default() });
        self.say(at.to_string(), false);
    }

    /// Whether the running or last job is a cross-validation, whose rounds are not the project's.
    pub fn is_in_fold(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.fold.is_some())
    }

    /// Called when the newest round's step time was loaded.
    pub fn set_speed(&mut self, speed: Option<(u32, f64)>) {
        self.speed = speed;
    }

    /// Estimates the training time of a round with these settings on this computer.
    pub fn estimate(&self, config: &RoundConfig, cores: usize) -> Option<Estimate> {
        let minutes = |step_seconds: f64| step_seconds * config.iterations as f64 / 60.0;
        let measured = self.speed.and_then(|(round, seconds)| {
            let of = settings_of(self.round(round)?)?;
            let minutes = minutes(scaled_step_seconds(seconds, &of, config)?);
            Some(Estimate::Measured { round, minutes })
        });
        let rough = || Some(Estimate::Rough { minutes: minutes(rough_step_seconds(config, cores)?) });
        measured.or_else(rough)
    }

    /// Called when a job starts.
    pub fn begin(&mut self) {
        self.before = self.run.replace(Run::default()).or(self.before.take());
    }

    /// Called when a job ended. If it completed no step, what was shown before it is restored.
    pub fn ended(&mut self) {
        let is_empty = self.run.as_ref().is_none_or(|run| run.last.is_none());
        if let Some(before) = self.before.take().filter(|_| is_empty) {
            self.run = Some(before);
        }
    }

    /// Keeps the losses of a resumed round up to the step from which it resumes.
    fn keep_losses(&mut self, step: u64) {
        let Some(run) = self.run.as_mut().filter(|run| run.fold.is_none()) else { return };
        let is_same = |before: &mut Run| before.round.is_some() && before.round == run.round && before.fold.is_none();
        let Some(before) = self.before.take_if(is_same).filter(|_| step > 0) else { return };
        (run.total, run.losses, run.lr) = (before.total, before.losses, before.lr);
        for series in run.losses.iter_mut().chain([&mut run.total, &mut run.lr]) {
            series.cut_after(step as f64);
        }
    }

    pub fn say(&mut self, text: impl Into<String>, is_warning: bool) {
        self.log.push_back(LogLine { text: text.into(), is_warning });
        if self.log.len() > LOG_MAX {
            self.log.pop_front();
        }
    }

    pub fn round_started(&mut self, round: u32) {
        self.run.get_or_insert_default().round = Some(round);
        if !self.is_in_fold() {
            self.say(format!("Round {round}"), false);
        }
    }

    /// Handles an event of the running round.
    pub fn train_event(&mut self, event: TrainEvent) {
        let run = self.run.get_or_insert_default();
        match event {
            TrainEvent::Started(start) => {
                let step = start.step;
                let text = format!(
                    "Training on {} with {} and {}, on {}",
                    counted(start.images, "image"),
                    counted(start.faces, "object"),
                    counted(start.hard_negatives, "hard negative"),
                    start.device.to_uppercase()
                );
                run.start = Some(start);
                self.keep_losses(step);
                self.say(text, false);
            }
            TrainEvent::Step(report) => {
                run.phase = None;
                self.step(report);
            }
            TrainEvent::Warning(text) => self.say(text, true),
            TrainEvent::Checkpoint { step, .. } => self.say(format!("Checkpoint at step {step}"), false),
            TrainEvent::Evaluating { step } => {
                run.phase = Some(format!("Testing on the held-out images at step {step}"));
            }
            TrainEvent::Evaluated { step, score } => {
                run.phase = None;
                let score = score.map_or(String::new(), |score| {
                    format!(": discrete TPR {score:.3} at {MERIT_FALSE_POSITIVES} false positives")
                });
                self.say(format!("Tested at step {step}{score}"), false);
            }
            TrainEvent::Paused { step } => {
                run.phase = Some(PAUSED.to_owned());
                self.say(format!("Paused at step {step}; a checkpoint is written"), false);
            }
            TrainEvent::Resumed { .. } => {
                run.phase = None;
                self.say("Training continues", false);
            }
            TrainEvent::Finished { outcome } => {
                run.phase = None;
                match outcome {
                    Outcome::Done => self.say("Training done", false),
                    Outcome::Cancelled => self.say("Training stopped", true),
                    Outcome::Failed(reason) => self.say(reason, true),
                }
            }
        }
    }

    fn step(&mut self, report: StepReport) {
        let Some(run) = &mut self.run else { return };
        let step = report.step as f64;
        run.total.push(step, report.total);
        for (series, value) in run.losses.iter_mut().zip(report.losses.values()) {
            series.push(step, value);
        }
        run.lr.push(step, report.lr);
        run.last = Some(report);
    }

    /// Returns loss names with their lines, except those that are always 0 (no ellipse head).
    pub fn loss_lines(&self) -> Vec<(&'static str, &Series)> {
        let Some(run) = &self.run else { return Vec::new() };
        let parts = Losses::NAMES.into_iter().zip(&run.losses);
        parts.filter(|(_, series)| series.points().iter().any(|[_, value]| *value != 0.0)).collect()
    }
}

/// `None` if this version cannot parse them.
fn settings_of(round: &RoundRecord) -> Option<RoundConfig> {
    RoundConfig::from_stored(&round.config_toml, "round.toml").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{HardNegativeSource, RoundInit};

    fn step(step: u64, total: f64) -> TrainEvent {
        TrainEvent::Step(StepReport { step, total, eta_s: 90.0, ..StepReport::default() })
    }

    #[test]
    fn a_folds_round_is_not_the_projects_and_a_pause_is_a_state() {
        let mut model = TrainModel::default();
        model.begin();
        model.round_started(1);
        assert_eq!(model.run.as_ref().unwrap().title().unwrap(), "Round 1");
        model.fold_started(FoldProgress { fold: 9, place: 3, folds: 8, round: 2, rounds: 4 });
        model.round_started(2);
        assert_eq!(model.run.as_ref().unwrap().title().unwrap(), "Fold 9 (3 of 8), round 2 of 4");
        model.train_event(TrainEvent::Evaluating { step: 5 });
        let run = model.run.as_ref().unwrap();
        assert!(!run.has_paused() && run.activity().is_some());
        model.train_event(TrainEvent::Paused { step: 5 });
        let run = model.run.as_ref().unwrap();
        assert!(run.has_paused() && run.activity().is_none());
    }

    fn start() -> TrainEvent {
        let device = "cpu".to_owned();
        let start = RoundStart {
            step: 0,
            iterations: 100,
            images: 10,
            faces: 12,
            hard_negatives: 3,
            ignored: 0,
            trainable: 1,
            device,
        };
        TrainEvent::Started(start)
    }

    #[test]
    fn a_run_grows_with_its_events() {
        let mut model = TrainModel::default();
        model.begin();
        model.round_started(2);
        model.train_event(start());
        assert_eq!(model.run.as_ref().unwrap().share(), Some(0.0));
        for n in 1..=10 {
            model.train_event(step(n, 1.0 / n as f64));
        }
        let run = model.run.as_ref().unwrap();
        assert_eq!((run.round, run.share(), run.total.points().len()), (Some(2), Some(0.1), 10));
        assert!(model.loss_lines().is_empty(), "losses that stay 0 are no lines");
        model.train_event(TrainEvent::Finished { outcome: Outcome::Failed("Disk full".to_owned()) });
        assert_eq!(model.log.back().unwrap(), &LogLine { text: "Disk full".to_owned(), is_warning: true });
    }

    #[test]
    fn losses_stay_where_a_round_goes_on_and_where_a_start_fails() {
        let mut model = TrainModel::default();
        let begin = |model: &mut TrainModel, round: u32, at: u64| {
            model.begin();
            model.round_started(round);
            let TrainEvent::Started(start) = start() else { return };
            model.train_event(TrainEvent::Started(RoundStart { step: at, ..start }));
        };
        let steps = |model: &TrainModel| -> Vec<f64> {
            model.run.as_ref().unwrap().total.points().iter().map(|[step, _]| *step).collect()
        };
        begin(&mut model, 1, 0);
        (1..=4).for_each(|n| model.train_event(step(n, 1.0)));
        model.ended();
        // It stopped after its last checkpoint, at step 3.
        begin(&mut model, 1, 3);
        assert_eq!(steps(&model), [1.0, 2.0, 3.0]);
        model.train_event(step(4, 0.5));
        assert_eq!(steps(&model), [1.0, 2.0, 3.0, 4.0]);
        model.ended();
        // A failed start clears nothing, before the round is shown and after.
        model.begin();
        model.ended();
        assert_eq!(steps(&model), [1.0, 2.0, 3.0, 4.0]);
        model.begin();
        model.round_started(2);
        model.ended();
        assert_eq!((model.run.as_ref().unwrap().round, steps(&model).len()), (Some(1), 4));
        begin(&mut model, 2, 0);
        model.train_event(step(1, 1.0));
        assert_eq!(steps(&model), [1.0]);
    }

    fn round(number: u32, state: RoundState, config: &RoundConfig) -> RoundRecord {
        let id = crate::domain::RoundId(i64::from(number));
        let (config_toml, notes) = (config.to_toml(), String::new());
        RoundRecord { id, number, state, config_toml, notes, started_ms: 0, finished_ms: None, imported: None }
    }

    #[test]
    fn the_form_follows_the_last_round_and_shows_differences() {
        let mut model = TrainModel::default();
        let first =
            RoundConfig { seed: 7, hard_negatives: HardNegativeSource::None, ..RoundConfig::preset("cpu").unwrap() };
        model.set_rounds(vec![round(1, RoundState::Trained, &first)]);
        assert_eq!((model.form.config.seed, model.next_round(), model.minable()), (7, 2, Some(1)));
        assert_eq!(model.form.config.hard_negatives, HardNegativeSource::Confirmed);
        let second = model.form.finished().unwrap();
        model.set_rounds(vec![round(1, RoundState::Mined, &first), round(2, RoundState::Stopped, &second)]);
        assert_eq!((model.resumable(), model.minable()), (Some(2), None));
        let keys: Vec<String> = model.differences(1, 2).into_iter().map(|d| d.key).collect();
        assert_eq!(keys, ["hard_negatives"]);
        assert!(model.differences(2, 2).is_empty() && model.differences(1, 7).is_empty());
        model.form.test_splits = "3-1".to_owned();
        assert!(model.form.finished().is_err());

        let sample = RoundConfig {
            test_splits: vec!["9".to_owned(), "10".to_owned()],
            ..RoundConfig::preset("sample").unwrap()
        };
        let mut model = TrainModel::default();
        model.set_rounds(vec![round(1, RoundState::Mined, &sample)]);
        assert_eq!(model.form.finished().unwrap(), sample.next_round());
        assert_eq!(model.form.config.init, RoundInit::Previous, "the sample's rounds are short");
    }

    #[test]
    fn a_test_fold_that_is_there_is_proposed_unless_another_was_chosen() {
        let check = |typed: &str, folds: Vec<u8>, images: u64, expected: &str| {
            let mut model = TrainModel::default();
            model.form.test_splits = typed.to_owned();
            let splits: Vec<String> = folds.iter().map(u8::to_string).collect();
            model.set_splits(&splits, images);
            assert_eq!(model.form.test_splits, expected, "{typed:?} with {folds:?}");
        };
        check("10", (1..=10).collect(), 9, "10");
        check("10", (1..=8).collect(), 9, "8");
        check("10", vec![], 9, "");
        check("10", vec![], 0, "10");
        check("9", vec![1, 2], 9, "9");
    }

    #[test]
    fn after_reopening_the_newest_round_shows_its_steps_until_another_runs() {
        let mut model = TrainModel::default();
        let config = RoundConfig { iterations: 4, ..RoundConfig::preset("cpu").unwrap() };
        assert_eq!(model.steps_to_read(), None);
        model.set_rounds(vec![round(1, RoundState::Mined, &config), round(2, RoundState::Stopped, &config)]);
        assert_eq!((model.steps_to_read(), model.steps_to_read()), (Some(crate::domain::RoundId(2)), None));
        let steps =
            |n: u64| (1..=n).map(|step| StepReport { step, lr: 0.5, seconds: 0.25, ..StepReport::default() }).collect();
        model.steps_loaded(2, steps(3));
        let run = model.run.as_ref().unwrap();
        assert_eq!((run.round, run.share(), run.lr.points().len()), (Some(2), Some(0.75), 3));
        assert_eq!(run.last.as_ref().map(|last| last.images_per_s), Some(8.0), "two images a step");
        model.begin();
        model.steps_loaded(2, steps(1));
        assert!(model.run.as_ref().unwrap().last.is_none(), "what runs is shown");
    }

    #[test]
    fn the_estimate_is_measured_where_it_can_be() {
        let mut model = TrainModel::default();
        let cpu = RoundConfig { iterations: 600, ..RoundConfig::preset("cpu").unwrap() };
        let Some(Estimate::Rough { minutes }) = model.estimate(&cpu, 2) else { panic!("no estimate") };
        assert_eq!(model.estimate(&cpu, 4), Some(Estimate::Rough { minutes: minutes / 2.0 }));
        model.set_rounds(vec![round(1, RoundState::Trained, &cpu)]);
        model.set_speed(Some((1, 3.0)));
        assert_eq!(model.estimate(&cpu, 2), Some(Estimate::Measured { round: 1, minutes: 30.0 }));
        let paper = model.estimate(&RoundConfig::preset("paper").unwrap(), 2);
        assert!(matches!(paper, Some(Estimate::Rough { minutes }) if minutes > 1440.0), "days: {paper:?}");
        let cuda = RoundConfig { device: "cuda:0".to_owned(), ..RoundConfig::preset("paper").unwrap() };
        assert_eq!(model.estimate(&cuda, 2), None, "nobody knows");
    }

    #[test]
    fn an_opened_round_is_compared_with_the_one_before_and_keeps_what_is_typed() {
        let mut model = TrainModel::default();
        let config = RoundConfig::preset("cpu").unwrap();
        let mut first = round(1, RoundState::Mined, &config);
        first.notes = "clocks".to_owned();
        model.set_rounds(vec![first, round(2, RoundState::Trained, &config)]);
        model.open_round(Some(2));
        assert_eq!(model.opened.as_ref().unwrap().compared, Some(1));
        model.open_round(Some(1));
        assert_eq!((model.opened.as_ref().unwrap().compared, model.notes()), (None, "clocks"));
        model.opened.as_mut().unwrap().notes = Some("dolls".to_owned());
        model.report_loaded(RoundReport { round: 2, ..RoundReport::default() });
        assert_eq!(model.opened.as_ref().unwrap().report, None, "the report of another round");
        model.report_loaded(RoundReport { round: 1, steps: 7, ..RoundReport::default() });
        assert_eq!((model.opened.as_ref().unwrap().report.as_ref().unwrap().steps, model.notes()), (7, "dolls"));
    }
}

//! The app's jobs: starts them and applies their events.

use std::path::Path;

use egui::Context;

use super::command::{Cross, CurveKey, Screen, TrainCommand};
use super::leaving::Leaving;
use super::{QuarryApp, work};
use crate::domain::HardNegativeSource;
use crate::jobs::{Job, JobKind, JobNews, Outcome, ReadRequest, Work};
use crate::training::TrainEvent;
use crate::workflow::{Project, WorkEvent};

impl QuarryApp {
    pub(super) fn start_job(&mut self, kind: JobKind, work: Work<WorkEvent>) -> bool {
        if kind == JobKind::Round && self.options.threads > 0 {
            work::use_threads(self.options.threads);
        }
        match self.jobs.start(kind, work, work::progress_of, self.waker.clone()) {
            Ok(()) => true,
            Err(error) => {
                self.say_error(error.to_string());
                false
            }
        }
    }

    /// Creates a project with the built-in sample in `dir` and trains its first round.
    pub(super) fn start_sample(&mut self, dir: &Path, auto_review: bool, ctx: &Context) {
        let is_open = self.session.as_ref().is_some_and(|session| session.project.dir() == dir);
        if !is_open {
            self.open(Project::open_or_create(dir), ctx);
        }
        let Some(session) = &self.session else { return };
        let work = work::demo(session.project.dir().to_owned(), auto_review);
        if self.start_job(JobKind::Round, work) {
            self.train.begin();
            self.screen = Screen::Train;
            self.review_after_job = !auto_review;
        }
    }

    pub(super) fn apply_train(&mut self, command: TrainCommand) {
        match command {
            TrainCommand::SetForm(form) => self.train.form = *form,
            TrainCommand::OpenRound(round) => {
                self.train.open_round(round);
                self.ask_for_report();
            }
            TrainCommand::Compare(round) => {
                if let Some(opened) = &mut self.train.opened {
                    opened.compared = round;
                }
            }
            TrainCommand::TypeNotes(notes) => {
                if let Some(opened) = &mut self.train.opened {
                    opened.notes = Some(notes);
                }
            }
            TrainCommand::SaveNotes => self.save_notes(),
            TrainCommand::Start => self.start_round(false),
            TrainCommand::Resume => self.start_round(true),
            TrainCommand::Mine => self.start_mining(),
            TrainCommand::SetCross(cross) => self.train.cross = cross,
            TrainCommand::CrossValidate => self.start_cross_validation(),
            TrainCommand::Pause => self.with_round_job(Job::pause),
            TrainCommand::Continue => self.with_round_job(Job::resume),
            TrainCommand::Stop => self.ask_to_stop(),
        }
    }

    fn with_round_job(&self, act: fn(&Job<WorkEvent>)) {
        if let Some(job) = self.jobs.job(JobKind::Round) {
            act(job);
        }
    }

    /// Requests the opened round's report, again if it is already loaded.
    fn ask_for_report(&mut self) {
        let opened = self.train.opened.as_ref().and_then(|opened| self.train.round(opened.number));
        if let (Some(round), Some(session)) = (opened, &mut self.session) {
            session.reader.ask(ReadRequest::Round(round.id));
        }
    }

    fn save_notes(&mut self) {
        let notes = self.train.notes().to_owned();
        let opened = self.train.opened.as_ref().and_then(|opened| self.train.round(opened.number));
        if let (Some(round), Some(session)) = (opened, &mut self.session) {
            session.write_notes(round.id, notes);
        }
    }

    fn start_round(&mut self, resume: bool) {
        let Some(session) = &self.session else { return self.say_error("Open a project first") };
        let project = session.project.clone();
        let config = match self.train.form.finished() {
            Ok(config) => config,
            // A resumed round keeps the settings of its first session.
            Err(_) if resume => self.train.form.config.clone(),
            Err(reason) => return self.say_error(reason),
        };
        // In a blind review the review's counts are the annotator's own.
        let confirmed = session.details.overview.counts.confirmed.max(self.review.counts.confirmed);
        let none_confirmed = config.hard_negatives == HardNegativeSource::Confirmed && confirmed == 0;
        if !resume && none_confirmed && !self.train.rounds.is_empty() {
            self.train.say("No hard negative is confirmed yet: this round trains without any", true);
        }
        let mine_after = self.train.form.mine_after;
        let how = match (resume, self.train.resumes_with_rates()) {
            (false, _) => work::Begin::New(Box::new(config)),
            (true, false) => work::Begin::Resume,
            (true, true) => work::Begin::ResumeWithRates(Box::new(config)),
        };
        if self.start_job(JobKind::Round, work::train(project, how, mine_after)) {
            self.train.begin();
        }
    }

    /// Resumes with its own settings if it was started, otherwise starts with the form's.
    fn start_cross_validation(&mut self) {
        let Some(session) = &self.session else { return self.say_error("Open a project first") };
        let project = session.project.clone();
        let config = match (self.train.begun_run(), self.train.form.finished()) {
            (Some(run), _) => run.config.clone(),
            // Nobody reviews between its rounds.
            (None, Ok(config)) => config.without_review(),
            (None, Err(reason)) => return self.say_error(reason),
        };
        let Cross { rounds, name } = self.train.cross.clone();
        let name = name.trim().to_owned();
        if self.start_job(JobKind::Round, work::cross_validate(project, name, config, rounds)) {
            self.train.begin();
        }
    }

    fn start_mining(&mut self) {
        let Some(session) = &self.session else { return self.say_error("Open a project first") };
        let work = work::mine(session.project.clone(), self.train.minable());
        self.start_job(JobKind::Round, work);
    }

    /// Groups now: embeddings computed in the background are stopped, as grouping computes them too.
    pub(super) fn start_grouping(&mut self) {
        if self.jobs.job(JobKind::Grouping).is_some() && self.embeddings.run {
            self.embeddings.give_way = true;
            self.stop_embeddings();
            return;
        }
        let Some(session) = &self.session else { return self.say_error("Open a project first") };
        let work = work::group(session.project.clone(), self.review.grouping);
        self.start_job(JobKind::Grouping, work);
    }

    /// Computes the embeddings that the project lacks in the background.
    pub(super) fn embed_in_background(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| session.damage.is_none()) else { return };
        if self.jobs.job(JobKind::Grouping).is_some() {
            self.embeddings.are_next = true;
            return;
        }
        let work = work::embed(session.project.clone());
        self.embeddings.run = self.start_job(JobKind::Grouping, work);
    }

    /// Embeddings do not prevent opening another project: they are resumed when this one is opened again.
    pub(super) fn leave_embeddings(&mut self) {
        self.embeddings.give_way = false;
        self.stop_embeddings();
    }

    fn stop_embeddings(&self) {
        if let Some(job) = self.jobs.job(JobKind::Grouping).filter(|_| self.embeddings.run) {
            job.stop();
        }
    }

    pub(super) fn drain_job(&mut self, _: &Context) -> bool {
        let Some((kind, news)) = self.jobs.poll() else { return false };
        match news {
            JobNews::Event(event) => self.work_event(event),
            JobNews::Finished(outcome) => self.job_finished(kind, outcome),
        }
        true
    }

    fn work_event(&mut self, event: WorkEvent) {
        match event {
            WorkEvent::Progress(_) => {}
            WorkEvent::Log(text) => self.train.say(text, false),
            WorkEvent::Fold(at) => {
                self.train.fold_started(at);
                // The pooled curve grows fold by fold.
                self.refresh();
                if let Some(session) = &mut self.session {
                    session.reader.ask(ReadRequest::Curves);
                }
            }
            WorkEvent::Round { round } => {
                self.train.round_started(round);
                if !self.train.is_in_fold() {
                    self.curves.set_running(Some(round));
                }
                self.refresh();
            }
            WorkEvent::Train(event) => {
                let has_news = matches!(event, TrainEvent::Checkpoint { .. } | TrainEvent::Evaluated { .. });
                if let (TrainEvent::Evaluated { .. }, Some(session)) = (&event, &mut self.session) {
                    // The average precision is in the store; the event contained the curves.
                    session.reader.ask(ReadRequest::Curves);
                }
                self.train.train_event(event);
                if has_news {
                    self.ask_for_report();
                }
            }
            // A fold's rounds are not the project's; their curves are shown pooled.
            WorkEvent::Curve { .. } if self.train.is_in_fold() => {}
            WorkEvent::Curve { round, step, label, curve } => {
                self.curves.put(CurveKey::new(round, label), step, curve);
            }
        }
    }

    fn job_finished(&mut self, kind: JobKind, outcome: Outcome) {
        let is_done = matches!(outcome, Outcome::Done(_));
        self.leaving.take_if(|leaving| *leaving == Leaving::Stop);
        match outcome {
            Outcome::Done(text) if text.is_empty() => {}
            Outcome::Done(text) => {
                self.train.say(text.clone(), false);
                self.say(text);
            }
            Outcome::Stopped(_) if kind == JobKind::Grouping && self.embeddings.run => {}
            Outcome::Stopped(text) => self.train.say(text, true),
            Outcome::Failed(reason) => {
                self.train.say(reason.clone(), true);
                self.say_error(reason);
            }
        }
        if let (JobKind::Round | JobKind::Import, Some(session)) = (kind, &mut self.session) {
            session.forget_details();
        }
        self.reread_review();
        let has_new_detections = self.embed_after.take_if(|job| *job == kind).is_some();
        if is_done && has_new_detections {
            self.embed_in_background();
        }
        if kind == JobKind::Grouping {
            self.embeddings.run = false;
            if std::mem::take(&mut self.embeddings.give_way) {
                self.start_grouping();
            } else if std::mem::take(&mut self.embeddings.are_next) {
                self.embed_in_background();
            }
        }
        if kind == JobKind::Round {
            self.train.ended();
            self.curves.set_running(None);
            if is_done && std::mem::take(&mut self.review_after_job) {
                self.screen = Screen::Review;
            }
        }
        self.refresh();
    }

    pub(super) fn refresh(&mut self) {
        if let Some(session) = &mut self.session {
            session.refresh();
        }
        self.ask_for_report();
    }
}

//! Drains the threads' messages within the frame's budget and sends the next requests.

use std::time::Instant;

use egui::Context;

use super::command::{
    Command, CurveKey, CurvesCommand, DatasetCommand, ExportFormat, FolderPurpose, ImportKind, ReviewFilter,
};
use super::dialogs::Ask;
use super::messages::nothing_left;
use super::session::Background;
use super::views::curves::key_of;
use super::views::review::{Layout, Saved, crop_request, decode_requests};
use super::{DRAIN_BUDGET, QuarryApp, Screen};
use crate::domain::{CorrectionAct, Output, Verdict, printable};
use crate::evaluation::RocCurve;
use crate::jobs::{Annotator, Answer, CurveNews, ReadCurve, ReadReply, ReadRequest, Ticket, WriteReply, Written};
use crate::store::GestureAction;
use crate::workflow::group::GroupPreview;
use crate::workflow::run_curves::RunCurves;

impl QuarryApp {
    /// Handles messages until none is left or the budget is spent; then requests another frame.
    pub(super) fn drain(&mut self, ctx: &Context) {
        let start = Instant::now();
        let steps: [fn(&mut Self, &Context) -> bool; 11] = [
            Self::drain_backups,
            Self::drain_writer,
            Self::drain_reader,
            Self::drain_slow_reader,
            Self::drain_watch,
            Self::drain_images,
            Self::drain_files,
            Self::drain_decoded,
            Self::drain_job,
            Self::drain_dialog,
            Self::drain_datasets,
        ];
        loop {
            let mut any = false;
            for step in steps {
                any |= step(self, ctx);
            }
            if !any {
                return;
            }
            if start.elapsed() > DRAIN_BUDGET {
                return ctx.request_repaint();
            }
        }
    }

    fn drain_writer(&mut self, ctx: &Context) -> bool {
        let Some(answer) = self.session.as_mut().and_then(|session| session.writer.poll()) else { return false };
        self.took(answer, ctx);
        true
    }

    /// Handles a reply of the writer.
    pub(super) fn took(&mut self, answer: Answer<WriteReply>, ctx: &Context) {
        let Some(session) = &mut self.session else { return };
        let background = session.background_write(answer.ticket);
        if answer.result.is_err() && background != Some(Background::Health) {
            session.ask_health();
        }
        if let Ok(WriteReply::Verdict(written)) = &answer.result
            && let Some(gesture) = &written.gesture
        {
            session.gave(gesture.id);
        }
        match (answer.result, background) {
            (Ok(WriteReply::Verdict(written)), Some(Background::Images)) => self.written_in_images(&written),
            (Err(reason), Some(Background::Images)) => self.not_written_in_images(&reason),
            (Ok(WriteReply::Verdict(written)), _) => self.written(*written, ctx.input(|input| input.time)),
            (Ok(WriteReply::Notes(_)), _) => self.refresh(),
            (Ok(WriteReply::ImageMarked { image, name, complete }), _) => {
                session.image_changed(image);
                let name = printable(&name);
                self.say(if complete {
                    format!("{name} is marked as complete")
                } else {
                    format!("{name} is no longer marked as complete by you")
                });
            }
            (Ok(WriteReply::Health(damage)), _) => {
                session.damage = damage;
            }
            (Ok(WriteReply::Setting), _) => session.numbers_wanted = true,
            (Err(reason), Some(Background::Notes)) => self.say_error(format!("The notes are not saved: {reason}")),
            (Err(reason), Some(Background::Setting)) => self.say_error(format!("The filter was not saved: {reason}")),
            (Err(reason), Some(Background::ImageMark)) => self.say_error(format!("The image is not marked: {reason}")),
            (Err(reason), Some(Background::Health)) => self.say_error(reason),
            (Err(reason), None) => {
                let is_seen = self.screen == Screen::Review;
                self.without_queued(|review| review.failed(reason.clone()));
                if !is_seen {
                    // Only the review shows what it stops for.
                    self.review.acknowledge_failure();
                    self.say_error(format!("Not saved: {reason}"));
                }
            }
        }
    }

    fn written(&mut self, written: Written, now_s: f64) {
        let Some(gesture) = written.gesture else {
            let (is_decision, is_correction) = (self.review.is_deciding(), self.review.is_correcting());
            let is_redo = self.review.is_redoing();
            self.review.confirmed(&Saved::default(), now_s);
            if is_correction {
                self.say("No change to the object");
            } else if is_decision {
                self.say("All of this was decided already");
                self.reread_review();
            } else {
                self.say(nothing_left(is_redo));
            }
            return;
        };
        let mut images = self.review.images_of_faces(&gesture.candidates, &written.changed);
        if gesture.verdict.is_some_and(Verdict::has_class) {
            images.extend(written.changed.iter().map(|row| row.candidate.image));
        }
        images.extend(gesture.images.iter().copied());
        if let Some(session) = &mut self.session {
            for image in images {
                session.image_changed(image);
            }
        }
        if let Some(act) = gesture.act {
            self.say(correction_text(gesture.action, act));
        }
        let saved = Saved {
            candidates: gesture.candidates,
            changed: written.changed,
            row: written.row,
            waiting: written.waiting,
        };
        self.review.confirmed(&saved, now_s);
        if let Some(session) = &mut self.session {
            session.numbers_wanted = true;
            session.inheritable_changed();
            session.forget_members();
        }
        self.images.changed();
        self.review.group_preview = None;
        self.keep_backups();
        if saved.candidates.is_empty() && gesture.images.is_empty() {
            self.say("Newer verdicts from another copy are kept");
        }
        let is_large_batch = saved.changed.is_empty() && !saved.candidates.is_empty();
        if is_large_batch && (gesture.action != GestureAction::Decide || self.review.filter.annotator.is_some()) {
            // After an undo or redo of a very large batch, or with the annotators listed, the rows are out of date.
            self.reread_review();
        }
        self.reload_layout();
    }

    fn keep_backups(&mut self) {
        if let Some(session) = &mut self.session {
            session.keep_backups();
        }
    }

    /// A failed backup is reported and blocks nothing.
    fn drain_backups(&mut self, _: &Context) -> bool {
        let Some(session) = &mut self.session else { return false };
        let Some(result) = session.poll_backups() else { return false };
        match result {
            Ok(Some(damage)) => session.found_damage(damage),
            Ok(None) => {}
            Err(reason) => self.say_error(format!("The last backup failed: {reason}")),
        }
        true
    }

    fn drain_reader(&mut self, _: &Context) -> bool {
        let Some(answer) = self.session.as_mut().and_then(|session| session.reader.poll()) else { return false };
        let Answer { ticket, result } = answer;
        let is_set_up = self.session.as_mut().is_some_and(|session| session.is_set_up(ticket));
        if is_set_up {
            self.begin_review(result.as_ref().ok());
        }
        let reply = match result {
            Ok(reply) => reply,
            Err(reason) => {
                if !self.read_failed(ticket) {
                    self.say_error(format!("The project cannot be read: {reason}"));
                }
                return true;
            }
        };
        let by = self.annotator();
        let Some(session) = &mut self.session else { return true };
        match reply {
            ReadReply::Damaged(damage) => {
                session.found_damage(damage);
                self.read_failed(ticket);
            }
            ReadReply::Overview(mut overview) => {
                self.train.set_rounds(overview.rounds.clone());
                let splits: Vec<String> = overview.splits.iter().map(|(split, _)| split.clone()).collect();
                self.train.set_splits(&splits, overview.images);
                let problem = overview.cross_validation_problem.take();
                if let Some(problem) = problem.filter(|text| self.train.log.iter().all(|line| line.text != *text)) {
                    self.train.say(problem, true);
                }
                self.train.set_runs(std::mem::take(&mut overview.cross_validations));
                if let Some(round) = self.train.steps_to_read() {
                    session.reader.ask(ReadRequest::Steps(round));
                }
                self.train.set_speed(overview.speed);
                if !self.review.filter.blind {
                    self.review.counts = overview.counts;
                }
                self.images.set_up(&overview.rounds);
                self.images.changed();
                let shares_changed =
                    self.review.filter.share.is_some() && session.details.overview.shares != overview.shares;
                session.details.overview = *overview;
                session.want_large();
                if shares_changed {
                    self.reread_review();
                } else if self.review.rows().is_empty() && session.page_ticket.is_none() {
                    session.start_query(&self.review.filter, &by, self.review.returning(), 0);
                }
            }
            ReadReply::Page(page) if session.page_ticket == Some(ticket) => {
                let complete = page.next.is_none();
                let is_first = session.page_loaded(page.next);
                self.review.extend(page.rows.into_iter().map(|row| by.sees(row)).collect(), complete);
                if is_first {
                    session.keep_backups();
                }
            }
            ReadReply::Numbers(numbers) if session.numbers_ticket == Some(ticket) => {
                session.numbers_ticket = None;
                self.review.numbers = Some(*numbers);
                if !session.numbers_wanted && !self.review.is_saving() {
                    self.review.counts = numbers.counts;
                }
            }
            ReadReply::Annotators(statistics) => self.review.statistics = Some(*statistics),
            ReadReply::History(steps) => {
                if let Some(from_start) = session.history_loaded(ticket, &self.review.history) {
                    self.review.history.extend(steps, from_start);
                }
            }
            ReadReply::Candidate(row) => {
                if session.ends_return(ticket) {
                    self.review.return_loaded(Some(by.sees(*row)));
                } else if session.revisit_ticket.take_if(|requested| *requested == ticket).is_some() {
                    self.review.layout = Layout::Queue;
                    self.review.show_row(by.sees(*row));
                }
            }
            ReadReply::Rows(rows) => self.decided_elsewhere(rows),
            ReadReply::Count(count) if session.count_ticket == Some(ticket) => self.review.total = Some(count),
            // From the slow reader; handled by `begin_review`; or replies to an outdated filter.
            ReadReply::Inheritable(_)
            | ReadReply::GroupPreview(..)
            | ReadReply::EmbeddingsMissing(_)
            | ReadReply::Members(..)
            | ReadReply::OnLargeImages(_)
            | ReadReply::ReviewSetUp { .. }
            | ReadReply::Page(_)
            | ReadReply::Count(_)
            | ReadReply::Numbers(_) => {}
            ReadReply::Image(detail) => {
                if let Some(round) = session.detail_round(ticket) {
                    session.details.insert(round, *detail);
                }
            }
            ReadReply::Curves(news) => self.apply_curve_news(*news),
            ReadReply::Round(report) => self.train.report_loaded(*report),
            ReadReply::Steps(round, steps) => self.train.steps_loaded(round, steps),
        }
        true
    }

    /// Handles slow reads that the screen does not wait for.
    fn drain_slow_reader(&mut self, _: &Context) -> bool {
        let Some(session) = &mut self.session else { return false };
        let is_wanted = session.inheritable_ticket();
        let Some(answer) = session.poll_slow() else { return false };
        match answer.result {
            Ok(ReadReply::Inheritable(found)) if is_wanted == Some(answer.ticket) => self.review.inheritable = found,
            Ok(ReadReply::GroupPreview(grouping, preview)) => {
                self.review.group_preview = Some((grouping, preview));
            }
            Ok(ReadReply::EmbeddingsMissing(missing)) => {
                if missing {
                    self.embed_in_background();
                }
            }
            Ok(ReadReply::Members(group, rows)) => {
                let by = Annotator { name: self.options.annotator.clone(), blind: self.review.filter.blind };
                self.review.members = Some((group, rows.into_iter().map(|row| by.sees(row)).collect()));
            }
            Ok(ReadReply::OnLargeImages(rows)) => session.pictures.keep_ahead(decode_requests(&rows)),
            Ok(ReadReply::Damaged(damage)) => session.found_damage(damage),
            Ok(_) => {}
            Err(reason) => {
                // Reported once and not requested again.
                self.review.group_preview = Some((self.review.grouping, GroupPreview::default()));
                self.say_error(format!("The project cannot be read: {reason}"));
            }
        }
        true
    }

    /// The project is open: requests the first page, then the rest. `None`: the review's settings could not be read.
    fn begin_review(&mut self, reply: Option<&ReadReply>) {
        let by = self.annotator();
        let Some(session) = &mut self.session else { return };
        if let Some(ReadReply::ReviewSetUp { filter, grouping, rounds, classes, elliptic, shares }) = reply {
            self.review.grouping = *grouping;
            if let Some(text) = filter {
                self.review.filter = ReviewFilter::from_json(text);
            }
            session.details.overview.rounds.clone_from(rounds);
            session.details.overview.classes.clone_from(classes);
            session.details.overview.elliptic.clone_from(elliptic);
            session.details.overview.shares.clone_from(shares);
            session.start_query(&self.review.filter, &by, self.review.returning(), self.review.position());
        }
        session.ask_for_missing_embeddings();
        session.refresh();
    }

    /// Handles a failed request. Returns true if it was for the candidate to go back to, which is dropped then.
    fn read_failed(&mut self, ticket: Ticket) -> bool {
        let Some(session) = &mut self.session else { return false };
        if session.ends_return(ticket) {
            self.review.return_loaded(None);
            return true;
        }
        session.detail_failed(ticket);
        session.numbers_failed(ticket);
        if session.page_failed(ticket) {
            self.review.give_up_waiting();
        }
        false
    }

    fn apply_curve_news(&mut self, news: CurveNews) {
        for text in news.unreadable {
            self.train.say(text, true);
        }
        let key = |read: &ReadCurve| CurveKey::new(read.round, read.label.as_str());
        self.curves.put_all(news.curves.into_iter().map(|read| (key(&read), read.step, read.curve)));
        for (round, step, precision) in news.precision {
            self.curves.put_precision(round, step, precision);
        }
        for (round, metrics) in news.metrics {
            self.curves.metrics.put(round, metrics);
        }
        if let Some(corrected) = news.corrected {
            self.curves.metrics.set_corrected(corrected);
        }
        if let Some(mut runs) = news.runs {
            let metrics = |run: &mut RunCurves| Some((key_of(Some(run.title.clone()), run.round), run.metrics.take()?));
            self.curves.metrics.set_runs(runs.iter_mut().filter_map(metrics));
            self.curves.set_runs(runs.into_iter().flat_map(curves_of_run));
        }
    }

    fn drain_decoded(&mut self, ctx: &Context) -> bool {
        let Some(picture) = self.session.as_ref().and_then(|session| session.pictures.poll()) else { return false };
        self.textures.accept(ctx, picture);
        true
    }

    fn drain_dialog(&mut self, _: &Context) -> bool {
        let Some(answer) = self.dialogs.as_mut().and_then(super::dialogs::Dialogs::poll) else { return false };
        match answer.result {
            Ok((Ask::Folder(purpose), Some(path))) => self.commands.push(folder_command(purpose, path)),
            Ok((Ask::Save(format), Some(path))) => {
                // The system's dialog asks before a file is replaced, but knows nothing about the files in a folder.
                let out = Output::new(path, format != ExportFormat::Official);
                self.commands.push(Command::Curves(CurvesCommand::Write(format, out)));
            }
            Ok((Ask::RocFile, Some(path))) => {
                self.commands.push(Command::Curves(CurvesCommand::ReadRoc(path, None)));
            }
            Ok((_, None)) => {}
            Err(reason) => self.say_error(reason),
        }
        true
    }

    /// Requests pages and overlays that the screen will need.
    pub(super) fn ask_for_more(&mut self, ctx: &Context) {
        let by = self.annotator();
        self.ask_for_queued();
        let is_shown = self.screen == Screen::Review;
        let Some(session) = &mut self.session else { return };
        // Pages are prefetched for the screen that shows them.
        let wants_rows = is_shown || self.review.must_wait();
        if wants_rows && self.review.wants_more(self.grid_visible) && !session.next_page(&self.review.filter, &by) {
            self.review.give_up_waiting();
        }
        if is_shown && self.review.layout == Layout::Queue {
            let rows = self.review.current().into_iter().chain(self.review.upcoming(12));
            session.want_details(rows);
            if let Some(group) = self.review.current().and_then(|row| row.group) {
                session.want_members(group);
            }
        }
        if is_shown && !self.review.is_saving() {
            session.want_inheritable(&self.review.filter, &by);
            let is_known = self.review.group_preview.is_some_and(|(config, _)| config == self.review.grouping);
            if self.review.filter_open && !is_known {
                session.want_preview(self.review.grouping);
            }
        }
        if !self.review.is_saving() && !session.want_numbers(&self.review.filter, &by) {
            ctx.request_repaint_after(std::time::Duration::from_millis(100));
        }
    }
}

impl QuarryApp {
    /// Queued keys may need the current candidate to be visible, even while another screen or the grid is shown.
    fn ask_for_queued(&mut self) {
        let row = self.review.current().filter(|_| self.review.has_queued());
        if let (Some(row), Some(session)) = (row, &mut self.session) {
            session.want_details(std::iter::once(row));
            self.textures.prefetch(crop_request(row));
        }
    }
}

/// Converts a cross-validation round for one output shape: the pooled curve, then its folds.
fn curves_of_run(run: RunCurves) -> Vec<(CurveKey, RocCurve)> {
    let pooled = CurveKey { run: Some(run.title), round: run.round, label: run.shape };
    let folds = run.curves.folds.into_iter().map(|(fold, curve)| (pooled.of_fold(fold), curve));
    std::iter::once((pooled.clone(), run.curves.pooled)).chain(folds).collect()
}

pub(super) fn correction_text(action: GestureAction, act: CorrectionAct) -> String {
    let text = act.text();
    match action {
        GestureAction::Decide => format!("{}{}", text[..1].to_uppercase(), &text[1..]),
        GestureAction::Undo => format!("Undone: {text}"),
        GestureAction::Redo => format!("Redone: {text}"),
    }
}

fn folder_command(purpose: FolderPurpose, path: std::path::PathBuf) -> Command {
    match purpose {
        FolderPurpose::Open => Command::Open(path),
        FolderPurpose::New => Command::New(path),
        FolderPurpose::Sample => Command::Sample { dir: path, auto_review: false },
        FolderPurpose::ImportDataset => Command::Import(ImportKind::Dataset, path),
        FolderPurpose::ImportFolder => Command::Import(ImportKind::Folder, path),
        FolderPurpose::Model => Command::Dataset(DatasetCommand::OpenModel(path)),
        FolderPurpose::ImportDetections => Command::Dataset(DatasetCommand::OpenDetections(path)),
        FolderPurpose::Locate(dataset) => Command::Dataset(DatasetCommand::MoveTo(dataset, path)),
        FolderPurpose::ExportTraining(format) => Command::Dataset(DatasetCommand::ExportTraining(format, path)),
    }
}

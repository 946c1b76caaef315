//! Applies commands: the only code that changes the app's state.

use std::path::Path;

use egui::Context;

use super::action::{Action, Scope};
use super::command::{
    Command, CurvesCommand, ExportFormat, FolderPurpose, LeavingCommand, Order, ReviewCommand, ReviewFilter, Screen,
    ShownVerdicts,
};
use super::dialogs::{self, Ask};
use super::export::ExportError;
use super::session::Session;
use super::views::review::{Decision, Layout, Nudge, nudge};
use super::{QuarryApp, ReviewModel, export};
use crate::domain::{Annotation, AnnotationSource, CandidateId, ImageId, Output, OutputError, Shape, Verdict};
use crate::evaluation::roc_file::ColumnOrder;
use crate::jobs::{Annotator, JobKind, ReadRequest, WriteRequest};
use crate::store::{Decided, Store, restore_backup};
use crate::workflow::Project;
use crate::workflow::outputs::OutputPolicy;
use crate::workflow::roc_import::{RocImportError, forget_roc, import_roc, imported_rocs};

impl QuarryApp {
    pub(super) fn carry_out(&mut self, command: Command, ctx: &Context) {
        match command {
            Command::Key(typed) => self.press(&typed),
            Command::Do(action) => self.act(action),
            Command::Show(screen) => self.show_screen(screen),
            Command::ChooseFolder(purpose) => self.ask(Ask::Folder(purpose)),
            Command::Open(path) => self.open(Project::open(&path), ctx),
            Command::New(path) => self.open(Project::create(&path), ctx),
            Command::Sample { dir, auto_review } => self.start_sample(&dir, auto_review, ctx),
            Command::Import(kind, path) => self.read_dataset(kind, path),
            Command::Dataset(command) => self.apply_dataset(command, ctx),
            Command::Dropped(paths) => self.dropped(paths),
            Command::ForgetRecent(path) => self.options.forget(&path),
            Command::SetAnnotator(name) => self.set_annotator(name),
            Command::ToggleImageComplete(image) => self.toggle_image_complete(image),
            Command::StopJobs => self.ask_to_stop(),
            Command::Leaving(command) => self.apply_leaving(command, ctx),
            Command::Message(command) => self.apply_message(command, ctx),
            Command::RestoreBackup => self.restore_backup(ctx),
            Command::CloseKeys => self.help_open = false,
            Command::Correct { objects, change } => {
                let decision = self.review.correct(objects, change);
                self.save_correction(decision);
            }
            Command::AddObject { image, shape, class } => {
                let decision = self.review.add_object(image, shape, class);
                self.save_correction(decision);
            }
            Command::CopyCrashReport => self.copy_crash_report(ctx),
            Command::DismissNotes => self.database_notes.clear(),
            Command::DismissCrashReports => self.dismiss_crash_reports(),
            Command::Review(command) => self.apply_review(command),
            Command::Train(command) => self.apply_train(command),
            Command::Curves(command) => self.apply_curves(command),
            Command::Images(command) => self.apply_images(command),
            Command::Settings(command) => self.apply_settings(command, ctx),
            Command::Palette(command) => self.apply_palette(command),
        }
    }

    pub(super) fn show_screen(&mut self, screen: Screen) {
        self.take_typed_annotator();
        self.screen = screen;
        self.help_open = false;
        self.palette = None;
    }

    fn ask(&mut self, ask: Ask) {
        if self.dialogs.is_none() {
            match dialogs::start(self.waker.clone()) {
                Ok(dialogs) => self.dialogs = Some(dialogs),
                Err(error) => return self.say_error(format!("A dialog cannot be opened: {error}")),
            }
        }
        if let Some(dialogs) = &mut self.dialogs {
            dialogs.ask(ask);
        }
    }

    pub(super) fn set_annotator(&mut self, name: String) {
        if name.is_empty() {
            self.start.annotator = self.options.annotator.clone();
        } else {
            self.options.annotator = name;
            if self.review.filter.blind {
                self.reread_review();
            }
        }
    }

    /// Takes over the name in the text field even if a key left the screen before the field lost focus.
    fn take_typed_annotator(&mut self) {
        let typed = self.start.annotator.trim().to_owned();
        if !matches!(self.screen, Screen::Project | Screen::Settings) || typed == self.options.annotator {
            return;
        }
        if self.review.has_queued() {
            self.review.wait(Command::SetAnnotator(typed));
        } else {
            self.set_annotator(typed);
        }
    }

    /// Returns the current annotator, and whether others' verdicts are visible.
    pub(super) fn annotator(&self) -> Annotator {
        Annotator { name: self.options.annotator.clone(), blind: self.review.filter.blind }
    }

    /// Whether a job runs on the open project, which must then stay open; shows a message if so.
    pub(super) fn is_kept_by_a_job(&mut self) -> bool {
        let runs = self.jobs.running().next().is_some();
        if runs {
            self.say_error("A job is running on the open project. Stop it or wait for it first");
        }
        runs
    }

    pub(super) fn open<E: std::fmt::Display>(&mut self, project: Result<Project, E>, _: &Context) {
        let is_left = |kind| kind == JobKind::Grouping && self.embeddings.run;
        if self.jobs.running().any(|(kind, _)| !is_left(kind)) && self.is_kept_by_a_job() {
            return;
        }
        self.leave_embeddings();
        // The same project may be opened again.
        self.options.last = self.last_place().or_else(|| self.options.last.take());
        let opened = project.map_err(|e| e.to_string());
        let notes = opened.as_ref().map_or_else(|_| Vec::new(), |project| Store::notes_of(&project.database()));
        let session = opened.and_then(|project| Session::open(project, &self.waker).map_err(|e| e.to_string()));
        match session {
            Ok(session) => {
                self.options.remember(session.project.dir());
                self.textures.clear();
                self.places.clear();
                self.images_places.clear();
                self.database_notes = notes;
                self.review = ReviewModel::default();
                self.review.auto_advance = self.options.auto_advance;
                let last = self.options.last.as_ref().filter(|last| Path::new(&last.project) == session.project.dir());
                if let Some((candidate, position)) = last.and_then(|last| Some((last.candidate?, last.position))) {
                    self.review.reopen_at(candidate, position);
                }
                self.train = super::TrainModel::default();
                self.train.form.config.device.clone_from(&self.options.device);
                self.images = super::ImagesModel::default();
                self.curves.clear();
                let (imported, unreadable) = imported_rocs(session.project.dir());
                for roc in imported {
                    self.curves.put_imported(export::imported(roc));
                }
                for error in unreadable {
                    self.say_error(error.to_string());
                }
                self.session = Some(session);
                self.start.path.clear();
            }
            Err(reason) => self.say_error(reason),
        }
    }

    fn restore_backup(&mut self, ctx: &Context) {
        if self.is_kept_by_a_job() {
            return;
        }
        let Some(session) = self.session.take() else { return };
        let (dir, damage) = (session.project.dir().to_owned(), session.damage.clone());
        // Ends its threads, which closes every connection to the database.
        drop(session);
        if let Some((damage, backup)) = damage.and_then(|d| d.newest_good_backup.clone().map(|backup| (d, backup))) {
            match restore_backup(&damage.database, &backup) {
                Ok(restored) => self.say(restored.to_string()),
                Err(error) => self.say_error(error.to_string()),
            }
        }
        self.open(Project::open(&dir), ctx);
    }

    /// Performs the action of a key or its button.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::ShowProject => self.show_screen(Screen::Project),
            Action::ShowReview => self.show_screen(Screen::Review),
            Action::ShowTrain => self.show_screen(Screen::Train),
            Action::ShowCurves => self.show_screen(Screen::Curves),
            Action::ShowImages => self.show_screen(Screen::Images),
            Action::ShowSettings => self.show_screen(Screen::Settings),
            Action::Palette => self.toggle_palette(false),
            Action::GoToNumber => self.toggle_palette(true),
            action if action.scope() == Scope::Images => self.images_action(action),
            Action::ShowKeys => self.help_open = !self.help_open,
            Action::Quit => self.push(Command::Leaving(LeavingCommand::Quit)),
            Action::OpenProject => self.ask(Ask::Folder(FolderPurpose::Open)),
            // The class is chosen first.
            _ if self.review.picker.is_some() => {}
            action if action.scope() == Scope::Adjust => self.adjust(action),
            Action::GoOn => self.review.acknowledge_failure(),
            // The ellipse is adjusted first.
            _ if self.review.adjusting.is_some() => {}
            action => self.review_action(action),
        }
    }

    fn review_action(&mut self, action: Action) {
        if self.decides_unseen(action) {
            return;
        }
        let decision = match action {
            Action::Confirm => self.review.decide(Verdict::Confirmed, None),
            Action::Reject => self.review.decide(Verdict::Rejected, None),
            Action::Skip => self.review.decide(Verdict::Skipped, None),
            Action::ConfirmGroup => self.review.decide_group(Verdict::Confirmed),
            Action::RejectGroup => self.review.decide_group(Verdict::Rejected),
            Action::DecideRest => self.review.decide_rest(),
            Action::AsBefore => self.review.decide_as_before(),
            Action::AllAsBefore => self.review.decide_all_as_before(),
            Action::EstimateRest => self.review.estimate_rest(),
            Action::Undo => self.review.undo(),
            Action::Redo => self.review.redo(),
            other => match other.reason() {
                Some(number) => {
                    let reason = self.reasons().get(usize::from(number) - 1).copied();
                    self.review.decide(Verdict::Rejected, reason)
                }
                None => return self.look_around(other),
            },
        };
        self.save(decision);
    }

    fn toggle_image_complete(&mut self, image: ImageId) {
        let by = self.annotator();
        if let Some(session) = &mut self.session {
            session.mark_image(image, by);
        }
    }

    /// Performs actions that do not change the project.
    fn look_around(&mut self, action: Action) {
        let columns = if self.review.layout == Layout::Grid { self.grid_columns as isize } else { 1 };
        let drawn = &mut self.review.drawn;
        match action {
            Action::GroundTruth => drawn.ground_truth = !drawn.ground_truth,
            Action::Detections => drawn.detections = !drawn.detections,
            Action::CandidateBox => drawn.candidate = !drawn.candidate,
            Action::Previous | Action::RowUp if self.review.layout == Layout::History => self.step_history(-1),
            Action::Next | Action::RowDown if self.review.layout == Layout::History => self.step_history(1),
            Action::PageBack | Action::PageOn if self.review.layout == Layout::History => {
                self.step_history(if action == Action::PageOn { 10 } else { -10 });
            }
            Action::First if self.review.layout == Layout::History => self.step_history(isize::MIN),
            Action::Last if self.review.layout == Layout::History => self.step_history(isize::MAX),
            action if action.is_about_candidate() && !self.review.layout.shows_candidates() => {}
            Action::Previous => self.review.step(-1),
            Action::Next => self.review.step(1),
            Action::RowUp => self.review.step(-columns),
            Action::RowDown => self.review.step(columns),
            Action::PageBack => self.review.step(-self.page()),
            Action::PageOn => self.review.step(self.page()),
            Action::First => self.review.go_to(0),
            Action::Last => self.review.seek_to(usize::MAX),
            Action::NextUndecided => {
                let is_somewhere = self.review.next_undecided();
                // Groups listed as one may have other undecided members.
                if !is_somewhere && self.review.filter.verdicts == ShownVerdicts::Undecided {
                    self.restart_review(None);
                }
            }
            Action::ImageComplete => {
                if let Some(row) = self.review.current() {
                    self.toggle_image_complete(row.candidate.image);
                }
            }
            Action::MissedObject => self.missed_object(),
            Action::WrongClass => self.wrong_class(),
            Action::AdjustObject | Action::ObjectClass | Action::IgnoreObject | Action::DeleteObject => {
                self.correct_object(action);
            }
            Action::Zoom => self.review.zoomed = !self.review.zoomed,
            Action::Filter => self.review.toggle_filter(),
            Action::LessFilter => {
                if let Some((condition, _)) = self.review.filter.chips().last() {
                    self.set_filter(self.review.filter.without(*condition));
                }
            }
            Action::AlikeAsOne => {
                let alike_as_one = !self.review.filter.alike_as_one;
                self.set_filter(ReviewFilter { alike_as_one, ..self.review.filter.clone() });
            }
            Action::ShowGroup => {
                if let Some(filter) = self.review.filter_of_group().filter(|filter| *filter != self.review.filter) {
                    self.keep_place();
                    self.set_filter(filter);
                }
            }
            Action::Disagreements => {
                self.keep_place();
                self.review.layout = Layout::Queue;
                self.set_filter(ReviewFilter::disagreements());
            }
            Action::LookAgain => self.look_again(),
            Action::Batch => self.toggle_batch(self.review.history.at),
            Action::Leave if self.review.layout == Layout::History && self.review.history.batch.is_some() => {
                self.toggle_batch(0);
            }
            Action::Back => {
                self.go_back();
            }
            Action::Leave => {
                if self.review.has_nothing_to_leave() && self.go_back() {
                    return;
                }
                self.review.leave();
            }
            Action::SelectMore => self.review.toggle_selected(self.review.position()),
            Action::SelectAll if self.review.layout == Layout::Grid => self.review.select_all(),
            Action::Grid => self.review.toggle_layout(Layout::Grid),
            Action::History => self.toggle_layout(Layout::History),
            Action::Annotators => self.toggle_layout(Layout::Annotators),
            _ => {}
        }
    }

    /// Returns the shape that the current candidate was promoted with, if it is a missed object. `None` in a blind review: it may be
    /// someone else's.
    pub(super) fn promoted(&self) -> Option<Shape> {
        if self.review.filter.blind {
            return None;
        }
        let row = self.review.current().filter(|row| row.candidate.verdict == Some(Verdict::MissedObject))?;
        let faces = &self.session.as_ref()?.details.get(row)?.ground_truth;
        let near = |face: &&Annotation| face.shape.bounding_box().iou(&row.candidate.bbox);
        let promoted = faces.iter().filter(|face| face.source == AnnotationSource::Promoted && near(face) > 0.0);
        Some(promoted.max_by(|a, b| near(a).total_cmp(&near(b)))?.shape)
    }

    /// Returns the number of candidates per page.
    fn page(&self) -> isize {
        if self.review.layout == Layout::Grid { (self.grid_columns * self.grid_rows.max(1)) as isize } else { 10 }
    }

    fn step_history(&mut self, by: isize) {
        if self.review.history.step(by) {
            self.older_history();
        }
    }

    pub(super) fn search_history(&mut self, text: String) {
        self.review.history.search(text);
        self.reload_layout();
    }

    fn toggle_batch(&mut self, index: usize) {
        if self.review.layout != Layout::History {
            return;
        }
        if self.review.history.toggle_batch(index) {
            self.reload_layout();
        }
    }

    fn older_history(&mut self) {
        let by = self.annotator();
        if let Some(session) = self.session.as_mut().filter(|session| session.history_requested.is_none()) {
            session.want_history(&self.review.history, &by, false);
        }
    }

    /// Shows the candidate of the marked history entry.
    fn look_again(&mut self) {
        let marked = self.review.history.marked().filter(|_| self.review.layout == Layout::History);
        if let (Some(step), Some(session)) = (marked, &mut self.session)
            && let Decided::Verdict { candidate, .. } = step.what
        {
            session.revisit(candidate);
            self.keep_place();
        }
    }

    fn adjust(&mut self, action: Action) {
        let change = match action {
            // The ellipse that could not be saved is still shown: first acknowledge the failure.
            Action::Commit if self.review.failure.is_some() => return self.review.acknowledge_failure(),
            Action::Commit => {
                let decision = self.review.commit_adjusted();
                return self.save(decision);
            }
            Action::Cancel => {
                self.review.stop_adjusting();
                return;
            }
            action => match nudge_of(action) {
                Some(change) => change,
                None => return,
            },
        };
        if let Some(adjusting) = &mut self.review.adjusting {
            adjusting.shape = nudge(&adjusting.shape, change);
        }
    }

    fn save_correction(&mut self, decision: Option<Decision>) {
        if decision.is_none() && self.review.failure.is_some() {
            self.say_error("A review decision could not be saved. Continue there first");
        }
        self.save(decision);
    }

    /// Sends a decision to the writer thread.
    pub(super) fn save(&mut self, decision: Option<Decision>) {
        let Some(decision) = decision else { return };
        let by = self.annotator();
        let request = match decision {
            Decision::Verdict { candidates, groups, verdict, class, reason } => {
                WriteRequest::Decide { candidates, groups, verdict, class, reason, by }
            }
            Decision::All { each_member, verdict, class, reason } => {
                let Some(session) = &self.session else { return };
                let mut query = session.query(&self.review.filter, &by);
                query.collapse &= !each_member;
                WriteRequest::DecideQuery { query: Box::new(query), verdict, class, reason, by }
            }
            Decision::AsBefore(candidates) => WriteRequest::Inherit { candidates, by },
            Decision::AllAsBefore | Decision::Estimate => {
                let Some(session) = &self.session else { return };
                let query = Box::new(session.query(&self.review.filter, &by));
                match decision {
                    Decision::Estimate => WriteRequest::Estimate { query, by },
                    _ => WriteRequest::InheritQuery { query, by },
                }
            }
            Decision::Face { candidate, shape, class } => WriteRequest::MissedObject { candidate, shape, class, by },
            Decision::Correct { objects, change } => WriteRequest::Correct { objects, change, by },
            Decision::AddObject { image, shape, class } => WriteRequest::AddObject { image, shape, class, by },
            Decision::Undo => WriteRequest::Undo { by },
            Decision::Redo => WriteRequest::Redo { by },
        };
        match &mut self.session {
            Some(session) => {
                session.writer.ask(request);
            }
            None => self.review.failed("no project is open".to_owned()),
        }
    }

    fn apply_review(&mut self, command: ReviewCommand) {
        let columns = self.grid_columns;
        match command {
            ReviewCommand::SetFilter(filter) => {
                self.set_filter(filter);
            }
            ReviewCommand::CloseFilter => self.close_filter(),
            ReviewCommand::GoTo(candidate) => self.at(candidate, |review, index| {
                review.clear_selection();
                review.go_to(index);
            }),
            ReviewCommand::ToggleSelected(candidate) => self.at(candidate, ReviewModel::toggle_selected),
            ReviewCommand::DragTo(candidate) => self.at(candidate, |review, index| {
                review.clear_selection();
                review.select_rectangle(index, columns);
            }),
            ReviewCommand::SelectTo(candidate) => self.at(candidate, ReviewModel::select_to),
            ReviewCommand::Open(candidate) => self.at(candidate, |review, index| {
                review.go_to(index);
                review.layout = Layout::Queue;
            }),
            ReviewCommand::Adjust(shape) => {
                if let Some(adjusting) = &mut self.review.adjusting {
                    adjusting.shape = shape;
                }
            }
            ReviewCommand::PickClass(class) => self.pick_class(class),
            ReviewCommand::ClosePicker => self.review.picker = None,
            ReviewCommand::SetGrouping(grouping) => self.review.grouping = grouping,
            ReviewCommand::Regroup => self.start_grouping(),
            ReviewCommand::SearchHistory(text) => self.search_history(text),
            ReviewCommand::OlderHistory => self.older_history(),
            ReviewCommand::Batch(index) => self.toggle_batch(index),
            ReviewCommand::Revisit(candidate) => {
                if let Some(session) = &mut self.session {
                    session.revisit(candidate);
                    self.keep_place();
                }
            }
            ReviewCommand::Look(image, viewport) => {
                self.last_view = (Some(image), viewport);
                // The image keeps its viewport on both screens.
                let opened = self.images.current().filter(|_| self.images.open.is_some());
                if opened.is_some_and(|opened| opened.record.id == image) {
                    self.viewport = viewport;
                }
            }
            ReviewCommand::Visible(end) => self.grid_visible = end,
            ReviewCommand::Columns(columns, rows) => (self.grid_columns, self.grid_rows) = (columns.max(1), rows),
        }
    }

    /// Acts on a candidate at its current row: rows may have been inserted since it was shown.
    fn at(&mut self, candidate: CandidateId, act: impl FnOnce(&mut ReviewModel<Command>, usize)) {
        if let Some(index) = self.review.index_of(candidate) {
            act(&mut self.review, index);
        }
    }

    pub(super) fn set_filter(&mut self, filter: ReviewFilter) {
        let begins_sample = filter.order == Order::Random && self.review.filter.order != Order::Random;
        self.review.filter = filter;
        if let Some(session) = &mut self.session {
            if begins_sample {
                session.begin_sample();
            }
            session.write_filter(&self.review.filter);
        }
        self.restart_review(None);
    }

    /// Reloads the queue, and returns to the candidate `back_to` if given.
    pub(super) fn restart_review(&mut self, back_to: Option<CandidateId>) {
        self.restart_review_at(back_to, 0);
    }

    /// Like `restart_review`, but initially loads enough rows to include `position`.
    pub(super) fn restart_review_at(&mut self, back_to: Option<CandidateId>, position: usize) {
        let by = self.annotator();
        let Some(session) = &mut self.session else { return };
        self.textures.forget_failures();
        self.review.restart(back_to);
        session.start_query(&self.review.filter, &by, back_to, position);
    }

    /// Reloads the queue at the current position, after rounds or groups changed.
    pub(super) fn reread_review(&mut self) {
        self.restart_review_at(self.review.current_candidate(), self.review.position());
    }

    /// Reloads the history or the annotators' layout if it is open.
    pub(super) fn reload_layout(&mut self) {
        let by = self.annotator();
        let Some(session) = &mut self.session else { return };
        match self.review.layout {
            Layout::History => session.want_history(&self.review.history, &by, true),
            Layout::Annotators => {
                session.reader.ask(ReadRequest::Annotators);
            }
            Layout::Queue | Layout::Grid => {}
        }
    }

    fn apply_curves(&mut self, command: CurvesCommand) {
        match command {
            CurvesCommand::Toggle(key) => self.curves.toggle(&key),
            CurvesCommand::PickMetric(metric) => self.curves.metrics.pick(metric),
            CurvesCommand::OnCorrected(corrected) => self.curves.metrics.on_corrected(corrected),
            CurvesCommand::PickClass(class) => self.curves.metrics.pick_class(class),
            CurvesCommand::SetLog(log) => self.curves.log_x = log,
            CurvesCommand::SetMax(max) => self.curves.x_max = max,
            CurvesCommand::SetFromZero(from_zero) => self.curves.from_zero = from_zero,
            CurvesCommand::ShowEarlier(shown) => self.curves.earlier_shown = shown,
            CurvesCommand::TogglePublished(index) => {
                if let Some(published) = self.curves.published.get_mut(index) {
                    published.shown = !published.shown;
                }
            }
            CurvesCommand::ReviewFrom(score) => {
                self.keep_place();
                let score = (score.clamp(0.0, 1.0) as f32, 1.0);
                self.set_filter(ReviewFilter { score, ..self.review.filter.clone() });
                self.show_screen(Screen::Review);
            }
            CurvesCommand::Export(format) => self.ask(Ask::Save(format)),
            CurvesCommand::Write(format, out) => self.export(format, &out),
            CurvesCommand::LeaveFiles => self.curves.replacing = None,
            CurvesCommand::ChooseRoc => self.ask(Ask::RocFile),
            CurvesCommand::ReadRoc(path, order) => self.read_roc(&path, order),
            CurvesCommand::LeaveRoc => self.curves.ambiguous = None,
            CurvesCommand::ForgetRoc(name) => self.forget_roc(&name),
        }
    }

    fn export(&mut self, format: ExportFormat, out: &Output) {
        self.curves.replacing = None;
        let database = self.session.as_ref().map(|session| session.project.database());
        let policy = database.iter().fold(OutputPolicy::new(), |policy, database| policy.project_around(database));
        match export::write(&self.curves, format, out, &policy) {
            Ok(()) => self.say(format!("Written to {}", out.path.display())),
            Err(ExportError::Output(OutputError::Exists(_))) => {
                self.curves.replacing = Some((format, out.path.clone()));
            }
            Err(error) => self.say_error(error.to_string()),
        }
    }

    fn read_roc(&mut self, path: &Path, order: Option<ColumnOrder>) {
        let Some(session) = &self.session else { return self.say_error("Open a project first: it keeps the curve") };
        self.curves.ambiguous = None;
        match import_roc(&session.project, path, order) {
            Ok(roc) => {
                self.say(format!("{}: {}", roc.name, roc.notes));
                self.curves.put_imported(export::imported(roc));
            }
            Err(RocImportError::Ambiguous(_)) => self.curves.ambiguous = Some(path.to_owned()),
            Err(RocImportError::Failed(error)) => self.say_error(error.to_string()),
        }
    }

    fn forget_roc(&mut self, name: &str) {
        let Some(session) = &self.session else { return };
        match forget_roc(&session.project, name) {
            Ok(()) => self.curves.published.retain(|p| !(p.imported && p.name == name)),
            Err(error) => self.say_error(error.to_string()),
        }
    }
}

/// Returns how a key changes the shape being adjusted.
pub(super) fn nudge_of(action: Action) -> Option<Nudge> {
    Some(match action {
        Action::MoveLeft => Nudge::Move { dx: -1.0, dy: 0.0 },
        Action::MoveRight => Nudge::Move { dx: 1.0, dy: 0.0 },
        Action::MoveUp => Nudge::Move { dx: 0.0, dy: -1.0 },
        Action::MoveDown => Nudge::Move { dx: 0.0, dy: 1.0 },
        Action::Narrower => Nudge::Widen(-1.0),
        Action::Wider => Nudge::Widen(1.0),
        Action::Taller => Nudge::Heighten(1.0),
        Action::Shorter => Nudge::Heighten(-1.0),
        Action::TurnLeft => Nudge::Turn(-1.0),
        Action::TurnRight => Nudge::Turn(1.0),
        _ => return None,
    })
}

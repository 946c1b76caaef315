//! The app side of the Images screen: its keys and commands, and its threads' requests and replies.

use super::action::{Action, Scope};
use super::apply::nudge_of;
use super::command::{ImagesCommand, Pick, Picked, Screen, Tool};
use super::drain::correction_text;
use super::image_threads::ImageThreads;
use super::keys::Typed;
use super::picking::picker_key;
use super::session::Background;
use super::views::images::{FileCheck, ImageDecision, ViewNudge};
use super::views::review::{ClassPicker, Question, nudge, start};
use super::widgets::viewport::{Viewport, ZOOM_STEP};
use super::{Context, QuarryApp};
use crate::domain::{ClassId, ObjectChange, Verdict};
use crate::geometry::BoundingBox;
use crate::jobs::{Answer, FileToCheck, ImageReply, ImageRequest, WriteRequest, Written};
use crate::workflow::inspect::{FileDepth, ImageQuery, ImageSort, OutputShape, Role};

/// Number of files checked per request.
const FILES_AT_ONCE: usize = 64;
const PICK_FIRST: &str = "Pick an object of the ground truth of this image first: click it";
const DELETED: &str = "The object is deleted: restore it first";
/// Prevents leaving a shape that is not saved.
const ADJUSTING: &str = "First save the shape (Enter) or cancel (Esc)";

impl QuarryApp {
    pub(super) fn apply_images(&mut self, command: ImagesCommand) {
        let leaves = matches!(
            command,
            ImagesCommand::GoTo(_)
                | ImagesCommand::Open(_)
                | ImagesCommand::Close
                | ImagesCommand::Back
                | ImagesCommand::Step(_)
                | ImagesCommand::Undo
                | ImagesCommand::Redo
        );
        if leaves && matches!(self.images.tool, Tool::Adjust(..)) {
            return self.say(ADJUSTING);
        }
        match command {
            ImagesCommand::SetQuery(query) => self.images.set_query(*query),
            ImagesCommand::SetThreshold(threshold) => {
                self.images.set_query(ImageQuery { threshold, ..self.images.query.clone() });
            }
            ImagesCommand::ToggleFilter => self.images.filter_open = !self.images.filter_open,
            ImagesCommand::GoTo(row) => self.images.go_to(row),
            ImagesCommand::Open(image) => self.open_image(|images| images.open(image)),
            ImagesCommand::Close => self.images.close(),
            ImagesCommand::Step(by) => self.open_image(|images| images.step(by)),
            ImagesCommand::Look(viewport) => {
                self.viewport = viewport;
                if let Some(image) = self.images.current() {
                    self.last_view = (Some(image.record.id), viewport);
                }
                self.images.nudges.clear();
            }
            ImagesCommand::Pick(pick) => self.images.picked = pick,
            ImagesCommand::SetLayers(layers) => self.images.layers = layers,
            ImagesCommand::SetThumbnail(side) => self.images.thumbnail = side,
            ImagesCommand::Shape(columns, rows) => {
                (self.images.columns, self.images.rows_visible) = (columns.max(1), rows.max(1));
            }
            ImagesCommand::Decide(verdict, class) => self.decide_image(ImageDecision::Verdict(verdict, class)),
            ImagesCommand::Undo => self.decide_image(ImageDecision::Undo),
            ImagesCommand::Redo => self.decide_image(ImageDecision::Redo),
            ImagesCommand::SetTool(tool) => self.images.tool = tool,
            ImagesCommand::SetNewClass(class) => self.images.new_class = Some(class),
            ImagesCommand::Drawn(bbox) => self.add_drawn(&bbox),
            ImagesCommand::Correct(change) => self.correct_picked(change),
            ImagesCommand::PickClass(picked) => self.class_of_object(picked),
            ImagesCommand::CheckFiles => self.check_files(FileDepth::Whole),
            ImagesCommand::Back => {
                self.go_back_in_images();
            }
            ImagesCommand::OfCurve { round, label, score } => self.open_curve_point(round, &label, score),
        }
    }

    /// Another image is first shown as a whole, unless it has the same size as the previous one: then the viewport is kept, for comparison.
    /// The image last viewed in the review keeps its viewport from there.
    pub(super) fn open_image(&mut self, act: impl FnOnce(&mut super::ImagesModel)) {
        let size = |app: &Self| app.images.current().map(|image| (image.record.width, image.record.height));
        let (before, was_open) = (size(self), self.images.open.is_some());
        act(&mut self.images);
        let image = self.images.current().map(|image| image.record.id).filter(|_| self.images.open.is_some());
        if image.is_some() && image == self.last_view.0 {
            self.viewport = self.last_view.1;
        } else if !was_open || size(self) != before {
            self.viewport = Viewport::default();
        }
    }

    /// Lists the tested images with the errors that the curve counts at this point.
    fn open_curve_point(&mut self, round: u32, label: &str, score: f64) {
        let Some(overview) = self.overview() else { return };
        let Some(record) = overview.rounds.iter().find(|record| record.number == round) else {
            return self.say_error(format!("Round {round} is not in the project any more"));
        };
        // A fold's curve is labelled `ellipse, fold 3`.
        let shape = label.split(',').next().unwrap_or_default();
        let shape = if shape == OutputShape::Ellipse.as_str() { OutputShape::Ellipse } else { OutputShape::Rectangle };
        let split = crate::workflow::split_fold_label(label).map(|(_, fold)| fold.to_string());
        let query = ImageQuery {
            round: Some(record.id),
            threshold: score as f32,
            shape: Some(shape),
            role: Some(Role::HeldOut),
            split,
            only_errors: true,
            sort: ImageSort::HighestFalsePositive,
            descending: true,
            ..ImageQuery::default()
        };
        self.keep_images_place();
        self.images.close();
        self.images.is_set_up = true;
        self.images.set_query(query);
        self.images.position = 0;
        self.screen = Screen::Images;
    }

    /// Handles a key on the Images screen.
    pub(super) fn press_in_images(&mut self, typed: &Typed) {
        if self.images.picker.is_some() {
            return self.press_in_class_picker(typed);
        }
        if let Tool::Adjust(object, shape) = self.images.tool
            && let Some(action) = self.meaning(typed, Scope::Adjust).filter(|action| action.scope() == Scope::Adjust)
        {
            match action {
                Action::Commit => self.correct_picked(ObjectChange::Shape(shape)),
                Action::Cancel => self.images.tool = Tool::Look,
                action => {
                    if let Some(by) = nudge_of(action) {
                        self.images.tool = Tool::Adjust(object, nudge(&shape, by));
                    }
                }
            }
        } else if let Some(action) = self.meaning(typed, Scope::Images) {
            let once = matches!(action.scope(), Scope::Everywhere);
            if !(once && typed.repeat) {
                self.act(action);
            }
        } else if let Some(action) = self.meaning(typed, Scope::Review).filter(|_| !typed.repeat) {
            self.review_key_in_images(action);
        }
    }

    /// Handles keys that have the same meaning as in the review.
    pub(super) fn review_key_in_images(&mut self, action: Action) {
        if self.images.picker.is_some() {
            return;
        }
        if matches!(self.images.tool, Tool::Adjust(..)) {
            return self.say(ADJUSTING);
        }
        let layers = &mut self.images.layers;
        match action {
            // The filter is above the list: what is typed next must not be keys of an image.
            Action::Filter if self.images.open.is_some() => {
                self.images.filter_open = true;
                self.images.close();
            }
            Action::Filter => self.images.filter_open = !self.images.filter_open,
            Action::GroundTruth => layers.ground_truth = !layers.ground_truth,
            Action::Detections => layers.toggle_detections(),
            Action::Back => {
                self.go_back_in_images();
            }
            _ if self.images.open.is_none() => {}
            Action::Confirm => self.decide_image(ImageDecision::Verdict(Verdict::Confirmed, None)),
            Action::Reject => self.decide_image(ImageDecision::Verdict(Verdict::Rejected, None)),
            Action::MissedObject => self.decide_image(ImageDecision::Verdict(Verdict::MissedObject, None)),
            Action::ObjectClass => self.ask_object_class(),
            Action::WrongClass if matches!(self.images.picked, Some(Pick::Object(..) | Pick::Corrected(..))) => {
                self.ask_object_class();
            }
            Action::WrongClass => {
                let class = self.images.nearest_other_class();
                self.decide_image(ImageDecision::Verdict(Verdict::WrongClass, class));
            }
            Action::AdjustObject | Action::IgnoreObject | Action::DeleteObject => self.object_key(action),
            Action::Undo => self.decide_image(ImageDecision::Undo),
            Action::Redo => self.decide_image(ImageDecision::Redo),
            Action::NextUndecided => self.images.step_to_waiting(),
            _ => {}
        }
    }

    pub(super) fn images_action(&mut self, action: Action) {
        if self.images.picker.is_some() || self.ends_tool(action) {
            return;
        }
        let is_open = self.images.open.is_some();
        let pans = is_open && !self.viewport.is_fitted();
        let columns = self.images.columns as isize;
        let page = columns * self.images.rows_visible as isize;
        let nudge = match action {
            Action::ZoomIn => Some(ViewNudge::Zoom(ZOOM_STEP)),
            Action::ZoomOut => Some(ViewNudge::Zoom(1.0 / ZOOM_STEP)),
            Action::ZoomFit => Some(ViewNudge::Fit),
            Action::ZoomFull => Some(ViewNudge::Full),
            Action::ImageLeft if pans => Some(ViewNudge::Pan(1.0, 0.0)),
            Action::ImageRight if pans => Some(ViewNudge::Pan(-1.0, 0.0)),
            Action::ImageUp if pans => Some(ViewNudge::Pan(0.0, 1.0)),
            Action::ImageDown if pans => Some(ViewNudge::Pan(0.0, -1.0)),
            _ => None,
        };
        if let Some(nudge) = nudge {
            if is_open {
                self.images.nudges.push(nudge);
            }
            return;
        }
        match action {
            Action::OpenImage => self.open_image(super::ImagesModel::open_current),
            Action::CloseImage if self.images.filter_open => self.images.filter_open = false,
            Action::CloseImage if is_open => self.images.close(),
            Action::CloseImage => {
                self.go_back_in_images();
            }
            Action::PreviousImage if !is_open => self.images.step(-page),
            Action::NextImage if !is_open => self.images.step(page),
            Action::PreviousImage | Action::ImageLeft => self.open_image(|images| images.step(-1)),
            Action::NextImage | Action::ImageRight => self.open_image(|images| images.step(1)),
            Action::ImageUp if !is_open => self.images.step(-columns),
            Action::ImageDown
                if !is_open && self.images.position as isize + columns < self.images.rows().len() as isize =>
            {
                self.images.step(columns);
            }
            Action::FirstImage => self.open_image(|images| images.go_to(0)),
            Action::LastImage => self.open_image(|images| images.go_to(usize::MAX)),
            Action::DrawObject if is_open => {
                self.images.tool = if self.images.tool == Tool::Draw { Tool::Look } else { Tool::Draw };
            }
            Action::NextMark => self.images.step_pick(1),
            Action::PreviousMark => self.images.step_pick(-1),
            _ => {}
        }
    }

    /// Adds a drawn object.
    fn add_drawn(&mut self, bbox: &BoundingBox) {
        let first = self.overview().and_then(|overview| overview.classes.first()).map(|class| class.id);
        let (Some(image), Some(class)) = (self.images.open, self.images.new_class.or(first)) else { return };
        let shape = start(bbox, self.is_elliptic(class));
        self.decide_image(ImageDecision::Add(image, shape, class));
    }

    fn correct_picked(&mut self, change: ObjectChange) {
        let adjusted = match self.images.tool {
            Tool::Adjust(object, _) if matches!(change, ObjectChange::Shape(_)) => Some(object),
            _ => None,
        };
        let Some(object) = adjusted.or(self.images.picked_object().map(|(object, _)| object)) else { return };
        self.images.tool = Tool::Look;
        self.decide_image(ImageDecision::Correct(object, change));
    }

    /// Whether objects of the class are ellipses in this project.
    pub(super) fn is_elliptic(&self, class: ClassId) -> bool {
        self.overview().is_none_or(|overview| overview.elliptic.contains(&class))
    }

    /// Opens the class picker for the selected object. Proposes the class chosen last, otherwise the object's own.
    fn ask_object_class(&mut self) {
        let Some((object, state)) = self.images.picked_object() else { return self.say(PICK_FIRST) };
        if state.deleted {
            return self.say(DELETED);
        }
        if !self.has_classes() {
            return self.say("The project has one class: the object has it already");
        }
        let classes = self.overview().map_or(&[][..], |overview| &overview.classes);
        let last = self.review.last_class.filter(|last| classes.iter().any(|class| class.id == *last));
        let question = Question::ObjectClass(object);
        self.images.picker = Some(ClassPicker::new(question, None, classes, last.unwrap_or(state.class)));
    }

    /// Handles a key while the class picker is open. Global keys still work.
    fn press_in_class_picker(&mut self, typed: &Typed) {
        if let Some(key) = picker_key(typed) {
            if let Some(picked) = self.images.picker.as_mut().and_then(|picker| picker.press(key)) {
                self.class_of_object(picked);
            }
        } else if let Some(action) = self.meaning(typed, Scope::Everywhere).filter(|_| !typed.repeat) {
            self.act(action);
        }
    }

    fn class_of_object(&mut self, picked: Picked) {
        let Some(ClassPicker { question: Question::ObjectClass(object), .. }) = self.images.picker.take() else {
            return;
        };
        if let Picked::Class(class) = picked {
            self.review.last_class = Some(class);
            self.decide_image(ImageDecision::Correct(object, ObjectChange::Class(class)));
        }
    }

    /// Applies the review's correction keys to the selected object.
    fn object_key(&mut self, action: Action) {
        let Some((object, state)) = self.images.picked_object() else {
            return self.say(PICK_FIRST);
        };
        match action {
            _ if state.deleted => self.say(DELETED),
            Action::AdjustObject => self.images.tool = Tool::Adjust(object, state.shape),
            Action::IgnoreObject => self.correct_picked(ObjectChange::Ignored(!state.ignored)),
            _ => self.correct_picked(ObjectChange::Deleted(true)),
        }
    }

    /// Handles the active tool's keys; returns true if the key is consumed.
    fn ends_tool(&mut self, action: Action) -> bool {
        match (action, self.images.tool) {
            (Action::CloseImage, Tool::Draw) => self.images.tool = Tool::Look,
            (Action::ZoomIn | Action::ZoomOut | Action::ZoomFit | Action::ZoomFull, _)
            | (_, Tool::Look | Tool::Draw) => return false,
            (_, Tool::Adjust(..)) => self.say(ADJUSTING),
        }
        true
    }

    /// Decides at once, or queues the decision after the one being saved.
    fn decide_image(&mut self, decision: ImageDecision) {
        if self.images.saving.is_some() {
            self.images.queued.push_back(decision);
        } else {
            self.send_image_decision(decision);
        }
    }

    fn send_image_decision(&mut self, decision: ImageDecision) {
        let by = self.annotator();
        let request = match decision {
            ImageDecision::Undo => WriteRequest::Undo { by },
            ImageDecision::Redo => WriteRequest::Redo { by },
            ImageDecision::Correct(object, change) => WriteRequest::Correct { objects: vec![object], change, by },
            ImageDecision::Add(image, shape, class) => WriteRequest::AddObject { image, shape, class, by },
            ImageDecision::Verdict(verdict, class) => {
                if let Some(reason) = self.images.refusal() {
                    return self.say(reason);
                }
                let Some(candidate) = self.images.picked_candidate() else { return };
                let id = candidate.id;
                match verdict {
                    Verdict::WrongClass if class.is_none() => {
                        return self
                            .say("There is no object of another class here: choose the class in the side panel");
                    }
                    Verdict::MissedObject => {
                        let shape = start(&candidate.bbox, self.is_elliptic(class.unwrap_or(candidate.class)));
                        WriteRequest::MissedObject { candidate: id, shape, class, by }
                    }
                    verdict => {
                        let (candidates, groups, reason) = (vec![id], Vec::new(), None);
                        WriteRequest::Decide { candidates, groups, verdict, class, reason, by }
                    }
                }
            }
        };
        if let Some(session) = &mut self.session {
            session.write_in_background(Background::Images, request);
            self.images.saving = Some(decision);
            match decision {
                ImageDecision::Verdict(verdict, _) => self.images.mark_decided(verdict),
                ImageDecision::Correct(_, change) => self.images.mark_corrected(change),
                _ => {}
            }
        }
    }

    /// Handles a saved decision of the Images screen.
    pub(super) fn written_in_images(&mut self, written: &Written) {
        let sent = self.images.saving.take();
        let Some(gesture) = &written.gesture else {
            self.say(match sent {
                Some(ImageDecision::Correct(..)) => "No change to the object",
                sent => super::messages::nothing_left(sent == Some(ImageDecision::Redo)),
            });
            return self.next_image_decision();
        };
        let is_decision = gesture.action == crate::store::GestureAction::Decide;
        if let Some(session) = &mut self.session {
            for row in &written.changed {
                session.image_changed(row.candidate.image);
            }
            for image in &gesture.images {
                session.image_changed(*image);
            }
            session.numbers_wanted = true;
            session.keep_backups();
        }
        self.review.refresh(&written.changed);
        self.images.changed();
        if let Some(act) = gesture.act {
            self.say(correction_text(gesture.action, act));
        }
        let of_row = written.row.as_ref().map(|row| row.candidate.image);
        match of_row.or(gesture.images.first().copied()).filter(|_| !is_decision) {
            // Show what was undone.
            Some(image) if self.images.open.is_some() => self.open_image(|images| images.open(image)),
            _ if is_decision && gesture.act.is_none() => self.images.step_to_waiting(),
            _ => {}
        }
        self.next_image_decision();
    }

    pub(super) fn not_written_in_images(&mut self, reason: &str) {
        self.images.saving = None;
        self.images.queued.clear();
        self.images.open_wanted = self.images.open.is_some();
        self.say_error(format!("Not saved: {reason}"));
    }

    fn next_image_decision(&mut self) {
        if let Some(next) = self.images.queued.pop_front() {
            self.send_image_decision(next);
        }
    }

    fn check_files(&mut self, depth: FileDepth) {
        let Some(listing) = &self.images.listing else { return };
        let total = listing.table.images.len();
        self.images.check = (total > 0).then_some(FileCheck { depth, requested: 0, done: 0, total });
    }

    /// Requests from the screen's threads what it shows.
    pub(super) fn ask_for_images(&mut self) {
        let Some(session) = self.session.as_mut().filter(|_| self.screen == Screen::Images) else { return };
        let database = session.project.database();
        let threads = match &mut session.images {
            Some(threads) => threads,
            slot => match ImageThreads::start(database, &self.waker) {
                Ok(threads) => {
                    self.images.set_up(&session.details.overview.rounds);
                    slot.insert(threads)
                }
                Err(error) => {
                    self.images.failure = Some(format!("The images cannot be read: {error}"));
                    return;
                }
            },
        };
        // Requests that the user waits for come before those that count all images.
        if threads.open.is_none()
            && self.images.open_wanted
            && let Some(query) = self.images.open_query()
        {
            self.images.open_wanted = false;
            threads.open = Some(threads.reader.ask(ImageRequest::Open(Box::new(query))));
        }
        if threads.list.is_none() && self.images.list_wanted {
            self.images.list_wanted = false;
            let (query, problems) = (Box::new(self.images.query.clone()), self.images.problems.clone());
            threads.list = Some(threads.reader.ask(ImageRequest::List { query, problems }));
        }
        if let (Some(check), Some(listing)) = (&mut self.images.check, &self.images.listing)
            && threads.files.open_requests() == 0
            && check.requested < check.total
        {
            let end = (check.requested + FILES_AT_ONCE).min(listing.table.images.len());
            let images = listing.table.images.get(check.requested..end).unwrap_or_default();
            let files = images.iter().map(|image| FileToCheck {
                image: image.record.id,
                // A path outside its dataset is never opened: an empty path finds nothing.
                path: image.file.clone().unwrap_or_default(),
                content_hash: image.record.content_hash.clone(),
            });
            let files: Vec<FileToCheck> = files.collect();
            check.requested = end;
            check.total = listing.table.images.len();
            threads.files.ask((files, check.depth));
        }
    }

    pub(super) fn drain_images(&mut self, _: &Context) -> bool {
        let threads = self.session.as_mut().and_then(|session| session.images.as_mut());
        let Some((threads, answer)) = threads.and_then(|threads| {
            let answer = threads.reader.poll()?;
            Some((threads, answer))
        }) else {
            return false;
        };
        let Answer { ticket, result } = answer;
        let is_list = threads.list.take_if(|requested| *requested == ticket).is_some();
        let is_open = threads.open.take_if(|requested| *requested == ticket).is_some();
        match result {
            Ok(ImageReply::Listing(listing)) if is_list => {
                let is_first = self.images.listing.is_none();
                self.images.failure = None;
                self.images.listed(listing);
                if is_first {
                    self.check_files(FileDepth::Presence);
                }
            }
            Ok(ImageReply::Opened(opened)) if is_open => {
                self.images.failure = None;
                let is_blind = self.annotator().blind;
                self.images.loaded(*opened, is_blind);
            }
            Ok(_) => {}
            Err(reason) => self.images.failure = Some(format!("The images cannot be read: {reason}")),
        }
        true
    }

    pub(super) fn drain_files(&mut self, _: &Context) -> bool {
        let threads = self.session.as_mut().and_then(|session| session.images.as_mut());
        let Some(answer) = threads.and_then(|threads| threads.files.poll()) else { return false };
        if let Ok(found) = answer.result {
            self.images.checked(found);
        }
        true
    }
}

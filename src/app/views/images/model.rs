//! The Images screen's state: the list, the position in it, the open image and the selection on it. No egui, no SQL.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::review::ClassPicker;
use crate::app::command::{Layers, Pick, Tool};
use crate::domain::{
    Candidate, ClassId, GroundTruthId, ImageId, ObjectChange, ObjectState, RoundId, RoundRecord, RoundState, Shape,
    Verdict,
};
use crate::workflow::inspect::{
    Change, ErrorKind, FileDepth, FileProblem, FileProblems, ImageQuery, ListedImage, Listing, OpenQuery, OpenedImage,
    Role, Side, Status, TableImage,
};

/// Minimum side of a thumbnail in points.
pub const THUMBNAIL_MIN: f32 = 80.0;
pub const THUMBNAIL_MAX: f32 = 320.0;

/// The effect of a key on the viewport.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ViewNudge {
    Zoom(f64),
    /// In steps right and down.
    Pan(f32, f32),
    Fit,
    /// One image pixel per display pixel.
    Full,
}

/// A pending decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ImageDecision {
    /// On the selected detection.
    Verdict(Verdict, Option<ClassId>),
    /// A correction of a ground truth object.
    Correct(GroundTruthId, ObjectChange),
    /// A drawn object.
    Add(ImageId, Shape, ClassId),
    Undo,
    Redo,
}

/// The state of a running file check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCheck {
    pub depth: FileDepth,
    /// Index in the table up to which files were requested.
    pub requested: usize,
    pub done: usize,
    pub total: usize,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "requested and open state are independent")]
pub struct ImagesModel {
    pub query: ImageQuery,
    /// Whether a round was selected, by the user or by default.
    pub is_set_up: bool,
    pub listing: Option<Arc<Listing>>,
    /// The list has to be reloaded.
    pub list_wanted: bool,
    /// Row of the list.
    pub position: usize,
    /// The image to select when a new list arrives.
    stays_on: Option<ImageId>,
    pub open: Option<ImageId>,
    pub opened: Option<OpenedImage>,
    /// The open image has to be reloaded.
    pub open_wanted: bool,
    /// Why the list or the image cannot be shown.
    pub failure: Option<String>,
    pub picked: Option<Pick>,
    pub layers: Layers,
    /// Pending keys that zoom and pan.
    pub nudges: Vec<ViewNudge>,
    /// Side of a thumbnail in points.
    pub thumbnail: f32,
    pub filter_open: bool,
    pub problems: Arc<FileProblems>,
    pub check: Option<FileCheck>,
    /// Columns of the grid, for the keys.
    pub columns: usize,
    pub rows_visible: usize,
    /// The active mouse tool.
    pub tool: Tool,
    /// The class of drawn objects; `None`: the first.
    pub new_class: Option<ClassId>,
    /// Asks for an object's class.
    pub picker: Option<ClassPicker>,
    /// The decision being saved.
    pub saving: Option<ImageDecision>,
    pub queued: VecDeque<ImageDecision>,
}

impl Default for ImagesModel {
    fn default() -> Self {
        Self {
            query: ImageQuery::default(),
            is_set_up: false,
            listing: None,
            list_wanted: true,
            position: 0,
            stays_on: None,
            open: None,
            opened: None,
            open_wanted: false,
            failure: None,
            picked: None,
            layers: Layers::default(),
            nudges: Vec::new(),
            thumbnail: 160.0,
            filter_open: false,
            problems: Arc::default(),
            check: None,
            columns: 1,
            rows_visible: 1,
            tool: Tool::default(),
            new_class: None,
            picker: None,
            saving: None,
            queued: VecDeque::new(),
        }
    }
}

impl ImagesModel {
    /// Selects the newest round with detections, until the user selects one.
    pub fn set_up(&mut self, rounds: &[RoundRecord]) {
        let has_detections =
            |round: &&RoundRecord| round.state == RoundState::Mined || round.state == RoundState::Trained;
        let newest = rounds.iter().rfind(has_detections).map(|round| round.id);
        let is_removed = |id: Option<RoundId>| id.is_some_and(|id| rounds.iter().all(|round| round.id != id));
        // A round selected before the rounds were loaded is kept.
        let is_first = !self.is_set_up && self.query.round.is_none();
        self.is_set_up |= !rounds.is_empty();
        if is_first || is_removed(self.query.round) || is_removed(self.query.against) {
            self.set_query(ImageQuery { round: newest, against: None, change: None, ..self.query.clone() });
        }
    }

    pub fn set_query(&mut self, query: ImageQuery) {
        let drawn = |query: &ImageQuery| (query.round, query.against, query.threshold.to_bits(), query.shape);
        if drawn(&query) != drawn(&self.query) {
            self.open_wanted = self.open.is_some();
            if query.round != self.query.round || query.against != self.query.against {
                self.picked = None;
            }
        }
        self.query = query;
        self.list_wanted = true;
        self.stays_on = self.stays_on.or(self.open).or(self.current().map(|image| image.record.id));
    }

    /// Lists what was listed before, at this image.
    pub fn show_again(&mut self, query: ImageQuery, image: Option<ImageId>) {
        self.set_query(query);
        self.stays_on = image;
    }

    /// Called when ground truth, verdicts or rounds may have changed.
    pub fn changed(&mut self) {
        self.list_wanted = true;
        self.open_wanted = self.open.is_some();
        self.stays_on = self.stays_on.or(self.open).or(self.current().map(|image| image.record.id));
    }

    pub fn listed(&mut self, listing: Arc<Listing>) {
        let row = self.stays_on.take().and_then(|image| listing.row_of(image));
        self.position = row.unwrap_or(self.position).min(listing.images.len().saturating_sub(1));
        self.listing = Some(listing);
    }

    pub fn rows(&self) -> &[ListedImage] {
        self.listing.as_ref().map_or(&[], |listing| &listing.images)
    }

    /// Returns the image at the current position.
    pub fn current(&self) -> Option<&TableImage> {
        self.listing.as_ref()?.image(self.position)
    }

    /// Returns the number of listed images.
    pub fn count(&self) -> usize {
        self.rows().len()
    }

    pub fn go_to(&mut self, row: usize) {
        self.position = row.min(self.rows().len().saturating_sub(1));
        self.stays_on = None;
        if self.open.is_some() {
            self.open_current();
        }
    }

    pub fn step(&mut self, by: isize) {
        let row = self.position.saturating_add_signed(by);
        self.go_to(row);
    }

    /// Opens the image at the current position.
    pub fn open_current(&mut self) {
        if let Some(image) = self.current().map(|image| image.record.id) {
            self.open(image);
        }
    }

    pub fn open(&mut self, image: ImageId) {
        if self.open == Some(image) {
            return;
        }
        self.open = Some(image);
        (self.open_wanted, self.picked, self.failure, self.tool) = (true, None, None, Tool::Look);
        self.picker = None;
        if let Some(row) = self.listing.as_ref().and_then(|listing| listing.row_of(image)) {
            self.position = row;
        }
    }

    pub fn close(&mut self) {
        (self.open, self.opened, self.picked, self.tool) = (None, None, None, Tool::Look);
        self.picker = None;
    }

    /// In a blind review others' decisions are removed.
    pub fn loaded(&mut self, mut opened: OpenedImage, is_blind: bool) {
        self.layers.promoted = !is_blind;
        if is_blind {
            let candidates = opened.sides.iter_mut().flat_map(|side| side.candidates.iter_mut().flatten());
            candidates.for_each(|candidate| candidate.verdict = None);
        }
        if self.open == Some(opened.record.id) {
            let object = self.picked_object().map(|(id, _)| id);
            self.opened = Some(opened);
            self.picked = match (self.picked, object) {
                // Indices change when an object is corrected: keep the same object selected, or nothing.
                (Some(Pick::Object(side, _) | Pick::Corrected(side, _)), Some(id)) => self.place_of(side, id),
                (picked, _) => picked.filter(|pick| self.has(*pick)),
            };
        }
    }

    pub fn open_query(&self) -> Option<OpenQuery> {
        let ImageQuery { round, against, threshold, shape, .. } = self.query;
        Some(OpenQuery { image: self.open?, round, against, threshold, shape })
    }

    /// Returns the open image once loaded.
    pub fn shown(&self) -> Option<&OpenedImage> {
        self.opened.as_ref().filter(|opened| Some(opened.record.id) == self.open)
    }

    pub fn side(&self, side: usize) -> Option<&Side> {
        self.shown()?.sides.get(side)
    }

    fn has(&self, pick: Pick) -> bool {
        match pick {
            Pick::Detection(side, place) => self.side(side).is_some_and(|s| place < s.judged.detections.len()),
            Pick::Object(side, place) => self.side(side).is_some_and(|s| place < s.judged.objects.len()),
            Pick::Corrected(side, place) => self.side(side).is_some_and(|s| place < s.corrected.len()),
        }
    }

    fn place_of(&self, side_number: usize, id: GroundTruthId) -> Option<Pick> {
        let side = self.side(side_number)?;
        let judged = side.object_ids.iter().position(|known| *known == Some(id));
        let corrected = || side.corrected.iter().position(|row| row.id == id && !row.state.deleted);
        judged
            .map(|place| Pick::Object(side_number, place))
            .or_else(|| corrected().map(|place| Pick::Corrected(side_number, place)))
    }

    /// Returns what the keys step through: with two rounds the differences, otherwise the shown detections and missed objects.
    pub fn picks(&self) -> Vec<Pick> {
        let Some(opened) = self.shown() else { return Vec::new() };
        if opened.sides.len() > 1 && !opened.changes.is_empty() {
            let wanted = opened.changes.iter().filter(|c| self.query.change.is_none_or(|change| c.change == change));
            return wanted.map(|changed| pick_of(changed.change, changed.error.kind, changed.error.place)).collect();
        }
        let Some(side) = opened.sides.first() else { return Vec::new() };
        let detections = side.judged.detections.iter().enumerate();
        let detections = detections.filter(|(_, d)| self.layers.shows(d.status)).map(|(at, _)| Pick::Detection(0, at));
        let missed = side.judged.objects.iter().enumerate().filter(|(_, object)| side.was_run && object.is_missed());
        detections.chain(missed.map(|(at, _)| Pick::Object(0, at))).collect()
    }

    pub fn step_pick(&mut self, by: isize) {
        let picks = self.picks();
        if picks.is_empty() {
            return;
        }
        let at = self.picked.and_then(|picked| picks.iter().position(|pick| *pick == picked));
        let count = picks.len() as isize;
        let next = match at {
            Some(at) => (at as isize + by).rem_euclid(count),
            None if by < 0 => count - 1,
            None => 0,
        };
        self.picked = picks.get(next as usize).copied();
    }

    /// Marks the selected detection as decided, even before it is reloaded.
    pub fn mark_decided(&mut self, verdict: Verdict) {
        let Some(Pick::Detection(side, place)) = self.picked else { return };
        let side = self.opened.as_mut().and_then(|opened| opened.sides.get_mut(side));
        if let Some(Some(candidate)) = side.and_then(|side| side.candidates.get_mut(place)) {
            candidate.verdict = Some(verdict);
        }
    }

    /// Selects the next undecided detection after the current one; if there is none, selects nothing, so that keys typed ahead decide
    /// nothing.
    pub fn step_to_waiting(&mut self) {
        let waits = |pick: &Pick| match *pick {
            Pick::Detection(side, place) => {
                self.candidate_of(side, place).is_some_and(|candidate| candidate.verdict.is_none())
            }
            Pick::Object(..) | Pick::Corrected(..) => false,
        };
        let picks = self.picks();
        let at = self.picked.and_then(|picked| picks.iter().position(|pick| *pick == picked)).unwrap_or(0);
        let behind = picks.iter().skip(at + 1).chain(picks.iter().take(at));
        self.picked = behind.copied().find(|pick| waits(pick));
    }

    fn candidate_of(&self, side: usize, place: usize) -> Option<&Candidate> {
        self.side(side)?.candidates.get(place)?.as_ref()
    }

    /// Returns the selected object's correction id and state; `None` if it only comes from a copy of the image.
    pub fn picked_object(&self) -> Option<(GroundTruthId, ObjectState)> {
        match self.picked? {
            Pick::Detection(..) => None,
            Pick::Object(side, place) => {
                let side = self.side(side)?;
                let id = (*side.object_ids.get(place)?)?;
                let corrected = side.corrected.iter().find(|row| row.id == id).map(|row| row.state);
                let counted = side.judged.objects.get(place)?;
                Some((id, corrected.unwrap_or_else(|| ObjectState::from(&counted.annotation))))
            }
            Pick::Corrected(side, place) => {
                let row = self.side(side)?.corrected.get(place)?;
                Some((row.id, row.state))
            }
        }
    }

    /// Applies a correction to the selected object, so that keys typed ahead see its new state.
    pub fn mark_corrected(&mut self, change: ObjectChange) {
        match (self.picked, change) {
            (_, ObjectChange::Deleted(true)) => self.picked = None,
            (Some(Pick::Object(side, place)), ObjectChange::Ignored(ignored)) => {
                let side = self.opened.as_mut().and_then(|opened| opened.sides.get_mut(side));
                if let Some(object) = side.and_then(|side| side.judged.objects.get_mut(place)) {
                    object.annotation.ignored = ignored;
                }
            }
            _ => {}
        }
    }

    /// Returns the candidate made from the selected detection.
    pub fn picked_candidate(&self) -> Option<&Candidate> {
        match self.picked? {
            Pick::Detection(side, place) => self.candidate_of(side, place),
            Pick::Object(..) | Pick::Corrected(..) => None,
        }
    }

    /// Returns why the selection cannot be decided; `None` if it can.
    pub fn refusal(&self) -> Option<&'static str> {
        let Some(pick) = self.picked else { return Some("Click a detection first, or press Tab") };
        let Pick::Detection(side, place) = pick else {
            return Some("This is an object of the ground truth, not a detection");
        };
        if self.side(side).is_some_and(|side| side.role == Some(Role::HeldOut)) {
            return Some("This image is held out from training: no verdict is given here");
        }
        if self.candidate_of(side, place).is_some() {
            return None;
        }
        let status = self.side(side).and_then(|s| s.judged.detections.get(place)).map(|judged| judged.status);
        Some(match status {
            Some(Status::TruePositive) => "A true positive matches an object: there is nothing to decide",
            Some(Status::Ignored) => "It is on ignored ground truth",
            _ => {
                "It was not mined: second detections of an object and scores below the mining threshold do not become candidates"
            }
        })
    }

    /// Returns the class of the most overlapping object of another class.
    pub fn nearest_other_class(&self) -> Option<ClassId> {
        let Pick::Detection(side, place) = self.picked? else { return None };
        let side = self.side(side)?;
        let detection = side.judged.detections.get(place)?.detection;
        let objects = side.judged.objects.iter().map(|object| object.annotation);
        let others = objects.filter(|object| object.class != detection.class);
        let overlaps = others.map(|object| (object.shape.bounding_box().iou(&detection.bbox), object.class));
        overlaps.filter(|(iou, _)| *iou > 0.0).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, class)| class)
    }

    /// Stores the results of file checks.
    pub fn checked(&mut self, found: Vec<(ImageId, Option<FileProblem>)>) {
        let mut changed = false;
        if let Some(check) = &mut self.check {
            check.done += found.len();
        }
        let problems = Arc::make_mut(&mut self.problems);
        for (image, problem) in found {
            // An existing file may still have wrong content.
            let is_known = problems.get(&image) == problem.as_ref();
            let is_shallow = self.check.is_some_and(|check| check.depth == FileDepth::Presence);
            if is_known || (problem.is_none() && is_shallow && problems.get(&image) != Some(&FileProblem::Missing)) {
                continue;
            }
            changed = true;
            match problem {
                Some(problem) => problems.insert(image, problem),
                None => problems.remove(&image),
            };
        }
        let is_done = self.check.is_some_and(|check| check.done >= check.total);
        if is_done {
            self.check = None;
        }
        self.list_wanted |= changed;
    }
}

/// Returns where a comparison's error is shown: fixed ones on the first side, new or remaining ones on the second.
pub fn pick_of(change: Change, kind: ErrorKind, place: u32) -> Pick {
    let side = usize::from(change != Change::Fixed);
    match kind {
        ErrorKind::FalsePositive(_) => Pick::Detection(side, place as usize),
        ErrorKind::Missed => Pick::Object(side, place as usize),
    }
}

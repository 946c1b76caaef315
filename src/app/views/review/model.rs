//! The review's state: the queue of candidates, the position in it, the selection and the layout. No egui and no SQL; `deciding.rs` makes
//! decisions.

use std::collections::{HashSet, VecDeque};

use super::adjust;
use super::class_picker::ClassPicker;
use super::decision::{GroupOffer, Pending};
use super::history::HistoryModel;
use super::layout::Layout;
use super::pace::Pace;
use crate::app::command::{ReviewFilter, ShownVerdicts};
use crate::domain::{
    CandidateId, ClassId, FalsePositiveKind, GroundTruthId, GroupId, Shape, Verdict, VerdictCounts, is_left,
};
use crate::mining::GroupConfig;
use crate::store::{CandidateRow, Inheritable};
use crate::workflow::group::GroupPreview;
use crate::workflow::review::{AnnotatorStatistics, ReviewNumbers};

/// Number of rows loaded beyond the visible ones.
const ROWS_AHEAD: usize = 200;

/// The shape of an object being adjusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjusting {
    /// The current candidate: the missed object itself, or the one nearest to the object.
    pub candidate: CandidateId,
    pub shape: Shape,
    /// For a missed object; `None`: the class that the detector predicted.
    pub class: Option<ClassId>,
    /// The ground truth object being adjusted; `None`: the candidate is a missed object.
    pub object: Option<GroundTruthId>,
    /// The layout to return to.
    pub from: Layout,
}

/// The overlays on the images; each can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    pub ground_truth: bool,
    pub detections: bool,
    /// The candidate's own box.
    pub candidate: bool,
}

impl Default for Drawn {
    fn default() -> Self {
        Self { ground_truth: true, detections: true, candidate: true }
    }
}

/// Where the next row is searched while rows are still loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seeking {
    /// Below, after a decision; if there is none, that was the last.
    Below,
    /// Below, then from the top.
    Around,
    /// The row at this position, or the last one.
    Place(usize),
}

/// The decided state of the candidate that a restart returns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// It was the last row.
    End,
    /// The following row was being searched.
    Seeking,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the screen")]
pub struct ReviewModel<Key> {
    pub filter: ReviewFilter,
    pub filter_open: bool,
    /// The filter, or the history's search, was just opened and its field is not on the screen yet: typed text is collected for it.
    pub typing_ahead: bool,
    pub layout: Layout,
    pub drawn: Drawn,
    pub zoomed: bool,
    /// Whether the review moves to the next candidate after a decision.
    pub auto_advance: bool,
    pub adjusting: Option<Adjusting>,
    /// Asks for an object's class.
    pub picker: Option<ClassPicker>,
    /// The class chosen last, which is proposed next.
    pub last_class: Option<ClassId>,
    /// Why the last decision was not saved.
    pub failure: Option<String>,
    pub counts: VerdictCounts,
    pub pace: Pace,
    /// Number of candidates that match the filter; `None` until counted.
    pub total: Option<u64>,
    /// Review statistics of the filter's candidates; `None` until counted.
    pub numbers: Option<ReviewNumbers>,
    /// Inheritable verdicts for all matches of the filter.
    pub inheritable: Inheritable,
    /// The effect of other grouping settings, as far as it was counted.
    pub group_preview: Option<(GroupConfig, GroupPreview)>,
    /// The best members of the shown group.
    pub members: Option<(GroupId, Vec<CandidateRow>)>,
    /// The rest of the last decided group.
    pub offer: Option<GroupOffer>,
    /// The selected grouping settings.
    pub grouping: GroupConfig,
    pub history: HistoryModel,
    pub statistics: Option<AnnotatorStatistics>,
    pub(super) rows: Vec<CandidateRow>,
    pub(super) position: usize,
    /// The current row was decided and none follows: keys decide nothing until the user moves.
    pub(super) past_end: bool,
    pub(super) selected: HashSet<CandidateId>,
    /// Everything that matches the filter is selected, loaded or not.
    pub(super) all_selected: bool,
    /// The next undecided row was not among the loaded ones: more are requested until it is found.
    pub(super) seeking: Option<Seeking>,
    /// The first rows are pending.
    loading: bool,
    /// The candidate to select again once it is loaded.
    returning: Option<CandidateId>,
    /// That candidate is from the last session: it is not selected if the filter no longer lists it.
    returning_if_listed: bool,
    /// That candidate was already decided.
    returning_past: Option<Past>,
    /// The next rows could not be read: they are requested on user action, not automatically.
    stalled: bool,
    complete: bool,
    /// Rows inserted by an undo or from the history; their page may contain them again.
    inserted: HashSet<CandidateId>,
    pub(super) pending: Option<Pending>,
    /// Queued keys and clicks.
    pub(super) queued: VecDeque<Key>,
}

impl<Key> Default for ReviewModel<Key> {
    fn default() -> Self {
        Self {
            filter: ReviewFilter::default(),
            filter_open: false,
            typing_ahead: false,
            layout: Layout::default(),
            drawn: Drawn::default(),
            zoomed: false,
            auto_advance: true,
            adjusting: None,
            picker: None,
            last_class: None,
            failure: None,
            counts: VerdictCounts::default(),
            pace: Pace::default(),
            total: None,
            numbers: None,
            inheritable: Inheritable::default(),
            group_preview: None,
            members: None,
            offer: None,
            grouping: GroupConfig::default(),
            history: HistoryModel::default(),
            statistics: None,
            rows: Vec::new(),
            position: 0,
            past_end: false,
            selected: HashSet::new(),
            all_selected: false,
            seeking: None,
            loading: false,
            returning: None,
            returning_if_listed: false,
            returning_past: None,
            stalled: false,
            complete: false,
            inserted: HashSet::new(),
            pending: None,
            queued: VecDeque::new(),
        }
    }
}

impl<Key> ReviewModel<Key> {
    pub fn rows(&self) -> &[CandidateRow] {
        &self.rows
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn current(&self) -> Option<&CandidateRow> {
        self.rows.get(self.position)
    }

    /// Whether the last row was decided, so that keys typed ahead have no effect.
    pub fn is_past_end(&self) -> bool {
        self.past_end
    }

    /// Returns the number of rows before the current one that the filter lists, as far as a row can tell.
    pub fn listed_before(&self) -> usize {
        let before = self.rows.get(..self.position);
        before.map_or(self.position, |rows| rows.iter().filter(|row| self.is_found(row)).count())
    }

    /// Returns the rows after the current one, for prefetching.
    pub fn upcoming(&self, count: usize) -> &[CandidateRow] {
        let from = (self.position + 1).min(self.rows.len());
        &self.rows[from..(from + count).min(self.rows.len())]
    }

    /// Returns a candidate's current index; `None` if it is not loaded.
    pub fn index_of(&self, candidate: CandidateId) -> Option<usize> {
        self.rows.iter().position(|row| row.candidate.id == candidate)
    }

    pub fn is_selected(&self, candidate: CandidateId) -> bool {
        self.selected.contains(&candidate)
    }

    pub fn selected_count(&self) -> usize {
        self.selected.len()
    }

    pub fn is_all_selected(&self) -> bool {
        self.all_selected
    }

    /// Whether more rows should be requested: the end of the loaded rows is near, or a row is searched.
    pub fn wants_more(&self, visible_end: usize) -> bool {
        let is_near = self.rows.len() < self.position.max(visible_end) + ROWS_AHEAD && !self.stalled;
        !self.complete && (self.seeking.is_some() || is_near)
    }

    /// Restarts the queue with another filter, or with the same candidates, which may have changed; then selects `back_to`.
    pub fn restart(&mut self, back_to: Option<CandidateId>) {
        let stays = back_to.is_some() && back_to == self.current_candidate();
        let past = match self.seeking {
            _ if self.past_end => Some(Past::End),
            Some(Seeking::Below) => Some(Past::Seeking),
            _ => self.returning_past,
        };
        self.returning_past = past.filter(|_| stays);
        let is_same = self.selected.is_empty() && !self.all_selected;
        self.picker = self.picker.take().filter(|picker| is_same && picker.candidate == back_to);
        self.rows.clear();
        self.clear_selection();
        self.inserted.clear();
        (self.position, self.past_end) = (0, false);
        self.complete = false;
        self.total = None;
        self.numbers = None;
        self.inheritable = Inheritable::default();
        self.members = None;
        self.adjusting = self.adjusting.take().filter(|adjusting| Some(adjusting.candidate) == back_to);
        self.offer = None;
        self.seeking = None;
        self.stalled = false;
        self.loading = true;
        self.returning_if_listed &= stays;
        self.returning = back_to;
    }

    /// Selects the last session's candidate once the rows are loaded, if it is among them. `position`: its row then.
    pub fn reopen_at(&mut self, candidate: CandidateId, position: usize) {
        (self.returning, self.returning_if_listed, self.position) = (Some(candidate), true, position);
    }

    /// Returns the candidate that the next key applies to, possibly after it is reloaded.
    pub fn current_candidate(&self) -> Option<CandidateId> {
        self.returning.or(self.current().map(|row| row.candidate.id))
    }

    /// Returns the candidate that a restart returns to, until it is loaded.
    pub fn returning(&self) -> Option<CandidateId> {
        self.returning
    }

    /// Called when the candidate that a restart returns to was loaded; `None`: it no longer exists.
    pub fn return_loaded(&mut self, row: Option<CandidateRow>) {
        let returning = self.returning.take();
        let past = self.returning_past.take();
        let if_listed = std::mem::take(&mut self.returning_if_listed);
        let row = row.filter(|row| !if_listed || self.index_of(row.candidate.id).is_some());
        if if_listed && row.is_none() {
            self.position = 0;
        }
        match row {
            // An ellipse restored meanwhile is on another candidate, and stays.
            Some(row) if self.adjusting.as_ref().is_some_and(|adjusting| adjusting.candidate != row.candidate.id) => {}
            Some(row) => {
                let past = past.filter(|_| !self.is_waiting(&row));
                self.show_row(row);
                match past {
                    Some(Past::End) => self.past_end = true,
                    Some(Past::Seeking) => self.advance(),
                    None => {}
                }
            }
            None => {
                self.adjusting = self.adjusting.take().filter(|adjusting| Some(adjusting.candidate) != returning);
                self.picker = None;
            }
        }
    }

    /// Whether rows have to load before the next key can be interpreted.
    pub(super) fn awaits_rows(&self) -> bool {
        self.loading || self.returning.is_some() || self.seeking.is_some()
    }

    /// Adds the next page of rows. `complete`: there are no more.
    pub fn extend(&mut self, rows: Vec<CandidateRow>, complete: bool) {
        let before = self.rows.len();
        self.rows.extend(rows.into_iter().filter(|row| !self.inserted.contains(&row.candidate.id)));
        self.complete = complete;
        (self.loading, self.stalled) = (false, false);
        if self.all_selected {
            self.selected.extend(self.rows[before..].iter().map(|row| row.candidate.id));
        }
        if let Some(seeking) = self.seeking {
            self.seek(seeking, before);
        }
    }

    /// Continues the search in the rows from `new` on.
    fn seek(&mut self, seeking: Seeking, new: usize) {
        let rows = self.rows.len();
        let found = match seeking {
            Seeking::Around => {
                let again = || self.waiting_in(0..rows).filter(|_| self.complete);
                self.waiting_in(new..rows).or_else(again)
            }
            Seeking::Below => self.following_in(new..rows),
            Seeking::Place(place) => {
                let last = rows.checked_sub(1);
                last.filter(|last| self.complete || place <= *last).map(|last| place.min(last))
            }
        };
        match found {
            Some(index) => (self.position, self.past_end) = (index, false),
            None => self.past_end |= self.complete && seeking == Seeking::Below,
        }
        if found.is_some() || self.complete {
            self.seeking = None;
        }
    }

    pub fn go_to(&mut self, index: usize) {
        (self.seeking, self.past_end) = (None, false);
        self.position = index.min(self.rows.len().saturating_sub(1));
    }

    /// Goes to a position in the list, or to its last row; loads rows first if necessary.
    pub fn seek_to(&mut self, place: usize) {
        if place < self.rows.len() || self.complete {
            self.go_to(place);
        } else if !self.rows.is_empty() {
            self.seeking = Some(Seeking::Place(place));
        }
    }

    pub fn step(&mut self, by: isize) {
        self.go_to(self.position.saturating_add_signed(by));
    }

    /// Goes to the next undecided row, loading rows if necessary and wrapping around at the end. Returns false if there is none.
    pub fn next_undecided(&mut self) -> bool {
        let below = self.waiting_in(self.position + 1..self.rows.len());
        if below.is_none() && !self.complete && !self.rows.is_empty() {
            self.seeking = Some(Seeking::Around);
            return true;
        }
        let found = below.or_else(|| self.waiting_in(0..self.rows.len()));
        if let Some(index) = found {
            self.go_to(index);
        }
        found.is_some()
    }

    /// After a decision: moves to the next row. If there is none, the next key must not decide anything.
    pub(super) fn advance(&mut self) {
        if !self.auto_advance {
            return;
        }
        match self.following_in(self.position + 1..self.rows.len()) {
            Some(index) => self.go_to(index),
            None if self.complete => self.past_end = true,
            None => self.seeking = Some(Seeking::Below),
        }
    }

    /// Returns which of these rows follows a decision: in a list of undecided ones the next undecided row, in a list of all the next
    /// undecided or otherwise the next row, in a list of decided ones the next row.
    fn following_in(&self, indices: std::ops::Range<usize>) -> Option<usize> {
        let next = Some(indices.start).filter(|_| !indices.is_empty());
        match self.filter.verdicts {
            ShownVerdicts::Undecided => self.waiting_in(indices),
            ShownVerdicts::All => self.waiting_in(indices).or(next),
            ShownVerdicts::Decided | ShownVerdicts::Disputed | ShownVerdicts::RestsOn(_) | ShownVerdicts::Only(_) => {
                next
            }
        }
    }

    fn waiting_in(&self, mut indices: std::ops::Range<usize>) -> Option<usize> {
        indices.find(|index| self.rows.get(*index).is_some_and(|row| self.is_waiting(row)))
    }

    /// Whether a row is undecided. A duplicate is on an object that was promoted since: it is not, unless it was requested.
    fn is_waiting(&self, row: &CandidateRow) -> bool {
        let shows_duplicates = self.filter.kind == Some(FalsePositiveKind::Duplicate);
        let verdict = self.verdict_of(row);
        let is_left = is_left(row.candidate.kind, verdict) || (shows_duplicates && verdict.is_none());
        is_left && !self.is_being_decided(row.candidate.id)
    }

    /// Returns the verdict that the filter uses: the filter's annotator's, otherwise the effective one. In a blind review the rows contain
    /// the annotator's own.
    fn verdict_of(&self, row: &CandidateRow) -> Option<Verdict> {
        match self.filter.annotator.as_ref().filter(|_| !self.filter.blind) {
            Some(name) => row.held.iter().find(|held| held.annotator == *name).map(|held| held.verdict),
            None => row.candidate.verdict,
        }
    }

    /// Whether a row still matches the filter's verdict condition, as far as a row can tell.
    pub(super) fn is_found(&self, row: &CandidateRow) -> bool {
        match self.filter.verdicts {
            ShownVerdicts::Undecided => self.is_waiting(row),
            ShownVerdicts::Decided => self.verdict_of(row).is_some(),
            ShownVerdicts::Only(verdict) => self.verdict_of(row) == Some(verdict),
            ShownVerdicts::RestsOn(basis) => self.verdict_of(row).is_some() && row.basis() == basis,
            ShownVerdicts::All | ShownVerdicts::Disputed => true,
        }
    }

    pub fn toggle_selected(&mut self, index: usize) {
        let Some(id) = self.rows.get(index).map(|row| row.candidate.id) else { return };
        self.all_selected = false;
        if !self.selected.remove(&id) {
            self.selected.insert(id);
        }
    }

    /// Selects from the current row to `index`.
    pub fn select_to(&mut self, index: usize) {
        let (low, high) = (self.position.min(index), self.position.max(index));
        let rows = self.rows.get(low..(high + 1).min(self.rows.len())).unwrap_or_default();
        self.selected.extend(rows.iter().map(|row| row.candidate.id));
    }

    /// Selects the rectangle between the current row and `index`, in a grid with this many columns.
    pub fn select_rectangle(&mut self, index: usize, columns: usize) {
        let columns = columns.max(1);
        let corners = [self.position, index].map(|at| (at / columns, at % columns));
        let ([(row, column), (other_row, other_column)], rows) = (corners, self.rows.len());
        for row in row.min(other_row)..=row.max(other_row) {
            let cells = column.min(other_column)..=column.max(other_column);
            let ids = cells.map(|column| row * columns + column).filter(|index| *index < rows);
            self.selected.extend(ids.filter_map(|index| Some(self.rows.get(index)?.candidate.id)));
        }
    }

    /// Selects everything that matches the filter, loaded or not.
    pub fn select_all(&mut self) {
        self.selected = self.rows.iter().map(|row| row.candidate.id).collect();
        self.all_selected = !self.selected.is_empty();
    }

    pub fn clear_selection(&mut self) {
        self.selected.clear();
        self.all_selected = false;
    }

    /// Called when the awaited rows cannot be read.
    pub fn give_up_waiting(&mut self) {
        self.past_end |= self.seeking == Some(Seeking::Below);
        (self.loading, self.stalled, self.seeking) = (false, true, None);
    }

    /// Cancels the search for the next undecided row and drops the keys queued behind it. Returns false if there was none.
    pub fn break_off(&mut self) -> bool {
        let seeking = self.seeking.take();
        if seeking.is_some() {
            self.queued.clear();
        }
        self.past_end |= seeking == Some(Seeking::Below);
        seeking.is_some()
    }

    /// Whether no filter or selection is open that Esc would close first.
    pub fn has_nothing_to_leave(&self) -> bool {
        !self.filter_open && self.selected.is_empty()
    }

    /// Handles Esc: closes the filter, else clears the selection, else returns to the queue or the grid.
    pub fn leave(&mut self) {
        if self.filter_open {
            self.filter_open = false;
        } else if !self.selected.is_empty() {
            self.clear_selection();
        } else if !self.layout.shows_candidates() {
            self.layout = Layout::Queue;
        }
    }

    /// Opens or closes the filter; in the history opens the search instead.
    pub fn toggle_filter(&mut self) {
        match self.layout {
            Layout::Queue | Layout::Grid => self.filter_open = !self.filter_open,
            Layout::History => {}
            Layout::Annotators => (self.layout, self.filter_open) = (Layout::Queue, true),
        }
        self.typing_ahead = self.filter_open || self.layout == Layout::History;
    }

    /// Returns the filter for the current candidate's group.
    pub fn filter_of_group(&self) -> Option<ReviewFilter> {
        let group = self.current().filter(|_| self.layout.shows_candidates())?.group?;
        Some(ReviewFilter { verdicts: ShownVerdicts::All, group: Some(group), ..self.filter.clone() })
    }

    /// Shows a layout, or returns to the queue if it is already shown.
    pub fn toggle_layout(&mut self, layout: Layout) {
        self.clear_selection();
        self.layout = if self.layout == layout { Layout::Queue } else { layout };
    }

    /// Goes to a candidate; one outside the filter is inserted at this position. Clears the selection: the next decision applies to this
    /// candidate.
    pub fn show_row(&mut self, row: CandidateRow) {
        self.clear_selection();
        let id = row.candidate.id;
        if let Some(index) = self.index_of(id) {
            self.rows[index] = row;
            self.go_to(index);
        } else {
            let index = self.position.min(self.rows.len());
            self.rows.insert(index, row);
            self.inserted.insert(id);
            self.go_to(index);
        }
    }

    /// Starts adjusting the current candidate as a missed object, from `shape` or otherwise from the ellipse in its box; not while the
    /// queue is blocked after a failure. `class`: `None` means the class that the detector predicted.
    pub fn start_adjusting(&mut self, shape: Option<Shape>, class: Option<ClassId>) {
        self.adjust(shape, class, None);
    }

    /// Starts adjusting a ground truth object near the current candidate.
    pub fn start_adjusting_object(&mut self, object: GroundTruthId, shape: Shape) {
        self.adjust(Some(shape), None, Some(object));
    }

    fn adjust(&mut self, shape: Option<Shape>, class: Option<ClassId>, object: Option<GroundTruthId>) {
        if !self.layout.shows_candidates() || self.failure.is_some() || self.past_end {
            return;
        }
        if let Some(row) = self.current() {
            let shape = shape.unwrap_or_else(|| adjust::start(&row.candidate.bbox, true));
            self.adjusting = Some(Adjusting { candidate: row.candidate.id, shape, class, object, from: self.layout });
            self.layout = Layout::Queue;
        }
    }

    /// Ends the adjustment and restores the previous layout.
    pub fn stop_adjusting(&mut self) -> Option<Adjusting> {
        let adjusted = self.adjusting.take()?;
        self.layout = adjusted.from;
        Some(adjusted)
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
pub(super) mod tests;

//! The review's state: the queue of candidates, where one stands in it, what is selected and shown. Knows neither egui nor SQL, nor how
//! a decision is made (`deciding.rs`).

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::adjust;
use super::deciding::{GroupOffer, Pending};
use super::filter::ReviewFilter;
use super::history::HistoryModel;
use super::pace::Pace;
use crate::domain::CandidateId;
use crate::geometry::Ellipse;
use crate::mining::GroupConfig;
use crate::store::{CandidateRow, VerdictCounts};
use crate::workflow::review::{People, ReviewNumbers};

/// How the candidates are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    #[default]
    Queue,
    Grid,
    /// The log of decisions; nothing is decided there.
    History,
    /// Who decided how much; nothing is decided there.
    People,
}

impl Layout {
    /// Whether candidates are shown, and can be decided on.
    pub fn shows_candidates(self) -> bool {
        matches!(self, Self::Queue | Self::Grid)
    }
}

/// The ellipse of a missed face while it is adjusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjusting {
    pub candidate: CandidateId,
    pub ellipse: Ellipse,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the screen that have nothing to do with each other")]
pub struct ReviewModel<Key> {
    pub filter: ReviewFilter,
    pub filter_open: bool,
    pub layout: Layout,
    pub overlays_hidden: bool,
    pub zoomed: bool,
    pub adjusting: Option<Adjusting>,
    /// Why the last decision was not saved.
    pub failure: Option<String>,
    pub counts: VerdictCounts,
    pub pace: Pace,
    /// How many candidates the filter leaves; `None` until counted.
    pub total: Option<u64>,
    /// How the review of the filter's candidates stands; `None` until counted.
    pub numbers: Option<ReviewNumbers>,
    /// The rest of the group that was decided on last.
    pub offer: Option<GroupOffer>,
    /// Most bits in which the hashes of alike candidates differ.
    pub grouping: GroupConfig,
    pub history: HistoryModel,
    pub people: Option<People>,
    pub(super) rows: Vec<CandidateRow>,
    pub(super) position: usize,
    pub(super) selected: BTreeSet<usize>,
    /// Everything was selected while rows were still to come: they are asked for, and are selected as they come.
    pub(super) selecting_all: bool,
    complete: bool,
    /// Rows that an undo or the history put in; they may come again with their page.
    brought_in: HashSet<CandidateId>,
    pub(super) pending: Option<Pending>,
    pub(super) waiting_keys: VecDeque<Key>,
}

impl<Key> Default for ReviewModel<Key> {
    fn default() -> Self {
        Self {
            filter: ReviewFilter::default(),
            filter_open: false,
            layout: Layout::default(),
            overlays_hidden: false,
            zoomed: false,
            adjusting: None,
            failure: None,
            counts: VerdictCounts::default(),
            pace: Pace::default(),
            total: None,
            numbers: None,
            offer: None,
            grouping: GroupConfig::default(),
            history: HistoryModel::default(),
            people: None,
            rows: Vec::new(),
            position: 0,
            selected: BTreeSet::new(),
            selecting_all: false,
            complete: false,
            brought_in: HashSet::new(),
            pending: None,
            waiting_keys: VecDeque::new(),
        }
    }
}

impl<Key> ReviewModel<Key> {
    /// Candidates with and without a verdict.
    pub fn counts_total(&self) -> u64 {
        let c = &self.counts;
        c.undecided + c.confirmed + c.rejected + c.missed_face + c.skipped
    }

    pub fn rows(&self) -> &[CandidateRow] {
        &self.rows
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn current(&self) -> Option<&CandidateRow> {
        self.rows.get(self.position)
    }

    /// The rows after the current one, for decoding ahead.
    pub fn upcoming(&self, count: usize) -> &[CandidateRow] {
        let from = (self.position + 1).min(self.rows.len());
        &self.rows[from..(from + count).min(self.rows.len())]
    }

    pub fn is_selected(&self, index: usize) -> bool {
        self.selected.contains(&index)
    }

    pub fn selected_count(&self) -> usize {
        self.selected.len()
    }

    /// Whether more rows are worth asking for: the end of what is loaded is near.
    pub fn wants_more(&self, visible_end: usize) -> bool {
        !self.complete && (self.selecting_all || self.rows.len() < self.position.max(visible_end) + 200)
    }

    /// Starts over with another filter or another round's candidates.
    pub fn restart(&mut self) {
        self.rows.clear();
        self.clear_selection();
        self.brought_in.clear();
        self.position = 0;
        self.complete = false;
        self.total = None;
        self.numbers = None;
        self.adjusting = None;
        self.offer = None;
    }

    /// The next page of rows. `complete`: there are no more.
    pub fn extend(&mut self, rows: Vec<CandidateRow>, complete: bool) {
        self.rows.extend(rows.into_iter().filter(|row| !self.brought_in.contains(&row.candidate.id)));
        self.complete = complete;
        if self.selecting_all {
            self.select_all();
        }
    }

    pub fn go_to(&mut self, index: usize) {
        self.position = index.min(self.rows.len().saturating_sub(1));
    }

    pub fn step(&mut self, by: isize) {
        self.go_to(self.position.saturating_add_signed(by));
    }

    /// Goes to the next row without a verdict; past the end it begins again at the top.
    pub fn next_undecided(&mut self) {
        let count = self.rows.len();
        let open = |index: &usize| self.rows[*index].candidate.verdict.is_none();
        let next = (1..=count).map(|offset| (self.position + offset) % count.max(1)).find(open);
        if let Some(index) = next {
            self.position = index;
        }
    }

    /// Goes to the next row without a verdict below this one, or else one row on.
    pub(super) fn advance(&mut self) {
        let below = (self.position + 1..self.rows.len()).find(|i| self.rows[*i].candidate.verdict.is_none());
        self.go_to(below.unwrap_or(self.position + 1));
    }

    pub fn toggle_selected(&mut self, index: usize) {
        if !self.selected.remove(&index) && index < self.rows.len() {
            self.selected.insert(index);
        }
    }

    /// Selects from the current row up to `index`.
    pub fn select_to(&mut self, index: usize) {
        let (low, high) = (self.position.min(index), self.position.max(index));
        self.selected.extend(low..(high + 1).min(self.rows.len()));
    }

    /// Selects all that the filter finds, also what is not loaded yet; until it is, decisions wait.
    pub fn select_all(&mut self) {
        self.selected = (0..self.rows.len()).collect();
        self.selecting_all = !self.complete;
    }

    pub fn clear_selection(&mut self) {
        self.selected.clear();
        self.selecting_all = false;
    }

    /// The rows that were to be selected cannot be read.
    pub fn give_up_selecting(&mut self) {
        if self.selecting_all {
            self.clear_selection();
        }
    }

    /// Shows a layout, or the queue again where it is shown already.
    pub fn toggle_layout(&mut self, layout: Layout) {
        self.clear_selection();
        self.layout = if self.layout == layout { Layout::Queue } else { layout };
    }

    /// Goes to a candidate; one that the filter had left out comes in at this place.
    pub fn show_row(&mut self, row: CandidateRow) {
        let id = row.candidate.id;
        if let Some(index) = self.rows.iter().position(|known| known.candidate.id == id) {
            self.rows[index] = row;
            self.position = index;
        } else {
            let index = self.position.min(self.rows.len());
            self.rows.insert(index, row);
            self.brought_in.insert(id);
            self.position = index;
        }
    }

    /// Opens the adjustment of the current candidate as a missed face.
    pub fn start_adjusting(&mut self) {
        if !self.layout.shows_candidates() {
            return;
        }
        if let Some(row) = self.current() {
            let ellipse = adjust::start(&row.candidate.bbox);
            self.adjusting = Some(Adjusting { candidate: row.candidate.id, ellipse });
            self.layout = Layout::Queue;
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

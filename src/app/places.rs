//! The stacks behind Back: places left for a candidate's group, the history, the annotators or a point of a curve. Each is stored with
//! filter, order, layout and candidate; on the Images screen with the list and the open image.

use super::QuarryApp;
use super::command::{ReviewFilter, Screen};
use super::options::LastPlace;
use super::views::review::Layout;
use crate::domain::{CandidateId, ImageId};
use crate::workflow::Project;
use crate::workflow::inspect::ImageQuery;

/// Maximum number of places remembered.
const KEPT: usize = 50;

/// A place to return to.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    screen: Screen,
    filter: ReviewFilter,
    layout: Layout,
    candidate: Option<CandidateId>,
    /// Its position in the list.
    position: usize,
}

/// What the Images screen showed before it showed a point of a curve, and where that point was clicked.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagesPlace {
    screen: Screen,
    query: ImageQuery,
    current: Option<ImageId>,
    is_open: bool,
    is_set_up: bool,
}

impl QuarryApp {
    /// Saves the state of the Images screen before a point of a curve replaces it.
    pub(super) fn keep_images_place(&mut self) {
        let images = &self.images;
        self.images_places.push(ImagesPlace {
            screen: self.screen,
            query: images.query.clone(),
            current: images.open.or(images.current().map(|image| image.record.id)),
            is_open: images.open.is_some(),
            is_set_up: images.is_set_up,
        });
        if self.images_places.len() > KEPT {
            self.images_places.remove(0);
        }
    }

    /// Returns from a curve's errors to the curve; the Images screen shows again what it showed before. Returns false if there is nothing
    /// to return to.
    pub(super) fn go_back_in_images(&mut self) -> bool {
        let Some(place) = self.images_places.pop() else { return false };
        self.images.close();
        self.images.filter_open = false;
        self.images.is_set_up = place.is_set_up;
        self.images.show_again(place.query, place.current);
        // Nothing was listed yet if the screen had not been shown.
        let rounds = self.overview().map_or_else(Vec::new, |overview| overview.rounds.clone());
        self.images.set_up(&rounds);
        if let Some(image) = place.current.filter(|_| place.is_open) {
            self.open_image(|images| images.open(image));
        }
        self.show_screen(place.screen);
        true
    }

    /// Saves the current place before leaving it.
    pub(super) fn keep_place(&mut self) {
        let place = Place {
            screen: self.screen,
            filter: self.review.filter.clone(),
            layout: self.review.layout,
            candidate: self.review.current_candidate(),
            position: self.review.position(),
        };
        if self.places.last() != Some(&place) {
            self.places.push(place);
        }
        if self.places.len() > KEPT {
            self.places.remove(0);
        }
    }

    /// Returns to the last saved place. Returns false if there is none.
    pub(super) fn go_back(&mut self) -> bool {
        let Some(place) = self.places.pop() else { return false };
        self.review.clear_selection();
        self.review.filter_open = false;
        self.review.layout = place.layout;
        if place.filter == self.review.filter {
            let index = place.candidate.and_then(|candidate| self.review.index_of(candidate));
            if let Some(index) = index {
                self.review.go_to(index);
            }
        } else {
            self.review.filter = place.filter;
            if let Some(session) = &mut self.session {
                session.write_filter(&self.review.filter);
            }
            self.restart_review_at(place.candidate, place.position);
        }
        if place.screen != self.screen {
            self.show_screen(place.screen);
        }
        self.reload_layout();
        true
    }

    /// Shows a layout, or returns to the previous one if it is already shown.
    pub(super) fn toggle_layout(&mut self, layout: Layout) {
        if self.review.layout == layout {
            if !self.go_back() {
                self.review.toggle_layout(layout);
            }
            return;
        }
        self.keep_place();
        self.review.toggle_layout(layout);
        self.reload_layout();
    }
}

/// Restores the last session.
impl QuarryApp {
    /// Reopens what was open when the window was last closed, after the first frame.
    pub fn reopen_last(&mut self) {
        self.reopening = self.options.last.clone();
    }

    pub(super) fn reopen(&mut self, ctx: &egui::Context) {
        if self.reopening.is_some() && ctx.cumulative_pass_nr() == 0 {
            return ctx.request_repaint();
        }
        let Some(last) = self.reopening.take().filter(|_| self.session.is_none()) else { return };
        let project = std::path::PathBuf::from(&last.project);
        self.open(Project::open(&project), ctx);
        if self.session.is_none() {
            // The reason was already reported.
            return;
        }
        self.show_screen(last.screen);
        if last.is_grid {
            self.review.layout = Layout::Grid;
        }
    }

    /// Returns what is open now, for the next start.
    pub fn last_place(&self) -> Option<LastPlace> {
        let Some(session) = &self.session else { return self.reopening.clone() };
        let project = session.project.dir().to_str()?.to_owned();
        Some(LastPlace {
            project,
            screen: self.screen,
            is_grid: self.review.layout == Layout::Grid,
            candidate: self.review.current_candidate(),
            position: self.review.listed_before(),
        })
    }
}

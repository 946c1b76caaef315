//! Shows what another window, program or person changes in the open project, and removes what they decided from the queue.

use egui::Context;

use super::QuarryApp;
use crate::jobs::ReadRequest;
use crate::store::{CandidateRow, LogNews};

impl QuarryApp {
    pub(super) fn drain_watch(&mut self, _: &Context) -> bool {
        let Some(session) = &mut self.session else { return false };
        let Some(news) = session.watch.poll() else { return false };
        let (mut others, has_own) = session.of_others(news);
        if std::mem::take(&mut others.project_changed) {
            session.refresh();
        }
        if others == LogNews::default() || (others.is_cut && (has_own || self.review.is_saving())) {
            // All decisions were made here; a very large batch is not listed completely.
            session.numbers_wanted = true;
            return true;
        }
        session.numbers_wanted = true;
        session.inheritable_changed();
        session.forget_members();
        for (_, image) in &others.corrections {
            session.image_changed(*image);
        }
        if others.is_cut {
            session.forget_details();
            self.reread_review();
        } else {
            let shown = others.verdicts.into_iter().map(|(_, candidate)| candidate);
            let shown: Vec<_> = shown.filter(|candidate| self.review.index_of(*candidate).is_some()).collect();
            if !shown.is_empty() {
                session.reader.ask(ReadRequest::Rows(shown));
            }
        }
        self.images.changed();
        self.review.group_preview = None;
        self.reload_layout();
        true
    }

    /// Updates candidates that others decided.
    pub(super) fn decided_elsewhere(&mut self, rows: Vec<CandidateRow>) {
        let by = self.annotator();
        if let Some(session) = &mut self.session {
            // A verdict may have added an object to its image or removed one.
            for row in &rows {
                session.image_changed(row.candidate.image);
            }
            session.numbers_wanted = true;
        }
        self.review.decided_elsewhere(rows.into_iter().map(|row| by.sees(row)).collect());
    }
}

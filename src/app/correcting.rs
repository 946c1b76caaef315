//! Ground truth corrections by the review's keys: the target object, and the effect of each key.

use super::QuarryApp;
use super::action::Action;
use super::views::review::{Question, target};
use crate::domain::ObjectChange;
use crate::store::ObjectRow;

impl QuarryApp {
    /// Applies a correction key to the object under or nearest to the current candidate.
    pub(super) fn correct_object(&mut self, action: Action) {
        if !self.review.layout.shows_candidates() || self.review.current().is_none() {
            return;
        }
        let object = match self.target_object() {
            Ok(object) => object,
            Err(reason) => return self.say(reason),
        };
        let change = match action {
            Action::DeleteObject => ObjectChange::Deleted(!object.state.deleted),
            _ if object.state.deleted => return self.say("The object is deleted. Restore it first"),
            Action::IgnoreObject => ObjectChange::Ignored(!object.state.ignored),
            Action::AdjustObject => return self.review.start_adjusting_object(object.id, object.state.shape),
            _ if !self.has_classes() => return self.say("The project has one class: the object has it already"),
            _ => return self.ask_class(Question::ObjectClass(object.id), Some(object.state.class)),
        };
        let decision = self.review.correct(vec![object.id], change);
        self.save(decision);
    }

    fn target_object(&self) -> Result<ObjectRow, &'static str> {
        let row = self.review.current().ok_or("No candidate is shown")?;
        let detail = self.session.as_ref().and_then(|session| session.details.get(row));
        let detail = detail.ok_or("The image's objects could not be read")?;
        let found = target(&detail.objects, &row.candidate.bbox, self.review.filter.blind);
        found.copied().ok_or("The image has no annotated object. F makes the candidate one")
    }
}

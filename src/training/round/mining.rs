//! Mining within a round.

use super::super::mined;
use super::{Round, TrainingError, TrainingImage};

impl Round<'_> {
    /// [`Self::mine_if_due`]; if that fails, saves the progress made so far.
    pub(super) fn mine_or_keep(&mut self) -> Result<(), TrainingError> {
        let mined = self.mine_if_due();
        if mined.is_err() {
            self.checkpoint()?;
        }
        mined
    }

    /// Mines with the current weights between two steps, after the checkpoint: a round that resumes from it mines again, and finds the same.
    fn mine_if_due(&mut self) -> Result<(), TrainingError> {
        let step = self.progress.step;
        if !mined::is_due(self.config, step) || self.progress.mined_at == step || self.cancel.is_cancelled() {
            return Ok(());
        }
        self.lock.check()?;
        let unreadable = self.stepper.loader.unreadable();
        let drawn = mined::drawn(self.config, step, self.images.len(), |image| unreadable.contains(&image));
        let images: Vec<&TrainingImage> = drawn.iter().map(|&image| &self.images[image]).collect();
        let detector = self.stepper.detecting_mut();
        let own = detector.config().detection;
        detector.set_detection(self.config.mining);
        let found = self.hooks.mine(step, detector, &images);
        detector.set_detection(own);
        if self.cancel.is_cancelled() {
            // Only some of the images were seen: this is repeated on resume.
            return Ok(());
        }
        self.lock.check()?;
        let found = found.map_err(|message| TrainingError::Mining { step, message })?;
        self.mined.extend(drawn.into_iter().zip(found).filter_map(|(image, found)| Some((image, found?))));
        self.progress.mined_at = step;
        let images = mined::with_mined(&self.images, &self.mined);
        self.stepper.loader = self.stepper.loader.restarted_with(&self.fitting, self.progress.position, images)?;
        Ok(())
    }
}

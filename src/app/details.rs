//! An LRU cache of the images' overlays.

use std::collections::{HashMap, HashSet};

use crate::domain::{ImageId, RoundId};
use crate::jobs::{ByteCache, ImageDetail, Overview};
use crate::store::CandidateRow;

/// Maximum number of cached overlays (each counts as one byte of the budget).
const DETAILS_KEPT: usize = 400;

/// The overlays of images, as far as they were loaded.
pub struct Details {
    pub(super) images: HashMap<(ImageId, RoundId), ImageDetail>,
    pub(super) order: ByteCache<(ImageId, RoundId), ()>,
    pub(super) requested: HashSet<(ImageId, RoundId)>,
    pub overview: Overview,
}

impl Default for Details {
    fn default() -> Self {
        let order = ByteCache::new(DETAILS_KEPT);
        Self { images: HashMap::new(), order, requested: HashSet::new(), overview: Overview::default() }
    }
}

impl Details {
    pub fn get(&self, row: &CandidateRow) -> Option<&ImageDetail> {
        self.images.get(&(row.candidate.image, row.candidate.round))
    }

    /// Returns the numbers of the project's rounds.
    pub fn rounds(&self) -> impl Iterator<Item = u32> {
        self.overview.rounds.iter().map(|round| round.number)
    }

    /// Formats a round's number, with the model if its detections were imported.
    pub fn round_text(&self, number: u32) -> String {
        let imported = self.overview.rounds.iter().find(|round| round.number == number);
        match imported.and_then(|round| round.imported.as_ref()) {
            Some(model) => format!("{number} ({} {})", model.name, model.round),
            None => number.to_string(),
        }
    }

    pub fn insert(&mut self, round: RoundId, detail: ImageDetail) {
        let key = (detail.record.id, round);
        self.requested.remove(&key);
        self.images.insert(key, detail);
        self.order.insert(key, (), 1);
        let order = &self.order;
        self.images.retain(|key, _| order.contains(key));
    }

    /// Drops the overlays of images whose ground truth has changed.
    pub(super) fn forget(&mut self, image: ImageId) {
        self.images.retain(|(known, _), _| *known != image);
        self.requested.retain(|(known, _)| *known != image);
    }
}

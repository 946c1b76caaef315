//! The round that detections go into: its images with their ground truth, and the thresholds of mining.

use std::collections::HashSet;

use crate::domain::{Annotation, ImageId, ImageRecord, RoundRecord, Shape};
use crate::mining::MiningConfig;
use crate::store::Fingerprint;
use crate::workflow::copies::{Copies, Truth};

/// A round that is being mined.
pub(in crate::workflow) struct Target {
    pub round: RoundRecord,
    pub mining: MiningConfig,
    /// The images to detect on, in the order of import.
    pub images: Vec<ImageRecord>,
    /// Of them, those that are evaluated on: their detections are kept, and nothing on them becomes a candidate.
    pub held_out: HashSet<ImageId>,
    /// Of the model and of how it is used: detections of different identities do not belong together.
    pub identity: String,
    pub truth: Truth,
    pub copies: Copies,
}

impl Target {
    /// All that is annotated on an image, on its copies in other datasets too.
    pub fn annotations(&self, image: &ImageRecord) -> Vec<Annotation> {
        self.copies.annotations(image, &self.truth)
    }

    /// Changes with the image's bytes and with what is annotated on it.
    pub fn fingerprint(&self, image: &ImageRecord) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(image.content_hash.as_bytes());
        for Annotation { class, shape, ignored, .. } in self.annotations(image) {
            let numbers = match shape {
                Shape::Rectangle(b) => [b.x1, b.y1, b.x2, b.y2, f64::INFINITY],
                Shape::Ellipse(e) => [e.ra, e.rb, e.theta, e.cx, e.cy],
            };
            hasher.update(&class.0.to_le_bytes());
            hasher.update(&[u8::from(ignored)]);
            for number in numbers {
                hasher.update(&number.to_bits().to_le_bytes());
            }
        }
        let mut fingerprint = Fingerprint::default();
        hasher.finalize_xof().fill(&mut fingerprint);
        fingerprint
    }
}

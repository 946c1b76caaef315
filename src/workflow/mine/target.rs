//! The round that receives detections: its images with their ground truth, and the mining thresholds.

use std::collections::HashSet;

use crate::domain::{Annotation, ImageId, ImageRecord, RoundRecord, Shape};
use crate::mining::MiningConfig;
use crate::store::Fingerprint;
use crate::workflow::copies::{Copies, Truth};

/// A round being mined.
pub(in crate::workflow) struct Target {
    pub round: RoundRecord,
    pub mining: MiningConfig,
    /// The images to detect on, in import order.
    pub images: Vec<ImageRecord>,
    /// Those of them to evaluate on: their detections are stored, but none becomes a candidate.
    pub held_out: HashSet<ImageId>,
    /// Identifies the model and its settings: detections with different identities must not be mixed.
    pub identity: String,
    pub truth: Truth,
    pub copies: Copies,
}

impl Target {
    /// Returns everything annotated on an image, including its copies in other datasets.
    pub fn annotations(&self, image: &ImageRecord) -> Vec<Annotation> {
        self.copies.annotations(image, &self.truth)
    }

    /// Changes with the image's content and annotations.
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

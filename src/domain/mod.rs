//! The nouns of the house: ids, images, annotations, detections, candidates, verdicts, rounds. Knows geometry and nothing else:
//! no file, no tensor, no database, no window.

mod annotation;
mod candidate;
mod detection;
mod folds;
mod ids;
mod image;
mod observer;
mod round;
mod verdict;

pub use annotation::{Annotation, AnnotationSource, FaceShape};
pub use candidate::{BACKGROUND_MAX_IOU, CANDIDATE_MAX_IOU, Candidate, FalsePositiveKind};
pub use detection::Detection;
pub use folds::parse_folds;
pub use ids::{CandidateId, DatasetId, GroundTruthId, GroupId, ImageId, RoundId};
pub use image::ImageRecord;
pub use observer::{Cancel, Progress};
pub use round::{HardNegativeSource, RoundInit, RoundRecord, RoundState};
pub use verdict::{Verdict, VerdictRecord};

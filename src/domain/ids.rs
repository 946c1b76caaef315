//! Typed row ids, so that an image id cannot be passed for a candidate id. Row ids are local to a project; the store keeps a UUID with each
//! as its global identity.

use serde::{Deserialize, Serialize};

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

row_id!(/// A dataset that was imported into the project.
    DatasetId);
row_id!(/// An image.
    ImageId);
row_id!(/// An annotated object.
    GroundTruthId);
row_id!(/// A class of objects, e.g. `face` or `pedestrian`.
    ClassId);
row_id!(/// A training round.
    RoundId);
row_id!(/// A mined false positive.
    CandidateId);
row_id!(/// A group of near-duplicate candidates.
    GroupId);

impl ClassId {
    /// The class of a single-class detector or file that does not name its class.
    pub const ONLY: Self = Self(1);
}

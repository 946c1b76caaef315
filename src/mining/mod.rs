//! Detections + ground truth -> ranked, grouped candidates, and the statistics of their review. Pure: knows neither files, the
//! database nor the detector.

mod agreement;
mod chain;
mod classify;
mod deduplicate;
mod estimate;
mod group;
mod look;
mod mine;

pub use agreement::{Agreement, cohens_kappa};
pub use chain::chain_of_alike;
pub use classify::{DetectionClass, classify};
pub use deduplicate::{SAME_HARD_NEGATIVE_IOU, deduplicate};
pub use estimate::{Proportion, of_the_rest, wilson_interval};
pub use group::{GROUP_MAX, Group, GroupConfig, Groupable, group_alike, nearest_hashes, regroup};
pub use look::look_of;
pub use mine::{MinedCandidate, MiningConfig, count_duplicates, mine_image};

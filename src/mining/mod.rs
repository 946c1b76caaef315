//! Detections + ground truth -> ranked, grouped candidates, and review statistics. Pure functions without file access.

mod agreement;
mod chain;
mod classify;
mod config;
mod deduplicate;
mod estimate;
mod group;
mod hashes;
mod mine;

pub use agreement::{Agreement, cohens_kappa};
pub use chain::similarity_chain;
pub use classify::{DetectionClass, classify};
pub use config::MiningConfig;
pub use deduplicate::{SAME_HARD_NEGATIVE_IOU, deduplicate};
pub use estimate::{Proportion, of_the_rest, wilson_interval};
pub use group::{Centre, GROUP_MAX, Group, GroupConfig, Groupable, group_alike, nearest_hashes, regroup};
pub use hashes::hashes_of;
pub use mine::{MinedCandidate, count_duplicates, mine_image};

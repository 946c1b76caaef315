//! One training round: settings, schedule, optimiser, loader, checkpoints, guards, events.

#[cfg(feature = "torch")]
mod average;
#[cfg(feature = "torch")]
mod checkpoint;
mod config;
mod config_text;
#[cfg(feature = "torch")]
mod device;
mod documented;
mod driver;
#[cfg(feature = "torch")]
mod error;
mod estimate;
mod events;
#[cfg(feature = "torch")]
mod flat;
#[cfg(feature = "torch")]
mod loader;
mod lock;
#[cfg(feature = "torch")]
mod order;
mod overlay;
mod presets;
#[cfg(feature = "torch")]
mod progress;
#[cfg(feature = "torch")]
mod records;
mod sampler_table;
mod schedule;
mod step_log;

#[cfg(feature = "torch")]
mod memory;
#[cfg(feature = "torch")]
mod meter;
#[cfg(feature = "torch")]
mod mined;
#[cfg(feature = "torch")]
mod optimiser;
#[cfg(feature = "torch")]
mod round;
#[cfg(feature = "torch")]
mod step;

#[cfg(feature = "torch")]
pub use checkpoint::{GoodModel, best_model, last_good_model, last_model};
#[cfg(feature = "torch")]
pub(crate) use config::LARGEST_WHOLE;
pub use config::{RoundConfig, is_reserved_split, split_in_words};
pub use config_text::{Difference, names_setting};
#[cfg(feature = "torch")]
pub use device::{choose_device, gpu_state, unused_gpu};
pub use documented::{DocumentedKey, documented, meaning, settings_page};
pub use driver::{driver, driver_shows_gpu};
#[cfg(feature = "torch")]
pub use error::TrainingError;
pub use estimate::{least_memory_bytes, machine_memory_bytes, rough_step_seconds, scaled_step_seconds};
pub use events::{GpuUsage, Losses, Outcome, RoundStart, StepClock, StepReport, TrainEvent, Usage};
#[cfg(feature = "torch")]
pub use loader::{Decode, TrainingImage};
pub use lock::LOCK_FILE;
#[cfg(feature = "torch")]
pub use lock::RunLock;
#[cfg(feature = "torch")]
pub use mined::MinedNegatives;
#[cfg(feature = "torch")]
pub use optimiser::Sgd;
#[cfg(feature = "torch")]
pub use order::{Order, Slot};
pub use overlay::ConfigError;
pub use presets::PRESETS;
#[cfg(feature = "torch")]
pub use progress::MODEL_FILE;
pub use sampler_table::{SAMPLER_FILE, SamplerTotals};
pub use schedule::{Schedule, ScheduleKind};
pub use step_log::logged_steps;

#[cfg(feature = "torch")]
pub use round::{RECENT_LOSSES, RoundHooks, RoundTask, Start, TrainSummary, train_round};

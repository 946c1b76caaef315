//! One training round: settings, schedule, optimiser, loader, checkpoints, guards, events. Must not know the database, the
//! window, nor where hard negatives come from.

mod checkpoint;
mod config;
mod config_text;
mod error;
mod events;
mod loader;
mod lock;
mod order;
mod overlay;
mod presets;
mod records;
mod schedule;

#[cfg(feature = "torch")]
mod optimiser;
#[cfg(feature = "torch")]
mod round;
#[cfg(feature = "torch")]
mod step;

pub use checkpoint::{best_model, last_model};
pub use config::RoundConfig;
pub use config_text::{DOCUMENTED, Difference, meaning};
pub use error::TrainingError;
pub use events::{Losses, Outcome, RoundStart, StepClock, StepReport, TrainEvent};
pub use loader::{Decode, TrainingImage};
pub use order::{Order, Slot};
pub use overlay::ConfigError;
pub use presets::PRESETS;
pub use records::SAMPLER_FILE;
pub use schedule::{Schedule, ScheduleKind};

#[cfg(feature = "torch")]
pub use round::{RECENT_LOSSES, RoundHooks, RoundTask, Start, TrainSummary, train_round};

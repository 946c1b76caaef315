//! One training round: settings, schedule, optimiser, loader, checkpoints, guards, events. Must not know the database, the
//! window, nor where hard negatives come from.

mod config;
mod config_text;
mod events;
mod overlay;
mod presets;
mod schedule;

pub use config::RoundConfig;
pub use config_text::{DOCUMENTED, Difference, meaning};
pub use events::{Losses, Outcome, RoundStart, StepClock, StepReport, TrainEvent};
pub use overlay::ConfigError;
pub use presets::PRESETS;
pub use schedule::{Schedule, ScheduleKind};

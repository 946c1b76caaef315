//! The hard negatives that a round trains on.

use std::collections::{BTreeSet, HashMap};

use super::{Observer, WorkEvent, WorkflowError};
use crate::domain::{HardNegativeSource, ImageId, counted};
use crate::store::{HardNegative, Store};
use crate::training::RoundConfig;

/// Returns the hard negatives of rounds before `round` that the settings choose, by image. Says how many of imported models are left out.
///
/// # Errors
///
/// The settings name a model that was never imported.
pub(super) fn negatives_of_round(
    store: &Store,
    config: &RoundConfig,
    round: u32,
    observer: &mut Observer,
) -> Result<HashMap<ImageId, Vec<HardNegative>>, WorkflowError> {
    let (source, models) = (config.hard_negatives, &config.hard_negative_models);
    let known: BTreeSet<String> = store.rounds()?.into_iter().filter_map(|round| Some(round.imported?.name)).collect();
    if let Some(unknown) = models.iter().find(|name| !known.contains(*name)) {
        let have = match known.len() {
            0 => "no model's detections were imported".to_owned(),
            _ => format!("those imported are {}", quoted(&known)),
        };
        let text = format!("`hard_negative_models` names `{unknown}`, and {have}.");
        return Err(WorkflowError::Refused(text));
    }
    if source == HardNegativeSource::None {
        return Ok(HashMap::new());
    }
    let chosen = store.hard_negatives_with(source, round, models)?;
    let others: BTreeSet<String> = known.iter().filter(|name| !models.contains(name)).cloned().collect();
    if !others.is_empty() {
        let count = |found: &HashMap<ImageId, Vec<HardNegative>>| found.values().map(Vec::len).sum::<usize>();
        let every: Vec<String> = known.into_iter().collect();
        let left_out = count(&store.hard_negatives_with(source, round, &every)?) - count(&chosen);
        if left_out > 0 {
            observer(WorkEvent::Log(format!(
                "{} of imported models ({}) {} not trained on; `hard_negative_models` names the models whose are",
                counted(left_out, "hard negative"),
                quoted(&others),
                if left_out == 1 { "is" } else { "are" }
            )));
        }
    }
    Ok(chosen)
}

fn quoted(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

//! Tools for a project's datasets: statistics, checks against the content hashes, moving, splitting, merging and deletion. The datasets'
//! own files are only read.

pub mod deletion;
pub mod integrity;
pub mod merge;
pub mod splits;
pub mod statistics;
mod strata;

use super::WorkflowError;
use crate::domain::printable;
use crate::store::{Dataset, Store};

/// Returns the dataset with this name. Fails if there is none, or several.
pub fn dataset_named(store: &Store, name: &str) -> Result<Dataset, WorkflowError> {
    let all = store.datasets()?;
    let mut named = all.iter().filter(|dataset| dataset.name == name);
    match (named.next(), named.next()) {
        (Some(dataset), None) => Ok(dataset.clone()),
        (Some(_), Some(_)) => {
            let text = format!(
                "two datasets of this project are called `{}`. Delete or merge one in the window.",
                printable(name)
            );
            Err(WorkflowError::Refused(text))
        }
        (None, _) => {
            let known: Vec<String> = all.iter().map(|dataset| format!("`{}`", printable(&dataset.name))).collect();
            let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
            let text = format!("there is no dataset `{}` in this project; it has {known}.", printable(name));
            Err(WorkflowError::Refused(text))
        }
    }
}

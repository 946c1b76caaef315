//! Copies the results of folds trained elsewhere into this project, without checkpoints.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::io;
use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::fold::Fold;
use super::plan::Plan;
use crate::domain::{limits, make_folders_below, read_text_bytes};
use crate::workflow::{Observer, WorkEvent, WorkflowError, write_atomically};

/// Copies into `dir` the folds of `others` that `dir` lacks or has fewer rounds of. Everything is checked before anything is written:
/// settings and data have to be the same.
pub(super) fn take_over(
    dir: &Path,
    name: &str,
    others: &[PathBuf],
    facts: &Facts,
    observer: &mut Observer,
) -> Result<Plan, WorkflowError> {
    let sources = others.iter().map(|other| source(other, name)).collect::<Result<Vec<_>, _>>()?;
    let plans = sources.iter().map(|source| Plan::of_folder(source, facts)).collect::<Result<Vec<_>, _>>()?;
    let ours = if Plan::exists(dir) { Some(Plan::of_folder(dir, facts)?) } else { None };
    let first = ours
        .as_ref()
        .or(plans.first())
        .ok_or_else(|| WorkflowError::Refused("--merge needs the folder of at least one other project.".to_owned()))?;
    let plan = Plan::new(dir, &first.config, facts)?;
    if let Some((source, _)) = sources.iter().zip(&plans).find(|(_, other)| other.id != plan.id) {
        // Refused with the names of the settings.
        Plan::new(source, &plan.config, facts)?;
        return Err(WorkflowError::Refused(format!("{}: made with other settings or data.", source.display())));
    }
    plan.begin(dir)?;
    for (source, other) in sources.iter().zip(&plans) {
        let mut taken = Vec::new();
        for number in facts.folds() {
            if take_fold(&Fold::at(source, number, other), &Fold::at(dir, number, &plan))? {
                taken.push(number.to_string());
            }
        }
        let what = if taken.is_empty() { "nothing new".to_owned() } else { format!("folds {}", taken.join(", ")) };
        observer(WorkEvent::Log(format!("{}: {what}", source.display())));
    }
    Ok(plan)
}

/// Returns the folder with `plan.json`: `other` itself, or the cross-validation `name` of the project there.
fn source(other: &Path, name: &str) -> Result<PathBuf, WorkflowError> {
    let in_project = other.join("runs").join(name);
    [other.to_path_buf(), in_project].into_iter().find(|dir| Plan::exists(dir)).ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{}: there is no cross-validation here (no plan.json), nor one called `{name}` in its runs.",
            other.display()
        ))
    })
}

/// Returns whether there was anything to copy.
fn take_fold(from: &Fold, to: &Fold) -> Result<bool, WorkflowError> {
    let Some(theirs) = from.record()? else { return Ok(false) };
    let ours = to.record()?.map_or(0, |record| record.rounds.len());
    if theirs.rounds.len() <= ours {
        return Ok(false);
    }
    let advice = "Copy the other project's folder completely and merge again.";
    for file in from.result_files(&theirs) {
        let path = from.dir().join(&file);
        let bytes = read_text_bytes(&path, limits::TEXT).map_err(io::Error::from);
        let bytes = bytes.map_err(WorkflowError::io(&path, advice))?;
        let target = to.dir().join(&file);
        let folder = target.parent().unwrap_or(to.dir());
        let all = to.dir().parent().unwrap_or(to.dir());
        make_folders_below(all, folder).map_err(WorkflowError::io(folder, "Check that it is writable."))?;
        // The record comes last: an interrupted merge has not taken over the fold.
        write_atomically(&target, &bytes)?;
    }
    Ok(true)
}

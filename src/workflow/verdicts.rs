//! The use cases around verdicts: bringing copies of a project together, agreement, estimates. Must not know keys or screens.

use std::io::BufRead;
use std::path::Path;

use serde::Serialize;

use super::WorkflowError;
use super::outputs::{self, OutputPolicy};
use crate::domain::{Output, write_output_with};
use crate::mining::{Agreement, Proportion, cohens_kappa, wilson_interval};
use crate::store::{CandidateQuery, MergeReport, Store, VerdictLine};

/// Agreement of two annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairAgreement {
    pub first: String,
    pub second: String,
    pub both: u64,
    pub observed: f64,
    pub kappa: f64,
}

/// Writes the verdict log as JSON lines; the number of rows. The file appears whole or not at all.
pub fn export(store: &Store, file: impl Into<Output>) -> Result<u64, WorkflowError> {
    let file = &file.into();
    OutputPolicy::new().datasets(store)?.check_file(file)?;
    let failed = |source| WorkflowError::from(outputs::not_written(file, source));
    write_output_with(file, failed, |out| {
        store.export_verdicts(|line| {
            serde_json::to_writer(&mut *out, line).map_err(|e| failed(e.into()))?;
            out.write_all(b"\n").map_err(failed)
        })
    })
}

/// Merges a file that [`export`] wrote; all of it or, after an error, nothing.
pub fn merge(store: &mut Store, file: &Path) -> Result<MergeReport, WorkflowError> {
    Ok(store.merge_verdicts(&read(file)?)?)
}

/// Cohen's kappa of every two annotators that both decided on something.
pub fn agreement(store: &Store) -> Result<Vec<PairAgreement>, WorkflowError> {
    let names = store.annotators()?;
    let mut pairs = Vec::new();
    for (k, first) in names.iter().enumerate() {
        for second in &names[k + 1..] {
            let Agreement { both, observed, kappa } = cohens_kappa(&store.verdict_pairs(first, second)?);
            if 0 < both {
                pairs.push(PairAgreement { first: first.clone(), second: second.clone(), both, observed, kappa });
            }
        }
    }
    Ok(pairs)
}

/// The share of hard negatives among the candidates of a query that waited when the sample began, from those reviewed in random order
/// (`Sort::Random`) so far, with its 95 % interval. A skipped candidate counts as none.
pub fn precision(store: &Store, query: &CandidateQuery) -> Result<Proportion, WorkflowError> {
    let sample = store.random_sample(query)?;
    Ok(wilson_interval(sample.confirmed, sample.sampled, sample.population))
}

fn read(file: &Path) -> Result<Vec<VerdictLine>, WorkflowError> {
    let failed = |source| WorkflowError::io(file, "Check the path; nothing was merged.")(source);
    let reader = std::io::BufReader::new(std::fs::File::open(file).map_err(failed)?);
    let mut lines = Vec::new();
    for (k, text) in reader.lines().enumerate() {
        let text = text.map_err(failed)?;
        if !text.trim().is_empty() {
            let refused = |error| WorkflowError::BadFile {
                path: file.to_owned(),
                reason: format!("line {}: {error}. Nothing was merged; export the verdicts again.", k + 1),
            };
            lines.push(serde_json::from_str(&text).map_err(refused)?);
        }
    }
    Ok(lines)
}

//! The use cases around verdicts: bringing copies of a project together, agreement, estimates. Must not know keys or screens.

use std::io::BufRead;
use std::path::Path;

use serde::Serialize;

use super::WorkflowError;
use super::outputs::{self, OutputPolicy};
use crate::domain::{AnnotationSource, Output, Verdict, csv_text, write_output_with};
use crate::mining::{Agreement, Proportion, cohens_kappa, wilson_interval};
use crate::store::{CandidateQuery, MergeReport, ShapeLine, Store, VerdictLine};

/// Agreement of two annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairAgreement {
    pub first: String,
    pub second: String,
    pub both: u64,
    pub observed: f64,
    pub kappa: f64,
}

/// How the verdict log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictFormat {
    /// One JSON object a line: what [`merge`] reads.
    #[default]
    JsonLines,
    /// One JSON list of the same objects.
    Json,
    /// A table of the same values, for spreadsheets.
    Csv,
}

/// Writes the verdict log as JSON lines; the number of rows. The file appears whole or not at all.
pub fn export(store: &Store, file: impl Into<Output>) -> Result<u64, WorkflowError> {
    export_as(store, VerdictFormat::JsonLines, file)
}

/// [`export`] in another format.
pub fn export_as(store: &Store, format: VerdictFormat, file: impl Into<Output>) -> Result<u64, WorkflowError> {
    let file = &file.into();
    OutputPolicy::new().datasets(store)?.check_file(file)?;
    let failed = |source| WorkflowError::from(outputs::not_written(file, source));
    write_output_with(file, failed, |out| {
        let (start, end) = match format {
            VerdictFormat::JsonLines => ("", ""),
            VerdictFormat::Json => ("[\n", "\n]\n"),
            VerdictFormat::Csv => (CSV_HEADER, ""),
        };
        out.write_all(start.as_bytes()).map_err(failed)?;
        let mut is_first = true;
        let rows = store.export_verdicts(|line| {
            if format == VerdictFormat::Csv {
                return out.write_all(csv_row(line).as_bytes()).map_err(failed);
            }
            if format == VerdictFormat::Json && !std::mem::take(&mut is_first) {
                out.write_all(b",\n").map_err(failed)?;
            }
            serde_json::to_writer(&mut *out, line).map_err(|e| failed(e.into()))?;
            if format == VerdictFormat::JsonLines { out.write_all(b"\n").map_err(failed) } else { Ok(()) }
        })?;
        out.write_all(end.as_bytes()).map_err(failed)?;
        Ok(rows)
    })
}

const CSV_HEADER: &str = "uid,gesture,action,annotator,candidate,verdict,class,reason,shape,source,tick,time_ms,image,x1,y1,x2,y2,\
                          round,candidate_class\n";

/// An ellipse is `ellipse ra rb theta cx cy`, a rectangle `rectangle x1 y1 x2 y2`.
fn csv_row(line: &VerdictLine) -> String {
    let text = |text: Option<&str>| csv_text(text.unwrap_or(""));
    let numbers = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    let shape = line.shape.map_or(String::new(), |shape| match shape {
        ShapeLine::Rectangle(values) => format!("rectangle {}", numbers(&values)),
        ShapeLine::Ellipse(values) => format!("ellipse {}", numbers(&values)),
    });
    let [x1, y1, x2, y2] = line.bbox;
    format!(
        "{},{},{},{},{},{},{},{},{shape},{},{},{},{},{x1},{y1},{x2},{y2},{},{}\n",
        line.uid,
        line.gesture,
        csv_text(&line.action),
        csv_text(&line.annotator),
        line.candidate,
        line.verdict.map_or("", Verdict::as_str),
        text(line.class.as_ref().map(|class| class.name.as_str())),
        text(line.reason.as_deref()),
        line.source.map_or("", AnnotationSource::as_str),
        line.tick,
        line.time_ms,
        csv_text(&line.image),
        line.round.map_or(String::new(), |round| round.to_string()),
        text(line.candidate_class.as_deref())
    )
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

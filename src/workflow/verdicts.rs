//! The use cases for verdicts and corrections: export and merge between copies of a project, agreement, estimates.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::Path;

use serde::Serialize;
use uuid::Uuid;

use super::WorkflowError;
use super::outputs::{self, OutputPolicy};
use crate::domain::{
    AnnotationSource, NOT_UTF_8, Output, Verdict, begin_text, csv_text, limits, open_regular, write_output_with,
};
use crate::mining::{Agreement, Proportion, cohens_kappa, wilson_interval};
use crate::store::{
    AHEAD_DAYS, CandidateQuery, CorrectionLine, LogLine, MergeReport, OriginLine, ShapeLine, Store, StoreError,
    VERDICT_FORMATS_READ, VerdictFilter, VerdictLine,
};

/// The agreement of two annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairAgreement {
    pub first: String,
    pub second: String,
    pub both: u64,
    pub observed: f64,
    pub kappa: f64,
}

/// One annotator's share of the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShareProgress {
    pub annotator: String,
    /// Candidates in it, counted by this annotator's own verdicts.
    pub candidates: u64,
    pub left: u64,
}

/// Returns each annotator's progress in their share; empty if the review is not divided.
pub fn share_progress(store: &Store) -> Result<Vec<ShareProgress>, WorkflowError> {
    let Some(shares) = store.shares()? else { return Ok(Vec::new()) };
    let of = |name: &String| {
        let query = |verdict| CandidateQuery {
            verdict,
            share: Some(shares.of(name)),
            annotator: Some(name.clone()),
            collapse: false,
            ..CandidateQuery::default()
        };
        let left = store.count_candidates(&query(VerdictFilter::Undecided))?;
        let candidates = left + store.count_candidates(&query(VerdictFilter::Decided))?;
        Ok(ShareProgress { annotator: name.clone(), candidates, left })
    };
    shares.annotators.iter().map(of).collect()
}

/// The format of an exported verdict log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictFormat {
    /// One JSON object per line: the input of [`merge`].
    #[default]
    JsonLines,
    /// One JSON list of the same objects.
    Json,
    /// A table of the same values, for spreadsheets.
    Csv,
}

/// Writes the verdict and correction logs as JSON lines, atomically; returns the number of rows.
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
                          round,candidate_class,object,correction,ignored,deleted,original,basis\n";

/// Formats the columns of [`CSV_HEADER`]. An ellipse is `ellipse ra rb theta cx cy`, a rectangle `rectangle x1 y1 x2 y2`. A ground truth
/// correction has no candidate and no verdict; `original` is the dataset's shape.
fn csv_row(line: &LogLine) -> String {
    let mut cells = match line {
        LogLine::Verdict(line) => verdict_cells(line),
        LogLine::Correction(line) => correction_cells(line),
    }
    .join(",");
    cells.push('\n');
    cells
}

fn verdict_cells(line: &VerdictLine) -> [String; 25] {
    let text = |text: Option<&str>| csv_text(text.unwrap_or(""));
    let [x1, y1, x2, y2] = line.bbox.map(|v| v.to_string());
    let none = String::new;
    [
        line.uid.to_string(),
        line.gesture.to_string(),
        csv_text(&line.action),
        csv_text(&line.annotator),
        line.candidate.to_string(),
        line.verdict.map_or("", Verdict::as_str).to_owned(),
        text(line.class.as_ref().map(|class| class.name.as_str())),
        text(line.reason.as_deref()),
        line.shape.as_ref().map_or_else(none, shape_text),
        line.source.map_or("", AnnotationSource::as_str).to_owned(),
        line.tick.to_string(),
        line.time_ms.to_string(),
        csv_text(&line.image),
        x1,
        y1,
        x2,
        y2,
        line.round.map_or_else(none, |round| round.to_string()),
        text(line.candidate_class.as_deref()),
        none(),
        none(),
        none(),
        none(),
        none(),
        line.verdict.map_or("", |_| line.basis.as_str()).to_owned(),
    ]
}

fn correction_cells(line: &CorrectionLine) -> [String; 25] {
    let none = String::new;
    let now = line.correction.as_ref();
    let (source, candidate, original) = match &line.origin {
        OriginLine::Imported { shape, .. } => (AnnotationSource::Edited, none(), shape_text(shape)),
        OriginLine::Promoted { candidate, .. } => (AnnotationSource::Promoted, candidate.to_string(), none()),
        OriginLine::Added => (AnnotationSource::Added, none(), none()),
    };
    [
        line.uid.to_string(),
        line.gesture.to_string(),
        csv_text(&line.action),
        csv_text(&line.annotator),
        candidate,
        none(),
        csv_text(now.map_or("", |now| now.class.name.as_str())),
        none(),
        now.map_or_else(none, |now| shape_text(&now.shape)),
        source.as_str().to_owned(),
        line.tick.to_string(),
        line.time_ms.to_string(),
        csv_text(&line.image),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        line.object.to_string(),
        now.map_or("undone", |now| now.act.as_str()).to_owned(),
        now.map_or_else(none, |now| now.ignored.to_string()),
        now.map_or_else(none, |now| now.deleted.to_string()),
        original,
        none(),
    ]
}

fn shape_text(shape: &ShapeLine) -> String {
    let numbers = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    match shape {
        ShapeLine::Rectangle(values) => format!("rectangle {}", numbers(values)),
        ShapeLine::Ellipse(values) => format!("ellipse {}", numbers(values)),
    }
}

/// [`export`] of a damaged database: writes the readable lines. Returns their number, and the number of unreadable ones.
pub fn export_readable(store: &Store, file: impl Into<Output>) -> Result<(u64, u64), WorkflowError> {
    let file = &file.into();
    // If the list of datasets is damaged too, the user is responsible for the path.
    OutputPolicy::new().datasets(store).unwrap_or_default().check_file(file)?;
    let failed = |source| WorkflowError::from(outputs::not_written(file, source));
    let (lines, unreadable) = store.readable_verdicts();
    write_output_with(file, failed, |out| {
        for line in &lines {
            serde_json::to_writer(&mut *out, line).map_err(|e| failed(e.into()))?;
            out.write_all(b"\n").map_err(failed)?;
        }
        Ok((lines.len() as u64, unreadable))
    })
}

/// Merges a file that [`export`] wrote, completely or, after an error, not at all. Lines on candidates that are not mined here yet are
/// deferred. If the project has images and knows nothing in the file, it belongs to another project and is refused.
pub fn merge(store: &mut Store, file: &Path) -> Result<MergeReport, WorkflowError> {
    merge_with(store, file, MergeOptions::default())
}

/// Lines that a merge accepts although it would refuse them by default.
#[derive(Debug, Clone, Copy)]
pub struct MergeOptions {
    /// A file that matches nothing in this project.
    pub keep: bool,
    /// Lines up to this many days ahead of the clock and of the newest verdict here.
    pub days_ahead: u32,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self { keep: false, days_ahead: AHEAD_DAYS }
    }
}

/// [`merge`] with options.
pub fn merge_with(store: &mut Store, file: &Path, options: MergeOptions) -> Result<MergeReport, WorkflowError> {
    let lines = read(file)?;
    let all: Vec<LogLine> = lines.iter().map(|(_, line)| line.clone()).collect();
    if !options.keep && !all.is_empty() && store.is_worth_a_backup()? && !store.knows_any(&all)? {
        return Err(WorkflowError::Refused(format!(
            "{}: none of the {} verdicts matches an image of this project. Nothing was merged. Check that it comes from a copy of this project; to keep its verdicts until their images are imported and mined, use --keep.",
            file.display(),
            all.len()
        )));
    }
    store.merge_verdicts(&all, options.days_ahead).map_err(|error| match error {
        StoreError::Line { index, reason } => {
            bad_line(file, lines.get(index).map_or(0, |(number, _)| *number), &reason)
        }
        other => other.into(),
    })
}

/// Computes Cohen's kappa of every pair of annotators with common decisions.
pub fn agreement(store: &Store) -> Result<Vec<PairAgreement>, WorkflowError> {
    let names = store.annotators()?;
    let mut pairs = Vec::new();
    for (k, first) in names.iter().enumerate() {
        for second in names.iter().skip(k + 1) {
            let Agreement { both, observed, kappa } = cohens_kappa(&store.verdict_pairs(first, second)?);
            if both > 0 {
                pairs.push(PairAgreement { first: first.clone(), second: second.clone(), both, observed, kappa });
            }
        }
    }
    Ok(pairs)
}

/// Estimates the proportion of hard negatives among the query's candidates that were undecided when the sample began, from those reviewed
/// so far in random order (`Sort::Random`), with its 95 % interval. A skipped candidate does not count as a hard negative.
pub fn precision(store: &Store, query: &CandidateQuery) -> Result<Proportion, WorkflowError> {
    let sample = store.random_sample(query)?;
    Ok(wilson_interval(sample.confirmed, sample.sampled, sample.population))
}

/// Reads the lines of a file with their numbers, from 1.
fn read(file: &Path) -> Result<Vec<(usize, LogLine)>, WorkflowError> {
    let failed = |source| WorkflowError::io(file, "Check the path; nothing was merged.")(source);
    let (opened, _) = open_regular(file)?;
    let mut reader = std::io::BufReader::new(opened);
    begin_text(file, &mut reader)?;
    let mut lines = Vec::new();
    for number in 1.. {
        let mut bytes = Vec::new();
        let most = limits::LINE as u64 + 1;
        if (&mut reader).take(most).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            break;
        }
        if bytes.len() as u64 == most && bytes.last() != Some(&b'\n') {
            return Err(bad_line(file, number, &format!("the line has more than {} bytes", limits::LINE)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| bad_line(file, number, NOT_UTF_8))?;
        if !text.trim().is_empty() {
            lines.push((number, parse(text).map_err(|reason| bad_line(file, number, &reason))?));
        }
    }
    match contradiction(&lines) {
        Some((number, reason)) => Err(bad_line(file, number, &reason)),
        None => Ok(lines),
    }
}

/// Finds a line that has the uid of an earlier one and another content: only one of them could be merged.
fn contradiction(lines: &[(usize, LogLine)]) -> Option<(usize, String)> {
    let mut first: HashMap<Uuid, &(usize, LogLine)> = HashMap::new();
    lines.iter().find_map(|line| {
        let (number, known) = *first.entry(line.1.uid()).or_insert(line);
        (*known != line.1).then(|| (line.0, format!("it has the uid of line {number} and differs from it")))
    })
}

fn parse(text: &str) -> Result<LogLine, String> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let plain = |error: serde_json::Error| {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        format!(
            "{} (column {})",
            reason.chars().take(200).flat_map(char::escape_debug).collect::<String>(),
            error.column()
        )
    };
    // A newer format may have other fields: report its version.
    let Format { format } = serde_json::from_str(text).map_err(plain)?;
    if !VERDICT_FORMATS_READ.contains(&format) {
        return Err(format!(
            "verdicts of format {format}; this version reads format 1 to {}: update Quarry",
            VERDICT_FORMATS_READ.end()
        ));
    }
    LogLine::from_json(text).map_err(plain)
}

fn bad_line(file: &Path, number: usize, reason: &str) -> WorkflowError {
    WorkflowError::Refused(format!(
        "{}:{number}: {reason}. Nothing was merged; export the verdicts again.",
        file.display()
    ))
}

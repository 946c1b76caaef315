//! Unusable annotation records: skipped and reported, or in strict mode the end of the import.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::json_lines::{List, Record, lines_of};
use crate::dataset::{BadRecord, DatasetError};
use crate::domain::{InputError, NOT_UTF_8, printable_path};

/// The position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// From 1.
    Line(u32),
    /// Index from 0 into a list of a JSON file, e.g. `annotations[3]`.
    Record(List, u32),
    /// The file as a whole.
    File,
}

/// A record that was skipped.
#[derive(Debug)]
pub(super) struct Skipped {
    file: PathBuf,
    place: Place,
    /// What is wrong, without the file's name.
    problem: String,
}

pub(super) fn bad_record(file: &Path, place: Place, problem: String) -> Skipped {
    Skipped { file: file.to_path_buf(), place, problem }
}

/// A completely unreadable file in a dataset with many.
pub(super) fn bad_file(file: &Path, error: &DatasetError) -> Skipped {
    match error {
        DatasetError::Line { line, problem, .. } => bad_record(file, Place::Line(*line as u32), problem.clone()),
        DatasetError::Input(InputError::NotUtf8 { line, .. }) => {
            bad_record(file, Place::Line(*line as u32), NOT_UTF_8.to_owned())
        }
        other => {
            // The record names the file already.
            let (text, name) = (other.to_string(), format!("{}: ", printable_path(file)));
            bad_record(file, Place::File, text.strip_prefix(&name).unwrap_or(&text).to_owned())
        }
    }
}

/// The records that an import skipped.
#[derive(Debug, Default)]
pub(super) struct Problems {
    strict: bool,
    records: Vec<Skipped>,
}

impl Problems {
    pub fn new(strict: bool) -> Self {
        Self { strict, records: Vec::new() }
    }

    /// Whether the first bad record ends the import.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Reports that the record at `place` of `file` is skipped. Fails in strict mode.
    pub fn report(&mut self, file: &Path, place: Place, problem: impl Into<String>) -> Result<(), DatasetError> {
        self.add(bad_record(file, place, problem.into()))
    }

    pub fn add(&mut self, record: Skipped) -> Result<(), DatasetError> {
        self.records.push(record);
        match self.strict.then(|| std::mem::take(self).into_records()).and_then(|records| records.into_iter().next()) {
            Some(first) => Err(strict_error(&first)),
            None => Ok(()),
        }
    }

    pub fn add_all(&mut self, records: Vec<Skipped>) -> Result<(), DatasetError> {
        records.into_iter().try_for_each(|record| self.add(record))
    }

    /// Returns the records for the report. Those of JSON files get line numbers, which needs another pass over the files.
    pub fn into_records(self) -> Vec<BadRecord> {
        let mut wanted: HashMap<PathBuf, HashSet<Record>> = HashMap::new();
        for record in &self.records {
            if let Place::Record(list, index) = record.place {
                wanted.entry(record.file.clone()).or_default().insert((list, index));
            }
        }
        let lines: HashMap<PathBuf, HashMap<Record, u32>> =
            wanted.into_iter().map(|(file, wanted)| (file.clone(), lines_of(&file, &wanted))).collect();
        let records = self.records.into_iter().map(|Skipped { file, place, problem }| match place {
            Place::Line(line) => BadRecord { file, line: Some(line as usize), problem },
            Place::Record(list, index) => {
                let line = lines.get(&file).and_then(|lines| lines.get(&(list, index)));
                BadRecord {
                    line: line.map(|&line| line as usize),
                    file,
                    problem: format!("{}[{index}]: {problem}", list.as_str()),
                }
            }
            Place::File => BadRecord { file, line: None, problem },
        });
        records.collect()
    }
}

fn strict_error(record: &BadRecord) -> DatasetError {
    let problem = format!("{}. Correct it, or import without --strict to skip it", record.problem);
    match record.line {
        Some(line) => DatasetError::line(&record.file, line, problem),
        None => DatasetError::layout(&record.file, problem),
    }
}

//! The round's tables on disk: `log.csv`, one line per step, and `sampler.csv`, one line per mini-batch. Every line is on disk when its
//! step is complete.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::TrainingError;
use super::events::StepReport;
use super::sampler_table::{SAMPLER_FILE, SAMPLER_HEADER};
use super::step_log::{LOG_FILE, log_header};
use crate::detector::{SamplerCounts, count_labels};
use crate::domain::{limits, open_log, read_text, write_whole};

/// Both tables, open for appending.
pub(super) struct Records {
    log: Table,
    sampler: Table,
}

struct Table {
    path: PathBuf,
    file: fs::File,
}

impl Records {
    /// Resumes after `step`: lines of later steps (made between the last checkpoint and a crash) are dropped.
    pub fn open(run_dir: &Path, step: u64) -> Result<Self, TrainingError> {
        Ok(Self {
            log: Table::open(run_dir.join(LOG_FILE), &log_header(), step)?,
            sampler: Table::open(run_dir.join(SAMPLER_FILE), SAMPLER_HEADER, step)?,
        })
    }

    pub fn step(&mut self, report: &StepReport) -> Result<(), TrainingError> {
        let losses = report.losses.values().map(|loss| loss.to_string()).join(",");
        let StepReport { step, total, lr, grad_norm, seconds, loader_wait_s, .. } = report;
        self.log.line(&format!("{step},{total},{losses},{lr},{grad_norm},{seconds:.4},{loader_wait_s:.4}"))
    }

    /// `images` are ids; `given` are the labels of these images' hard negatives.
    pub fn mini_batch(
        &mut self,
        step: u64,
        mini_batch: u32,
        images: &[String],
        given: &[i64],
        counts: &SamplerCounts,
    ) -> Result<(), TrainingError> {
        let c = counts;
        let roi = format!("{},{},{},{}", c.foreground, c.background, c.forced, c.ignored);
        let rpn = format!("{},{},{},{}", c.rpn_foreground, c.rpn_background, c.rpn_forced, c.rpn_ignored);
        let of = |counts: &[u64]| counts.iter().map(u64::to_string).collect::<Vec<_>>().join(";");
        let mut given_of = Vec::new();
        count_labels(&mut given_of, given.iter().copied());
        let labels =
            [&c.foreground_of, &c.rpn_foreground_of, &given_of, &c.forced_of].map(|counts| of(counts)).join(",");
        let (images, given) = (images.join(";"), given.len());
        self.sampler.line(&format!("{step},{mini_batch},{images},{given},{roi},{rpn},{labels}"))
    }
}

impl Table {
    fn open(path: PathBuf, header: &str, step: u64) -> Result<Self, TrainingError> {
        let old = if path.exists() {
            read_text(&path, limits::TEXT).map_err(io::Error::from).map_err(TrainingError::io(&path, "reading"))?
        } else {
            String::new()
        };
        let before = |line: &&str| {
            let number = line.split(',').next().and_then(|word| word.parse::<u64>().ok());
            number.is_some_and(|number| number <= step)
        };
        // An incomplete last line has no line break.
        let whole = old.rfind('\n').and_then(|end| old.get(..=end)).unwrap_or("");
        let kept: Vec<&str> = std::iter::once(header).chain(whole.lines().filter(before)).collect();
        // Atomic: a crash or a full disk here loses no line of earlier steps.
        write_whole(&path, (kept.join("\n") + "\n").as_bytes()).map_err(TrainingError::io(&path, "writing"))?;
        let file = open_log(&path).map_err(io::Error::from).map_err(TrainingError::io(&path, "opening"))?;
        Ok(Self { path, file })
    }

    fn line(&mut self, line: &str) -> Result<(), TrainingError> {
        writeln!(self.file, "{line}").map_err(TrainingError::io(&self.path, "writing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::logged_steps;

    #[test]
    fn resuming_drops_the_lines_after_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path(), 0).unwrap();
        for step in 1..=5 {
            records.step(&StepReport { step, total: 0.5, ..StepReport::default() }).unwrap();
        }
        let counts = SamplerCounts { foreground: 3, foreground_of: vec![1, 0, 2], ..SamplerCounts::default() };
        records.mini_batch(1, 0, &["4".to_owned(), "9".to_owned()], &[1, 3], &counts).unwrap();
        write!(records.log.file, "1").unwrap();
        drop(records);
        Records::open(dir.path(), 3).unwrap();
        let log = fs::read_to_string(dir.path().join(LOG_FILE)).unwrap();
        let steps: Vec<&str> = log.lines().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(steps, ["step", "1", "2", "3"], "{log}");
        let read = logged_steps(dir.path()).unwrap();
        assert_eq!(read.iter().map(|r| (r.step, r.total)).collect::<Vec<_>>(), [(1, 0.5), (2, 0.5), (3, 0.5)]);
        assert_eq!(logged_steps(&dir.path().join("none")).unwrap(), []);
        let sampler = fs::read_to_string(dir.path().join(SAMPLER_FILE)).unwrap();
        assert_eq!(sampler.lines().nth(1), Some("1,0,4;9,2,3,0,0,0,0,0,0,0,1;0;2,,1;0;1,"));
        assert_eq!(sampler.lines().next().unwrap().split(',').count(), 16);
    }
}

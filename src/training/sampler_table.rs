//! `sampler.csv`, a line a mini-batch, added up for a round's report. Knows neither tensors nor who draws the samples.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use crate::detector::SamplerCounts;
use crate::domain::open_regular;

/// Of every mini-batch: what the samplers drew.
pub const SAMPLER_FILE: &str = "sampler.csv";

/// Its first line. `images` are ids with semicolons; `hard_negatives` is how many these images came with.
pub(super) const SAMPLER_HEADER: &str = "step,mini_batch,images,hard_negatives,foreground,background,forced,ignored,rpn_foreground,\
                                         rpn_background,rpn_forced,rpn_ignored";

/// Sums over a round's mini-batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SamplerTotals {
    pub mini_batches: u64,
    /// That the images came with; each is selected once for every time that its image is seen, as long as there is room.
    pub hard_negatives: u64,
    #[serde(flatten)]
    pub drawn: SamplerCounts,
}

impl SamplerTotals {
    /// Of the round in `run_dir`; `None` without a table. A last line that was broken off is left out; other columns than ours are an
    /// error.
    pub fn read(run_dir: &Path) -> io::Result<Option<Self>> {
        let file = match open_regular(&run_dir.join(SAMPLER_FILE)) {
            Ok((file, _)) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut totals = Self::default();
        let mut lines = file.lines();
        match lines.next().transpose()? {
            Some(header) if header != SAMPLER_HEADER => {
                let text = format!("{SAMPLER_FILE} has other columns than this Quarry writes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            _ => {}
        }
        for line in lines {
            totals.add(&line?);
        }
        Ok(Some(totals))
    }

    fn add(&mut self, line: &str) {
        let words: Vec<Option<u64>> = line.split(',').skip(3).map(|word| word.parse().ok()).collect();
        let [
            Some(given),
            Some(foreground),
            Some(background),
            Some(forced),
            Some(ignored),
            Some(rpn_foreground),
            Some(rpn_background),
            Some(rpn_forced),
            Some(rpn_ignored),
        ] = words[..]
        else {
            return;
        };
        self.mini_batches += 1;
        self.hard_negatives += given;
        self.drawn += SamplerCounts {
            foreground,
            background,
            forced,
            ignored,
            rpn_foreground,
            rpn_background,
            rpn_forced,
            rpn_ignored,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mini_batches_are_added_up() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SamplerTotals::read(dir.path()).unwrap(), None);
        let table = format!("{SAMPLER_HEADER}\n1,0,4;9,2,3,96,2,5,7,200,6,1\n2,0,4,1,4,96,1,0,8,100,3,0\n3,0,4,1,4,9");
        std::fs::write(dir.path().join(SAMPLER_FILE), table).unwrap();
        let totals = SamplerTotals::read(dir.path()).unwrap().unwrap();
        let expected = SamplerTotals {
            mini_batches: 2,
            hard_negatives: 3,
            drawn: SamplerCounts {
                foreground: 7,
                background: 192,
                forced: 3,
                ignored: 5,
                rpn_foreground: 15,
                rpn_background: 300,
                rpn_forced: 9,
                rpn_ignored: 1,
            },
        };
        assert_eq!(totals, expected);
        std::fs::write(dir.path().join(SAMPLER_FILE), "step,foreground\n1,2\n").unwrap();
        assert!(SamplerTotals::read(dir.path()).unwrap_err().to_string().contains("other columns"));
    }
}

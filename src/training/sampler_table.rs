//! `sampler.csv`, a line a mini-batch, added up for a round's report. Knows neither tensors nor who draws the samples.

// Readers of outside bytes do not index: a file must not be able to panic them. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use crate::detector::SamplerCounts;
use crate::domain::open_regular;

/// Of every mini-batch: what the samplers drew.
pub const SAMPLER_FILE: &str = "sampler.csv";

/// Its first line. `images` are ids with semicolons; `hard_negatives` is how many these images came with; the last two are foreground by
/// label, label 1 first, with semicolons.
pub(super) const SAMPLER_HEADER: &str = "step,mini_batch,images,hard_negatives,foreground,background,forced,ignored,rpn_foreground,\
                                         rpn_background,rpn_forced,rpn_ignored,foreground_of_label,rpn_foreground_of_label";

/// What the first line lacks in tables of the first version.
const LABEL_COLUMNS: &str = ",foreground_of_label,rpn_foreground_of_label";

/// Sums over a round's mini-batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
            Some(header) if header != SAMPLER_HEADER && format!("{header}{LABEL_COLUMNS}") != SAMPLER_HEADER => {
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
        let all: Vec<&str> = line.split(',').skip(3).collect();
        // Lines of the first version have no labels.
        let (counts, of_labels) = all.split_at(all.len().min(9));
        let words: Vec<Option<u64>> = counts.iter().map(|word| word.parse().ok()).collect();
        let of = |place: usize| {
            let words = of_labels.get(place).copied().unwrap_or_default().split(';');
            words.filter(|word| !word.is_empty()).map(str::parse).collect::<Result<Vec<u64>, _>>()
        };
        let (Ok(foreground_of), Ok(rpn_foreground_of)) = (of(0), of(1)) else { return };
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
            foreground_of,
            rpn_foreground_of,
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
        let table =
            format!("{SAMPLER_HEADER}\n1,0,4;9,2,3,96,2,5,7,200,6,1\n2,0,4,1,4,96,1,0,8,100,3,0,1;3,0;8\n3,0,4,1,4,9");
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
                foreground_of: vec![1, 3],
                rpn_foreground_of: vec![0, 8],
            },
        };
        assert_eq!(totals, expected);
        // A table of the first version, as it was left.
        let first = SAMPLER_HEADER.strip_suffix(LABEL_COLUMNS).unwrap();
        std::fs::write(dir.path().join(SAMPLER_FILE), format!("{first}\n1,0,4,0,3,96,2,5,7,200,6,1\n")).unwrap();
        let totals = SamplerTotals::read(dir.path()).unwrap().unwrap();
        assert_eq!((totals.mini_batches, totals.drawn.foreground, totals.drawn.foreground_of), (1, 3, vec![]));
        std::fs::write(dir.path().join(SAMPLER_FILE), "step,foreground\n1,2\n").unwrap();
        assert!(SamplerTotals::read(dir.path()).unwrap_err().to_string().contains("other columns"));
    }
}

//! Sums up `sampler.csv`, one line per mini-batch, for a round's report. Torch-free.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use crate::detector::{SamplerCounts, add_each};
use crate::domain::open_regular;

/// One line per mini-batch: what the samplers drew.
pub const SAMPLER_FILE: &str = "sampler.csv";

/// Its header line. `images` are ids separated by semicolons; `hard_negatives` is the number available in these images. The last four are
/// counts by label, label 1 first, separated by semicolons: foreground, and hard negatives by the label that they were mistaken for,
/// available and selected.
pub(super) const SAMPLER_HEADER: &str = "step,mini_batch,images,hard_negatives,foreground,background,forced,ignored,rpn_foreground,\
                                         rpn_background,rpn_forced,rpn_ignored,foreground_of_label,rpn_foreground_of_label,\
                                         hard_negatives_of_label,forced_of_label";

/// Columns missing from the header in tables of the first and of the second version.
const LATER_COLUMNS: [&str; 2] = [
    ",foreground_of_label,rpn_foreground_of_label,hard_negatives_of_label,forced_of_label",
    ",hard_negatives_of_label,forced_of_label",
];

/// Sums over a round's mini-batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SamplerTotals {
    pub mini_batches: u64,
    /// Available hard negatives; each is selected every time its image is seen, as long as there is room.
    pub hard_negatives: u64,
    /// The same by predicted label, label 1 first.
    pub hard_negatives_of: Vec<u64>,
    #[serde(flatten)]
    pub drawn: SamplerCounts,
}

impl SamplerTotals {
    /// Sums up the round in `run_dir`; `None` without a table. An incomplete last line is skipped; unknown columns are an error.
    pub fn read(run_dir: &Path) -> io::Result<Option<Self>> {
        let file = match open_regular(&run_dir.join(SAMPLER_FILE)) {
            Ok((file, _)) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut totals = Self::default();
        let mut lines = file.lines();
        match lines.next().transpose()? {
            Some(header) if !is_header(&header) => {
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
        // Lines of earlier versions have fewer labels, or none.
        let (counts, of_labels) = all.split_at(all.len().min(9));
        let words: Vec<Option<u64>> = counts.iter().map(|word| word.parse().ok()).collect();
        let of = |place: usize| {
            let words = of_labels.get(place).copied().unwrap_or_default().split(';');
            words.filter(|word| !word.is_empty()).map(str::parse).collect::<Result<Vec<u64>, _>>()
        };
        let (Ok(foreground_of), Ok(rpn_foreground_of), Ok(given_of), Ok(forced_of)) = (of(0), of(1), of(2), of(3))
        else {
            return;
        };
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
        add_each(&mut self.hard_negatives_of, &given_of);
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
            forced_of,
        };
    }
}

fn is_header(line: &str) -> bool {
    line == SAMPLER_HEADER || LATER_COLUMNS.iter().any(|later| SAMPLER_HEADER.strip_suffix(later) == Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mini_batches_are_added_up() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SamplerTotals::read(dir.path()).unwrap(), None);
        let table = format!(
            "{SAMPLER_HEADER}\n1,0,4;9,2,3,96,2,5,7,200,6,1\n2,0,4,1,4,96,1,0,8,100,3,0,1;3,0;8\n3,0,7,2,0,5,2,0,0,0,0,0,,,1;1,0;2\n3,0,4,1,4,9"
        );
        std::fs::write(dir.path().join(SAMPLER_FILE), table).unwrap();
        let totals = SamplerTotals::read(dir.path()).unwrap().unwrap();
        let expected = SamplerTotals {
            mini_batches: 3,
            hard_negatives: 5,
            hard_negatives_of: vec![1, 1],
            drawn: SamplerCounts {
                foreground: 7,
                background: 197,
                forced: 5,
                ignored: 5,
                rpn_foreground: 15,
                rpn_background: 300,
                rpn_forced: 9,
                rpn_ignored: 1,
                foreground_of: vec![1, 3],
                rpn_foreground_of: vec![0, 8],
                forced_of: vec![0, 2],
            },
        };
        assert_eq!(totals, expected);
        // A table of the first version.
        for (later, more, of) in [(LATER_COLUMNS[0], "", vec![]), (LATER_COLUMNS[1], ",1;2,0;7", vec![1, 2])] {
            let first = SAMPLER_HEADER.strip_suffix(later).unwrap();
            let table = format!("{first}\n1,0,4,0,3,96,2,5,7,200,6,1{more}\n");
            std::fs::write(dir.path().join(SAMPLER_FILE), table).unwrap();
            let totals = SamplerTotals::read(dir.path()).unwrap().unwrap();
            assert_eq!((totals.mini_batches, totals.drawn.foreground, totals.drawn.foreground_of), (1, 3, of));
            assert_eq!(totals.hard_negatives_of, [0_u64; 0]);
        }
        std::fs::write(dir.path().join(SAMPLER_FILE), "step,foreground\n1,2\n").unwrap();
        assert!(SamplerTotals::read(dir.path()).unwrap_err().to_string().contains("other columns"));
    }
}

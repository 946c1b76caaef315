//! Iterates over all shards of a list, image by image in list order, with one line of one shard in memory at a time.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use crate::detector::LabelledDetection;
use crate::domain::Cancel;
use crate::workflow::WorkflowError;
use crate::workflow::detect::{ShardFile, ShardLines, refused};

/// Maximum number of open files; with more shards, each is reopened for every line.
const OPEN: usize = 256;

/// The files of all shards of a run, in shard order.
pub(super) struct Together<'a> {
    pub files: Vec<&'a ShardFile>,
    /// Number of images in the list.
    pub count: u64,
}

/// An image of a list.
pub(super) struct FoundOnImage {
    /// Index in the list, from 0.
    pub place: usize,
    pub name: String,
    /// `None` if it could not be read.
    pub found: Option<Vec<LabelledDetection>>,
}

impl Together<'_> {
    /// Calls `take` for every image in list order, which the shards contain in turn.
    pub fn each(
        &self,
        cancel: &Cancel,
        mut take: impl FnMut(FoundOnImage) -> Result<(), WorkflowError>,
    ) -> Result<(), WorkflowError> {
        let is_few = self.files.len() <= OPEN;
        let open = |file: &&ShardFile| {
            let mut lines = ShardLines::open(&file.path)?;
            if !is_few {
                lines.rest();
            }
            Ok(lines)
        };
        let mut shards = self.files.iter().map(open).collect::<Result<Vec<_>, WorkflowError>>()?;
        let mut place = 0;
        while place < self.count && !shards.is_empty() {
            for lines in &mut shards {
                if place == self.count {
                    break;
                }
                if cancel.is_cancelled() {
                    return Err(WorkflowError::Cancelled);
                }
                let path = lines.path().to_owned();
                let bad = |number, what| refused(&path, format!("line {number}: {what}. Run this shard again"));
                let next = lines.next()?;
                let (line, number) = next.ok_or_else(|| refused(&path, "images are missing. Run this shard again"))?;
                let found = line.labelled(&path, number)?;
                let name = line.name.ok_or_else(|| bad(number, "the image has no name"))?;
                if line.place != place {
                    return Err(bad(number, "the image is not the one in its place"));
                }
                if !is_few {
                    lines.rest();
                }
                take(FoundOnImage { place: place as usize, name, found })?;
                place += 1;
            }
        }
        for (lines, file) in shards.iter_mut().zip(&self.files) {
            let more = lines.next()?;
            if more.is_some() || lines.checksum() != file.checksum {
                return Err(refused(&file.path, "the file changed while it was read"));
            }
        }
        Ok(())
    }
}

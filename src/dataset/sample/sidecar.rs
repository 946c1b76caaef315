//! `decoys.tsv`: the sample's objects that are not faces, for tests and inspection.

use std::fmt::Write;
use std::io;
use std::path::Path;

use super::decoys::{Decoy, DecoyKind};
use crate::dataset::DatasetError;
use crate::domain::{limits, read_text};
use crate::geometry::BoundingBox;

/// The file's name; it also marks a folder as a sample.
pub const DECOYS_FILE: &str = "decoys.tsv";

const HEADER: &str = "scene\tkind\tx1\ty1\tx2\ty2";

pub(super) fn text<'a>(scenes: impl IntoIterator<Item = (&'a str, &'a [Decoy])>) -> String {
    let mut text = format!("{HEADER}\n");
    for (name, decoys) in scenes {
        for Decoy { kind, bbox: b } in decoys {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}\t{}\t{:.2}\t{:.2}\t{:.2}\t{:.2}", kind.as_str(), b.x1, b.y1, b.x2, b.y2);
        }
    }
    text
}

/// Reads the decoys of the sample in `dir`, each with the name of its scene.
pub fn read_decoys(dir: &Path) -> Result<Vec<(String, Decoy)>, DatasetError> {
    let path = dir.join(DECOYS_FILE);
    let text = read_text(&path, limits::TEXT).map_err(io::Error::from).map_err(DatasetError::io("read", &path))?;
    let mut rows = Vec::new();
    for (index, row) in text.lines().enumerate().skip(1) {
        let wrong = || {
            DatasetError::line(&path, index + 1, format!("expected `{HEADER}`, found '{row}': make the sample again"))
        };
        rows.push(parse_row(row).ok_or_else(wrong)?);
    }
    Ok(rows)
}

fn parse_row(row: &str) -> Option<(String, Decoy)> {
    let columns: Vec<&str> = row.split('\t').collect();
    let &[name, kind, x1, y1, x2, y2] = columns.as_slice() else { return None };
    let number = |word: &str| word.parse::<f64>().ok();
    let bbox = BoundingBox::new(number(x1)?, number(y1)?, number(x2)?, number(y2)?);
    Some((name.to_owned(), Decoy { kind: DecoyKind::parse(kind)?, bbox }))
}

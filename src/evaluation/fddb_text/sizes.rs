//! Reads image sizes from a table `name width height ...`, one image per line.

use std::collections::HashMap;
use std::path::Path;

use super::{FddbTextError, Place, read_text};

/// Width and height in pixels by image name.
pub type ImageSizes = HashMap<String, (u32, u32)>;

/// Maximum number of extra columns after the size in a line without tabs; with more, the name is assumed to contain spaces.
const COLUMNS_MAX: usize = 4;

/// Maximum side in pixels: every row of an ellipse in the image takes memory.
const MOST_SIDE: u32 = 1 << 20;

/// Reads a table separated by tabs, or by spaces if names have none; further columns are ignored.
pub fn read_sizes(path: &Path) -> Result<ImageSizes, FddbTextError> {
    let text = read_text(path)?;
    let mut sizes = ImageSizes::new();
    for (k, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = Place { path: path.into(), line: k + 1 };
        let (name, columns) = match line.split_once('\t') {
            Some((name, columns)) => (name.trim_ascii(), columns),
            None => line.trim_ascii().split_once([' ', '\r']).unwrap_or((line.trim_ascii(), "")),
        };
        if !line.contains('\t') && line.split_ascii_whitespace().count() > COLUMNS_MAX {
            return Err(
                place.error(format!("the end of the name in `{line}` is ambiguous: separate the columns by tabs"))
            );
        }
        let mut words = columns.split_ascii_whitespace();
        let mut pixels = || words.next().and_then(|w| w.parse::<u32>().ok());
        let size = match (pixels(), pixels()) {
            (Some(0), Some(_)) | (Some(_), Some(0)) => {
                return Err(place.error(format!("image `{name}` has no pixels; is the image file readable?")));
            }
            (Some(width), Some(height)) if width.max(height) > MOST_SIDE => {
                return Err(place.error(format!(
                    "image `{name}` is said to have {width} x {height} pixels; a side has at most {MOST_SIDE}"
                )));
            }
            (Some(width), Some(height)) => (width, height),
            _ => return Err(place.error(format!("`{line}` where `name width height` is expected"))),
        };
        if sizes.insert(name.to_owned(), size).is_some_and(|before| before != size) {
            return Err(place.error(format!("image `{name}` has another size in an earlier line")));
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_would_fill_the_memory_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sizes.tsv");
        std::fs::write(&file, "a 640 480\nb 1048576 2\n").unwrap();
        assert_eq!(read_sizes(&file).unwrap()["b"], (1 << 20, 2));
        for size in ["2147483647 2147483647", "3 1048577", "4294967295 1"] {
            std::fs::write(&file, format!("a 640 480\nb {size}\n")).unwrap();
            let message = read_sizes(&file).unwrap_err().to_string();
            assert!(message.contains("sizes.tsv:2") && message.contains("at most 1048576"), "{message}");
        }
    }
}

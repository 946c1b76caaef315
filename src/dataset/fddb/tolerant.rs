//! Reads FDDB's lists and skips bad records: each is reported with file and line. A list without any is only read by the strict reader.

use std::collections::HashSet;
use std::path::Path;

use super::lists::{AnnotatedName, ListedName, check_name, lines, parse_ellipse, parse_ellipse_list, parse_name_list};
use crate::dataset::{BadRecord, DatasetError};
use crate::domain::printable_path;
use crate::geometry::Ellipse;

/// [`parse_name_list`]; names outside the folder or listed twice are skipped.
pub(super) fn name_list(path: &Path, bytes: &[u8], bad: &mut Vec<BadRecord>) -> Result<Vec<ListedName>, DatasetError> {
    if let Ok(names) = parse_name_list(path, bytes) {
        return Ok(names);
    }
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (line, name) in lines(path, bytes)? {
        if let Err(error) = check_name(path, line, name) {
            bad.push(record(path, line, &error));
        } else if seen.insert(name) {
            names.push(ListedName { name: name.to_owned(), line });
        } else {
            bad.push(skipped(path, line, format!("'{name}' is listed twice: the second one is skipped")));
        }
    }
    Ok(names)
}

/// [`parse_ellipse_list`]; an invalid ellipse is skipped alone, an image without a count or with an invalid name is skipped with its
/// ellipses. If a count is wrong, the following lines determine where the next image starts.
pub(super) fn ellipse_list(
    path: &Path,
    bytes: &[u8],
    bad: &mut Vec<BadRecord>,
) -> Result<Vec<AnnotatedName>, DatasetError> {
    if let Ok(entries) = parse_ellipse_list(path, bytes) {
        return Ok(entries);
    }
    let lines = lines(path, bytes)?;
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(&(line, name)) = lines.get(at) {
        at += 1;
        if looks_like_ellipse(name) && !starts_entry(&lines, at - 1) {
            let problem = format!("the ellipse '{name}' belongs to no image: the count before it is too small");
            bad.push(skipped(path, line, problem));
            continue;
        }
        let Some(count) = lines.get(at).and_then(|(_, text)| text.parse::<usize>().ok()) else {
            let found = lines.get(at).map_or("the end of the file", |(_, text)| *text);
            let at_line = lines.get(at).map_or(line, |(line, _)| *line);
            let problem = format!(
                "expected the number of faces of '{name}', found '{found}': the image is skipped with its ellipses"
            );
            bad.push(skipped(path, at_line, problem));
            // The line in place of the count does not belong to the next image.
            if lines.get(at).is_some_and(|(_, text)| !looks_like_ellipse(text)) && !starts_entry(&lines, at) {
                at += 1;
            }
            while lines.get(at).is_some_and(|(_, text)| looks_like_ellipse(text)) && !starts_entry(&lines, at) {
                at += 1;
            }
            continue;
        };
        at += 1;
        let ellipses = ellipses_of(path, &lines, &mut at, name, (line, count), bad);
        if let Err(error) = check_name(path, line, name) {
            bad.push(record(path, line, &error));
        } else if seen.insert(name) {
            entries.push(AnnotatedName { name: name.to_owned(), line, ellipses });
        } else {
            bad.push(skipped(path, line, format!("'{name}' is listed twice: the second one is skipped")));
        }
    }
    Ok(entries)
}

/// Returns the ellipses after a count; fewer if the next image starts earlier.
fn ellipses_of(
    path: &Path,
    lines: &[(usize, &str)],
    at: &mut usize,
    name: &str,
    (name_line, count): (usize, usize),
    bad: &mut Vec<BadRecord>,
) -> Vec<Ellipse> {
    let mut ellipses = Vec::new();
    for face in 1..=count {
        let next = lines.get(*at).filter(|_| !starts_entry(lines, *at));
        let Some(&(line, text)) = next else {
            let problem = format!("'{name}' should have {count} faces, and {} lines follow", face - 1);
            bad.push(skipped(path, name_line, problem));
            break;
        };
        *at += 1;
        match parse_ellipse(path, line, text, &format!("face {face} of the {count} of '{name}'")) {
            Ok(ellipse) => ellipses.push(ellipse),
            Err(error) => bad.push(record(path, line, &error)),
        }
    }
    ellipses
}

/// At least five numbers.
fn looks_like_ellipse(text: &str) -> bool {
    text.split_whitespace().filter(|word| word.parse::<f64>().is_ok()).count() >= 5
}

/// Whether an image's name and count are here. No ellipse is followed by a line with a single number.
fn starts_entry(lines: &[(usize, &str)], at: usize) -> bool {
    let is_count = |at: usize| lines.get(at).is_some_and(|(_, text)| text.parse::<usize>().is_ok());
    is_count(at + 1) && !is_count(at)
}

fn record(path: &Path, line: usize, error: &DatasetError) -> BadRecord {
    let text = error.to_string();
    // The record names file and line itself.
    let place = format!("{}:{line}: ", printable_path(path));
    skipped(path, line, text.strip_prefix(&place).unwrap_or(&text).to_owned())
}

fn skipped(path: &Path, line: usize, problem: String) -> BadRecord {
    BadRecord { file: path.to_path_buf(), line: Some(line), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "12 8 1.4 20 20  1";

    /// Names with their number of ellipses, and the reported lines.
    fn check(text: &str, expected: &[(&str, usize)], reported: &[usize]) {
        let mut bad = Vec::new();
        let read = ellipse_list(Path::new("list"), text.as_bytes(), &mut bad).unwrap();
        let read: Vec<(&str, usize)> = read.iter().map(|entry| (entry.name.as_str(), entry.ellipses.len())).collect();
        let lines: Vec<usize> = bad.iter().filter_map(|record| record.line).collect();
        assert_eq!((read, lines), (expected.to_vec(), reported.to_vec()), "{text:?}: {bad:?}");
    }

    #[test]
    fn what_is_bad_is_skipped_and_the_rest_is_read() {
        check(&format!("a\n1\n{GOOD}\nb\n1\n{GOOD}"), &[("a", 1), ("b", 1)], &[]);
        check(&format!("a\n2\n{GOOD}\n1 2 x 4 5 1\nb\n1\n{GOOD}"), &[("a", 1), ("b", 1)], &[4]);
        check(&format!("a\n1\n0 8 1.4 20 20  1\nb\n1\n{GOOD}"), &[("a", 0), ("b", 1)], &[3]);
        check(&format!("a\n3\n{GOOD}\nb\n1\n{GOOD}"), &[("a", 1), ("b", 1)], &[1]);
        check(&format!("a\n1\n{GOOD}\n{GOOD}\nb\n1\n{GOOD}"), &[("a", 1), ("b", 1)], &[4]);
        check(&format!("a\nmany\n{GOOD}\nb\n1\n{GOOD}"), &[("b", 1)], &[2]);
        check(&format!("a\n-1\n{GOOD}\n{GOOD}\nb\n1\n{GOOD}"), &[("b", 1)], &[2]);
        check(&format!("a\n{GOOD}\nb\n1\n{GOOD}"), &[("b", 1)], &[2]);
        check(&format!("a\n1\n{GOOD}\na\n1\n{GOOD}"), &[("a", 1)], &[4]);
        check(&format!("../a\n1\n{GOOD}\nb\n0\n"), &[("b", 0)], &[1]);
        check("a\n2\n", &[("a", 0)], &[1]);
        check("a", &[], &[1]);
        check(&format!("a\n99999999999\n{GOOD}"), &[("a", 1)], &[1]);
    }
}

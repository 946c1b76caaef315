//! Reads FDDB's lists and skips bad records: each is reported with file and line. A list without any is only read by the strict reader.

use std::collections::{HashMap, HashSet};
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
/// ellipses. If a count is wrong, `listed`, the names of the fold, and the following lines determine where the next image starts.
pub(super) fn ellipse_list(
    path: &Path,
    bytes: &[u8],
    listed: &[ListedName],
    bad: &mut Vec<BadRecord>,
) -> Result<Vec<AnnotatedName>, DatasetError> {
    if let Ok(entries) = parse_ellipse_list(path, bytes) {
        return Ok(entries);
    }
    let mut list = EllipseList::new(path, lines(path, bytes)?, listed);
    let mut entries = Vec::new();
    while let Some((line, name)) = list.take() {
        if looks_like_ellipse(name) && !list.starts_entry(list.at - 1) {
            let problem = format!("the ellipse '{name}' belongs to no image: the count before it is too small");
            bad.push(skipped(path, line, problem));
            continue;
        }
        list.begin(name);
        let Some(count) = list.take_count() else {
            bad.push(list.skip_without_count((line, name)));
            continue;
        };
        let ellipses = list.ellipses_of(name, (line, count), bad);
        if let Err(error) = check_name(path, line, name) {
            bad.push(record(path, line, &error));
        } else if list.seen.insert(name) {
            entries.push(AnnotatedName { name: name.to_owned(), line, ellipses });
        } else {
            bad.push(skipped(path, line, format!("'{name}' is listed twice: the second one is skipped")));
        }
    }
    Ok(entries)
}

/// An ellipse list that is read from line to line.
struct EllipseList<'a> {
    path: &'a Path,
    lines: Vec<(usize, &'a str)>,
    /// The index of the next line.
    at: usize,
    /// The fold's names with their places in its list.
    places: HashMap<&'a str, usize>,
    /// The place of the name that should come next: both lists have the same order.
    next: usize,
    /// The names read so far.
    seen: HashSet<&'a str>,
}

impl<'a> EllipseList<'a> {
    fn new(path: &'a Path, lines: Vec<(usize, &'a str)>, listed: &'a [ListedName]) -> Self {
        let places = listed.iter().enumerate().map(|(place, listed)| (listed.name.as_str(), place)).collect();
        Self { path, lines, at: 0, places, next: 0, seen: HashSet::new() }
    }

    fn take(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.at).copied();
        self.at += usize::from(line.is_some());
        line
    }

    /// Notes that the entry of `name` starts.
    fn begin(&mut self, name: &str) {
        if let Some(place) = self.places.get(name) {
            self.next = place + 1;
        }
    }

    /// Returns the count here; `None` if there is none, or if the line is rather the name of the next image, which may be a number.
    fn take_count(&mut self) -> Option<usize> {
        let count = self.count(self.at)?;
        if count > 0 && self.starts_entry(self.at) {
            return None;
        }
        self.at += 1;
        Some(count)
    }

    /// Skips the ellipses of an image without a count.
    fn skip_without_count(&mut self, (line, name): (usize, &str)) -> BadRecord {
        let (at_line, found) = self.lines.get(self.at).copied().unwrap_or((line, "the end of the file"));
        let problem = format!(
            "expected the number of faces of '{name}', found '{found}': the image is skipped with its ellipses"
        );
        // The line in place of the count does not belong to the next image.
        if !looks_like_ellipse(found) && self.at < self.lines.len() && !self.starts_entry(self.at) {
            self.at += 1;
        }
        while self.text(self.at).is_some_and(looks_like_ellipse) && !self.starts_entry(self.at) {
            self.at += 1;
        }
        skipped(self.path, at_line, problem)
    }

    /// Returns the ellipses after a count; fewer if the next image starts earlier.
    fn ellipses_of(
        &mut self,
        name: &str,
        (name_line, count): (usize, usize),
        bad: &mut Vec<BadRecord>,
    ) -> Vec<Ellipse> {
        let mut ellipses = Vec::new();
        for face in 1..=count {
            let Some((line, text)) = (if self.starts_entry(self.at) { None } else { self.take() }) else {
                let problem = format!("'{name}' should have {count} faces, and {} lines follow", face - 1);
                bad.push(skipped(self.path, name_line, problem));
                break;
            };
            match parse_ellipse(self.path, line, text, &format!("face {face} of the {count} of '{name}'")) {
                Ok(ellipse) => ellipses.push(ellipse),
                Err(error) => bad.push(record(self.path, line, &error)),
            }
        }
        ellipses
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        self.lines.get(at).map(|(_, text)| *text)
    }

    fn count(&self, at: usize) -> Option<usize> {
        self.text(at)?.parse().ok()
    }

    /// Whether an image's name and count are here. No ellipse is followed by a line with a single number, unless that is the name of the
    /// next image; and only a line of the fold's list of names may be a name that is a number.
    fn starts_entry(&self, at: usize) -> bool {
        if self.count(at + 1).is_none() {
            return false;
        }
        match (self.lists_entry(at), self.lists_entry(at + 1)) {
            (true, false) => true,
            (true, true) => self.is_next(at) || !self.is_next(at + 1) && !self.was_seen(at),
            (false, true) => false,
            (false, false) => self.count(at).is_none(),
        }
    }

    /// Whether a name of the fold's list is here, and a count after it.
    fn lists_entry(&self, at: usize) -> bool {
        self.text(at).is_some_and(|text| self.places.contains_key(text)) && self.count(at + 1).is_some()
    }

    fn is_next(&self, at: usize) -> bool {
        self.text(at).and_then(|text| self.places.get(text)) == Some(&self.next)
    }

    fn was_seen(&self, at: usize) -> bool {
        self.text(at).is_some_and(|text| self.seen.contains(text))
    }
}

/// At least five numbers.
fn looks_like_ellipse(text: &str) -> bool {
    text.split_whitespace().filter(|word| word.parse::<f64>().is_ok()).count() >= 5
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
        check_listed("", text, expected, reported);
    }

    /// [`check`] with the names of the fold, separated by commas.
    fn check_listed(names: &str, text: &str, expected: &[(&str, usize)], reported: &[usize]) {
        let listed = parse_name_list(Path::new("names"), names.replace(',', "\n").as_bytes()).unwrap();
        let mut bad = Vec::new();
        let read = ellipse_list(Path::new("list"), text.as_bytes(), &listed, &mut bad).unwrap();
        let read: Vec<(&str, usize)> = read.iter().map(|entry| (entry.name.as_str(), entry.ellipses.len())).collect();
        let lines: Vec<usize> = bad.iter().filter_map(|record| record.line).collect();
        assert_eq!((read, lines), (expected.to_vec(), reported.to_vec()), "{names}: {text:?}: {bad:?}");
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
    #[test]
    fn one_bad_line_costs_one_record_where_names_are_numbers() {
        for first in [1, 1000] {
            let names: Vec<String> = (first..first + 20).map(|name| name.to_string()).collect();
            let entry = |name: &String| format!("{name}\n1\n{GOOD}\n");
            let rest: String = names.iter().skip(1).map(entry).collect();
            let check = |start: &str, faces: usize, reported: &[usize]| {
                let counts = std::iter::once(faces).chain(std::iter::repeat(1));
                let expected: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(counts).collect();
                check_listed(&names.join(","), &format!("{first}\n{start}\n{rest}"), &expected, reported);
            };
            check("1\n-30 20 0.1 60 100 1", 0, &[3]);
            check("1\n30 20 nan 60 100 1", 0, &[3]);
            check("1\n30 20 0.1 60", 0, &[3]);
            check("1\nface", 0, &[3]);
            check(&format!("1\n{GOOD}\n{GOOD}"), 1, &[4]);
            check(&format!("2\n{GOOD}"), 1, &[1]);
            check("1", 0, &[1]);
            check(&format!("0\n{GOOD}"), 0, &[3]);
        }
        let face = "20 20 0.1 80 80";
        let names = format!("4,{face},5");
        let end = format!("{face}\n1\n{GOOD}\n5\n1\n{GOOD}");
        check_listed(&names, &format!("4\n2\n{GOOD}\n{end}"), &[("4", 1), (face, 1), ("5", 1)], &[1]);
        check_listed(&names, &format!("4\n0\n{GOOD}\n{end}"), &[("4", 0), (face, 1), ("5", 1)], &[3]);
        let end = format!("{face}\n2\n{GOOD}\n5\n1\n{GOOD}");
        check_listed(&names, &format!("4\n1\n{GOOD}\n{end}"), &[("4", 1), (face, 1), ("5", 1)], &[4]);
        // An ellipse is not the image of the same words that was listed before.
        let start = format!("{face}\n1\n{GOOD}\n4\n2\n{face}\n5\n1\n{GOOD}");
        check_listed(&format!("{face},4,5"), &start, &[(face, 1), ("4", 1), ("5", 1)], &[4]);
    }

    #[test]
    fn a_missing_count_or_name_costs_one_image_where_names_are_numbers() {
        check_listed("5,6,7", &format!("5\n6\n1\n{GOOD}\n7\n0"), &[("6", 1), ("7", 0)], &[2]);
        check_listed("5,6,7", &format!("5\n{GOOD}\n6\n1\n{GOOD}\n7\n0"), &[("6", 1), ("7", 0)], &[2]);
        check_listed("5,6,7", &format!("5\n0\n1\n{GOOD}\n7\n0"), &[("5", 0), ("7", 0)], &[4]);
        // An image that is not listed still ends the one before it.
        check_listed("5,7", &format!("5\n2\n{GOOD}\nx\n1\n{GOOD}\n7\n0"), &[("5", 1), ("x", 1), ("7", 0)], &[1]);
    }
}

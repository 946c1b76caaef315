//! Parses FDDB's lists into names and ellipses, with file and line in every error.

use std::collections::HashMap;
use std::path::Path;

use crate::dataset::DatasetError;
use crate::domain::{NOT_UTF_8, text_bytes};
use crate::geometry::Ellipse;

/// A line of `FDDB-fold-NN.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedName {
    pub name: String,
    /// From 1.
    pub line: usize,
}

/// An entry of `FDDB-fold-NN-ellipseList.txt`: a name, a count, and that many lines `ra rb theta cx cy 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatedName {
    pub name: String,
    /// The line of the name, from 1.
    pub line: usize,
    pub ellipses: Vec<Ellipse>,
}

/// Parses a list with one name per line; blank lines are skipped. `path` is only used in messages.
pub fn parse_name_list(path: &Path, bytes: &[u8]) -> Result<Vec<ListedName>, DatasetError> {
    let mut first_line = HashMap::new();
    let mut names = Vec::new();
    for (line, text) in lines(path, bytes)? {
        check_name(path, line, text)?;
        check_once(path, line, text, &mut first_line)?;
        names.push(ListedName { name: text.to_owned(), line });
    }
    Ok(names)
}

/// Parses a list of annotated names. Columns after the fifth are ignored (FDDB writes a label that is always 1). `path` is only used in
/// messages.
pub fn parse_ellipse_list(path: &Path, bytes: &[u8]) -> Result<Vec<AnnotatedName>, DatasetError> {
    let mut first_line = HashMap::new();
    let mut entries = Vec::new();
    let mut rest = lines(path, bytes)?.into_iter();
    while let Some((line, name)) = rest.next() {
        check_name(path, line, name)?;
        check_once(path, line, name, &mut first_line)?;
        let count = match rest.next() {
            Some((count_line, text)) => parse_count(path, (line, name), (count_line, text))?,
            None => {
                return Err(DatasetError::line(path, line, format!("the file ends before the face count of '{name}'")));
            }
        };
        // A count may be nonsense: only allocate for existing lines.
        let mut ellipses = Vec::with_capacity(count.min(rest.len()));
        for face in 1..=count {
            let Some((face_line, text)) = rest.next() else {
                let problem = format!("the file ends before face {face} of the {count} that '{name}' should have");
                return Err(DatasetError::line(path, line, problem));
            };
            ellipses.push(parse_ellipse(path, face_line, text, &format!("face {face} of the {count} of '{name}'"))?);
        }
        entries.push(AnnotatedName { name: name.to_owned(), line, ellipses });
    }
    Ok(entries)
}

/// Returns non-blank lines, trimmed, with line numbers from 1.
pub(super) fn lines<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(usize, &'a str)>, DatasetError> {
    let bytes = text_bytes(path, bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count() + 1;
        DatasetError::line(path, line, NOT_UTF_8)
    })?;
    Ok(text.lines().enumerate().map(|(i, text)| (i + 1, text.trim())).filter(|(_, text)| !text.is_empty()).collect())
}

pub(super) fn check_name(path: &Path, line: usize, name: &str) -> Result<(), DatasetError> {
    let leaves = name.contains('\0') || name.starts_with('/') || name.split(['/', '\\']).any(|part| part == "..");
    if leaves || Path::new(name).is_absolute() {
        let problem = format!(
            "'{}' leaves the dataset's folder: write the name relative to originalPics/",
            name.escape_default()
        );
        return Err(DatasetError::line(path, line, problem));
    }
    Ok(())
}

fn check_once<'a>(
    path: &Path,
    line: usize,
    name: &'a str,
    first_line: &mut HashMap<&'a str, usize>,
) -> Result<(), DatasetError> {
    match first_line.insert(name, line) {
        Some(earlier) => {
            let problem = format!("'{name}' is listed twice, first at line {earlier}: remove one of them");
            Err(DatasetError::line(path, line, problem))
        }
        None => Ok(()),
    }
}

/// Parses the count on the line after a name. The name is only examined if there is no count: an image may well be called `2024 05 17 09 30
/// 12`.
fn parse_count(
    path: &Path,
    (name_line, name): (usize, &str),
    (line, text): (usize, &str),
) -> Result<usize, DatasetError> {
    text.parse().map_err(|_| {
        let is_ellipse = name.split_whitespace().filter(|word| word.parse::<f64>().is_ok()).count() >= 5;
        if is_ellipse {
            let problem =
                format!("expected the name of an image, found the ellipse '{name}': the count before it is too small");
            return DatasetError::line(path, name_line, problem);
        }
        let problem =
            format!("expected the number of faces of '{name}', found '{text}': the line after a name holds a count");
        DatasetError::line(path, line, problem)
    })
}

pub(super) fn parse_ellipse(path: &Path, line: usize, text: &str, what: &str) -> Result<Ellipse, DatasetError> {
    let wrong = |problem: String| DatasetError::line(path, line, problem);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() < 5 {
        return Err(wrong(format!("expected `ra rb theta cx cy 1` for {what}, found '{text}': is the count right?")));
    }
    let mut values = [0.0; 5];
    for ((value, word), column) in values.iter_mut().zip(&words).zip(["ra", "rb", "theta", "cx", "cy"]) {
        *value = word
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| wrong(format!("{column} of {what} is '{word}', which is not a number")))?;
    }
    let [ra, rb, theta, cx, cy] = values;
    if ra <= 0.0 || rb <= 0.0 {
        return Err(wrong(format!("the half axes of {what} are {ra} and {rb}: both must be above 0")));
    }
    Ok(Ellipse::new(ra, rb, theta, cx, cy))
}

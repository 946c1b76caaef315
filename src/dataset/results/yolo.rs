//! A folder of YOLO text files with confidences, one file per image: `class x y w h confidence`, also with the confidence before the box,
//! and polygons.

use std::path::{Path, PathBuf};

use super::{ClassKey, ConfidencePlace, FoundRecord, ImageKey, Results, Unit};
use crate::dataset::DatasetError;
use crate::dataset::formats::{box_of, box_of_polygon, class_names_near, numbered, numbers};
use crate::domain::{Shape, limits, read_text};

/// How far a coordinate may be outside 0 to 1, because of rounding or boxes that extend slightly beyond the border.
const TOLERANCE: f64 = 0.02;

/// A line's position and numbers.
struct Line {
    file: u32,
    number: usize,
    values: Vec<f64>,
}

pub(super) fn read(path: &Path, confidence: Option<ConfidencePlace>) -> Result<Results, DatasetError> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let files = if path.is_dir() { text_files(path)? } else { vec![path.to_path_buf()] };
    if files.is_empty() {
        let problem = "it contains no .txt file: name the folder with one text file an image";
        return Err(DatasetError::layout(path, problem));
    }
    let keys: Vec<ImageKey> = files.iter().map(|file| key_of(folder, file)).collect();
    let mut results = Results::new(files, Unit::Fractions);
    results.names = class_names_near(folder)?.into_iter().map(|(k, name)| (i64::from(k), name)).collect();
    let mut lines = Vec::new();
    for (k, (key, file)) in keys.iter().zip(results.files.clone()).enumerate() {
        results.listed.push((k as u32, None, key.clone()));
        let text = read_text(&file, limits::TEXT)?;
        for (line, words) in numbered(&text) {
            match numbers(words) {
                Ok(values) => lines.push(Line { file: k as u32, number: line, values }),
                Err(word) => results.report(k as u32, Some(line), format!("'{word}' is not a finite number")),
            }
        }
    }
    let place = match confidence {
        Some(place) => place,
        None => place_of(path, &lines, &mut results.notes)?,
    };
    for Line { file, number: line, values } in lines {
        match detection(&values, place) {
            Ok((class, shape, score)) => {
                let Some(image) = keys.get(file as usize).cloned() else { continue };
                let (line, class) = (Some(line), ClassKey::Number(class));
                results.records.push(FoundRecord { file, line, image, class, shape, score });
            }
            Err(problem) => results.report(file, Some(line), problem),
        }
    }
    Ok(results)
}

/// Returns all text files below the folder except class name lists.
fn text_files(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(DatasetError::io("list", &folder))?;
        for entry in entries {
            let path = entry.map_err(DatasetError::io("list", &folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            // Links to folders are not followed, as they may form a cycle.
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if name.to_ascii_lowercase().ends_with(".txt") && name != "classes.txt" {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `a/b.txt` in the folder belongs to image `a/b`; a first folder `labels` is part of the layout.
fn key_of(folder: &Path, file: &Path) -> ImageKey {
    let below = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let below = below.strip_prefix("labels").unwrap_or(&below);
    ImageKey::named(&below.to_string_lossy())
}

/// Returns the position of the confidence for which all boxes are inside their images.
fn place_of(path: &Path, lines: &[Line], notes: &mut Vec<String>) -> Result<ConfidencePlace, DatasetError> {
    let six = || lines.iter().filter(|line| line.values.len() == 6);
    let count = six().count();
    let fitting = |place| six().filter(|line| fits(&line.values, place)).count();
    let (last, first) = (fitting(ConfidencePlace::Last), fitting(ConfidencePlace::First));
    let ask = |problem: String| {
        let problem =
            format!("{problem}. Say it with --confidence last (`class x y w h confidence`) or --confidence first");
        Err(DatasetError::layout(path, problem))
    };
    // A single broken line among many must not decide.
    let nearly_all = |fitting: usize| fitting * 100 >= count * 95;
    match (nearly_all(last), nearly_all(first)) {
        _ if count == 0 => Ok(ConfidencePlace::Last),
        (true, _) if last > first => Ok(ConfidencePlace::Last),
        (_, true) if first > last => {
            notes.push("the confidence comes before the box: `class confidence x y w h`".to_owned());
            Ok(ConfidencePlace::First)
        }
        (true, true) => ask(format!(
            "all {count} lines of six numbers can have their confidence before the box or after it: the file is ambiguous"
        )),
        _ if in_pixels(six()) => Ok(ConfidencePlace::Last),
        _ => ask(format!(
            "of {count} lines of six numbers {last} fit `class x y w h confidence` and {first} fit `class confidence x y w h`"
        )),
    }
}

/// Whether most coordinates are too large for fractions; the caller then asks the user.
fn in_pixels<'a>(lines: impl Iterator<Item = &'a Line>) -> bool {
    let (mut large, mut all) = (0, 0);
    for line in lines {
        all += 1;
        large += usize::from(line.values.iter().skip(1).take(4).any(|v| *v > 1.0 + TOLERANCE));
    }
    large * 2 > all
}

fn fits(values: &[f64], place: ConfidencePlace) -> bool {
    let &[_, first, a, b, c, last] = values else { return false };
    let (confidence, [x, y, w, h]) = match place {
        ConfidencePlace::Last => (last, [first, a, b, c]),
        ConfidencePlace::First => (first, [a, b, c, last]),
    };
    let inside = |centre: f64, size: f64| {
        size > 0.0 && centre - size / 2.0 >= -TOLERANCE && centre + size / 2.0 <= 1.0 + TOLERANCE
    };
    (0.0..=1.0).contains(&confidence) && inside(x, w) && inside(y, h)
}

fn detection(values: &[f64], place: ConfidencePlace) -> Result<(i64, Shape, Option<f64>), String> {
    let (&class, rest) = values.split_first().ok_or("the line is empty")?;
    if class.fract() != 0.0 || !(0.0..=1e9).contains(&class) {
        return Err(format!("class {class} is not an index such as 0, 1, 2"));
    }
    let (bbox, score) = match (rest, place) {
        ([_, _, _, _], _) => (box_of(rest)?, None),
        ([shape @ .., score], ConfidencePlace::Last) if shape.len() == 4 => (box_of(shape)?, Some(*score)),
        ([score, shape @ ..], ConfidencePlace::First) if shape.len() == 4 => (box_of(shape)?, Some(*score)),
        ([_, _, _, _, _, _, ..], _) if rest.len().is_multiple_of(2) => (box_of_polygon(rest), None),
        ([shape @ .., score], ConfidencePlace::Last) if shape.len() >= 6 => (box_of_polygon(shape), Some(*score)),
        ([score, shape @ ..], ConfidencePlace::First) if shape.len() >= 6 => (box_of_polygon(shape), Some(*score)),
        _ => {
            return Err(format!("expected `class x y w h confidence` or a polygon, found {} numbers", rest.len() + 1));
        }
    };
    Ok((class as i64, Shape::Rectangle(bbox), score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_confidence_is_told_by_range_or_asked_for() {
        let check = |lines: &[[f64; 6]], expected: Result<ConfidencePlace, &str>| {
            let lines: Vec<Line> =
                lines.iter().map(|values| Line { file: 0, number: 1, values: values.to_vec() }).collect();
            let found = place_of(Path::new("dir"), &lines, &mut Vec::new()).map_err(|error| error.to_string());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(text), Err(words)) => assert!(text.contains(words), "{text}"),
                (found, expected) => panic!("{found:?} for {expected:?}"),
            }
        };
        check(&[], Ok(ConfidencePlace::Last));
        check(&[[0.0, 0.5, 0.5, 0.2, 0.2, 0.9]], Ok(ConfidencePlace::Last));
        check(&[[0.0, 0.9, 0.8, 0.8, 0.2, 0.2]], Ok(ConfidencePlace::First));
        check(&[[0.0, 0.5, 0.5, 0.5, 0.25, 0.25]], Err("--confidence last"));
        check(&[[0.0, 0.9, 0.9, 0.9, 0.9, 0.9]], Err("--confidence"));
        check(&[[0.0, 300.0, 200.0, 40.0, 30.0, 0.9]], Ok(ConfidencePlace::Last));
    }

    #[test]
    fn lines_are_boxes_or_polygons_with_or_without_confidence() {
        let check = |values: &[f64], place, expected: Result<([f64; 4], Option<f64>), &str>| match (
            detection(values, place),
            expected,
        ) {
            (Ok((_, shape, score)), Ok(expected)) => {
                let b = shape.bounding_box();
                assert_eq!(([b.x1, b.y1, b.x2, b.y2], score), expected, "{values:?}");
            }
            (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
            (found, _) => panic!("{values:?}: {found:?}"),
        };
        let last = ConfidencePlace::Last;
        check(&[0.0, 0.5, 0.5, 0.5, 0.25], last, Ok(([0.25, 0.375, 0.75, 0.625], None)));
        check(&[0.0, 0.5, 0.5, 0.5, 0.25, 0.9], last, Ok(([0.25, 0.375, 0.75, 0.625], Some(0.9))));
        check(&[0.0, 0.9, 0.5, 0.5, 0.5, 0.25], ConfidencePlace::First, Ok(([0.25, 0.375, 0.75, 0.625], Some(0.9))));
        check(&[1.0, 0.25, 0.5, 0.75, 0.5, 0.5, 0.125], last, Ok(([0.25, 0.125, 0.75, 0.5], None)));
        check(&[1.0, 0.25, 0.5, 0.75, 0.5, 0.5, 0.125, 0.5], last, Ok(([0.25, 0.125, 0.75, 0.5], Some(0.5))));
        check(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.5], last, Err("class 0.5"));
        check(&[0.0, 0.5, 0.5], last, Err("found 3 numbers"));
        check(&[0.0, 0.5, 0.5, 0.0, 0.5, 0.5], last, Err("0 wide"));
    }
}

//! YOLO's label files: one line per object with its class and its box or polygon in fractions of the image.

use std::path::Path;

use crate::dataset::DatasetError;
use crate::dataset::formats::draft::{DraftObject, Sides};
use crate::dataset::formats::skipped::{Place, Skipped, bad_record};
use crate::dataset::formats::text_lines::{numbered, numbers};
use crate::domain::{InputError, NOT_UTF_8, Shape, UTF_16, limits, read_text};
use crate::geometry::BoundingBox;

/// How far rounding may put a coordinate outside 0 to 1.
const TOLERANCE: f64 = 0.01;

/// Properties common to all label files of a dataset.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelForm {
    /// Key points follow the box.
    pub has_keypoints: bool,
    /// Class indices are below this.
    pub classes: u32,
}

/// Objects and bad lines of a label file.
type Labels = (Vec<DraftObject>, Vec<Skipped>);

/// Returns the objects of a label file with the file's class indices, and its bad lines. `None` if the file does not exist.
pub(super) fn read(path: &Path, form: LabelForm) -> Result<Option<Labels>, DatasetError> {
    let text = match read_text(path, limits::TEXT) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(InputError::NotUtf8 { line, .. }) => {
            return Ok(Some((Vec::new(), vec![bad_record(path, Place::Line(line as u32), NOT_UTF_8.to_owned())])));
        }
        Err(InputError::Utf16 { .. }) => {
            return Ok(Some((Vec::new(), vec![bad_record(path, Place::Line(1), UTF_16.to_owned())])));
        }
        other => other?,
    };
    let (mut objects, mut bad) = (Vec::new(), Vec::new());
    for (line, text) in numbered(&text) {
        let place = Place::Line(line as u32);
        match object(text, form) {
            Ok((class, bbox, sides)) => {
                let shape = Shape::Rectangle(bbox);
                objects.push(DraftObject { class, shape, sides, ignored: false, place });
            }
            Err(problem) => bad.push(bad_record(path, place, problem)),
        }
    }
    Ok(Some((objects, bad)))
}

/// Returns the class, the box, and the sides of a rotated rectangle.
fn object(text: &str, form: LabelForm) -> Result<(u32, BoundingBox, Option<Sides>), String> {
    let values = numbers(text).map_err(|word| {
        let hint = if word.contains(',') { ": numbers are separated by blanks" } else { "" };
        format!("'{}' is not a finite number{hint}", crate::dataset::formats::image_files::shortened(word))
    })?;
    let (&class, coordinates) = values.split_first().ok_or("the line is empty")?;
    let polygon = coordinates.len() >= 6 && coordinates.len().is_multiple_of(2);
    if coordinates.len() != 4 && !(polygon || form.has_keypoints && coordinates.len() > 4) {
        let hint = match coordinates.len() {
            5 => ". With a score at the end these are detections: quarry import detections",
            more if is_keypoints(more) => ". Key points need `kpt_shape` in data.yaml",
            _ => "",
        };
        return Err(format!(
            "expected `class x y width height`, or a class and the corners of a polygon, found {} numbers{hint}",
            values.len()
        ));
    }
    if class.fract() != 0.0 || class < 0.0 {
        return Err(format!("class {class} is not an index such as 0, 1, 2"));
    }
    if class >= f64::from(form.classes) {
        return Err(format!("class {class} has no name: names has the classes 0 to {}", i64::from(form.classes) - 1));
    }
    let is_box = coordinates.len() == 4 || form.has_keypoints;
    let used = if is_box { coordinates.get(..4).unwrap_or(coordinates) } else { coordinates };
    if let Some(outside) = used.iter().find(|&&v| !(-TOLERANCE..=1.0 + TOLERANCE).contains(&v)) {
        let hint = if [1.0, 2.0].contains(outside) && is_keypoints(coordinates.len()) {
            "; a box with key points needs `kpt_shape` in data.yaml"
        } else {
            ""
        };
        return Err(format!(
            "{outside} is not between 0 and 1: coordinates are fractions of the image's width and height, not pixels{hint}"
        ));
    }
    let (bbox, sides) = if is_box { (box_of(used)?, None) } else { (box_of_polygon(used), rectangle_of(used)) };
    Ok((class as u32, bbox, sides))
}

/// Returns the sides of a polygon if it is a rectangle, as in the form for oriented boxes.
fn rectangle_of(values: &[f64]) -> Option<Sides> {
    const ROUNDING: f64 = 1e-4;
    let &[ax, ay, bx, by, cx, cy, dx, dy] = values else { return None };
    let is_parallelogram = (ax - bx + cx - dx).abs() < ROUNDING && (ay - by + cy - dy).abs() < ROUNDING;
    is_parallelogram.then(|| Sides::of_corners([(ax, ay), (bx, by), (cx, cy), (dx, dy)]))
}

/// Whether this many numbers may be a box with key points of three numbers each.
fn is_keypoints(coordinates: usize) -> bool {
    coordinates > 4 && (coordinates - 4).is_multiple_of(3)
}

/// Returns the box for `x y w h`, its centre and size.
pub(in crate::dataset) fn box_of(values: &[f64]) -> Result<BoundingBox, String> {
    let &[x, y, w, h] = values else { return Err(format!("a box has 4 numbers, this one {}", values.len())) };
    if w <= 0.0 || h <= 0.0 {
        return Err(format!("the box is {w} wide and {h} high; both must be above 0"));
    }
    Ok(BoundingBox::new(x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0))
}

/// Returns the box around a polygon's `x y` pairs.
pub(in crate::dataset) fn box_of_polygon(values: &[f64]) -> BoundingBox {
    let of = |offset: usize| values.iter().skip(offset).step_by(2).copied();
    let (least, most) = (|o| of(o).fold(f64::MAX, f64::min), |o| of(o).fold(f64::MIN, f64::max));
    BoundingBox::new(least(0), least(1), most(0), most(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_boxes_or_polygons_in_fractions() {
        let check = |text: &str, has_keypoints: bool, expected: Result<(u32, [f64; 4]), &str>| {
            let found = object(text, LabelForm { has_keypoints, classes: 3 });
            match (found, expected) {
                (Ok((class, b, _)), Ok(expected)) => assert_eq!((class, [b.x1, b.y1, b.x2, b.y2]), expected, "{text}"),
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{text}: {problem}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        };
        check("0 0.5 0.5 0.5 0.25", false, Ok((0, [0.25, 0.375, 0.75, 0.625])));
        check("2.0 0.5 0.5 1 1", false, Ok((2, [0.0, 0.0, 1.0, 1.0])));
        check("1 0.25 0.5 0.75 0.5 0.5 0.125", false, Ok((1, [0.25, 0.125, 0.75, 0.5])));
        check("1 0.5 0.5 0.5 0.25 9 9 2 9 9 2", true, Ok((1, [0.25, 0.375, 0.75, 0.625])));
        check("0 0.5 0.5 0.5", false, Err("found 4 numbers"));
        check("0 0.5 0.5 0.5 0.5 0.9", false, Err("found 6 numbers. With a score"));
        check("0 0.5 0.5 0.2 0.2 0.4 0.4 2", false, Err("`kpt_shape`"));
        check("0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.4 2", false, Err("2 is not between 0 and 1"));
        check("0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.4 2", false, Err("`kpt_shape`"));
        check("0,0.5,0.5,0.5,0.5", false, Err("separated by blanks"));
        check("3 0.5 0.5 0.5 0.5", false, Err("class 3 has no name"));
        check("-1 0.5 0.5 0.5 0.5", false, Err("class -1"));
        check("0.5 0.5 0.5 0.5 0.5", false, Err("class 0.5"));
        check("0 120 80 40 30", false, Err("120 is not between 0 and 1"));
        check("0 0.5 0.5 0 0.5", false, Err("0 wide"));
        check("0 0.5 nan 0.5 0.5", false, Err("'nan' is not a finite number"));
        check("car 0.5 0.5 0.5 0.5", false, Err("'car'"));
    }
}

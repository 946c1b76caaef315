//! FDDB's result text: blocks of an image name, the number of detections, and one detection per line.

use std::path::Path;

use super::{ClassKey, FoundRecord, ImageKey, Results, Unit};
use crate::dataset::DatasetError;
use crate::dataset::formats::{numbered, numbers};
use crate::domain::{Shape, limits, read_text};
use crate::geometry::{BoundingBox, Ellipse};

pub(super) fn read(path: &Path) -> Result<Results, DatasetError> {
    let text = read_text(path, limits::TEXT)?;
    let mut results = Results::new(vec![path.to_path_buf()], Unit::Pixels);
    let mut lines = numbered(&text);
    while let Some((name_line, name)) = lines.next() {
        let image = ImageKey::named(name);
        results.listed.push((0, Some(name_line), image.clone()));
        let cut = || {
            let problem = format!("the file is cut off after image '{name}': write or copy it again");
            DatasetError::line(path, name_line, problem)
        };
        let (line, count) = lines.next().ok_or_else(cut)?;
        let count: usize = count.parse().map_err(|_| {
            let problem =
                format!("expected the number of detections of image '{name}', found '{count}'. Correct the line");
            DatasetError::line(path, line, problem)
        })?;
        for _ in 0..count {
            let (line, detection) = lines.next().ok_or_else(cut)?;
            match shape_and_score(detection) {
                Ok((shape, score)) => {
                    let (line, class, image) = (Some(line), ClassKey::Unnamed, image.clone());
                    results.records.push(FoundRecord { file: 0, line, image, class, shape, score });
                }
                Err(problem) => results.report(0, Some(line), problem),
            }
        }
    }
    Ok(results)
}

fn shape_and_score(line: &str) -> Result<(Shape, Option<f64>), String> {
    let values = numbers(line).map_err(|word| format!("'{word}' is not a finite number"))?;
    match values[..] {
        [x, y, w, h] => Ok((rectangle(x, y, w, h)?, None)),
        [x, y, w, h, score] => Ok((rectangle(x, y, w, h)?, Some(score))),
        [ra, rb, theta, cx, cy, score] => Ok((Shape::Ellipse(Ellipse::new(ra, rb, theta, cx, cy)), Some(score))),
        _ => Err(format!(
            "expected `x y width height score` or `ra rb theta cx cy score`, found {} numbers",
            values.len()
        )),
    }
}

fn rectangle(x: f64, y: f64, w: f64, h: f64) -> Result<Shape, String> {
    if w <= 0.0 || h <= 0.0 {
        return Err(format!("the box is {w} wide and {h} high; both must be above 0"));
    }
    Ok(Shape::Rectangle(BoundingBox::from_xywh(x, y, w, h)))
}
